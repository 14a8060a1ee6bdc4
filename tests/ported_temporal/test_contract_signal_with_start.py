"""Signal-with-start: one call that is a signal where a run is open, else a start.

It shares policies and validation with a plain start but not their defaults, and a
repeated request is recognised only as long as the run it reached is open.
"""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from dbosify.api.common.v1 import Header, Link, WorkflowType
from dbosify.api.enums.v1 import (
    EventType,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from dbosify.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWithStartWorkflowExecutionResponse,
)
from dbosify.client import Client, WorkflowExecutionStatus
from dbosify.service import RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    IDENTITY,
    MAX_BLOB_SIZE,
    TOO_LONG,
    Refusal,
    duration,
    execution,
    history_of,
    invalid,
    names_of,
    payloads,
    refusal_of,
    start,
    start_and_close,
    status_of,
    terminate,
)
from tests.ported_temporal.scaffold import random_id

REUSE = WorkflowIdReusePolicy
CONFLICT = WorkflowIdConflictPolicy

NEW_RUN = [
    "WORKFLOW_EXECUTION_STARTED",
    "WORKFLOW_EXECUTION_SIGNALED",
    "WORKFLOW_TASK_SCHEDULED",
]


async def signal_with_start(
    client: Client, workflow_id: str, **fields: Any
) -> SignalWithStartWorkflowExecutionResponse:
    """Signal the workflow, starting it on a queue without worker if need be."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "workflow_id": workflow_id,
        "workflow_type": WorkflowType(name="untouched"),
        "task_queue": TaskQueue(name=random_id("queue")),
        "request_id": str(uuid.uuid4()),
        "identity": IDENTITY,
        "signal_name": "a signal",
    }
    return await client.workflow_service.signal_with_start_workflow_execution(
        SignalWithStartWorkflowExecutionRequest(**{**complete, **fields})
    )


async def test_an_unused_id_is_started_and_signalled_at_once(client: Client) -> None:
    workflow_id = random_id()
    request_id = str(uuid.uuid4())
    header = Header(fields={"trace": payloads("abc").payloads[0]})
    answer = await signal_with_start(
        client,
        workflow_id,
        request_id=request_id,
        header=header,
        input=payloads("for the run"),
        signal_input=payloads("for the handler"),
    )
    assert answer.started
    assert answer.first_execution_run_id == answer.run_id
    assert answer.signal_link == Link(
        workflow_event=Link.WorkflowEvent(
            namespace=client.namespace,
            workflow_id=workflow_id,
            run_id=answer.run_id,
            request_id_ref=Link.WorkflowEvent.RequestIdReference(
                request_id=request_id,
                event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
            ),
        )
    )

    events = await history_of(client, execution(workflow_id))
    assert names_of(events) == NEW_RUN
    started = events[0].workflow_execution_started_event_attributes
    signalled = events[1].workflow_execution_signaled_event_attributes
    assert started.input == payloads("for the run")
    assert signalled.input == payloads("for the handler")
    assert signalled.signal_name == "a signal"
    assert signalled.identity == IDENTITY
    assert signalled.request_id == request_id
    assert started.header == header
    assert signalled.header == header


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {
            "workflow_id_conflict_policy": (
                CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
            )
        },
        {"workflow_id_reuse_policy": (REUSE.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)},
    ],
    ids=["unspecified", "use-existing", "reject-duplicate"],
)
async def test_an_open_run_is_only_signalled(
    client: Client, fields: Mapping[str, Any]
) -> None:
    workflow_id = random_id()
    running = await start(client, workflow_id)
    answer = await signal_with_start(client, workflow_id, **fields)
    assert not answer.started
    assert answer.run_id == running.run_id
    assert answer.first_execution_run_id == running.run_id
    assert names_of(await history_of(client, execution(workflow_id))) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_EXECUTION_SIGNALED",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {
            "workflow_id_conflict_policy": (
                CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
            )
        },
        {
            "workflow_id_reuse_policy": (
                REUSE.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
            )
        },
    ],
    ids=["terminate-existing", "terminate-if-running"],
)
async def test_an_open_run_is_replaced_where_the_policy_says_so(
    client: Client, fields: Mapping[str, Any]
) -> None:
    workflow_id = random_id()
    running = await start(client, workflow_id)
    answer = await signal_with_start(client, workflow_id, **fields)
    assert answer.started
    assert answer.run_id != running.run_id
    assert (
        await status_of(client, execution(workflow_id, running.run_id))
        == WorkflowExecutionStatus.TERMINATED
    )
    assert names_of(await history_of(client, execution(workflow_id))) == NEW_RUN


@pytest.mark.parametrize(
    ("status", "policy", "message"),
    [
        (
            WorkflowExecutionStatus.TERMINATED,
            REUSE.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
            "Workflow execution already finished. WorkflowId: {id}, RunId: {run}. "
            "Workflow Id reuse policy: reject duplicate workflow Id.",
        ),
        (
            WorkflowExecutionStatus.COMPLETED,
            REUSE.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
            "Workflow execution already finished successfully. WorkflowId: {id}, "
            "RunId: {run}. Workflow Id reuse policy: allow duplicate workflow Id if "
            "last run failed.",
        ),
    ],
    ids=["reject-duplicate", "failed-only"],
)
async def test_a_closed_run_is_in_the_way_where_the_policy_says_so(
    client: Client,
    worker: Worker,
    status: WorkflowExecutionStatus,
    policy: "WorkflowIdReusePolicy.ValueType",
    message: str,
) -> None:
    workflow_id = random_id()
    request_id = str(uuid.uuid4())
    over = await start_and_close(
        client, worker, workflow_id, status=status, request_id=request_id
    )
    assert await refusal_of(
        signal_with_start(client, workflow_id, workflow_id_reuse_policy=policy)
    ) == Refusal(
        RPCStatusCode.ALREADY_EXISTS,
        message.format(id=workflow_id, run=over.run_id),
        WorkflowExecutionAlreadyStartedFailure(
            start_request_id=request_id,
            run_id=over.run_id,
            first_execution_run_id=over.run_id,
        ),
    )


@pytest.mark.parametrize(
    ("status", "policy"),
    [
        (
            WorkflowExecutionStatus.COMPLETED,
            REUSE.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED,
        ),
        (
            WorkflowExecutionStatus.FAILED,
            REUSE.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
        ),
    ],
    ids=["unspecified", "failed-only"],
)
async def test_a_closed_run_is_followed_by_a_new_one(
    client: Client,
    worker: Worker,
    status: WorkflowExecutionStatus,
    policy: "WorkflowIdReusePolicy.ValueType",
) -> None:
    workflow_id = random_id()
    over = await start_and_close(client, worker, workflow_id, status=status)
    answer = await signal_with_start(
        client, workflow_id, workflow_id_reuse_policy=policy
    )
    assert answer.started
    assert answer.run_id != over.run_id
    assert answer.first_execution_run_id == answer.run_id
    assert names_of(await history_of(client, execution(workflow_id))) == NEW_RUN


async def test_a_repeated_request_signals_an_open_run_once(client: Client) -> None:
    workflow_id = random_id()
    request_id = str(uuid.uuid4())
    first = await signal_with_start(client, workflow_id, request_id=request_id)
    again = await signal_with_start(client, workflow_id, request_id=request_id)
    assert again.run_id == first.run_id
    assert names_of(await history_of(client, execution(workflow_id))) == NEW_RUN

    await terminate(client, execution(workflow_id))
    after_the_end = await signal_with_start(client, workflow_id, request_id=request_id)
    assert after_the_end.started
    assert after_the_end.run_id != first.run_id


async def test_the_request_of_a_plain_start_may_signal_as_well(client: Client) -> None:
    workflow_id = random_id()
    request_id = str(uuid.uuid4())
    running = await start(client, workflow_id, request_id=request_id)
    answer = await signal_with_start(client, workflow_id, request_id=request_id)
    assert answer.run_id == running.run_id
    events = await history_of(client, execution(workflow_id))
    assert names_of(events).count("WORKFLOW_EXECUTION_SIGNALED") == 1


async def test_a_new_run_waits_for_its_start_delay_despite_the_signal(
    client: Client,
) -> None:
    workflow_id = random_id()
    an_hour = duration(timedelta(hours=1))
    await signal_with_start(client, workflow_id, workflow_start_delay=an_hour)
    assert names_of(await history_of(client, execution(workflow_id))) == NEW_RUN[:2]


async def test_it_ends_the_start_delay_of_an_open_run(client: Client) -> None:
    workflow_id = random_id()
    an_hour = duration(timedelta(hours=1))
    await start(client, workflow_id, workflow_start_delay=an_hour)
    await signal_with_start(client, workflow_id)
    assert names_of(await history_of(client, execution(workflow_id))) == NEW_RUN


MISTAKES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "no workflow id": ({"workflow_id": ""}, "WorkflowId is not set on request."),
    "no signal": ({"signal_name": ""}, "signal not set"),
    "signal too long": (
        {"signal_name": TOO_LONG},
        "signal name exceeds maximum allowed length (1001/1000)",
    ),
    "request id too long": (
        {"request_id": TOO_LONG},
        "Request ID exceeds maximum allowed length (1001/1000)",
    ),
    "signal input too large": (
        {"signal_input": payloads("x" * (MAX_BLOB_SIZE + 1))},
        "Blob data size exceeds limit.",
    ),
    "fail on conflict": (
        {"workflow_id_conflict_policy": CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_FAIL},
        "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not "
        "supported for this operation.",
    ),
    "terminate twice": (
        {
            "workflow_id_reuse_policy": (
                REUSE.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
            ),
            "workflow_id_conflict_policy": (
                CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
            ),
        },
        "Invalid WorkflowIDReusePolicy: "
        "WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together with "
        "a WorkflowIDConflictPolicy",
    ),
    "reject and terminate": (
        {
            "workflow_id_reuse_policy": (
                REUSE.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
            ),
            "workflow_id_conflict_policy": (
                CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
            ),
        },
        "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE "
        "cannot be used together with WorkflowIdConflictPolicy "
        "WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING",
    ),
}
"""Per mistake the fields that make it, and what the service says about it."""


@pytest.mark.parametrize(("fields", "message"), MISTAKES.values(), ids=MISTAKES.keys())
async def test_a_mistaken_request_is_told_what_is_wrong(
    client: Client, fields: Mapping[str, Any], message: str
) -> None:
    given = {"workflow_id": random_id(), **fields}
    assert await refusal_of(
        signal_with_start(client, given.pop("workflow_id"), **given)
    ) == invalid(message)
