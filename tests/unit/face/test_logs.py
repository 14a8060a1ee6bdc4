"""What dbosify logs where Temporal's core would, and what it keeps to itself."""

import logging

import pytest

from dbosify import workflow
from dbosify._runtime import task_log
from dbosify.client import Client
from dbosify.worker import UnsandboxedWorkflowRunner, Worker
from tests.unit.face.greeting import random_name


@workflow.defn
class Breaking:
    """Breaks its first task, and then returns what it was given."""

    attempts = 0

    @workflow.run
    async def run(self, secret: str) -> str:
        Breaking.attempts += 1
        if Breaking.attempts == 1:
            raise RuntimeError("broken on purpose")
        return secret


def serving(client: Client) -> Worker:
    """A worker of that workflow, in this process's own memory."""
    return Worker(
        client,
        task_queue=random_name("queue"),
        workflows=[Breaking],
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="face",
    )


async def run(client: Client, worker: Worker, secret: str) -> str:
    """A whole run."""
    return await client.execute_workflow(
        Breaking.run, secret, id=random_name(), task_queue=worker.task_queue
    )


@pytest.mark.oracle_exempt("its code changes while it runs")
async def test_a_task_that_fails_is_logged_but_not_what_it_was_given(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    Breaking.attempts = 0
    with caplog.at_level(logging.DEBUG):
        async with serving(client) as worker:
            assert await run(client, worker, "hush-hush") == "hush-hush"
    [record] = [each for each in caplog.records if each.name == task_log.__name__]
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        f"Failing workflow task of run {vars(record)['run_id']}"
        " (WORKFLOW_WORKER_UNHANDLED_FAILURE): broken on purpose"
    )
    assert "hush-hush" not in caplog.text


async def test_a_task_that_takes_long_is_logged(
    client: Client,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Breaking.attempts = 1
    monkeypatch.setattr(task_log, "LIMIT", 0)
    async with serving(client) as worker:
        await run(client, worker, "")
    messages = [
        each.getMessage() for each in caplog.records if each.name == task_log.__name__
    ]
    assert messages
    for message in messages:
        assert message.startswith("[TMPRL1104] ")
        assert message.endswith("Workflow task duration exceeded 0 seconds.")


@pytest.mark.parametrize(
    ("setting", "seconds"), [(None, 5), ("12", 12), ("0", 0), ("-1", 5), ("soon", 5)]
)
def test_what_takes_long_is_a_setting(setting: str | None, seconds: int) -> None:
    assert task_log.limit(setting) == seconds
