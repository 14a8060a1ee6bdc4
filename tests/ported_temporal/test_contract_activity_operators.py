"""What operators may do to pending activities: pause, unpause, reset, other options."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from temporalio.api.activity.v1 import ActivityOptions

from dbosify.api.common.v1 import Priority, RetryPolicy, WorkflowExecution
from dbosify.api.enums.v1 import PendingActivityState
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflow.v1 import PendingActivityInfo
from dbosify.api.workflowservice import v1
from dbosify.client import Client, WorkflowHandle
from dbosify.service import RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    ALREADY_COMPLETED,
    IDENTITY,
    NO_NAMESPACE,
    NO_WORKFLOW_ID,
    TOO_LONG,
    Refusal,
    duration,
    execution,
    invalid,
    not_found,
    refusal_of,
    unknown_namespace,
    unknown_workflow,
)
from tests.ported_temporal.reset_calls import UNHEARD, Waits, stamp
from tests.ported_temporal.scaffold import (
    assert_eventually,
    new_worker,
    pending_activity,
    random_id,
)

pytestmark = pytest.mark.needs("activity pause")

PAUSED = PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED
SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED

OF_RUNS: dict[str, Any] = {
    "pause_activity": v1.PauseActivityRequest,
    "unpause_activity": v1.UnpauseActivityRequest,
    "reset_activity": v1.ResetActivityRequest,
    "update_activity_options": v1.UpdateActivityOptionsRequest,
}
OF_ONE: dict[str, Any] = {
    "pause_activity_execution": v1.PauseActivityExecutionRequest,
    "unpause_activity_execution": v1.UnpauseActivityExecutionRequest,
    "reset_activity_execution": v1.ResetActivityExecutionRequest,
    "update_activity_execution_options": v1.UpdateActivityExecutionOptionsRequest,
}

of_runs = pytest.mark.parametrize("rpc", OF_RUNS)
of_one = pytest.mark.parametrize("rpc", OF_ONE)

NOT_PENDING = not_found(
    "Can't find pending activity with such ID. Invalid activityID or activity already"
    " completed"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A run with an activity, `unheard`, that no worker takes."""

    client: Client
    handle: WorkflowHandle[Any, Any]

    async def send(self, rpc: str, **fields: Any) -> Any:
        """Make a request; about that activity, unless the fields say otherwise."""
        if rpc in OF_RUNS:
            usual: dict[str, Any] = {"execution": execution(self.handle.id)}
            if not {"id", "type", "unpause_all", "match_all"} & fields.keys():
                usual["id"] = "unheard"
        else:
            usual = {"workflow_id": self.handle.id, "activity_id": "unheard"}
        usual["namespace"] = self.client.namespace
        if "options" in rpc and "restore_original" not in fields:
            usual["activity_options"] = ActivityOptions(
                heartbeat_timeout=duration(timedelta(seconds=3))
            )
            usual["update_mask"] = FieldMask(paths=["heartbeat_timeout"])
        fields = {**usual, **fields}
        fields = {name: value for name, value in fields.items() if value is not None}
        make: Any = {**OF_RUNS, **OF_ONE}[rpc]
        return await getattr(self.client.workflow_service, rpc)(make(**fields))

    async def options(self, *paths: str, **options: Any) -> ActivityOptions:
        """Give it other options."""
        answer = await self.send(
            "update_activity_options",
            activity_options=ActivityOptions(**options),
            update_mask=FieldMask(paths=paths),
        )
        shown: ActivityOptions = answer.activity_options
        return shown

    async def shown(self) -> PendingActivityInfo:
        """What describe says of it."""
        info = await pending_activity(self.handle, "unheard")
        assert info is not None
        return info

    async def done(self, queue: str | None = None) -> None:
        """Let a worker of its queue do it."""
        queue = UNHEARD + self.handle.id if queue is None else queue
        async with Worker(self.client, task_queue=queue, activities=[stamp]):
            assert await self.handle.result() == "hello stamped"


@pytest_asyncio.fixture(loop_scope="session")
async def case(client: Client) -> AsyncIterator[Case]:
    """A run that waits for its activity."""
    async with new_worker(client, Waits) as worker:
        handle = await client.start_workflow(
            Waits.run, id=random_id(), task_queue=worker.task_queue
        )
        case = Case(client, handle)

        async def waiting() -> None:
            assert await pending_activity(handle, "unheard")

        await assert_eventually(waiting)
        yield case
        if (await handle.describe()).close_time is None:
            await handle.terminate()


