"""Activities that a client starts without any workflow."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity
from dbosify.api.workflowservice.v1 import DescribeActivityExecutionRequest
from dbosify.client import (
    ActivityExecutionCount,
    ActivityExecutionCountAggregationGroup,
    ActivityExecutionStatus,
    ActivityFailureError,
    ActivityHandle,
    AsyncActivityHandle,
    Client,
    PendingActivityState,
)
from dbosify.common import (
    ActivityIDConflictPolicy,
    ActivityIDReusePolicy,
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from dbosify.exceptions import (
    ActivityAlreadyStartedError,
    ApplicationError,
    CancelledError,
    TerminatedError,
)
from dbosify.service import RPCError, RPCStatusCode
from tests.ported_temporal.desk import Desk
from tests.ported_temporal.one_standalone import Ids, increment, start
from tests.ported_temporal.scaffold import new_worker, random_id
from tests.waiting import eventually

pytestmark = pytest.mark.needs("standalone activities")


def worker_of(client: Client, ids: Ids, *activities: Any, **options: Any) -> Any:
    """A worker of the queue, for `increment` unless others are named."""
    return new_worker(
        client,
        activities=activities or [increment],
        task_queue=ids.task_queue,
        **options,
    )


async def test_describe(client: Client) -> None:
    ids = Ids()
    handle = await start(client, ids, schedule_to_close_timeout=timedelta(hours=1))
    found = await handle.describe()
    assert found.activity_id == handle.id
    assert found.activity_run_id == handle.run_id
    assert found.activity_type == "increment"
    assert found.namespace == client.namespace
    assert found.status == ActivityExecutionStatus.RUNNING
    assert found.run_state == PendingActivityState.SCHEDULED
    assert found.attempt == 1
    absent = {
        found.close_time,
        found.execution_duration,
        found.canceled_reason,
        found.current_retry_interval,
        found.last_attempt_complete_time,
        await found.last_failure(),
        found.last_heartbeat_time,
        found.last_started_time,
        found.last_worker_identity,
        found.next_attempt_schedule_time,
    }
    assert absent == {None}
    assert found.total_heartbeat_count == 0
    assert list(found.typed_search_attributes) == []
    assert found.expiration_time == found.schedule_time + timedelta(hours=1)
    assert found.raw_info.state_transition_count == 1
    assert found.retry_policy is not None
    assert found.task_queue == ids.task_queue


async def told(client: Client, handle: ActivityHandle[Any], token: bytes = b"") -> Any:
    """What describe tells, once it is not what it told with the token any more."""
    return await client.workflow_service.describe_activity_execution(
        DescribeActivityExecutionRequest(
            namespace=client.namespace,
            activity_id=handle.id,
            run_id=handle.run_id or "",
            long_poll_token=token,
        )
    )


async def test_describe_long_poll(client: Client) -> None:
    ids = Ids()
    handle = await start(client, ids)
    before = await told(client, handle)
    changed = asyncio.create_task(told(client, handle, before.long_poll_token))
    # Any other request is answered while that one waits.
    assert (await handle.describe()).status == ActivityExecutionStatus.RUNNING
    assert not changed.done()
    async with worker_of(client, ids):
        after = await asyncio.wait_for(changed, 10)
    counts = [each.info.state_transition_count for each in (before, after)]
    assert 0 < counts[0] < counts[1]


async def test_get_result(client: Client) -> None:
    ids = Ids()
    handle = await start(client, ids)
    again = client.execute_activity(
        increment,
        1,
        id=ids.activity_id,
        task_queue=ids.task_queue,
        start_to_close_timeout=timedelta(seconds=5),
    )
    async with worker_of(client, ids):
        assert await handle.result() == 2
        assert await again == 2
    latest = await client.get_activity_handle(ids.activity_id).describe()
    assert latest.activity_run_id != handle.run_id


async def test_start_activity_start_delay(client: Client) -> None:
    ids = Ids()
    async with worker_of(client, ids):
        handle = await start(client, ids, start_delay=timedelta(seconds=2))
        assert await handle.result() == 2
    found = await handle.describe()
    assert found.last_started_time is not None
    waited = found.last_started_time - found.schedule_time
    assert waited >= timedelta(seconds=1.5)


async def test_get_activity_handle(client: Client) -> None:
    ids = Ids()
    started = await start(client, ids)
    by_id = client.get_activity_handle(ids.activity_id)
    assert (by_id.id, by_id.run_id) == (ids.activity_id, None)
    by_run = client.get_activity_handle(ids.activity_id, run_id=started.run_id)
    assert (by_run.id, by_run.run_id) == (ids.activity_id, started.run_id)
    typed = client.get_activity_handle(
        ids.activity_id, run_id=started.run_id, result_type=int
    )
    async with worker_of(client, ids):
        results = [await each.result() for each in (by_id, by_run, typed)]
    assert results == [2, 2, 2]


async def test_list_activities(client: Client) -> None:
    ids = Ids()
    await start(client, ids)

    async def listed() -> Any:
        query = f'ActivityId = "{ids.activity_id}"'
        (found,) = [each async for each in client.list_activities(query)]
        return found

    found = await eventually(listed, retry_on=ValueError)
    assert found.activity_id == ids.activity_id
    assert found.activity_type == "increment"
    assert found.task_queue == ids.task_queue
    assert found.status == ActivityExecutionStatus.RUNNING
    assert found.raw_info.state_transition_count == 0


async def test_count_activities(client: Client) -> None:
    ids = Ids()
    await start(client, ids)

    async def counted() -> None:
        count = await client.count_activities(f'ActivityId = "{ids.activity_id}"')
        assert count == ActivityExecutionCount(count=1, groups=[])

    await eventually(counted)


async def test_count_activities_group_by(client: Client) -> None:
    several = [Ids() for _ in range(3)]
    for ids in several:
        await start(client, ids, schedule_to_close_timeout=timedelta(seconds=60))
    among = " OR ".join(f'ActivityId = "{ids.activity_id}"' for ids in several)

    async def counted() -> None:
        query = f"({among}) GROUP BY ExecutionStatus"
        running = ActivityExecutionCountAggregationGroup(
            count=3, group_values=["Running"]
        )
        count = await client.count_activities(query)
        assert count == ActivityExecutionCount(count=3, groups=[running])

    await eventually(counted)


async def handed_over(client: Client, desk: Desk) -> AsyncActivityHandle:
    """Wait until the activity left its completion to us; speak for it by its ids."""
    info = await desk.next_info()
    assert info.workflow_id is None
    assert not info.in_workflow
    return client.get_async_activity_handle(
        activity_id=info.activity_id, run_id=info.activity_run_id
    )


async def test_manual_completion(client: Client) -> None:
    ids, desk = Ids(), Desk()
    async with worker_of(client, ids, desk.hand_over):
        handle = await start(client, ids, desk.hand_over, args=())
        elsewhere = await handed_over(client, desk)
        await elsewhere.complete("done")
        assert await handle.result() == "done"
    assert (await handle.describe()).status == ActivityExecutionStatus.COMPLETED


async def test_manual_cancellation(client: Client) -> None:
    ids, desk = Ids(), Desk()
    async with worker_of(client, ids, desk.hand_over):
        handle = await start(client, ids, desk.hand_over, args=())
        elsewhere = await handed_over(client, desk)
        with pytest.raises(RPCError, match="unable to mark activity as can") as early:
            await elsewhere.report_cancellation("Test cancellation")
        assert early.value.status == RPCStatusCode.INVALID_ARGUMENT
        await handle.cancel()
        await elsewhere.report_cancellation("Test cancellation")
        with pytest.raises(ActivityFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, CancelledError)
    assert list(failed.value.cause.details) == ["Test cancellation"]
    assert (await handle.describe()).status == ActivityExecutionStatus.CANCELED


async def test_manual_failure(client: Client) -> None:
    ids, desk = Ids(), Desk()
    async with worker_of(client, ids, desk.hand_over):
        handle = await start(client, ids, desk.hand_over, args=())
        elsewhere = await handed_over(client, desk)
        await elsewhere.fail(ApplicationError("Test failure", non_retryable=True))
        with pytest.raises(ActivityFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert str(failed.value.cause) == "Test failure"
    assert (await handle.describe()).status == ActivityExecutionStatus.FAILED


async def test_manual_heartbeat(client: Client) -> None:
    ids, info, may_fail = Ids(), Desk(), asyncio.Event()

    @activity.defn
    async def fails_once() -> Any:
        if activity.info().attempt > 1:
            return activity.info().heartbeat_details
        info.left.put_nowait(activity.info())
        await asyncio.wait_for(may_fail.wait(), 10)
        raise ApplicationError("once")

    async with worker_of(client, ids, fails_once):
        handle = await start(client, ids, fails_once, args=())
        elsewhere = await handed_over(client, info)
        await elsewhere.heartbeat("Test heartbeat details")
        may_fail.set()
        assert await handle.result() == ["Test heartbeat details"]


async def test_id_conflict_policy_fail(client: Client) -> None:
    ids = Ids()
    await start(client, ids)
    with pytest.raises(ActivityAlreadyStartedError, match="Activity") as refused:
        await start(client, ids, id_conflict_policy=ActivityIDConflictPolicy.FAIL)
    assert refused.value.activity_id == ids.activity_id


async def test_id_conflict_policy_use_existing(client: Client) -> None:
    ids, policy = Ids(), ActivityIDConflictPolicy.USE_EXISTING
    first = await start(client, ids, id_conflict_policy=policy)
    second = await start(client, ids, id_conflict_policy=policy)
    assert (first.id, first.run_id) == (second.id, second.run_id)


async def test_id_reuse_policy_reject_duplicate(client: Client) -> None:
    ids, policy = Ids(), ActivityIDReusePolicy.REJECT_DUPLICATE
    async with worker_of(client, ids):
        await (await start(client, ids, id_reuse_policy=policy)).result()
    with pytest.raises(ActivityAlreadyStartedError) as refused:
        await start(client, ids, id_reuse_policy=policy)
    assert refused.value.activity_id == ids.activity_id


async def test_id_reuse_policy_allow_duplicate(client: Client) -> None:
    ids, policy = Ids(), ActivityIDReusePolicy.ALLOW_DUPLICATE
    async with worker_of(client, ids):
        first = await start(client, ids, id_reuse_policy=policy)
        await first.result()
    second = await start(client, ids, id_reuse_policy=policy)
    assert second.id == first.id
    assert second.run_id != first.run_id


async def test_search_attributes(client: Client) -> None:
    key = SearchAttributeKey.for_keyword_list("TemporalChangeVersion")
    pair = SearchAttributePair(key, ["test-1", "test-2"])
    handle = await start(client, Ids(), search_attributes=TypedSearchAttributes([pair]))
    found = await handle.describe()
    assert found.typed_search_attributes[key] == ["test-1", "test-2"]


async def test_retry_policy(client: Client) -> None:
    policy = RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(seconds=10),
        backoff_coefficient=2.0,
        maximum_attempts=3,
    )
    handle = await start(client, Ids(), retry_policy=policy)
    assert (await handle.describe()).retry_policy == policy


async def test_terminate(client: Client) -> None:
    ids, desk = Ids(), Desk()
    async with worker_of(client, ids, desk.hand_over):
        handle = await start(client, ids, desk.hand_over, args=())
        elsewhere = await handed_over(client, desk)
        await handle.terminate(reason="Test termination")
        with pytest.raises(ActivityFailureError) as failed:
            await handle.result()
        with pytest.raises(RPCError, match="activity not found") as gone:
            await elsewhere.heartbeat()
    assert isinstance(failed.value.cause, TerminatedError)
    assert gone.value.status == RPCStatusCode.NOT_FOUND
    assert (await handle.describe()).status == ActivityExecutionStatus.TERMINATED


@activity.defn
class AddOne:
    """Callable, with state that only an instance has."""

    async def __call__(self, number: int) -> int:
        return number + 1


@activity.defn
class AddOneSync:
    """The same for a pool of threads."""

    def __call__(self, number: int) -> int:
        return number + 1


@activity.defn
class WithoutParameters:
    """Callable with nothing."""

    async def __call__(self) -> str:
        return "no-param-result"


class Holder:
    """Its methods are activities."""

    @activity.defn
    async def add_one_async(self, number: int) -> int:
        return number + 1

    @activity.defn
    async def without(self) -> str:
        return "async-method-result"


@pytest.fixture
def where() -> dict[str, Any]:
    """The options that every start needs."""
    return {
        "id": random_id("activity"),
        "task_queue": random_id("queue"),
        "start_to_close_timeout": timedelta(seconds=5),
    }


def serving(client: Client, where: dict[str, Any], called: Any, **options: Any) -> Any:
    """A worker for one activity."""
    queue = where["task_queue"]
    return new_worker(client, activities=[called], task_queue=queue, **options)


async def test_start_activity_class_async(client: Client, where: Any) -> None:
    handle = await client.start_activity_class(AddOne, 1, **where)
    async with serving(client, where, AddOne()):
        assert await handle.result() == 2


async def test_execute_activity_class_async(client: Client, where: Any) -> None:
    async with serving(client, where, AddOne()):
        assert await client.execute_activity_class(AddOne, 1, **where) == 2


async def test_start_activity_class_no_param(client: Client, where: Any) -> None:
    handle = await client.start_activity_class(WithoutParameters, **where)
    async with serving(client, where, WithoutParameters()):
        assert await handle.result() == "no-param-result"


async def test_start_activity_class_sync(client: Client, where: Any) -> None:
    handle = await client.start_activity_class(AddOneSync, 1, **where)
    with ThreadPoolExecutor(1) as pool:
        options = {"activity_executor": pool, "max_concurrent_activities": 1}
        async with serving(client, where, AddOneSync(), **options):
            assert await handle.result() == 2


async def test_start_activity_method_async(client: Client, where: Any) -> None:
    handle = await client.start_activity_method(Holder.add_one_async, 1, **where)
    async with serving(client, where, Holder().add_one_async):
        assert await handle.result() == 2


async def test_execute_activity_method_async(client: Client, where: Any) -> None:
    async with serving(client, where, Holder().add_one_async):
        result = await client.execute_activity_method(Holder.add_one_async, 1, **where)
    assert result == 2


async def test_start_activity_method_no_param(client: Client, where: Any) -> None:
    handle = await client.start_activity_method(Holder.without, **where)
    async with serving(client, where, Holder().without):
        assert await handle.result() == "async-method-result"
