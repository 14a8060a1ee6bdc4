"""Deep Agents run in workflows; their models and tools are activities."""

import pytest

pytest.importorskip("temporalio.deepagents", reason="needs `nox -s plugins`")

from datetime import timedelta
from typing import Any

from temporalio.deepagents import DeepAgentsPlugin, activity_as_tool
from temporalio.deepagents.testing import mock_model_provider

from dbosify import activity, workflow
from dbosify.client import Client
from tests.ported_temporal.scaffold import random_id
from tests.samples_ported.plugins.running import activities_of, serving

with workflow.unsafe.imports_passed_through():
    from deepagents import create_deep_agent
    from langchain_core.messages import AIMessage

TEN_SECONDS = timedelta(seconds=10)


@activity.defn
async def get_weather(city: str) -> str:
    """What the weather is like."""
    return f"It is sunny in {city}."


@workflow.defn
class AgentWorkflow:
    @workflow.run
    async def run(self, prompt: str) -> str:
        tool = activity_as_tool(get_weather, start_to_close_timeout=TEN_SECONDS)
        agent = create_deep_agent(model="scripted", tools=[tool])
        asked: Any = {"messages": [{"role": "user", "content": prompt}]}
        state = await agent.ainvoke(asked)
        return str(state["messages"][-1].content)


def scripted(*replies: Any) -> DeepAgentsPlugin:
    """The plugin with a model that gives these replies."""
    return DeepAgentsPlugin(
        model_provider=mock_model_provider(replies),
        model_activity_options={"start_to_close_timeout": TEN_SECONDS},
    )


async def test_hello_world(client: Client) -> None:
    plugin = scripted("durable")
    async with serving(client, plugin, AgentWorkflow, activities=[get_weather]) as (
        asking,
        queue,
    ):
        handle = await asking.start_workflow(
            AgentWorkflow.run, "Say it.", id=random_id(), task_queue=queue
        )
        assert await handle.result() == "durable"
        assert await activities_of(handle) == ["deepagents.invoke_model"]


async def test_react_agent(client: Client) -> None:
    call = {"name": "get_weather", "args": {"city": "Ulm"}, "id": "call-1"}
    plugin = scripted(AIMessage(content="", tool_calls=[call]), "Sunny.")
    async with serving(client, plugin, AgentWorkflow, activities=[get_weather]) as (
        asking,
        queue,
    ):
        handle = await asking.start_workflow(
            AgentWorkflow.run, "How is it?", id=random_id(), task_queue=queue
        )
        assert await handle.result() == "Sunny."
        assert await activities_of(handle) == [
            "deepagents.invoke_model",
            "get_weather",
            "deepagents.invoke_model",
        ]
