"""What an activity gets, what it knows of itself, and how it is found by its name."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.common import RawValue, RetryPolicy
from dbosify.exceptions import ApplicationError
from dbosify.worker import Worker
from tests.ported_temporal.activity_calls import call, failed_call, start_call
from tests.ported_temporal.scaffold import events_of, new_worker, random_id


@activity.defn
async def say_hello(name: str) -> str:
    return f"Hello, {name}!"


async def test_activity_hello(client: Client, worker: Worker) -> None:
    async with new_worker(client, activities=[say_hello]) as called:
        result = await call(worker, called, "say_hello", "Temporal")
    assert result == "Hello, Temporal!"


async def test_activity_without_decorator(client: Client) -> None:
    async def say_hello(name: str) -> str:
        return f"Hello, {name}!"

    with pytest.raises(TypeError, match="Activity say_hello missing attributes"):
        new_worker(client, activities=[say_hello])


@activity.defn(name="my custom activity name!")
async def own_name() -> str:
    return f"Name: {activity.info().activity_type}"


async def test_activity_custom_name(client: Client, worker: Worker) -> None:
    async with new_worker(client, activities=[own_name]) as called:
        result = await call(worker, called, "my custom activity name!")
    assert result == "Name: my custom activity name!"


async def test_client_available_in_async_activities(
    client: Client, worker: Worker
) -> None:
    seen: list[object] = []

    @activity.defn
    async def keep_client() -> None:
        seen.append(activity.client())

    with pytest.raises(RuntimeError, match="Not in activity context"):
        activity.client()
    async with new_worker(client, activities=[keep_client]) as called:
        await call(worker, called, "keep_client")
    assert len(seen) == 1
    assert seen[0] is client


async def test_client_not_available_in_sync_activities(
    client: Client, worker: Worker
) -> None:
    refusals: list[str] = []

    @activity.defn
    def ask_for_client() -> None:
        with pytest.raises(RuntimeError) as refused:
            activity.client()
        refusals.append(str(refused.value))

    with ThreadPoolExecutor(1) as pool:
        async with new_worker(
            client,
            activities=[ask_for_client],
            activity_executor=pool,
            max_concurrent_activities=1,
        ) as called:
            await call(worker, called, "ask_for_client")
    assert len(refusals) == 1
    assert "The client is only available in `async def`" in refusals[0]


async def test_activity_info(client: Client, worker: Worker) -> None:
    infos: list[activity.Info] = []

    @activity.defn
    async def keep_info() -> None:
        assert activity.in_activity()
        infos.append(activity.info())

    assert not activity.in_activity()
    with pytest.raises(RuntimeError) as refused:
        activity.info()
    assert str(refused.value) == "Not in activity context"

    async with new_worker(client, activities=[keep_info]) as called:
        handle = await start_call(
            worker, called, "keep_info", start_to_close_millis=4000
        )
        await handle.result()
    (info,) = infos
    assert_recent(info.scheduled_time)
    assert_recent(info.current_attempt_scheduled_time)
    assert_recent(info.started_time)
    assert info.activity_id
    assert info.task_token
    assert info.activity_type == "keep_info"
    assert info.attempt == 1
    assert info.heartbeat_details == []
    assert info.heartbeat_timeout is None
    assert not info.is_local
    assert info.schedule_to_close_timeout is None
    assert info.start_to_close_timeout == timedelta(seconds=4)
    assert info.task_queue == called.task_queue
    assert info.in_workflow
    assert info.workflow_id == handle.id
    assert info.workflow_run_id == handle.first_execution_run_id
    assert info.workflow_type == "kitchen_sink"
    assert info.namespace == info.workflow_namespace == client.namespace
    assert info.retry_policy == RetryPolicy(
        initial_interval=timedelta(milliseconds=1),
        backoff_coefficient=1.01,
        maximum_interval=timedelta(milliseconds=2),
        maximum_attempts=1,
    )


def assert_recent(moment: datetime) -> None:
    """The moment is in UTC and was within the last seconds."""
    assert moment.tzinfo == timezone.utc
    assert abs(datetime.now(timezone.utc) - moment) < timedelta(seconds=5)


async def test_activity_bad_params(client: Client, worker: Worker) -> None:
    async with new_worker(client, activities=[say_hello]) as called:
        cause = await failed_call(await start_call(worker, called, "say_hello"))
    assert isinstance(cause, ApplicationError)
    assert str(cause).endswith("missing 1 required positional argument: 'name'")


def test_activity_kwonly_params() -> None:
    async def say_hello(*, name: str) -> str:
        return f"Hello, {name}!"

    with pytest.raises(TypeError) as refused:
        activity.defn(say_hello)
    assert str(refused.value).endswith("cannot have keyword-only arguments")


async def test_activity_does_not_exist(client: Client, worker: Worker) -> None:
    async with new_worker(client, activities=[say_hello]) as called:
        cause = await failed_call(await start_call(worker, called, "wave_goodbye"))
    assert isinstance(cause, ApplicationError)
    assert "wave_goodbye" in str(cause)
    assert "is not registered" in str(cause)


@dataclass
class Inner:
    text: str


@dataclass
class Outer:
    text: str
    inner: Inner | None = None


async def test_activity_type_hints(client: Client, worker: Worker) -> None:
    seen: list[object] = []

    @activity.defn
    async def keep_both(outer: Outer, text: str) -> None:
        seen.extend([outer, text])

    outer = Outer("outer", Inner("inner"))
    async with new_worker(client, activities=[keep_both]) as called:
        await call(worker, called, "keep_both", outer, "plain")
    assert seen == [outer, "plain"]


@dataclass
class Joined:
    text: str


@activity.defn(dynamic=True)
async def join_any(args: Sequence[RawValue]) -> Joined:
    converter = activity.payload_converter()
    first, second = [converter.from_payload(arg.payload, Joined) for arg in args]
    name = activity.info().activity_type
    return Joined(f"{name} - {first.text} - {second.text}")


async def test_activity_dynamic(client: Client, worker: Worker) -> None:
    async with new_worker(client, activities=[join_any]) as called:
        result = await call(
            worker, called, "some-activity-name", Joined("val1"), Joined("val2")
        )
    assert result == {"text": "some-activity-name - val1 - val2"}


@activity.defn(dynamic=True)
async def take_any(_args: Sequence[RawValue]) -> None:
    raise AssertionError("no worker takes it beside another one")


async def test_activity_dynamic_duplicate(client: Client) -> None:
    with pytest.raises(TypeError, match="More than one dynamic activity"):
        new_worker(client, activities=[join_any, take_any])


async def test_a_dynamic_activity_leaves_known_names_alone(
    client: Client, worker: Worker
) -> None:
    async with new_worker(client, activities=[join_any, say_hello]) as called:
        result = await call(worker, called, "say_hello", "Temporal")
    assert result == "Hello, Temporal!"


@workflow.defn
class SimpleActivityWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            say_hello,
            name,
            schedule_to_close_timeout=timedelta(seconds=5),
            summary="greets",
        )


async def test_workflow_simple_activity(client: Client) -> None:
    async with new_worker(
        client, SimpleActivityWorkflow, activities=[say_hello]
    ) as worker:
        handle = await client.start_workflow(
            SimpleActivityWorkflow.run,
            "Temporal",
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await handle.result() == "Hello, Temporal!"
    (summary,) = (
        event.user_metadata.summary
        for event in await events_of(handle)
        if event.HasField("activity_task_scheduled_event_attributes")
    )
    assert await client.data_converter.decode([summary]) == ["greets"]


@activity.defn
def whether_in_workflow() -> bool:
    return workflow.in_workflow()


@workflow.defn
class InWorkflowWorkflow:
    @workflow.run
    async def run(self) -> list[bool]:
        inside = await workflow.execute_activity(
            whether_in_workflow, start_to_close_timeout=timedelta(seconds=10)
        )
        return [workflow.in_workflow(), inside]


async def test_in_workflow_sync(client: Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with new_worker(
            client,
            InWorkflowWorkflow,
            activities=[whether_in_workflow],
            activity_executor=pool,
            max_concurrent_activities=1,
        ) as worker:
            result = await client.execute_workflow(
                InWorkflowWorkflow.run,
                id=random_id(),
                task_queue=worker.task_queue,
                execution_timeout=timedelta(minutes=1),
            )
    assert result == [True, False]


@workflow.defn
class ConfiguredWorkflow:
    """Fails on its first attempt, as everything that it configures."""

    @workflow.run
    async def run(self, kind: str) -> str:
        retries = RetryPolicy(initial_interval=timedelta(milliseconds=1))
        if kind == "activity":
            for_activity = workflow.ActivityConfig(
                retry_policy=retries, schedule_to_close_timeout=timedelta(seconds=5)
            )
            return await workflow.execute_activity(succeed_at_second, **for_activity)
        if kind == "local activity":
            for_local = workflow.LocalActivityConfig(
                retry_policy=retries,
                schedule_to_close_timeout=timedelta(seconds=5),
                summary="Summary",
            )
            return await workflow.execute_local_activity(succeed_at_second, **for_local)
        if kind == "child workflow":
            for_child = workflow.ChildWorkflowConfig(
                id=f"{workflow.info().workflow_id}-child", retry_policy=retries
            )
            return await workflow.execute_child_workflow(
                ConfiguredWorkflow.run, "second attempt", **for_child
            )
        return assert_second(workflow.info().attempt)


@activity.defn
async def succeed_at_second() -> str:
    return assert_second(activity.info().attempt)


def assert_second(attempt: int) -> str:
    """Fail on the first attempt."""
    if attempt < 2:
        raise ApplicationError("not yet")
    return f"attempt: {attempt}"


@pytest.mark.parametrize(
    "kind",
    [
        "activity",
        pytest.param("local activity", marks=pytest.mark.needs("local activities")),
        pytest.param("child workflow", marks=pytest.mark.needs("child workflows")),
    ],
)
async def test_workflow_typed_config(client: Client, kind: str) -> None:
    async with new_worker(
        client, ConfiguredWorkflow, activities=[succeed_at_second]
    ) as worker:
        handle = await client.start_workflow(
            ConfiguredWorkflow.run,
            kind,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await handle.result() == "attempt: 2"
    if kind == "local activity":
        converter = client.data_converter.payload_converter
        summaries = [
            converter.from_payload(event.user_metadata.summary)
            for event in await events_of(handle)
            if event.HasField("marker_recorded_event_attributes")
        ]
        assert summaries == ["Summary"]
