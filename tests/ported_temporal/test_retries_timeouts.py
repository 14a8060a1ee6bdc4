"""When an attempt is repeated, and what is left of it when it isn't."""

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.common.v1 import RetryPolicy as RetryPolicyProto
from dbosify.client import Client, WorkflowFailureError
from dbosify.common import RetryPolicy
from dbosify.exceptions import ApplicationError, TimeoutType
from dbosify.exceptions import TimeoutError as TimedOutError
from dbosify.worker import Worker
from tests.ported_temporal.activity_calls import (
    call,
    failed_call,
    process_pool,
    start_call,
)
from tests.ported_temporal.kitchen_sink import (
    Action,
    Fail,
    KitchenSinkWorkflow,
    Script,
)
from tests.ported_temporal.scaffold import new_worker, random_id

SHORTLY = timedelta(milliseconds=10)


@activity.defn
async def never_end() -> None:
    await asyncio.Event().wait()


@workflow.defn
class TimedOutWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            never_end,
            start_to_close_timeout=SHORTLY,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def test_workflow_activity_timeout(client: Client) -> None:
    async with new_worker(client, TimedOutWorkflow, activities=[never_end]) as worker:
        cause = await failed_call(
            await client.start_workflow(
                TimedOutWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
        )
    assert isinstance(cause, TimedOutError)
    assert cause.type == TimeoutType.START_TO_CLOSE


DELAY = timedelta(milliseconds=5)


@activity.defn
async def ask_for_delay() -> None:
    raise ApplicationError("in a moment", next_retry_delay=DELAY)


@workflow.defn
class DelayedRetryWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            ask_for_delay,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(maximum_attempts=2),
        )


async def test_activity_retry_delay(client: Client) -> None:
    async with new_worker(
        client, DelayedRetryWorkflow, activities=[ask_for_delay]
    ) as worker:
        cause = await failed_call(
            await client.start_workflow(
                DelayedRetryWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
        )
    assert isinstance(cause, ApplicationError)
    assert str(cause) == "in a moment"
    assert cause.next_retry_delay == DELAY


@workflow.defn
class LastFailureWorkflow:
    @workflow.run
    async def run(self) -> str:
        if workflow.info().attempt == 1:
            raise ApplicationError("intended")
        failure = workflow.get_last_failure()
        assert isinstance(failure, ApplicationError)
        assert failure.message == "intended"
        return "Done"


async def test_previous_run_failure(client: Client) -> None:
    async with new_worker(client, LastFailureWorkflow) as worker:
        result = await client.execute_workflow(
            LastFailureWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            retry_policy=RetryPolicy(initial_interval=SHORTLY, maximum_attempts=2),
        )
    assert result == "Done"


async def test_retry_policy(client: Client, worker: Worker) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await client.execute_workflow(
            KitchenSinkWorkflow.run,
            Script([Action(fail=Fail(attempt=True))]),
            id=random_id(),
            task_queue=worker.task_queue,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=1), maximum_attempts=3
            ),
        )
    assert isinstance(failed.value.cause, ApplicationError)
    assert str(failed.value.cause) == "attempt 3"


async def test_max_concurrent_activities(client: Client, worker: Worker) -> None:
    released = asyncio.Event()

    @activity.defn
    async def hold_slot(_index: int) -> None:
        await released.wait()

    async with new_worker(
        client, activities=[hold_slot], max_concurrent_activities=42
    ) as called:
        cause = await failed_call(
            await start_call(
                worker,
                called,
                "hold_slot",
                count=43,
                index_as_arg=True,
                schedule_to_start_millis=1000,
                schedule_to_close_millis=5000,
            )
        )
        released.set()
    assert isinstance(cause, TimedOutError)
    assert cause.type == TimeoutType.SCHEDULE_TO_START


async def test_activity_heartbeat_details(client: Client, worker: Worker) -> None:
    @activity.defn
    async def count_to_thirty() -> str:
        count = next(iter(activity.info().heartbeat_details), 0) + 9
        activity.heartbeat(count)
        if count < 30:
            raise RuntimeError("not there yet")
        return f"final count: {count}"

    async with new_worker(client, activities=[count_to_thirty]) as called:
        result = await call(worker, called, "count_to_thirty", retry_max_attempts=4)
    assert result == "final count: 36"


