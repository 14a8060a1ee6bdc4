"""What the service answers about activities without a workflow, word by word."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity
from dbosify.api.common.v1 import ActivityType, Payload, Payloads
from dbosify.api.enums.v1 import (
    ActivityExecutionStatus,
    ActivityIdConflictPolicy,
    ActivityIdReusePolicy,
    PendingActivityState,
    RetryState,
    TimeoutType,
)
from dbosify.api.errordetails.v1 import ActivityExecutionAlreadyStartedFailure
from dbosify.api.failure.v1 import ApplicationFailureInfo, Failure
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflowservice import v1
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import (
    IDENTITY,
    MAX_BLOB_SIZE,
    TOO_LONG,
    UNKNOWN_RUN_ID,
    Refusal,
    duration,
    invalid,
    not_found,
    payloads,
    refusal_of,
)
from tests.ported_temporal.desk import Desk
from tests.ported_temporal.one_standalone import Ids, increment
from tests.ported_temporal.scaffold import new_worker
from tests.waiting import eventually

pytestmark = pytest.mark.needs("standalone activities")

Change = Callable[[v1.StartActivityExecutionRequest], object]

OH_NO = Failure(message="oh no", application_failure_info=ApplicationFailureInfo())


def start_request(ids: Ids, **fields: Any) -> v1.StartActivityExecutionRequest:
    """A request that is granted as it is; `fields` are added."""
    fields = {
        "activity_type": ActivityType(name="increment"),
        "input": payloads(1),
        "schedule_to_close_timeout": duration(timedelta(minutes=1)),
        **fields,
    }
    return v1.StartActivityExecutionRequest(
        namespace="default",
        identity=IDENTITY,
        activity_id=ids.activity_id,
        task_queue=TaskQueue(name=ids.task_queue),
        **fields,
    )


async def start(
    client: Client, ids: Ids, **fields: Any
) -> v1.StartActivityExecutionResponse:
    """Start an activity with a raw request."""
    service = client.workflow_service
    return await service.start_activity_execution(start_request(ids, **fields))


REQUESTS: dict[str, Callable[..., Any]] = {
    "describe_activity_execution": v1.DescribeActivityExecutionRequest,
    "poll_activity_execution": v1.PollActivityExecutionRequest,
    "request_cancel_activity_execution": v1.RequestCancelActivityExecutionRequest,
    "terminate_activity_execution": v1.TerminateActivityExecutionRequest,
    "delete_activity_execution": v1.DeleteActivityExecutionRequest,
    "respond_activity_task_completed_by_id": (
        v1.RespondActivityTaskCompletedByIdRequest
    ),
    "respond_activity_task_failed_by_id": v1.RespondActivityTaskFailedByIdRequest,
    "respond_activity_task_canceled_by_id": v1.RespondActivityTaskCanceledByIdRequest,
    "record_activity_task_heartbeat_by_id": v1.RecordActivityTaskHeartbeatByIdRequest,
}
ABOUT_ONE = [name for name in REQUESTS if "execution" in name]
BY_ID = [name for name in REQUESTS if name.endswith("_by_id")]
CANCEL = "request_cancel_activity_execution"
TERMINATE = "terminate_activity_execution"
COMPLETE = "respond_activity_task_completed_by_id"


async def send(client: Client, rpc: str, ids: Ids | str, **fields: Any) -> Any:
    """Make a request about one activity."""
    activity_id = ids if isinstance(ids, str) else ids.activity_id
    if "failed" in rpc:
        fields.setdefault("failure", OH_NO)
    request = REQUESTS[rpc](
        namespace=client.namespace, activity_id=activity_id, **fields
    )
    return await getattr(client.workflow_service, rpc)(request)


async def describe(client: Client, ids: Ids) -> v1.DescribeActivityExecutionResponse:
    """All that is known of an activity."""
    response: v1.DescribeActivityExecutionResponse = await send(
        client,
        "describe_activity_execution",
        ids,
        include_input=True,
        include_outcome=True,
        include_heartbeat_details=True,
        include_last_failure=True,
    )
    return response


def gone(ids: Ids | str) -> Refusal:
    """No such activity, or nothing under way of it."""
    activity_id = ids if isinstance(ids, str) else ids.activity_id
    return not_found(f"activity not found for ID: {activity_id}")


def no_more(message: str) -> Refusal:
    """The activity is in no state for it."""
    return Refusal(RPCStatusCode.FAILED_PRECONDITION, message)


async def test_a_start_is_answered_with_a_link(client: Client) -> None:
    ids = Ids()
    response = await start(client, ids)
    assert response.started
    link = response.link.activity
    assert (link.namespace, link.activity_id, link.run_id) == (
        "default",
        ids.activity_id,
        response.run_id,
    )


def _set(path: str, value: Any) -> Change:
    *way, last = path.split(".")

    def change(request: v1.StartActivityExecutionRequest) -> None:
        target: Any = request
        for name in way:
            target = getattr(target, name)
        setattr(target, last, value)

    return change


def _clear(name: Any) -> Change:
    return lambda request: request.ClearField(name)


def _negative(name: str) -> Change:
    return lambda request: getattr(request, name).FromSeconds(-1)


LENGTH = "exceeds length limit. Length=1001 Limit=1000"
BAD_STARTS: dict[str, tuple[Change, str]] = {
    "no id": (_clear("activity_id"), "activityId is not set"),
    "long id": (_set("activity_id", TOO_LONG), f"activityId {LENGTH}"),
    "no type": (_clear("activity_type"), "activityType is not set"),
    "long type": (_set("activity_type.name", TOO_LONG), f"activityType {LENGTH}"),
    "long request id": (_set("request_id", TOO_LONG), f"request ID {LENGTH}"),
    "long identity": (_set("identity", TOO_LONG), f"identity {LENGTH}"),
    "no queue": (_clear("task_queue"), "taskQueue is not set"),
    "empty queue": (_set("task_queue.name", ""), "missing task queue name"),
    "long queue": (_set("task_queue.name", TOO_LONG), "taskQueue length exceeds limit"),
    "system's queue": (
        _set("task_queue.name", "/_sys/x"),
        "task queue name cannot start with reserved prefix /_sys/",
    ),
    "heartbeat": (
        _negative("heartbeat_timeout"),
        "invalid HeartbeatTimeout: negative duration",
    ),
    "start to close": (
        _negative("start_to_close_timeout"),
        "invalid StartToCloseTimeout: negative duration",
    ),
    "delay": (_negative("start_delay"), "invalid StartDelay: negative duration"),
    "retry policy": (
        _set("retry_policy.maximum_attempts", -1),
        "MaximumAttempts cannot be negative on retry policy.",
    ),
    "priority": (
        _set("priority.priority_key", -1),
        "invalid priorities: priority key can't be negative",
    ),
    "fairness key": (
        _set("priority.fairness_key", "x" * 65),
        "invalid priorities: fairness key length exceeds limit",
    ),
    "fairness weight": (
        _set("priority.fairness_weight", -1),
        "invalid priorities: must be greater than zero",
    ),
    "summary": (
        _set("user_metadata.summary.data", b"x" * 500),
        "user_metadata.summary exceeds size limit. Length=503 Limit=400",
    ),
    "details": (
        _set("user_metadata.details.data", b"x" * 30_000),
        "user_metadata.details exceeds size limit. Length=30004 Limit=20000",
    ),
    "reuse policy": (_set("id_reuse_policy", 9), "unsupported ID reuse policy: 9"),
    "conflict policy": (
        _set("id_conflict_policy", 9),
        "unsupported ID conflict policy: 9",
    ),
    "attach": (
        _set("on_conflict_options.attach_request_id", True),
        "on_conflict_options: attach_request_id requires at least one completion"
        " callback or link",
    ),
    "callback": (
        lambda request: setattr(
            request.completion_callbacks.add().nexus, "url", "http://x"
        ),
        "invalid url: url does not match any configured callback address: http://x",
    ),
    "input": (
        lambda request: setattr(
            request.input.payloads.add(), "data", b"x" * MAX_BLOB_SIZE
        ),
        "input exceeds length limit",
    ),
    "search attribute": (
        lambda request: request.search_attributes.indexed_fields["Unknown"].CopyFrom(
            Payload(metadata={"encoding": b"json/plain"}, data=b'"x"')
        ),
        "Namespace default has no mapping defined for search attribute Unknown",
    ),
}


@pytest.mark.parametrize("what", BAD_STARTS)
async def test_a_start_that_cannot_be_is_refused(client: Client, what: str) -> None:
    change, complaint = BAD_STARTS[what]
    request = start_request(Ids())
    change(request)
    started = client.workflow_service.start_activity_execution(request)
    assert await refusal_of(started) == invalid(complaint)


async def test_an_activity_needs_a_timeout(client: Client) -> None:
    ids = Ids()
    started = start(client, ids, schedule_to_close_timeout=None)
    assert await refusal_of(started) == invalid(
        "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the"
        f" activity. ActivityId={ids.activity_id} ActivityType=increment"
    )


@pytest.mark.parametrize("rpc", ABOUT_ONE)
async def test_requests_name_an_activity(client: Client, rpc: str) -> None:
    answers = [
        await refusal_of(send(client, rpc, "")),
        await refusal_of(send(client, rpc, TOO_LONG)),
        await refusal_of(send(client, rpc, "any", run_id="not one")),
        await refusal_of(send(client, rpc, "no such activity")),
    ]
    assert answers == [
        invalid("activity ID is required"),
        invalid(f"activity ID {LENGTH}"),
        invalid("invalid run id: must be a valid UUID"),
        gone("no such activity"),
    ]


@pytest.mark.parametrize("rpc", REQUESTS)
async def test_another_run_of_the_id_is_not_there(client: Client, rpc: str) -> None:
    ids = Ids()
    await start(client, ids)
    refusal = await refusal_of(send(client, rpc, ids, run_id=UNKNOWN_RUN_ID))
    assert refusal == gone(ids)


async def test_the_same_request_starts_once(client: Client) -> None:
    ids = Ids()
    first = await start(client, ids, request_id="the same")
    again = await start(client, ids, request_id="the same")
    await send(client, COMPLETE, ids)
    closed = await start(client, ids, request_id="the same")
    assert [again.run_id, closed.run_id] == [first.run_id, first.run_id]
    assert [first.started, again.started, closed.started] == [True, False, False]


async def test_an_id_in_use_is_refused_with_who_uses_it(client: Client) -> None:
    ids = Ids()
    first = await start(client, ids, request_id="first")
    assert await refusal_of(start(client, ids)) == Refusal(
        RPCStatusCode.ALREADY_EXISTS,
        "activity execution already started",
        ActivityExecutionAlreadyStartedFailure(
            start_request_id="first", run_id=first.run_id
        ),
    )
    policy = ActivityIdConflictPolicy.ACTIVITY_ID_CONFLICT_POLICY_USE_EXISTING
    joined = await start(client, ids, id_conflict_policy=policy)
    assert (joined.run_id, joined.started) == (first.run_id, False)


@pytest.mark.parametrize("completes", [True, False], ids=["completed", "terminated"])
async def test_an_id_may_be_free_only_after_failures(
    client: Client, completes: bool
) -> None:
    ids = Ids()
    await start(client, ids)
    await send(client, COMPLETE if completes else TERMINATE, ids)
    policy = ActivityIdReusePolicy.ACTIVITY_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
    again = start(client, ids, id_reuse_policy=policy)
    if completes:
        refusal = await refusal_of(again)
        assert refusal.status == RPCStatusCode.ALREADY_EXISTS
    else:
        assert (await again).started


async def test_an_activity_that_nobody_takes_is_described(client: Client) -> None:
    ids = Ids()
    await start(client, ids, start_delay=duration(timedelta(minutes=5)))
    told = await describe(client, ids)
    info = told.info
    assert told.input == payloads(1)
    assert not told.HasField("outcome")
    assert info.run_state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    begins = info.schedule_time.ToDatetime() + timedelta(minutes=5)
    assert info.execution_time.ToDatetime() == begins
    assert info.next_attempt_schedule_time == info.execution_time
    assert info.expiration_time.ToDatetime() == begins + timedelta(minutes=1)
    assert info.schedule_to_start_timeout.seconds == 60
    assert info.start_to_close_timeout.seconds == 60
    assert info.retry_policy.maximum_interval.seconds == 100


async def test_a_request_shows_only_what_it_asks_for(client: Client) -> None:
    ids = Ids()
    await start(client, ids)
    await send(client, COMPLETE, ids, result=payloads("done"))
    bare = await send(client, "describe_activity_execution", ids)
    assert not bare.HasField("input")
    assert not bare.HasField("outcome")
    full = await describe(client, ids)
    assert full.outcome.result == payloads("done")


async def test_an_activity_nobody_began_ends_when_it_is_cancelled(
    client: Client,
) -> None:
    ids = Ids()
    await start(client, ids)
    await send(
        client, CANCEL, ids, request_id="first", reason="why", identity="a canceler"
    )
    told = await describe(client, ids)
    status = ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_CANCELED
    assert told.info.status == status
    assert told.info.canceled_reason == "why"
    assert not told.info.last_worker_identity
    failure = Failure(message="Activity canceled")
    failure.canceled_failure_info.details.CopyFrom(payloads("why"))
    failure.canceled_failure_info.identity = "a canceler"
    assert told.outcome.failure == failure
    await send(client, CANCEL, ids, request_id="first")
    refusal = await refusal_of(send(client, CANCEL, ids, request_id="second"))
    assert refusal == no_more("activity is in terminal state Canceled")
    refusal = await refusal_of(send(client, TERMINATE, ids))
    assert refusal == no_more("invalid transition from Canceled")


async def test_a_terminated_activity_says_who_and_why(client: Client) -> None:
    ids = Ids()
    await start(client, ids)
    await send(client, TERMINATE, ids, request_id="1", reason="bye", identity="me")
    await send(client, TERMINATE, ids, request_id="1")
    refusal = await refusal_of(send(client, TERMINATE, ids, request_id="2"))
    assert refusal == no_more("already terminated with request ID 1")
    told = await send(client, "poll_activity_execution", ids)
    assert told.outcome.failure.message == "bye"
    assert told.outcome.failure.terminated_failure_info.identity == "me"


@pytest.mark.parametrize("open_yet", [True, False], ids=["open", "over"])
async def test_a_deleted_activity_is_forgotten(client: Client, open_yet: bool) -> None:
    ids = Ids()
    await start(client, ids)
    if not open_yet:
        await send(client, COMPLETE, ids)
    await send(client, "delete_activity_execution", ids)

    async def forgotten() -> None:
        refusal = await refusal_of(describe(client, ids))
        assert refusal == gone(ids)

    await eventually(forgotten)


@pytest.mark.parametrize("rpc", [name for name in BY_ID if name != COMPLETE])
async def test_nobody_speaks_for_an_attempt_that_is_not(
    client: Client, rpc: str
) -> None:
    ids = Ids()
    await start(client, ids)
    assert await refusal_of(send(client, rpc, ids)) == gone(ids)
    assert await refusal_of(send(client, rpc, "no such")) == gone("no such")
    await send(client, COMPLETE, ids)
    assert await refusal_of(send(client, rpc, ids)) == gone(ids)


async def test_an_activity_is_completed_once(client: Client) -> None:
    ids = Ids()
    await start(client, ids)
    await send(client, COMPLETE, ids, identity="somebody", result=payloads(2))
    refusal = await refusal_of(send(client, COMPLETE, ids))
    assert refusal == no_more("invalid transition from Completed")
    told = await describe(client, ids)
    assert told.info.last_worker_identity == "somebody"
    assert told.info.attempt == 1
    assert told.outcome.result == payloads(2)


async def test_a_running_activity_hears_of_its_end(client: Client) -> None:
    ids, desk = Ids(), Desk()
    async with new_worker(
        client, activities=[desk.hand_over], task_queue=ids.task_queue
    ):
        await start(
            client, ids, activity_type=ActivityType(name="hand_over"), input=Payloads()
        )
        info = await desk.next_info()
        await send(client, CANCEL, ids, request_id="first", reason="why")
        await send(client, CANCEL, ids, request_id="first")
        refusal = await refusal_of(send(client, CANCEL, ids, request_id="second"))
        assert refusal == no_more(
            "cancellation already requested with request ID first"
        )
        told = await describe(client, ids)
        wanted = PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
        assert told.info.run_state == wanted
        beat = await client.workflow_service.record_activity_task_heartbeat(
            v1.RecordActivityTaskHeartbeatRequest(
                namespace="default", task_token=info.task_token, details=payloads(5)
            )
        )
        assert beat.cancel_requested
        await client.workflow_service.respond_activity_task_failed(
            v1.RespondActivityTaskFailedRequest(
                namespace="default", task_token=info.task_token, failure=OH_NO
            )
        )
    told = await describe(client, ids)
    assert told.outcome.failure == OH_NO
    assert told.outcome.retry_state == RetryState.RETRY_STATE_CANCEL_REQUESTED
    assert told.info.heartbeat_details == payloads(5)
    assert told.info.total_heartbeat_count == 1
    stale = client.workflow_service.respond_activity_task_completed(
        v1.RespondActivityTaskCompletedRequest(
            namespace="default", task_token=info.task_token
        )
    )
    assert await refusal_of(stale) == gone(ids)


async def test_attempts_that_fail_are_retried(client: Client) -> None:
    ids = Ids()
    tries: list[activity.Info] = []

    async def fails_twice() -> int:
        tries.append(activity.info())
        if len(tries) < 3:
            raise RuntimeError(f"try {len(tries)}")
        return len(tries)

    async with new_worker(
        client, activities=[activity.defn(fails_twice)], task_queue=ids.task_queue
    ):
        started = await start(
            client,
            ids,
            activity_type=ActivityType(name="fails_twice"),
            input=Payloads(),
            retry_policy={"initial_interval": duration(timedelta(milliseconds=10))},
        )
        done = await send(client, "poll_activity_execution", ids)
    assert done.run_id == started.run_id
    assert done.outcome.result == payloads(3)
    assert [info.attempt for info in tries] == [1, 2, 3]
    assert {info.activity_run_id for info in tries} == {started.run_id}
    assert {info.workflow_id for info in tries} == {None}
    assert {info.namespace for info in tries} == {"default"}
    told = await describe(client, ids)
    assert told.info.attempt == 3
    assert told.info.last_failure.message == "try 2"


TIMEOUTS = {
    "schedule to start": (
        {"schedule_to_close_timeout": duration(timedelta(seconds=1))},
        "ScheduleToStart",
        TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START,
        RetryState.RETRY_STATE_TIMEOUT,
    ),
    "start to close": (
        {"start_to_close_timeout": duration(timedelta(seconds=1))},
        "StartToClose",
        TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE,
        RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED,
    ),
    "heartbeat": (
        {"heartbeat_timeout": duration(timedelta(seconds=1))},
        "Heartbeat",
        TimeoutType.TIMEOUT_TYPE_HEARTBEAT,
        RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED,
    ),
}


@pytest.mark.parametrize("which", TIMEOUTS)
async def test_an_activity_that_is_out_of_time_says_so(
    client: Client, which: str
) -> None:
    ids, desk = Ids(), Desk()
    fields, name, kind, retry_state = TIMEOUTS[which]
    queue = ids.task_queue if which != "schedule to start" else None
    async with new_worker(client, activities=[desk.hand_over], task_queue=queue):
        await start(
            client,
            ids,
            activity_type=ActivityType(name="hand_over"),
            input=Payloads(),
            retry_policy={"maximum_attempts": 1},
            **fields,
        )
        done = await send(client, "poll_activity_execution", ids)
    failure = Failure(message=f"activity {name} timeout")
    failure.timeout_failure_info.timeout_type = kind
    assert done.outcome.failure == failure
    assert done.outcome.retry_state == retry_state
    told = await describe(client, ids)
    timed_out = ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_TIMED_OUT
    assert told.info.status == timed_out


async def test_a_wait_without_news_ends_before_its_caller_gives_up(
    client: Client,
) -> None:
    ids = Ids()
    await start(client, ids)
    request = v1.PollActivityExecutionRequest(
        namespace=client.namespace, activity_id=ids.activity_id
    )
    service = client.workflow_service
    poll = service.poll_activity_execution(request, timeout=timedelta(seconds=2))
    assert await poll == v1.PollActivityExecutionResponse()


async def test_only_the_token_of_a_run_waits_for_its_changes(client: Client) -> None:
    ids = Ids()
    started = await start(client, ids)
    token = (await describe(client, ids)).long_poll_token
    rpc, other = "describe_activity_execution", Ids()
    another = await start(client, other)
    answers = [
        await refusal_of(send(client, rpc, ids, long_poll_token=token)),
        await refusal_of(
            send(client, rpc, ids, long_poll_token=b"x", run_id=started.run_id)
        ),
        await refusal_of(
            send(client, rpc, other, long_poll_token=token, run_id=another.run_id)
        ),
    ]
    assert answers == [
        invalid("run id is required when long poll token is provided"),
        invalid("invalid long poll token"),
        invalid("long poll token does not match execution"),
    ]
    changed = asyncio.create_task(
        send(client, rpc, ids, long_poll_token=token, run_id=started.run_id)
    )
    await send(client, TERMINATE, ids)
    status = ActivityExecutionStatus.ACTIVITY_EXECUTION_STATUS_TERMINATED
    assert (await changed).info.status == status


async def test_a_workers_activity_runs_with_what_was_asked(client: Client) -> None:
    ids = Ids()
    async with new_worker(client, activities=[increment], task_queue=ids.task_queue):
        await start(client, ids)
        done = await send(client, "poll_activity_execution", ids)
    assert done.outcome.result == payloads(2)
