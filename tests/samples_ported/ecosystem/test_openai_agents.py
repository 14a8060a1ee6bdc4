"""OpenAI's agents run in workflows; their models and tools are activities."""

import pytest

pytest.importorskip("temporalio.openai_agents", reason="needs temporalio-openai-agents")

from datetime import timedelta
from typing import Any

from temporalio.contrib import openai_agents as temporal_agents
from temporalio.contrib.openai_agents import ModelActivityParameters
from temporalio.contrib.openai_agents.testing import (
    AgentEnvironment,
    ResponseBuilders,
    TestModel,
)

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import random_id, sandboxed_runner

with workflow.unsafe.imports_passed_through():
    from agents import Agent, Runner

TIMEOUT = timedelta(seconds=10)


@activity.defn
async def get_weather(city: str) -> str:
    """Say what the weather is like."""
    return f"It is sunny in {city}."


@workflow.defn
class AgentWorkflow:
    @workflow.run
    async def run(self, question: str) -> str:
        weather = temporal_agents.workflow.activity_as_tool(
            get_weather, start_to_close_timeout=TIMEOUT
        )
        agent: Agent[Any] = Agent(
            name="assistant", instructions="Be brief.", tools=[weather]
        )
        result = await Runner.run(agent, input=question)
        return str(result.final_output)


async def test_an_agent_asks_its_model_and_its_tool(client: Client) -> None:
    model = TestModel.returning_responses(
        [
            ResponseBuilders.tool_call('{"city": "Ulm"}', "get_weather"),
            ResponseBuilders.output_message("Sunny."),
        ]
    )
    parameters = ModelActivityParameters(start_to_close_timeout=TIMEOUT)
    name = random_id("agent")
    async with AgentEnvironment(model=model, model_params=parameters) as environment:
        asking = environment.applied_on_client(client)
        async with Worker(
            asking,
            task_queue=name,
            workflows=[AgentWorkflow],
            activities=[get_weather],
            workflow_runner=sandboxed_runner(),
            max_cached_workflows=0,
        ):
            handle = await asking.start_workflow(
                AgentWorkflow.run, "How is the weather?", id=name, task_queue=name
            )
            assert await handle.result() == "Sunny."
            history = await handle.fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert scheduled == [
        "invoke_model_activity",
        "get_weather",
        "invoke_model_activity",
    ]
