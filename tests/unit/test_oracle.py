"""The oracle itself: it must reject what is wrong, and say what it did not judge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tests
from dbosify import activity, workflow
from dbosify.client import Client, WorkflowHistory
from dbosify.worker import Worker
from tests.oracle import canned
from tests.oracle.code import Code
from tests.oracle.judging import judge, replay
from tests.oracle.watching import Seen, Watcher


@workflow.defn(sandboxed=False)
class DoesNothing:
    """What the histories written by hand are about."""

    @workflow.run
    async def run(self) -> None:
        """Return at once."""


@activity.defn
async def greet(name: str) -> str:
    """Be polite."""
    return f"Hello, {name}!"


@workflow.defn(sandboxed=False)
class Greeting:
    """An activity and a child."""

    @workflow.run
    async def run(self, name: str) -> str:
        """Greet."""
        await workflow.execute_child_workflow(DoesNothing.run)
        return await workflow.execute_activity(
            greet, name, start_to_close_timeout=timedelta(seconds=10)
        )


@workflow.defn(sandboxed=False)
class Passing:
    """Hands over to runs of its own."""

    @workflow.run
    async def run(self, times: int) -> None:
        """Continue as new so many times."""
        if times:
            workflow.continue_as_new(times - 1)


CODE = Code.of_classes(DoesNothing)


async def test_a_sound_history_is_accepted() -> None:
    assert await replay(CODE, [canned.history("DoesNothing", *canned.SOUND)]) == [None]


async def test_a_doctored_history_is_rejected_in_the_words_of_temporal() -> None:
    (failure,) = await replay(CODE, [canned.history("DoesNothing", *canned.DOCTORED)])
    assert isinstance(failure, workflow.NondeterminismError)
    assert "[TMPRL1100]" in str(failure)


async def test_a_bad_history_says_nothing_against_the_others() -> None:
    shapes = [canned.SOUND, canned.DOCTORED, canned.SOUND]
    failures = await replay(
        CODE, [canned.history("DoesNothing", *kinds) for kinds in shapes]
    )
    assert [failure is None for failure in failures] == [True, False, True]


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    """A watcher of this test alone, besides the plugin's."""
    watcher = Watcher()
    watcher.install()
    yield watcher
    watcher.uninstall()


def greeting_worker(client: Client) -> Worker:
    """A worker that serves all that this file's workflows need."""
    return Worker(
        client,
        task_queue=f"queue-{uuid.uuid4()}",
        workflows=[Greeting, Passing, DoesNothing],
        activities=[greet],
    )


async def execute(client: Client, task_queue: str, run: Any, argument: Any) -> str:
    """Run a workflow to its end; give its id."""
    handle = await client.start_workflow(
        run, argument, id=f"workflow-{uuid.uuid4()}", task_queue=task_queue
    )
    await handle.result()
    return handle.id


def unseen(seen: Seen) -> Seen:
    """The same as if the workers were far away: only what the test asked for."""
    return replace(seen, runs=seen.runs[:1], performed={})


@pytest.mark.needs("child workflows")
async def test_children_are_judged_too(client: Client, watcher: Watcher) -> None:
    async with greeting_worker(client) as worker:
        await execute(client, worker.task_queue, Greeting.run, "Ada")
    seen = watcher.seen()
    for view in (seen, unseen(seen)):
        verdicts = await judge(view, elsewhere=(), known=set())
        judged = {found.workflow_type: found.outcome for found in verdicts}
        assert judged == {"Greeting": "accepted", "DoesNothing": "accepted"}


async def test_successors_are_judged_too(client: Client, watcher: Watcher) -> None:
    async with greeting_worker(client) as worker:
        workflow_id = await execute(client, worker.task_queue, Passing.run, 1)
    seen = watcher.seen()
    for view in (seen, unseen(seen)):
        verdicts = await judge(view, elsewhere=(), known=set())
        judged = [(found.workflow_id, found.outcome) for found in verdicts]
        assert judged == [(workflow_id, "accepted")] * 2


async def test_a_run_has_one_verdict(client: Client, watcher: Watcher) -> None:
    async with greeting_worker(client) as worker:
        await execute(client, worker.task_queue, Passing.run, 0)
    known: set[str] = set()
    assert len(await judge(watcher.seen(), elsewhere=(), known=known)) == 1
    assert await judge(watcher.seen(), elsewhere=(), known=known) == []


