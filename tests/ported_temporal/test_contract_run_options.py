"""Other options for runs, pauses of whole workflows, and runs that are deleted."""

from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from dbosify.api.common.v1 import Priority, WorkflowExecution
from dbosify.api.workflow.v1 import WorkflowExecutionOptions
from dbosify.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    PauseWorkflowExecutionRequest,
    UnpauseWorkflowExecutionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import (
    ALREADY_COMPLETED,
    BAD_RUN_ID,
    IDENTITY,
    NO_NAMESPACE,
    NO_WORKFLOW_ID,
    UNKNOWN_RUN_ID,
    Refusal,
    describe,
    execution,
    history_of,
    invalid,
    refusal_of,
    start,
    terminate,
    unknown_run,
    unknown_workflow,
)
from tests.ported_temporal.scaffold import assert_eventually, random_id


async def change(client: Client, target: WorkflowExecution, **fields: Any) -> Any:
    """Give a run other options; its priority, unless the fields say otherwise."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "workflow_execution": target,
        "identity": IDENTITY,
        "update_mask": FieldMask(paths=["priority"]),
        "workflow_execution_options": WorkflowExecutionOptions(
            priority=Priority(priority_key=2)
        ),
    }
    fields = {**complete, **fields}
    answer = await client.workflow_service.update_workflow_execution_options(
        UpdateWorkflowExecutionOptionsRequest(**fields)
    )
    return answer.workflow_execution_options


def with_priority(**fields: Any) -> WorkflowExecutionOptions:
    """Options that only say something of the priority."""
    return WorkflowExecutionOptions(priority=Priority(**fields))


async def test_parts_of_a_priority_are_changed_one_by_one(client: Client) -> None:
    target = execution(random_id())
    await start(client, target.workflow_id, priority=Priority(fairness_key="first"))
    changed = await change(
        client,
        target,
        update_mask=FieldMask(paths=["priority.priority_key"]),
        workflow_execution_options=with_priority(priority_key=4, fairness_key="no"),
    )
    assert changed == with_priority(priority_key=4, fairness_key="first")
    info = (await describe(client, target)).workflow_execution_info
    assert info.priority == changed.priority
    event = (await history_of(client, target))[-1]
    updated = event.workflow_execution_options_updated_event_attributes
    assert updated.priority == changed.priority
    assert updated.identity == IDENTITY
    assert event.worker_may_ignore
    await terminate(client, target)


async def test_a_priority_is_changed_as_a_whole(client: Client) -> None:
    target = execution(random_id())
    await start(client, target.workflow_id, priority=Priority(fairness_key="first"))
    assert await change(client, target) == with_priority(priority_key=2)
    nothing = WorkflowExecutionOptions()
    assert await change(client, target, workflow_execution_options=nothing) == nothing
    await terminate(client, target)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"namespace": ""}, NO_NAMESPACE),
        ({"update_mask": None}, invalid("UpdateMask is required")),
        (
            {"update_mask": FieldMask(paths=["zzz"])},
            invalid(
                'error parsing UpdateMask: proto:\N{NO-BREAK SPACE}invalid path "zzz"'
                ' for message "temporal.api.workflow.v1.WorkflowExecutionOptions"'
            ),
        ),
        (
            {"workflow_execution_options": with_priority(priority_key=-1)},
            invalid("priority key can't be negative"),
        ),
        (
            {"workflow_execution_options": with_priority(fairness_key="x" * 65)},
            invalid("fairness key length exceeds limit"),
        ),
        (
            {"workflow_execution_options": with_priority(fairness_weight=-1)},
            invalid("must be greater than zero"),
        ),
        ({"workflow_execution": WorkflowExecution()}, NO_WORKFLOW_ID),
        (
            {"workflow_execution": execution("x", "y")},
            invalid("RunId is not valid UUID."),
        ),
        ({"workflow_execution": execution("nobody")}, unknown_workflow("nobody")),
    ],
)
async def test_other_options_may_be_wrong(
    client: Client, fields: Mapping[str, Any], refusal: Refusal
) -> None:
    target = execution(random_id())
    await start(client, target.workflow_id)
    assert await refusal_of(change(client, target, **fields)) == refusal
    await terminate(client, target)
    assert await refusal_of(change(client, target)) == ALREADY_COMPLETED


async def test_no_workflow_is_paused_where_that_is_not_switched_on(
    client: Client,
) -> None:
    target = execution(random_id())
    await start(client, target.workflow_id)
    names = {"namespace": client.namespace, "workflow_id": target.workflow_id}
    service = client.workflow_service
    refused = await refusal_of(
        service.pause_workflow_execution(PauseWorkflowExecutionRequest(**names))
    )
    assert refused == Refusal(
        RPCStatusCode.UNIMPLEMENTED,
        f"workflow pause is not enabled for namespace: {client.namespace}",
    )
    refused = await refusal_of(
        service.unpause_workflow_execution(UnpauseWorkflowExecutionRequest(**names))
    )
    assert refused == Refusal(
        RPCStatusCode.FAILED_PRECONDITION, "workflow is not paused."
    )
    await terminate(client, target)


async def delete(client: Client, target: WorkflowExecution | None) -> None:
    """Delete a run."""
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=target
        )
    )


async def test_a_deleted_run_is_gone(client: Client) -> None:
    target = execution(random_id())
    await start(client, target.workflow_id)
    await delete(client, target)
    gone = unknown_workflow(target.workflow_id)

    async def is_gone() -> None:
        assert await refusal_of(describe(client, target)) == gone

    await assert_eventually(is_gone)
    await start(client, target.workflow_id)
    await terminate(client, target)


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        (None, invalid("Execution is not set on request.")),
        (WorkflowExecution(), NO_WORKFLOW_ID),
        (execution("x", "y"), BAD_RUN_ID),
        (execution("nobody"), unknown_workflow("nobody")),
        (execution("x", UNKNOWN_RUN_ID), unknown_run("x", UNKNOWN_RUN_ID)),
        (execution("'; DROP TABLE x; --"), unknown_workflow("'; DROP TABLE x; --")),
    ],
)
async def test_what_is_not_there_cannot_be_deleted(
    client: Client, target: WorkflowExecution | None, refusal: Refusal
) -> None:
    assert await refusal_of(delete(client, target)) == refusal
