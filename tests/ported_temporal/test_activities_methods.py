"""Activities that are not functions: instances of callable classes, and methods."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from dbosify import activity, workflow
from dbosify.client import Client
from tests.ported_temporal.scaffold import new_worker, random_id


@dataclass
class Text:
    text: str


@activity.defn(name="custom-name")
class CallableActivity:
    """Joins what it was made with and what it is called with."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    async def __call__(self, suffix: Text) -> Text:
        return Text(f"{self._prefix} {suffix.text}")


@workflow.defn
class CallableActivityWorkflow:
    @workflow.run
    async def run(self, suffix: Text) -> Text:
        result = await workflow.execute_activity_class(
            CallableActivity, suffix, start_to_close_timeout=timedelta(seconds=5)
        )
        assert isinstance(result, Text)
        return result


async def test_workflow_activity_callable_class(client: Client) -> None:
    async with new_worker(
        client, CallableActivityWorkflow, activities=[CallableActivity("state")]
    ) as worker:
        result = await client.execute_workflow(
            CallableActivityWorkflow.run,
            Text("argument"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == Text("state argument")


async def test_workflow_activity_callable_class_bad_register(client: Client) -> None:
    with pytest.raises(TypeError, match="is a class instead of an instance"):
        new_worker(client, activities=[CallableActivity])


class Activities:
    """Several activities that share a state."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @activity.defn
    async def one(self, suffix: Text) -> Text:
        return Text(f"{self._prefix} {suffix.text}")

    @activity.defn(name="custom-name")
    async def named(self, suffix: Text) -> Text:
        return Text(f"{activity.info().activity_type} {suffix.text}")

    @activity.defn
    async def two(self, first: Text, second: Text) -> Text:
        return Text(f"{self._prefix} {first.text} {second.text}")


@workflow.defn
class MethodActivityWorkflow:
    @workflow.run
    async def run(self, argument: Text) -> list[str]:
        timeout = timedelta(seconds=5)
        results = [
            await workflow.execute_activity_method(
                Activities.one, argument, start_to_close_timeout=timeout
            ),
            await workflow.execute_activity_method(
                Activities.named, argument, start_to_close_timeout=timeout
            ),
            await workflow.execute_activity_method(
                Activities.two,
                args=[argument, argument],
                start_to_close_timeout=timeout,
            ),
        ]
        return [result.text for result in results]


async def test_workflow_activity_method(client: Client) -> None:
    activities = Activities("state")
    async with new_worker(
        client,
        MethodActivityWorkflow,
        activities=[activities.one, activities.named, activities.two],
    ) as worker:
        result = await client.execute_workflow(
            MethodActivityWorkflow.run,
            Text("argument"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == [
        "state argument",
        "custom-name argument",
        "state argument argument",
    ]