async def test_a_real_history_is_rejected_once_it_is_doctored(client: Client) -> None:
    async with greeting_worker(client) as worker:
        workflow_id = await execute(client, worker.task_queue, Passing.run, 0)
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    code = Code.of_worker(worker)
    assert await replay(code, [history]) == [None]

    events = list(history.events)
    timer = canned.history("Passing", *canned.DOCTORED).events[4]
    forged = WorkflowHistory(workflow_id, [*events[:4], timer, *events[4:]])
    for number, event in enumerate(forged.events, start=1):
        event.event_id = number
    (failure,) = await replay(code, [forged])
    assert isinstance(failure, workflow.NondeterminismError)


INNER_SUITE = '''
    """A suite that the plugin watches; its backend knows what it was told."""

    import asyncio

    import pytest
    from temporalio import workflow
    from temporalio.client import Client

    from tests.oracle.canned import (
        DELETED, DOCTORED, NEVER_RUN, OPEN, SOUND, CannedService
    )


    @workflow.defn(sandboxed=False)
    class DoesNothing:
        @workflow.run
        async def run(self) -> None:
            """Return at once."""


    @pytest.fixture(autouse=True)
    def workers_elsewhere(oracle_knows):
        oracle_knows(DoesNothing)


    async def start(kinds, workflow_type="DoesNothing"):
        client = Client(CannedService({"it": kinds}))
        await client.start_workflow(workflow_type, id="it", task_queue="canned")


    def test_sound():
        asyncio.run(start(SOUND))


    async def test_sound_on_the_loop_of_pytest():
        await start(SOUND)


    def test_doctored():
        asyncio.run(start(DOCTORED))


    @pytest.mark.oracle_exempt("the history is doctored")
    def test_exempt():
        asyncio.run(start(DOCTORED))


    def test_open():
        asyncio.run(start(OPEN))


    def test_never_run():
        asyncio.run(start(NEVER_RUN))


    def test_deleted():
        asyncio.run(start(DELETED))


    def test_unknown():
        asyncio.run(start(SOUND, "Unknown"))


    def test_failing():
        asyncio.run(start(DOCTORED))
        raise AssertionError("its own fault")
'''


def run_inner_suite(
    directory: Path, *options: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run the suite above in a process of its own; give its end and its report."""
    directory.joinpath("test_inner.py").write_text(textwrap.dedent(INNER_SUITE))
    report = directory / "report.json"
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_")
    }
    environment["PYTHONPATH"] = str(Path(tests.__file__).parents[1])
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.fix_oracle"),
            *("-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "--rootdir=."),
            *(f"--oracle-report={report}", *options, "test_inner.py"),
        ],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended, json.loads(report.read_text())


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["one process", "workers"])
def test_a_suite_learns_what_was_judged_and_what_was_not(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    ended, report = run_inner_suite(tmp_path, *options)

    assert ended.returncode == 1, ended.stderr
    assert "2 failed, 7 passed" in ended.stdout
    assert "The replay oracle says:" in ended.stdout
    assert (
        "3 runs judged (0 of them still open): 2 accepted, 1 rejected" in ended.stdout
    )
    assert (report["accepted"], report["rejected"]) == (2, 1)
    assert report["not_judged"] == {
        "exempt, the history is doctored": 1,
        "open, no workflow task completed yet": 1,
        "closed before a workflow task ever completed": 1,
        "deleted by the test": 1,
        "no worker of the test serves the workflow type": 1,
        "the test had failed already": 1,
    }
    (rejected,) = [run for run in report["runs"] if run["outcome"] == "rejected"]
    assert rejected["test"] == "test_inner.py::test_doctored"
    assert rejected["reason"] in ended.stdout
    assert rejected["reason"].startswith("NondeterminismError: [TMPRL1100]")


def test_a_suite_of_sound_histories_ends_well(tmp_path: Path) -> None:
    ended, report = run_inner_suite(tmp_path, "-k", "sound")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert report["accepted"] == 2
    assert report["rejected"] == 0
