"""Activities that run within a workflow task, on the worker of their workflow."""

from collections.abc import Sequence
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client
from dbosify.common import RawValue, RetryPolicy
from dbosify.exceptions import ApplicationError
from tests.ported_temporal.scaffold import (
    assert_task_fail_eventually,
    new_worker,
    random_id,
)

A_MOMENT = timedelta(seconds=5)


@activity.defn
async def say_hello(name: str) -> str:
    return f"Hello, {name}!"


@activity.defn
async def custom_error_activity() -> None:
    raise ApplicationError("not what was asked for")


@workflow.defn
class SimpleLocalActivityWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_local_activity(
            say_hello, name, schedule_to_close_timeout=A_MOMENT
        )


async def test_workflow_simple_local_activity(client: Client) -> None:
    async with new_worker(
        client, SimpleLocalActivityWorkflow, activities=[say_hello]
    ) as worker:
        result = await client.execute_workflow(
            SimpleLocalActivityWorkflow.run,
            "Temporal",
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "Hello, Temporal!"


@activity.defn
async def fail_once() -> None:
    if activity.info().attempt < 2:
        raise ApplicationError("the first attempt always fails")


@workflow.defn
class LocalBackoffWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_local_activity(
            fail_once,
            start_to_close_timeout=timedelta(minutes=1),
            local_retry_threshold=timedelta(seconds=1),
            retry_policy=RetryPolicy(
                maximum_attempts=2, initial_interval=timedelta(seconds=2)
            ),
        )


async def test_workflow_local_activity_backoff(client: Client) -> None:
    async with new_worker(
        client, LocalBackoffWorkflow, activities=[fail_once]
    ) as worker:
        handle = await client.start_workflow(
            LocalBackoffWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            task_timeout=timedelta(seconds=3),
        )
        await handle.result()
    kinds = [event.event_type async for event in handle.fetch_history_events()]
    assert kinds.count(EventType.EVENT_TYPE_TIMER_FIRED) == 1
    assert kinds.count(EventType.EVENT_TYPE_MARKER_RECORDED) == 2


async def test_workflow_missing_local_activity(client: Client) -> None:
    async with new_worker(
        client, SimpleLocalActivityWorkflow, activities=[custom_error_activity]
    ) as worker:
        handle = await client.start_workflow(
            SimpleLocalActivityWorkflow.run,
            "Temporal",
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await assert_task_fail_eventually(
            handle,
            message_contains="Activity function say_hello is not registered on this"
            " worker, available activities: custom_error_activity",
        )
        await handle.terminate()


@activity.defn(dynamic=True)
async def any_activity(args: Sequence[RawValue]) -> str:
    return activity.info().activity_type


async def test_workflow_missing_local_activity_but_dynamic(client: Client) -> None:
    async with new_worker(
        client, SimpleLocalActivityWorkflow, activities=[any_activity]
    ) as worker:
        result = await client.execute_workflow(
            SimpleLocalActivityWorkflow.run,
            "Temporal",
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "say_hello"


async def test_workflow_missing_local_activity_no_activities(client: Client) -> None:
    async with new_worker(client, SimpleLocalActivityWorkflow) as worker:
        handle = await client.start_workflow(
            SimpleLocalActivityWorkflow.run,
            "Temporal",
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await assert_task_fail_eventually(
            handle,
            message_contains="Activity function say_hello is not registered on this"
            " worker, no available activities",
        )
        await handle.terminate()


@workflow.defn
class LocalWithoutScheduleToCloseWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_local_activity(
            say_hello, name, start_to_close_timeout=A_MOMENT
        )


async def test_activity_local_without_schedule_to_close(client: Client) -> None:
    async with new_worker(
        client, LocalWithoutScheduleToCloseWorkflow, activities=[say_hello]
    ) as worker:
        result = await client.execute_workflow(
            LocalWithoutScheduleToCloseWorkflow.run,
            "Temporal",
            id=random_id(),
            task_queue=worker.task_queue,
            execution_timeout=timedelta(0),
        )
    assert result == "Hello, Temporal!"


@activity.defn
async def greet_locally(name: str) -> str:
    return f"{name} {activity.info().is_local}"


@workflow.defn
class LocalOnlyWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_local_activity(
            greet_locally, name, start_to_close_timeout=A_MOMENT
        )


async def test_local_activities_with_no_remote_activities_option(
    client: Client,
) -> None:
    async with new_worker(
        client,
        LocalOnlyWorkflow,
        activities=[greet_locally],
        no_remote_activities=True,
    ) as worker:
        result = await client.execute_workflow(
            LocalOnlyWorkflow.run,
            "here",
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "here True"