@of_runs
@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"namespace": ""}, NO_NAMESPACE),
        ({"namespace": "nowhere"}, unknown_namespace("nowhere")),
        ({"execution": None}, NO_WORKFLOW_ID),
        ({"execution": WorkflowExecution()}, NO_WORKFLOW_ID),
        ({"execution": execution("x", "y")}, invalid("RunId is not valid UUID.")),
        ({"execution": execution("nobody")}, unknown_workflow("nobody")),
        (
            {"id": None},
            invalid("Either Activity.Id or Activity.Type should be set on request."),
        ),
        ({"id": "another"}, NOT_PENDING),
        ({"id": "'; DROP TABLE activities; --"}, NOT_PENDING),
        ({"id": "\0"}, NOT_PENDING),
        ({"id": TOO_LONG}, NOT_PENDING),
        ({"type": "another"}, NOT_PENDING),
    ],
)
async def test_a_request_about_activities_of_a_run_may_be_wrong(
    case: Case, rpc: str, fields: Mapping[str, Any], refusal: Refusal
) -> None:
    assert await refusal_of(case.send(rpc, **fields)) == refusal


@of_one
@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"namespace": ""}, NO_NAMESPACE),
        ({"activity_id": ""}, invalid("activity ID is required")),
        (
            {"run_id": "y"},
            invalid("invalid run id: must be a valid UUID"),
        ),
        (
            {"request_id": TOO_LONG},
            invalid("request ID exceeds length limit. Length=1001 Limit=1000"),
        ),
        ({"workflow_id": "nobody"}, unknown_workflow("nobody")),
        ({"activity_id": "another"}, NOT_PENDING),
        (
            {"workflow_id": "", "activity_id": "another"},
            not_found("activity not found for ID: another"),
        ),
    ],
)
async def test_a_request_about_one_activity_may_be_wrong(
    case: Case, rpc: str, fields: Mapping[str, Any], refusal: Refusal
) -> None:
    assert await refusal_of(case.send(rpc, **fields)) == refusal


@pytest.mark.parametrize("rpc", [*OF_RUNS, *OF_ONE])
async def test_nothing_is_done_to_activities_of_a_closed_run(
    case: Case, rpc: str
) -> None:
    await case.handle.terminate()
    assert await refusal_of(case.send(rpc)) == ALREADY_COMPLETED


@pytest.mark.parametrize("names", [{"id": "unheard"}, {"type": "stamp"}])
async def test_a_paused_activity_is_not_begun_until_it_is_unpaused(
    case: Case, names: dict[str, str]
) -> None:
    await case.send("pause_activity", identity=IDENTITY, reason="lunch", **names)
    info = await case.shown()
    assert (info.paused, info.state) == (True, PAUSED)
    assert info.pause_info.manual.identity == IDENTITY
    assert info.pause_info.manual.reason == "lunch"
    await case.send("unpause_activity", **names)
    info = await case.shown()
    assert (info.paused, info.state) == (False, SCHEDULED)
    assert not info.HasField("pause_info")
    await case.done()


async def test_who_pauses_first_is_remembered(case: Case) -> None:
    await case.send("pause_activity", identity="first")
    await case.send("pause_activity", identity="second")
    assert (await case.shown()).pause_info.manual.identity == "first"
    assert await refusal_of(case.send("pause_activity_execution")) == Refusal(
        RPCStatusCode.FAILED_PRECONDITION, "activity is already paused"
    )
    await case.send("unpause_activity_execution")
    await case.send("unpause_activity_execution")
    await case.send("unpause_activity", unpause_all=True)
    await case.done()


@pytest.mark.parametrize("keep", [True, False])
async def test_a_reset_unpauses_unless_told_otherwise(case: Case, keep: bool) -> None:
    await case.send("pause_activity")
    await case.send("reset_activity", match_all=True, keep_paused=keep)
    info = await case.shown()
    assert (info.paused, info.attempt) == (keep, 1)


SECONDS = timedelta(seconds=1)


