"""Agents of Google's development kit run in workflows; models and tools do not."""

import pytest

pytest.importorskip("temporalio.google_adk", reason="needs `nox -s plugins`")

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, ClassVar

from temporalio.google_adk import GoogleAdkPlugin, TemporalModel
from temporalio.google_adk.workflow import activity_as_tool

from dbosify import activity, workflow
from dbosify.client import Client
from tests.ported_temporal.scaffold import random_id
from tests.samples_ported.plugins.running import activities_of, serving

with workflow.unsafe.imports_passed_through():
    from google.adk.agents import Agent
    from google.adk.models import BaseLlm, LLMRegistry, LlmRequest, LlmResponse
    from google.adk.runners import InMemoryRunner
    from google.genai.types import Content, FunctionCall, Part

TEN_SECONDS = timedelta(seconds=10)


class ScriptedModel(BaseLlm):
    """Calls the tool if there is one and it has not; then answers with a text."""

    requests: ClassVar[list[LlmRequest]] = []

    @classmethod
    def supported_models(cls) -> list[str]:
        return ["scripted-.*"]

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncIterator[LlmResponse]:
        self.requests.append(llm_request)
        seen = [part for said in llm_request.contents for part in said.parts or ()]
        answered = any(part.function_response for part in seen)
        if llm_request.config.tools and not answered:
            call = FunctionCall(name="get_weather", args={"city": "Ulm"})
            part = Part(function_call=call)
        else:
            part = Part(text="It is sunny." if answered else "a quiet haiku")
        yield LlmResponse(content=Content(role="model", parts=[part]))


LLMRegistry.register(ScriptedModel)


@activity.defn
async def get_weather(city: str) -> str:
    """What the weather is like."""
    return f"It is sunny in {city}."


@workflow.defn
class AgentWorkflow:
    @workflow.run
    async def run(self, prompt: str, with_tool: bool) -> str:
        tool = activity_as_tool(get_weather, start_to_close_timeout=TEN_SECONDS)
        tools: list[Any] = [tool] if with_tool else []
        agent = Agent(name="assistant", model=TemporalModel("scripted-1"), tools=tools)
        runner = InMemoryRunner(agent=agent, app_name="app")
        session = await runner.session_service.create_session(
            app_name="app", user_id="somebody"
        )
        said = ""
        async for event in runner.run_async(
            user_id="somebody",
            session_id=session.id,
            new_message=Content(role="user", parts=[Part(text=prompt)]),
        ):
            for part in (event.content and event.content.parts) or ():
                said = part.text or said
        return said


@pytest.mark.parametrize(
    ("with_tool", "said", "called"),
    [
        (False, "a quiet haiku", ["invoke_model"]),
        (True, "It is sunny.", ["invoke_model", "get_weather", "invoke_model"]),
    ],
    ids=["basic", "tools"],
)
async def test_an_agent(
    client: Client, with_tool: bool, said: str, called: list[str]
) -> None:
    async with serving(
        client, GoogleAdkPlugin(), AgentWorkflow, activities=[get_weather]
    ) as (asking, queue):
        handle = await asking.start_workflow(
            AgentWorkflow.run,
            args=["Go on.", with_tool],
            id=random_id(),
            task_queue=queue,
        )
        assert await handle.result() == said
        assert await activities_of(handle) == called