async def test_activity_heartbeat_details_timeout(
    client: Client, worker: Worker
) -> None:
    @activity.defn
    async def beat_once() -> None:
        activity.heartbeat("some details!")
        await asyncio.Event().wait()

    async with new_worker(client, activities=[beat_once]) as called:
        cause = await failed_call(
            await start_call(worker, called, "beat_once", heartbeat_millis=1000)
        )
    assert isinstance(cause, TimedOutError)
    assert str(cause) == "activity Heartbeat timeout"
    assert cause.type == TimeoutType.HEARTBEAT
    assert list(cause.last_heartbeat_details) == ["some details!"]


@activity.defn
def note_attempts() -> str:
    """Add the attempt to those in the heartbeat's details, and fail at first."""
    attempts = [
        *next(iter(activity.info().heartbeat_details), []),
        f"attempt: {activity.info().attempt}",
    ]
    activity.heartbeat(attempts)
    if len(attempts) < 2:
        raise RuntimeError("not there yet")
    return ", ".join(attempts)


async def test_sync_activity_thread_heartbeat_details(
    client: Client, worker: Worker
) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with new_worker(
            client,
            activities=[note_attempts],
            activity_executor=pool,
            max_concurrent_activities=1,
        ) as called:
            result = await call(worker, called, "note_attempts", retry_max_attempts=2)
    assert result == "attempt: 1, attempt: 2"


async def test_sync_activity_process_heartbeat_details(
    client: Client, worker: Worker
) -> None:
    with process_pool() as options:
        async with new_worker(client, activities=[note_attempts], **options) as called:
            result = await call(worker, called, "note_attempts", retry_max_attempts=2)
    assert result == "attempt: 1, attempt: 2"


async def test_activity_error_non_retryable(client: Client, worker: Worker) -> None:
    @activity.defn
    async def give_up_at_second() -> None:
        if activity.info().attempt < 2:
            raise ApplicationError("Retry me")
        raise ApplicationError("Do not retry me", "detail1", 123, non_retryable=True)

    async with new_worker(client, activities=[give_up_at_second]) as called:
        cause = await failed_call(
            await start_call(
                worker, called, "give_up_at_second", retry_max_attempts=100
            )
        )
    assert isinstance(cause, ApplicationError)
    assert str(cause) == "Do not retry me"
    assert list(cause.details) == ["detail1", 123]
    assert cause.non_retryable


async def test_activity_error_non_retryable_type(
    client: Client, worker: Worker
) -> None:
    @activity.defn
    async def change_type_at_second() -> None:
        if activity.info().attempt < 2:
            raise ApplicationError("Retry me", type="Can retry me")
        raise ApplicationError("Do not retry me", type="Cannot retry me")

    async with new_worker(client, activities=[change_type_at_second]) as called:
        cause = await failed_call(
            await start_call(
                worker,
                called,
                "change_type_at_second",
                retry_max_attempts=100,
                non_retryable_error_types=["Cannot retry me"],
            )
        )
    assert isinstance(cause, ApplicationError)
    assert str(cause) == "Cannot retry me: Do not retry me"


def test_retry_policy_validate() -> None:
    # With a single attempt nothing else is ever looked at.
    RetryPolicy(initial_interval=timedelta(seconds=-1), maximum_attempts=1)._validate()
    RetryPolicy()._validate()


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (
            {"initial_interval": timedelta(seconds=-1)},
            "Initial interval cannot be negative",
        ),
        ({"backoff_coefficient": 0.5}, "Backoff coefficient cannot be less than 1"),
        (
            {"maximum_interval": timedelta(seconds=-1)},
            "Maximum interval cannot be negative",
        ),
        (
            {
                "initial_interval": timedelta(seconds=3),
                "maximum_interval": timedelta(seconds=1),
            },
            "Maximum interval cannot be less than initial interval",
        ),
        ({"maximum_attempts": -1}, "Maximum attempts cannot be negative"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_retry_policy_validate_refuses(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        RetryPolicy(**wrong)._validate()


def test_retry_policy_from_proto_pickle() -> None:
    proto = RetryPolicyProto(
        backoff_coefficient=3.0,
        maximum_attempts=4,
        non_retryable_error_types=["One", "Other"],
    )
    proto.initial_interval.FromMilliseconds(1500)
    proto.maximum_interval.FromSeconds(60)
    policy = RetryPolicy.from_proto(proto)
    again = pickle.loads(pickle.dumps(policy))
    assert again == policy
    assert again == RetryPolicy(
        initial_interval=timedelta(milliseconds=1500),
        backoff_coefficient=3.0,
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=4,
        non_retryable_error_types=["One", "Other"],
    )
