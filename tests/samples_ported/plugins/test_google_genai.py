"""Gemini's client works in workflows: each of its calls is an activity."""

import pytest

pytest.importorskip("temporalio.google_genai", reason="needs `nox -s plugins`")

from datetime import timedelta

from temporalio.google_genai import TemporalAsyncClient, activity_as_tool
from temporalio.google_genai.testing import (
    GeminiTestServer,
    function_call_response,
    text_response,
)

from dbosify import activity, workflow
from dbosify.client import Client
from tests.ported_temporal.scaffold import random_id
from tests.samples_ported.plugins.running import activities_of, serving

with workflow.unsafe.imports_passed_through():
    from google.genai import types

MODEL = "gemini-scripted"


@activity.defn
async def get_weather(city: str) -> str:
    """What the weather is like."""
    return f"It is sunny in {city}."


@workflow.defn
class HelloWorkflow:
    @workflow.run
    async def run(self, prompt: str) -> str:
        answer = await TemporalAsyncClient().models.generate_content(
            model=MODEL, contents=prompt
        )
        return answer.text or ""


@workflow.defn
class WeatherWorkflow:
    @workflow.run
    async def run(self, prompt: str) -> str:
        tool = activity_as_tool(
            get_weather,
            activity_config={"start_to_close_timeout": timedelta(seconds=10)},
        )
        answer = await TemporalAsyncClient().models.generate_content(
            model=MODEL,
            contents=prompt,
            config=types.GenerateContentConfig(tools=[tool]),
        )
        return answer.text or ""


@workflow.defn
class ChatWorkflow:
    @workflow.run
    async def run(self, prompts: list[str]) -> list[str]:
        chat = TemporalAsyncClient().chats.create(model=MODEL)
        return [(await chat.send_message(prompt)).text or "" for prompt in prompts]


async def test_hello_world(client: Client) -> None:
    server = GeminiTestServer([text_response("Hello!")])
    async with serving(client, server.plugin(), HelloWorkflow) as (asking, queue):
        answer = await asking.execute_workflow(
            HelloWorkflow.run, "Say hello.", id=random_id(), task_queue=queue
        )
    assert answer == "Hello!"
    assert len(server.requests) == 1


async def test_tools(client: Client) -> None:
    server = GeminiTestServer(
        [
            function_call_response("get_weather", {"city": "Ulm"}),
            text_response("Sunny."),
        ]
    )
    async with serving(
        client, server.plugin(), WeatherWorkflow, activities=[get_weather]
    ) as (asking, queue):
        handle = await asking.start_workflow(
            WeatherWorkflow.run, "How is it?", id=random_id(), task_queue=queue
        )
        assert await handle.result() == "Sunny."
        called = await activities_of(handle)
    assert len(called) == 3
    assert called[1] == "get_weather"
    assert "It is sunny in Ulm." in str(server.requests[1])


async def test_chat(client: Client) -> None:
    server = GeminiTestServer([text_response("First."), text_response("Second.")])
    async with serving(client, server.plugin(), ChatWorkflow) as (asking, queue):
        answers = await asking.execute_workflow(
            ChatWorkflow.run, ["one", "two"], id=random_id(), task_queue=queue
        )
    assert answers == ["First.", "Second."]
    assert "First." in str(server.requests[1])
