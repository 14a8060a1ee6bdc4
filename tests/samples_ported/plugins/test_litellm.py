"""An activity asks a model through LiteLLM, whose own retries are off."""

from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.common import RetryPolicy
from dbosify.testing import ActivityEnvironment
from tests.ported_temporal.scaffold import new_worker, random_id

litellm: Any = pytest.importorskip("litellm", reason="needs `nox -s plugins`")

MODEL = "openai/scripted"
SYSTEM = "Answer in one sentence."


@activity.defn
async def ask_model(prompt: str) -> str:
    """Temporal tries again, so LiteLLM must not."""
    answer: Any = await litellm.acompletion(
        model=MODEL,
        messages=[
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": prompt},
        ],
        timeout=30,
        num_retries=0,
    )
    return str(answer.choices[0].message.content)


@workflow.defn(sandboxed=False)
class AskingWorkflow:
    @workflow.run
    async def run(self, prompt: str) -> str:
        return await workflow.execute_activity(
            ask_model,
            prompt,
            start_to_close_timeout=timedelta(seconds=45),
            schedule_to_close_timeout=timedelta(minutes=2),
            retry_policy=RetryPolicy(
                maximum_attempts=3, initial_interval=timedelta(milliseconds=10)
            ),
        )


Asked = list[dict[str, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What LiteLLM is asked; it fails at first, then answers without a network."""
    calls: Asked = []
    complete = litellm.acompletion

    async def answer(**options: Any) -> Any:
        calls.append(options)
        if options["messages"][1]["content"] == "flaky" and len(calls) == 1:
            raise ConnectionError("the model is away")
        return await complete(**options, mock_response="It is durable.")

    monkeypatch.setattr(litellm, "acompletion", answer)
    return calls


async def test_call_litellm(asked: Asked) -> None:
    answer = await ActivityEnvironment().run(ask_model, "What is it?")
    assert answer == "It is durable."
    assert asked == [
        {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": "What is it?"},
            ],
            "timeout": 30,
            "num_retries": 0,
        }
    ]


async def test_litellm_workflow(client: Client, asked: Asked) -> None:
    async with new_worker(client, AskingWorkflow, activities=[ask_model]) as worker:
        answer = await client.execute_workflow(
            AskingWorkflow.run, "flaky", id=random_id(), task_queue=worker.task_queue
        )
    assert answer == "It is durable."
    assert len(asked) == 2
