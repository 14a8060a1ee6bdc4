"""Update-with-start: an update where a run is open, else a start with the update.

Both happen or neither, but for one case: a run that was started stays, whatever
becomes of its update. Every policy for a workflow id is told apart here.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.message import Message

from dbosify.api.common.v1 import WorkflowExecution, WorkflowType
from dbosify.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from dbosify.api.errordetails.v1 import (
    MultiOperationExecutionFailure,
    NotFoundFailure,
    WorkflowExecutionAlreadyStartedFailure,
)
from dbosify.api.failure.v1 import MultiOperationExecutionAborted
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    ExecuteMultiOperationResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
    UpdateWorkflowExecutionRequest,
    UpdateWorkflowExecutionResponse,
)
from dbosify.client import Client, WorkflowExecutionStatus
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    TOO_LONG,
    UNKNOWN_RUN_ID,
    Refusal,
    answer_or_refusal,
    closed,
    duration,
    execution,
    history_of,
    names_of,
    payloads,
    refusal_of,
    signal,
    start_request,
    status_of,
    terminate,
)
from tests.ported_temporal.scaffold import new_worker, random_id
from tests.ported_temporal.update_requests import (
    ACCEPTED,
    ADMITTED,
    COMPLETED,
    UpdatableWorkflow,
    admitted,
    start_updatable,
    success,
    update,
    update_request,
)

REUSE = WorkflowIdReusePolicy
CONFLICT = WorkflowIdConflictPolicy
FAIL = CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_FAIL
USE_EXISTING = CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
TERMINATE_EXISTING = CONFLICT.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING

CONFLICTS = pytest.mark.parametrize(
    "conflict",
    [FAIL, USE_EXISTING, TERMINATE_EXISTING],
    ids=["fail", "use existing", "terminate existing"],
)

ABORTED = (RPCStatusCode.ABORTED, "Operation was aborted.", "Aborted")
"""What is told of the operation that nothing was wrong with."""

FINE = (RPCStatusCode.OK, "", "")


@pytest_asyncio.fixture(loop_scope="session")
async def updatable(client: Client) -> AsyncIterator[Worker]:
    """A worker of the workflow that takes updates."""
    async with new_worker(client, UpdatableWorkflow) as worker:
        yield worker


def start_part(
    client: Client, workflow_id: str, queue: str, **fields: Any
) -> StartWorkflowExecutionRequest:
    """The start of an updatable run."""
    complete: dict[str, Any] = {
        "workflow_type": WorkflowType(name="updatable"),
        "task_queue": TaskQueue(name=queue),
    }
    return start_request(client, workflow_id, **{**complete, **fields})


def request_of(client: Client, *operations: Message) -> ExecuteMultiOperationRequest:
    """A request of any operations, in this order."""
    request = ExecuteMultiOperationRequest(namespace=client.namespace)
    for operation in operations:
        if isinstance(operation, StartWorkflowExecutionRequest):
            request.operations.add().start_workflow.CopyFrom(operation)
        else:
            assert isinstance(operation, UpdateWorkflowExecutionRequest)
            request.operations.add().update_workflow.CopyFrom(operation)
    return request


async def execute(
    client: Client, *operations: Message
) -> tuple[StartWorkflowExecutionResponse, UpdateWorkflowExecutionResponse]:
    """Execute operations; give the answers of the start and of the update."""
    answer = await client.workflow_service.execute_multi_operation(
        request_of(client, *operations)
    )
    assert isinstance(answer, ExecuteMultiOperationResponse)
    first, second = answer.responses
    return first.start_workflow, second.update_workflow


async def both(
    client: Client,
    workflow_id: str,
    queue: str,
    *args: object,
    update_id: str = "u",
    stage: Any = COMPLETED,
    **fields: Any,
) -> tuple[StartWorkflowExecutionResponse, UpdateWorkflowExecutionResponse]:
    """Update with a start; the arguments are the update's, the fields the start's."""
    return await execute(
        client,
        start_part(client, workflow_id, queue, **fields),
        update_request(
            client,
            execution(workflow_id),
            *(str(arg) for arg in args or ("echo", "a")),
            update_id=update_id,
            stage=stage,
        ),
    )


async def statuses_of(
    call: Any, *, status: RPCStatusCode
) -> list[tuple[RPCStatusCode, str, str]]:
    """What a refused call tells of each operation: status, text, kind of detail."""
    with pytest.raises(RPCError) as raised:
        await call
    assert raised.value.status == status
    assert raised.value.message == "Update-with-Start could not be executed."
    (detail,) = raised.value.grpc_status.details
    failure = MultiOperationExecutionFailure()
    assert detail.Unpack(failure)
    return [
        (RPCStatusCode(each.code), each.message, _kind(each))
        for each in failure.statuses
    ]


def _kind(status: Any) -> str:
    for kind in (
        MultiOperationExecutionAborted,
        NotFoundFailure,
        WorkflowExecutionAlreadyStartedFailure,
    ):
        if any(detail.Is(kind.DESCRIPTOR) for detail in status.details):
            return {
                MultiOperationExecutionAborted: "Aborted",
                NotFoundFailure: "NotFound",
                WorkflowExecutionAlreadyStartedFailure: "AlreadyStarted",
            }[kind]
    return ""


# What is refused at once.


async def test_the_operations_are_a_start_and_an_update(client: Client) -> None:
    start = start_part(client, random_id(), random_id("queue"))
    sent = update_request(client, execution(start.workflow_id))
    for operations in (
        (),
        (start,),
        (sent, start),
        (start, start),
        (start, sent, sent),
    ):
        assert await refusal_of(execute(client, *operations)) == Refusal(
            RPCStatusCode.INVALID_ARGUMENT,
            "Operations have to be exactly [Start, Update].",
        )


@pytest.mark.parametrize(
    ("start", "sent", "texts"),
    [
        ({"cron_schedule": "* * * * *"}, {}, ["CronSchedule is not allowed.", ""]),
        (
            {"workflow_start_delay": duration(timedelta(seconds=1))},
            {},
            ["WorkflowStartDelay is not supported.", ""],
        ),
        (
            {"request_eager_execution": True},
            {},
            ["RequestEagerExecution is not supported.", ""],
        ),
        (
            {"task_queue": TaskQueue()},
            {},
            ["missing task queue name", ""],
        ),
        (
            {},
            {"workflow_execution": execution("another")},
            ["", "WorkflowId is not consistent with previous operation(s)."],
        ),
        (
            {"workflow_id": "one"},
            {"workflow_execution": execution("one", UNKNOWN_RUN_ID)},
            ["", "RunId is not allowed."],
        ),
        (
            {},
            {"first_execution_run_id": UNKNOWN_RUN_ID},
            ["", "FirstExecutionRunId is not allowed."],
        ),
        ({}, {"request": None}, ["", "Update meta is not set on request."]),
        ({}, {"update_id": TOO_LONG}, ["", "UpdateId length exceeds limit."]),
        (
            {},
            {"namespace": "elsewhere"},
            ["", "Operation namespace did not match request's namespace."],
        ),
        (
            {"namespace": "elsewhere"},
            {},
            ["Operation namespace did not match request's namespace.", ""],
        ),
        (
            {"cron_schedule": "* * * * *"},
            {"update_id": TOO_LONG},
            ["CronSchedule is not allowed.", "UpdateId length exceeds limit."],
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
async def test_each_operation_is_checked(
    client: Client,
    start: Mapping[str, Any],
    sent: Mapping[str, Any],
    texts: list[str],
) -> None:
    workflow_id = start.get("workflow_id", random_id())
    queue = random_id("queue")
    operations = (
        start_part(client, **{"workflow_id": workflow_id, "queue": queue, **start}),
        update_request(client, **{"target": execution(workflow_id), **sent}),
    )
    assert await statuses_of(
        execute(client, *operations), status=RPCStatusCode.INVALID_ARGUMENT
    ) == [
        (RPCStatusCode.INVALID_ARGUMENT, text, "") if text else ABORTED
        for text in texts
    ]


async def test_nobody_waits_for_the_admission_only(client: Client) -> None:
    workflow_id = random_id()
    first, second = await statuses_of(
        both(client, workflow_id, random_id("queue"), stage=ADMITTED),
        status=RPCStatusCode.PERMISSION_DENIED,
    )
    assert first == ABORTED
    assert second[0] == RPCStatusCode.PERMISSION_DENIED
    assert isinstance(await answer_or_refusal(_describe(client, workflow_id)), Refusal)


async def _describe(client: Client, workflow_id: str) -> WorkflowExecutionStatus:
    return await status_of(client, execution(workflow_id))


async def test_the_update_need_not_repeat_the_namespace(
    client: Client, updatable: Worker
) -> None:
    workflow_id = random_id()
    started, answered = await execute(
        client,
        start_part(client, workflow_id, updatable.task_queue),
        update_request(client, execution(workflow_id), "echo", "a", namespace=""),
    )
    assert started.started
    assert answered.outcome == success("a")
    await terminate(client, execution(workflow_id))


# A workflow id that nobody uses.


async def test_a_run_is_started_with_the_update_in_its_first_task(
    client: Client, updatable: Worker
) -> None:
    workflow_id = random_id()
    started, answered = await both(client, workflow_id, updatable.task_queue)
    assert started.started
    assert started.first_execution_run_id == started.run_id
    assert WorkflowExecutionStatus(started.status) == WorkflowExecutionStatus.RUNNING
    assert started.link.workflow_event.run_id == started.run_id
    assert answered.stage == COMPLETED
    assert answered.outcome == success("a")
    assert answered.update_ref.workflow_execution == execution(
        workflow_id, started.run_id
    )
    assert names_of(await history_of(client, execution(workflow_id))) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    ]
    await terminate(client, execution(workflow_id))


async def test_a_run_that_rejects_its_update_stays(
    client: Client, updatable: Worker
) -> None:
    workflow_id = random_id()
    started, answered = await both(client, workflow_id, updatable.task_queue, "refused")
    assert started.started
    assert answered.stage == COMPLETED
    assert answered.outcome.failure.message == "unwanted"
    assert names_of(await history_of(client, execution(workflow_id))) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
    ]
    await terminate(client, execution(workflow_id))


async def test_a_run_that_ends_before_its_update(client: Client) -> None:
    workflow_id = random_id()
    sending = asyncio.create_task(
        statuses_of(
            both(client, workflow_id, random_id("queue")),
            status=RPCStatusCode.NOT_FOUND,
        )
    )
    await admitted(client, execution(workflow_id), "u")
    await terminate(client, execution(workflow_id))
    assert await sending == [
        FINE,
        (
            RPCStatusCode.NOT_FOUND,
            "workflow update was aborted by closing workflow",
            "NotFound",
        ),
    ]


async def test_many_callers_start_one_run(client: Client, updatable: Worker) -> None:
    workflow_id = random_id()
    answers = await asyncio.gather(
        *(
            both(
                client,
                workflow_id,
                updatable.task_queue,
                "wait",
                "a",
                stage=ACCEPTED,
                request_id=str(uuid.uuid4()),
                workflow_id_conflict_policy=USE_EXISTING,
            )
            for _ in range(8)
        )
    )
    assert len({started.run_id for started, _ in answers}) == 1
    assert [started.started for started, _ in answers].count(True) == 1
    assert {answered.stage for _, answered in answers} == {ACCEPTED}
    kinds = names_of(await history_of(client, execution(workflow_id)))
    assert kinds.count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED") == 1
    await terminate(client, execution(workflow_id))


# A workflow id with an open run.


@CONFLICTS
@pytest.mark.parametrize("name", ["echo", "wait"], ids=["completed", "accepted"])
async def test_an_open_run_answers_an_update_it_knows_whatever_the_policy(
    client: Client, updatable: Worker, conflict: Any, name: str
) -> None:
    target = await start_updatable(client, updatable.task_queue, random_id())
    first = await update(client, target, name, "a", update_id="u", stage=ACCEPTED)
    started, answered = await both(
        client,
        target.workflow_id,
        updatable.task_queue,
        stage=ACCEPTED,
        workflow_id_conflict_policy=conflict,
    )
    assert not started.started
    assert started.run_id == target.run_id
    assert WorkflowExecutionStatus(started.status) == WorkflowExecutionStatus.RUNNING
    assert (answered.stage, answered.outcome) == (first.stage, first.outcome)
    await terminate(client, target)


async def test_an_open_run_may_be_used(client: Client, updatable: Worker) -> None:
    target = await start_updatable(client, updatable.task_queue, random_id())
    started, answered = await both(
        client,
        target.workflow_id,
        updatable.task_queue,
        workflow_id_conflict_policy=USE_EXISTING,
    )
    assert not started.started
    assert started.run_id == target.run_id
    assert answered.outcome == success("a")
    await terminate(client, target)


@pytest.mark.parametrize("conflict", [FAIL, 0], ids=["fail", "unspecified"])
async def test_an_open_run_may_be_in_the_way(
    client: Client, updatable: Worker, conflict: Any
) -> None:
    target = await start_updatable(client, updatable.task_queue, random_id())
    first, second = await statuses_of(
        both(
            client,
            target.workflow_id,
            updatable.task_queue,
            workflow_id_conflict_policy=conflict,
        ),
        status=RPCStatusCode.ALREADY_EXISTS,
    )
    assert (first[0], first[2]) == (RPCStatusCode.ALREADY_EXISTS, "AlreadyStarted")
    assert second == ABORTED
    await terminate(client, target)


async def test_an_open_run_may_be_terminated(client: Client, updatable: Worker) -> None:
    target = await start_updatable(client, updatable.task_queue, random_id())
    started, answered = await both(
        client,
        target.workflow_id,
        updatable.task_queue,
        workflow_id_conflict_policy=TERMINATE_EXISTING,
    )
    assert started.started
    assert started.run_id != target.run_id
    assert answered.outcome == success("a")
    assert await status_of(client, target) == WorkflowExecutionStatus.TERMINATED
    await terminate(client, execution(target.workflow_id))


async def test_a_repeated_start_is_the_same_start(
    client: Client, updatable: Worker
) -> None:
    workflow_id, request_id = random_id(), str(uuid.uuid4())
    first, _ = await both(
        client, workflow_id, updatable.task_queue, request_id=request_id
    )
    again, answered = await both(
        client,
        workflow_id,
        updatable.task_queue,
        "echo",
        "b",
        update_id="another",
        request_id=request_id,
    )
    assert again.run_id == first.run_id
    assert answered.outcome == success("b")
    await terminate(client, execution(workflow_id))


# A workflow id whose last run is closed.


async def _closed_run(
    client: Client, queue: str, *, how: str = "return", **sent: Any
) -> WorkflowExecution:
    target = await start_updatable(client, queue, random_id())
    if sent:
        await update(client, target, **sent)
    await signal(client, target, signal_name="end", input=payloads(how))
    await closed(client, target.workflow_id)
    return target


@pytest.mark.parametrize("known", ["nothing", "rejected", "accepted"])
@pytest.mark.parametrize("how", ["return", "fail"])
@pytest.mark.parametrize(
    ("reuse", "allows"),
    [
        (REUSE.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, {"return", "fail"}),
        (REUSE.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, {"fail"}),
        (REUSE.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, set()),
    ],
    ids=["allow", "failed only", "reject"],
)
async def test_the_reuse_policy_decides_after_a_closed_run(
    client: Client,
    updatable: Worker,
    known: str,
    how: str,
    reuse: Any,
    allows: set[str],
) -> None:
    sent: dict[str, dict[str, Any]] = {
        "nothing": {},
        "rejected": {"name": "refused", "update_id": "u"},
        "accepted": {
            "name": "wait",
            "args": ("a",),
            "update_id": "u",
            "stage": ACCEPTED,
        },
    }
    before = await _closed_run(client, updatable.task_queue, how=how, **sent[known])
    again = both(
        client,
        before.workflow_id,
        updatable.task_queue,
        workflow_id_reuse_policy=reuse,
    )
    if how in allows:
        started, answered = await again
        assert started.started
        assert started.run_id != before.run_id
        assert answered.outcome == success("a")
        await terminate(client, execution(before.workflow_id))
    else:
        first, second = await statuses_of(again, status=RPCStatusCode.ALREADY_EXISTS)
        assert (first[0], first[2]) == (RPCStatusCode.ALREADY_EXISTS, "AlreadyStarted")
        assert second == ABORTED


@CONFLICTS
async def test_a_closed_run_answers_an_update_it_completed_whatever_the_policy(
    client: Client, updatable: Worker, conflict: Any
) -> None:
    before = await _closed_run(
        client, updatable.task_queue, name="echo", args=("b",), update_id="u"
    )
    reuse = REUSE.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
    if conflict == TERMINATE_EXISTING:
        # The two do not go together.
        reuse = REUSE.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
    started, answered = await both(
        client,
        before.workflow_id,
        updatable.task_queue,
        workflow_id_reuse_policy=reuse,
        workflow_id_conflict_policy=conflict,
    )
    assert not started.started
    assert started.run_id == before.run_id
    assert WorkflowExecutionStatus(started.status) == WorkflowExecutionStatus.COMPLETED
    assert answered.outcome == success("b")


async def test_a_run_that_ends_makes_room_for_another(client: Client) -> None:
    queue = random_id("queue")
    target = await start_updatable(client, queue, random_id())
    sending = asyncio.create_task(
        both(
            client, target.workflow_id, queue, workflow_id_conflict_policy=USE_EXISTING
        )
    )
    await admitted(client, target, "u")
    await terminate(client, target)
    async with new_worker(client, UpdatableWorkflow, task_queue=queue):
        started, answered = await sending
        assert started.started
        assert started.run_id != target.run_id
        assert answered.outcome == success("a")
        await terminate(client, execution(target.workflow_id))


async def test_who_gives_up_leaves_the_run(client: Client) -> None:
    queue, workflow_id = random_id("queue"), random_id()
    request = request_of(
        client,
        start_part(client, workflow_id, queue),
        update_request(client, execution(workflow_id), "echo", "a", update_id="u"),
    )
    with pytest.raises(RPCError) as raised:
        await client.workflow_service.execute_multi_operation(
            request, timeout=timedelta(milliseconds=500)
        )
    assert raised.value.status in (
        RPCStatusCode.CANCELLED,
        RPCStatusCode.DEADLINE_EXCEEDED,
    )
    async with new_worker(client, UpdatableWorkflow, task_queue=queue):
        answer = await client.workflow_service.execute_multi_operation(request)
        started, answered = answer.responses
        assert answered.update_workflow.outcome == success("a")
        run_id = started.start_workflow.run_id
        assert await status_of(client, execution(workflow_id, run_id)) == (
            WorkflowExecutionStatus.RUNNING
        )
        await terminate(client, execution(workflow_id))