async def test_other_timeouts_are_cut_to_each_other(case: Case) -> None:
    shown = await case.options(
        "start_to_close_timeout",
        "schedule_to_close_timeout",
        start_to_close_timeout=duration(400 * SECONDS),
        schedule_to_close_timeout=duration(40 * SECONDS),
    )
    for name in ("schedule_to_close", "schedule_to_start", "start_to_close"):
        assert getattr(shown, f"{name}_timeout").ToTimedelta() == 40 * SECONDS
    options = (await case.shown()).activity_options
    assert options.schedule_to_close_timeout.ToTimedelta() == 40 * SECONDS


async def test_a_mask_may_be_spelled_as_json(case: Case) -> None:
    shown = await case.options(
        "heartbeatTimeout", heartbeat_timeout=duration(4 * SECONDS)
    )
    assert shown.heartbeat_timeout.ToTimedelta() == 4 * SECONDS


async def test_another_queue_is_where_it_is_done(case: Case) -> None:
    queue = random_id("queue")
    shown = await case.options("task_queue.name", task_queue=TaskQueue(name=queue))
    assert shown.task_queue.name == queue
    await case.done(queue)


async def test_part_of_a_policy_leaves_the_rest(case: Case) -> None:
    shown = await case.options(
        "retry_policy.maximum_attempts",
        "priority",
        retry_policy=RetryPolicy(maximum_attempts=7, backoff_coefficient=9),
        priority=Priority(priority_key=2),
    )
    assert shown.retry_policy.maximum_attempts == 7
    assert shown.retry_policy.backoff_coefficient == 2
    assert shown.priority.priority_key == 2
    assert (await case.shown()).maximum_attempts == 7


async def test_the_first_options_can_be_had_again(case: Case) -> None:
    await case.options("heartbeat_timeout", heartbeat_timeout=duration(4 * SECONDS))
    queue = TaskQueue(name=random_id("queue"))
    await case.options("task_queue.name", task_queue=queue)
    answer = await case.send("update_activity_options", restore_original=True)
    assert answer.activity_options.heartbeat_timeout.ToTimedelta() == timedelta(0)
    await case.done()


async def test_a_path_that_is_not_known_is_passed_over_or_not(case: Case) -> None:
    await case.options("zzz")
    refused = await refusal_of(
        case.send(
            "update_activity_execution_options", update_mask=FieldMask(paths=["zzz"])
        )
    )
    assert refused == invalid('unsupported update_mask path: "zzz"')


def wrong(paths: str, text: str, **options: Message) -> Any:
    """Options that are refused with this text."""
    return pytest.param(paths.split(), options, text, id=text[:30])


@pytest.mark.parametrize(
    ("paths", "options", "text"),
    [
        wrong(
            "start_to_close_timeout",
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the"
            " activity. ActivityId=unheard ActivityType=stamp",
        ),
        wrong(
            "start_to_close_timeout",
            "invalid StartToCloseTimeout: negative duration",
            start_to_close_timeout=duration(-SECONDS),
        ),
        wrong("task_queue.name", "TaskQueue is not provided"),
        wrong("retry_policy.maximum_attempts", "RetryPolicy is not provided"),
        wrong(
            "retry_policy.backoff_coefficient",
            "BackoffCoefficient cannot be less than 1 on retry policy.",
            retry_policy=RetryPolicy(backoff_coefficient=0.5),
        ),
        wrong(
            "priority",
            "priority key can't be negative",
            priority=Priority(priority_key=-2),
        ),
    ],
)
async def test_other_options_may_be_wrong(
    case: Case, paths: list[str], options: dict[str, Any], text: str
) -> None:
    assert await refusal_of(case.options(*paths, **options)) == invalid(text)
    assert (await case.shown()).activity_options.start_to_close_timeout.seconds == 30


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"activity_options": None}, "ActivityOptions are not provided"),
        ({"update_mask": None}, "UpdateMask is not provided"),
        (
            {"restore_original": True, "update_mask": FieldMask(paths=["priority"])},
            "Both UpdateMask and RestoreOriginal are provided",
        ),
    ],
)
async def test_a_request_for_other_options_may_lack_something(
    case: Case, fields: dict[str, Any], text: str
) -> None:
    refused = await refusal_of(case.send("update_activity_options", **fields))
    assert refused == invalid(text)
