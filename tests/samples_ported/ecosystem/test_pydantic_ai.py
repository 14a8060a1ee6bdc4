"""Agents of pydantic-ai run in workflows; models and tools are activities."""

import pytest

pytest.importorskip("pydantic_ai", reason="needs pydantic-ai-slim")

from typing import Any

from dbosify import workflow
from dbosify.client import Client
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import random_id, sandboxed_runner

with workflow.unsafe.imports_passed_through():
    from pydantic_ai import Agent, FunctionToolset
    from pydantic_ai.durable_exec.temporal import (
        PydanticAIPlugin,
        PydanticAIWorkflow,
        TemporalDurability,
    )
    from pydantic_ai.models.test import TestModel


async def capital_of(country: str) -> str:
    """A tool of the agent."""
    return f"the capital of {country}"


AGENT = Agent(
    TestModel(),
    name="geographer",
    toolsets=[FunctionToolset(tools=[capital_of], id="atlas")],
    capabilities=[TemporalDurability()],
)


@workflow.defn
class GeographyWorkflow(PydanticAIWorkflow):
    __pydantic_ai_agents__ = [AGENT]  # noqa: RUF012 (the library's own way)

    @workflow.run
    async def run(self, question: str) -> str:
        return (await AGENT.run(question)).output


async def test_an_agent_calls_its_model_and_tool_in_activities(client: Client) -> None:
    config: dict[str, Any] = {**client.config(), "plugins": [PydanticAIPlugin()]}
    asking = Client(**config)
    name = random_id("geographer")
    async with Worker(
        asking,
        task_queue=name,
        workflows=[GeographyWorkflow],
        workflow_runner=sandboxed_runner(),
    ):
        handle = await asking.start_workflow(
            GeographyWorkflow.run, "Which is it?", id=name, task_queue=name
        )
        # The test model calls every tool once and repeats what they said.
        assert await handle.result() == '{"capital_of":"the capital of a"}'
        history = await handle.fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert len(scheduled) == 3
    assert all("geographer" in name for name in scheduled)
