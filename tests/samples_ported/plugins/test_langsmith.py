"""LangSmith sees clients, workflows and activities as one trace."""

import pytest

pytest.importorskip("temporalio.langsmith", reason="needs `nox -s plugins`")

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from temporalio.langsmith import LangSmithPlugin

from dbosify import activity, workflow
from dbosify.client import Client
from tests.ported_temporal.scaffold import random_id
from tests.samples_ported.plugins.running import serving

with workflow.unsafe.imports_passed_through():
    import langsmith
    import langsmith.utils
    from langsmith import traceable

TEN_SECONDS = timedelta(seconds=10)


class Recorder(langsmith.Client):
    """Keeps what it should send."""

    def __init__(self) -> None:
        super().__init__(
            api_url="http://localhost:1", api_key="none", auto_batch_tracing=False
        )
        self.begun: dict[str, Mapping[str, Any]] = {}
        self.ended: list[str] = []

    def create_run(self, *args: Any, **run: Any) -> None:
        named = {**dict(zip(("name", "inputs", "run_type"), args, strict=False)), **run}
        self.begun[str(run["id"])] = named

    def update_run(self, run_id: Any, *_args: Any, **_options: Any) -> None:
        self.ended.append(str(run_id))

    def tree(self) -> list[str]:
        """The names of all runs, each under the one that it is part of."""

        def below(parent: str | None, depth: int) -> list[str]:
            found = []
            for run_id, run in self.begun.items():
                of = run.get("parent_run_id")
                if (str(of) if of else None) == parent:
                    found.append(f"{'  ' * depth}{run['name']}")
                    found += below(run_id, depth + 1)
            return found

        return below(None, 0)


@traceable(name="ask the model", run_type="llm")
async def ask(prompt: str) -> str:
    """What stands for a model."""
    return f"An answer to {prompt}"


@activity.defn
async def call_model(prompt: str) -> str:
    """Ask it."""
    return await ask(prompt)


@workflow.defn
class BasicWorkflow:
    @workflow.run
    async def run(self, prompt: str) -> str:
        return await workflow.execute_activity(
            call_model, prompt, start_to_close_timeout=TEN_SECONDS
        )


@workflow.defn
class NotesWorkflow:
    """A conversation: each message is handed to the main loop, which answers it."""

    def __init__(self) -> None:
        self._notes: dict[str, str] = {}
        self._pending: str | None = None
        self._answer: str | None = None
        self._over = False

    @workflow.run
    async def run(self) -> str:
        while True:
            await workflow.wait_condition(lambda: self._over or bool(self._pending))
            if self._over:
                return "Session ended."
            assert self._pending is not None
            name, _, text = self._pending.partition("=")
            self._notes[name] = text
            await workflow.execute_activity(
                call_model, name, start_to_close_timeout=TEN_SECONDS
            )
            self._pending, self._answer = None, "Note saved."

    @workflow.update
    async def say(self, message: str) -> str:
        self._pending, self._answer = message, None
        await workflow.wait_condition(lambda: self._answer is not None)
        return self._answer or ""

    @workflow.query
    def notes(self) -> dict[str, str]:
        return self._notes

    @workflow.signal
    def leave(self) -> None:
        self._over = True


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """LangSmith is switched on for this test, as its users do it."""
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    read: Any = langsmith.utils.get_env_var
    read.cache_clear()
    yield
    read.cache_clear()


async def test_basic_workflow(client: Client, tracing: None) -> None:
    recorder = Recorder()
    plugin = LangSmithPlugin(client=recorder, add_temporal_runs=True)
    async with serving(client, plugin, BasicWorkflow, activities=[call_model]) as (
        asking,
        queue,
    ):
        answer = await asking.execute_workflow(
            BasicWorkflow.run, "this", id=random_id(), task_queue=queue
        )
    assert answer == "An answer to this"
    assert recorder.tree() == [
        "StartWorkflow:BasicWorkflow",
        "RunWorkflow:BasicWorkflow",
        "  StartActivity:call_model",
        "  RunActivity:call_model",
        "    ask the model",
    ]
    assert sorted(recorder.ended) == sorted(recorder.begun)


async def test_chatbot_save_note(client: Client) -> None:
    plugin = LangSmithPlugin(client=Recorder())
    async with serving(client, plugin, NotesWorkflow, activities=[call_model]) as (
        asking,
        queue,
    ):
        handle = await asking.start_workflow(
            NotesWorkflow.run, id=random_id(), task_queue=queue
        )
        saved = await handle.execute_update(NotesWorkflow.say, "greeting=Hello world")
        assert saved == "Note saved."
        assert await handle.query(NotesWorkflow.notes) == {"greeting": "Hello world"}
        await handle.signal(NotesWorkflow.leave)
        assert await handle.result() == "Session ended."
