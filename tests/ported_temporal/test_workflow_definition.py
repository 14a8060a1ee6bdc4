"""How a class becomes a workflow: what is dynamic about it, and how it is made."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowFailureError, WorkflowHandle
from dbosify.common import RawValue
from dbosify.exceptions import ApplicationError
from tests.ported_temporal.scaffold import (
    assert_eventually,
    assert_task_fail_eventually,
    new_worker,
    random_id,
    workflow_update_exists,
)

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

TEN_SECONDS = timedelta(seconds=10)


@dataclass
class Text:
    text: str


@workflow.defn(dynamic=True)
class DynamicWorkflow:
    """Whatever it is called, it says how it was called and with what."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Text:
        converter = workflow.payload_converter()
        texts = [converter.from_payload(arg.payload, Text).text for arg in args]
        return Text(" - ".join([workflow.info().workflow_type, *texts]))


@workflow.defn(name="Known")
class KnownWorkflow:
    @workflow.run
    async def run(self) -> str:
        return "known"


async def test_workflow_dynamic(client: Client) -> None:
    async with new_worker(client, DynamicWorkflow) as worker:
        result = await client.execute_workflow(
            "some-workflow",
            args=[Text("val1"), Text("val2")],
            id=random_id(),
            task_queue=worker.task_queue,
            result_type=Text,
        )
    assert result == Text("some-workflow - val1 - val2")


async def test_a_dynamic_workflow_leaves_known_names_alone(client: Client) -> None:
    async with new_worker(client, DynamicWorkflow, KnownWorkflow) as worker:
        result = await client.execute_workflow(
            "Known", id=random_id(), task_queue=worker.task_queue
        )
    assert result == "known"


@activity.defn(dynamic=True)
async def dynamic_activity(args: Sequence[RawValue]) -> str:
    word = activity.payload_converter().from_payload(args[0].payload, str)
    return f"{activity.info().activity_type}({word})"


@workflow.defn(dynamic=True)
class AllDynamicWorkflow:
    """Nothing of it has a name: not the workflow, its activity or its handlers."""

    def __init__(self) -> None:
        self._heard: list[str] = []

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> list[str]:
        await workflow.wait_condition(lambda: len(self._heard) == 2)
        done: str = await workflow.execute_activity(
            "whatever", "word", start_to_close_timeout=TEN_SECONDS
        )
        return [workflow.info().workflow_type, *self._heard, done]

    @workflow.signal(dynamic=True)
    def on_signal(self, name: str, args: Sequence[RawValue]) -> None:
        value = workflow.payload_converter().from_payload(args[0].payload, str)
        self._heard.append(f"{name}: {value}")

    @workflow.query(dynamic=True)
    def on_query(self, name: str, args: Sequence[RawValue]) -> str:
        value = workflow.payload_converter().from_payload(args[0].payload, str)
        return f"{name} {value}? {len(self._heard)}"


@workflow.defn(dynamic=True)
class DynamicUpdateWorkflow:
    """Takes any update until one ends it."""

    def __init__(self) -> None:
        self._done = False

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> str:
        await workflow.wait_condition(lambda: self._done)
        return workflow.info().workflow_type

    @workflow.update(dynamic=True)
    async def on_update(self, name: str, args: Sequence[RawValue]) -> str:
        word = workflow.payload_converter().from_payload(args[0].payload, str)
        result: str = await workflow.execute_activity(
            name, word, start_to_close_timeout=TEN_SECONDS, result_type=str
        )
        self._done = True
        return result

    @on_update.validator
    def check_update(self, name: str, args: Sequence[RawValue]) -> None:
        if name == "bad":
            raise ValueError("a bad name")


async def test_everything_about_a_workflow_may_be_dynamic(client: Client) -> None:
    # Without a cache each task finds the handlers by replay.
    async with new_worker(
        client,
        AllDynamicWorkflow,
        activities=[dynamic_activity],
        max_cached_workflows=0,
    ) as worker:
        handle = await client.start_workflow(
            "anything", id=random_id(), task_queue=worker.task_queue
        )
        await handle.signal("first", "a")
        assert await handle.query("how many", "x") == "how many x? 1"
        await handle.signal("second", "b")
        assert await handle.result() == [
            "anything",
            "first: a",
            "second: b",
            "whatever(word)",
        ]


