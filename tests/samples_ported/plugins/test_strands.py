"""Agents of Strands run in workflows; their models and tools are activities."""

import pytest

pytest.importorskip("temporalio.strands_agents", reason="needs `nox -s plugins`")

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from temporalio.strands_agents import StrandsPlugin, TemporalAgent
from temporalio.strands_agents.workflow import activity_as_tool

from dbosify import activity, workflow
from dbosify.client import Client
from tests.ported_temporal.scaffold import random_id
from tests.samples_ported.plugins.running import activities_of, serving

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel
    from strands.models import Model

TEN_SECONDS = timedelta(seconds=10)


class ScriptedModel(Model):
    """Answers what it was told to, whatever it is asked.

    Args:
        replies: A text, or the name and the arguments of a tool to call.
    """

    def __init__(self, *replies: str | tuple[str, str]) -> None:
        self._replies = list(replies)

    def update_config(self, **_config: Any) -> None:
        return

    def get_config(self) -> Any:
        return {}

    def structured_output(self, *_args: Any, **_options: Any) -> Any:
        raise NotImplementedError

    async def stream(self, *_args: Any, **_options: Any) -> AsyncIterator[Any]:
        reply = self._replies.pop(0)
        yield {"messageStart": {"role": "assistant"}}
        if isinstance(reply, str):
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": reply}}}
            reason = "end_turn"
        else:
            name, arguments = reply
            use = {"toolUse": {"name": name, "toolUseId": f"call-{name}"}}
            yield {"contentBlockStart": {"start": use}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": arguments}}}}
            reason = "tool_use"
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": reason}}


@activity.defn
async def letters_in(word: str) -> int:
    """How many letters a word has."""
    return len(word)


@workflow.defn
class HelloWorkflow:
    @workflow.run
    async def run(self, prompt: str) -> str:
        agent = TemporalAgent(model="scripted", start_to_close_timeout=TEN_SECONDS)
        return str(await agent.invoke_async(prompt))


@workflow.defn
class ToolWorkflow:
    @workflow.run
    async def run(self, prompt: str) -> str:
        tool = activity_as_tool(letters_in, start_to_close_timeout=TEN_SECONDS)
        agent = TemporalAgent(
            model="scripted", start_to_close_timeout=TEN_SECONDS, tools=[tool]
        )
        return str(await agent.invoke_async(prompt))


class Person(BaseModel):
    """Whom the text is about."""

    name: str
    age: int


@workflow.defn
class StructuredWorkflow:
    @workflow.run
    async def run(self, prompt: str) -> Person:
        agent = TemporalAgent(
            model="scripted",
            start_to_close_timeout=TEN_SECONDS,
            structured_output_model=Person,
        )
        result = await agent.invoke_async(prompt)
        assert isinstance(result.structured_output, Person)
        return result.structured_output


def scripted(*replies: str | tuple[str, str]) -> StrandsPlugin:
    """The plugin with a model that gives these replies."""
    return StrandsPlugin(models={"scripted": lambda: ScriptedModel(*replies)})


async def test_hello_world(client: Client) -> None:
    async with serving(client, scripted("A haiku."), HelloWorkflow) as (asking, queue):
        handle = await asking.start_workflow(
            HelloWorkflow.run, "Write one.", id=random_id(), task_queue=queue
        )
        assert await handle.result() == "A haiku.\n"
        assert await activities_of(handle) == ["invoke_model"]


async def test_tools(client: Client) -> None:
    plugin = scripted(("letters_in", '{"word": "strands"}'), "Done!")
    async with serving(client, plugin, ToolWorkflow, activities=[letters_in]) as (
        asking,
        queue,
    ):
        handle = await asking.start_workflow(
            ToolWorkflow.run, "Count them.", id=random_id(), task_queue=queue
        )
        assert await handle.result() == "Done!\n"
        assert await activities_of(handle) == [
            "invoke_model",
            "letters_in",
            "invoke_model",
        ]


async def test_structured_output(client: Client) -> None:
    plugin = scripted(("Person", '{"name": "Ada", "age": 36}'), "Done!")
    async with serving(client, plugin, StructuredWorkflow) as (asking, queue):
        found = await asking.execute_workflow(
            StructuredWorkflow.run, "Who is it?", id=random_id(), task_queue=queue
        )
    assert found == Person(name="Ada", age=36)
