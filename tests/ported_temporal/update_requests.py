"""Raw requests about updates, and a workflow that takes them as a test wants it."""

from collections.abc import Sequence
from typing import Any, NoReturn

from dbosify import workflow
from dbosify.api.common.v1 import WorkflowExecution, WorkflowType
from dbosify.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage
from dbosify.api.failure.v1 import Failure
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.update.v1 import Input, Meta, Outcome, Request, UpdateRef, WaitPolicy
from dbosify.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    PollWorkflowExecutionUpdateResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)
from dbosify.client import Client
from dbosify.exceptions import ApplicationError
from tests.ported_temporal.contract import IDENTITY, execution, payloads, start
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    workflow_update_exists,
)

UNSPECIFIED, ADMITTED, ACCEPTED, COMPLETED = (
    UpdateWorkflowExecutionLifecycleStage.ValueType(number) for number in range(4)
)

ABANDONED = Outcome(
    failure=Failure(
        message=(
            "Workflow Update failed because the Workflow completed before the Update"
            " completed."
        ),
        source="Server",
    )
)
ABANDONED.failure.application_failure_info.type = "AcceptedUpdateCompletedWorkflow"
ABANDONED.failure.application_failure_info.non_retryable = True
"""What becomes of an update whose run ends before its handler does."""


@workflow.defn(name="updatable")
class UpdatableWorkflow:
    """Answers updates at once, after a signal, or never; ends as it is told."""

    def __init__(self) -> None:
        self.released = False
        self.ending = ""

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self.ending))
        if self.ending == "fail":
            raise ApplicationError("as told")
        if self.ending == "continue":
            workflow.continue_as_new()
        return "done"

    @workflow.update
    def echo(self, value: str) -> str:
        return value

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def wait(self, value: str) -> str:
        await workflow.wait_condition(lambda: self.released)
        return value

    @workflow.update
    def refused(self) -> NoReturn:
        raise AssertionError("its validator is against it")

    @refused.validator
    def refuse(self) -> None:
        raise ApplicationError("unwanted", type="Unwanted")

    @workflow.signal
    def release(self) -> None:
        self.released = True

    @workflow.signal
    def end(self, how: str) -> None:
        self.ending = how


async def start_updatable(
    client: Client, task_queue: str, workflow_id: str
) -> WorkflowExecution:
    """Start a run of the workflow above."""
    started = await start(
        client,
        workflow_id,
        workflow_type=WorkflowType(name="updatable"),
        task_queue=TaskQueue(name=task_queue),
    )
    return execution(workflow_id, started.run_id)


def update_request(
    client: Client,
    target: WorkflowExecution,
    name: str = "echo",
    *positional: object,
    args: Sequence[object] = (),
    update_id: str = "",
    stage: UpdateWorkflowExecutionLifecycleStage.ValueType = COMPLETED,
    **fields: Any,
) -> UpdateWorkflowExecutionRequest:
    """An update that nothing is wrong with."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "workflow_execution": target,
        "wait_policy": WaitPolicy(lifecycle_stage=stage),
        "request": Request(
            meta=Meta(update_id=update_id, identity=IDENTITY),
            input=Input(name=name, args=payloads(*positional, *args)),
        ),
    }
    return UpdateWorkflowExecutionRequest(**{**complete, **fields})


async def update(
    client: Client, target: WorkflowExecution, *args: Any, **fields: Any
) -> UpdateWorkflowExecutionResponse:
    """Send an update; see `update_request`."""
    return await client.workflow_service.update_workflow_execution(
        update_request(client, target, *args, **fields)
    )


async def poll(
    client: Client,
    target: WorkflowExecution,
    update_id: str,
    stage: UpdateWorkflowExecutionLifecycleStage.ValueType = UNSPECIFIED,
    **fields: Any,
) -> PollWorkflowExecutionUpdateResponse:
    """Ask how far an update is, or wait until it is that far."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "update_ref": UpdateRef(workflow_execution=target, update_id=update_id),
        "wait_policy": WaitPolicy(lifecycle_stage=stage),
        "identity": IDENTITY,
    }
    return await client.workflow_service.poll_workflow_execution_update(
        PollWorkflowExecutionUpdateRequest(**{**complete, **fields})
    )


async def admitted(client: Client, target: WorkflowExecution, update_id: str) -> None:
    """Return once the service knows the update."""
    await assert_eq_eventually(
        True, lambda: workflow_update_exists(client, target.workflow_id, update_id)
    )


def success(*values: object) -> Outcome:
    """The outcome of a handler that returned that."""
    return Outcome(success=payloads(*values))