@pytest.mark.needs("updates")
async def test_a_dynamic_update_runs_a_dynamic_activity(client: Client) -> None:
    async with new_worker(
        client, DynamicUpdateWorkflow, activities=[dynamic_activity]
    ) as worker:
        handle = await client.start_workflow(
            "anything", id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.execute_update("good", "word") == "good(word)"
        assert await handle.result() == "anything"


@workflow.defn
class SelfTypedWorkflow:
    """Some linters ask for it: the type of self spelt out."""

    def __init__(self: Self) -> None:
        self._some_state = ""

    @workflow.run
    async def run(self: Self, some_arg: Text) -> str:
        assert isinstance(some_arg, Text)
        return some_arg.text


async def test_workflow_annotated_with_self(client: Client) -> None:
    async with new_worker(client, SelfTypedWorkflow) as worker:
        result = await client.execute_workflow(
            SelfTypedWorkflow.run,
            Text("foo"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "foo"


class _Valued:
    """What three workflows share that differ in how their objects are made."""

    value = "set in class"

    def peek(self) -> str:
        return self.value


@workflow.defn
class NoInitWorkflow(_Valued):
    @workflow.run
    async def run(self, _: str) -> str:
        self.value = "set in run method"
        return self.value

    @workflow.update
    def my_update(self) -> str:
        return self.peek()


@workflow.defn
class PlainInitWorkflow(_Valued):
    """Without the decorator the object is made without arguments."""

    def __init__(self, arg: str = "default") -> None:
        self.value = arg

    @workflow.run
    async def run(self, _: str) -> str:
        self.value = "set in run method"
        return self.value

    @workflow.update
    def my_update(self) -> str:
        return self.peek()


@workflow.defn
class DecoratedInitWorkflow(_Valued):
    @workflow.init
    def __init__(self, arg: str) -> None:
        self.value = arg

    @workflow.run
    async def run(self, _: str) -> str:
        self.value = "set in run method"
        return self.value

    @workflow.update
    def my_update(self) -> str:
        return self.peek()


@pytest.mark.needs("updates")
@pytest.mark.parametrize(
    ("workflow_class", "seen"),
    [
        (NoInitWorkflow, "set in class"),
        (PlainInitWorkflow, "default"),
        (DecoratedInitWorkflow, "workflow input"),
    ],
)
async def test_update_in_first_wft_sees_workflow_init(
    client: Client, workflow_class: Any, seen: str
) -> None:
    task_queue = random_id("queue")
    handle: WorkflowHandle[Any, Any] = await client.start_workflow(
        workflow_class.run, "workflow input", id=random_id(), task_queue=task_queue
    )
    updating = asyncio.create_task(
        handle.execute_update(workflow_class.my_update, id="update")
    )

    async def admitted() -> None:
        assert await workflow_update_exists(client, handle.id, "update")

    await assert_eventually(admitted)
    async with new_worker(client, workflow_class, task_queue=task_queue):
        assert await updating == seen
        assert await handle.result() == "set in run method"


@workflow.defn
class InitWorkflow:
    @workflow.init
    def __init__(self, arg: str) -> None:
        self._whom = arg

    @workflow.run
    async def run(self, _: str) -> str:
        return f"hello, {self._whom}"


async def test_workflow_run_sees_workflow_init(client: Client) -> None:
    async with new_worker(client, InitWorkflow) as worker:
        result = await client.execute_workflow(
            InitWorkflow.run, "world", id=random_id(), task_queue=worker.task_queue
        )
    assert result == "hello, world"


@workflow.defn(dynamic=True)
class BadConfigWorkflow:
    @workflow.dynamic_config
    def config(self) -> workflow.DynamicWorkflowConfig:
        raise Exception("Dynamic config failure")

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        raise AssertionError("it can't run without its configuration")


async def test_workflow_dynamic_config_failure(client: Client) -> None:
    async with new_worker(client, BadConfigWorkflow) as worker:
        handle = await client.start_workflow(
            "verycooldynamicworkflow", id=random_id(), task_queue=worker.task_queue
        )
        await assert_task_fail_eventually(
            handle, message_contains="Dynamic config failure"
        )
        await handle.terminate("seen enough")


@workflow.defn(dynamic=True)
class ForgivingWorkflow:
    """Its configuration says which of its errors are the run's own."""

    @workflow.dynamic_config
    def config(self) -> workflow.DynamicWorkflowConfig:
        return workflow.DynamicWorkflowConfig(failure_exception_types=[LookupError])

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        raise KeyError("missing")


async def test_workflow_dynamic_config_decides_what_fails_the_run(
    client: Client,
) -> None:
    async with new_worker(client, ForgivingWorkflow) as worker:
        handle = await client.start_workflow(
            "whatever", id=random_id(), task_queue=worker.task_queue
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "KeyError"
