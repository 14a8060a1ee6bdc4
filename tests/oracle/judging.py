"""Asks Temporal's Replayer about the histories of the runs a test made.

The Replayer is the Rust core's: nothing of dbosify takes part in its judgement. It
gets the same classes, runner, converter and interceptors as the worker that served
the run.
"""

from __future__ import annotations

import asyncio
import functools
import re
import warnings
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from temporalio.client import WorkflowHistory
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Replayer

from .code import Code
from .histories import History, fetch_all, started
from .verdicts import NEVER_RAN, NO_CODE, NOT_YET_RUN, Verdict
from .watching import Run, Seen

REPLAY_PATIENCE = 20.0
"""Seconds within which the histories that one worker served must have replayed."""

END_PATIENCE = 2.0
"""Seconds for a Replayer that has said everything to end."""

Failure: TypeAlias = BaseException | None
"""What the Replayer says against a history."""


def spare(runs: Sequence[Run], reason: str) -> list[Verdict]:
    """Give all runs of a test the same reason for not being judged."""
    distinct = {run.run_id: run for run in runs}.values()
    return [
        Verdict(run.workflow_id, run.run_id, "not judged", reason=reason)
        for run in distinct
    ]


async def judge(
    seen: Seen, *, elsewhere: Sequence[Code], known: set[str]
) -> list[Verdict]:
    """Judge what a test made.

    Args:
        seen: The runs and the workers of the test.
        elsewhere: The code of workers in other processes.
        known: Ids of runs that have had their verdict; extended.

    Returns:
        A verdict for each run that has none yet.
    """
    histories, verdicts = await fetch_all(
        seen.runs, services=seen.services, known=known
    )
    # One that goes on may be judged again later.
    known -= {history.run.run_id for history in histories if not history.is_closed}
    code_of = {worker: Code.of_worker(worker) for worker in seen.workers}
    waiting: deque[tuple[History, list[Code]]] = deque()
    for history in histories:
        performers = reversed(seen.performed.get(history.run.run_id, ()))
        able = [
            code
            for code in [*reversed(code_of.values()), *elsewhere]
            if code.serves(
                history.run.namespace,
                history.started.task_queue.name,
                history.started.workflow_type.name,
            )
        ]
        performed = [code_of[worker] for worker in performers]
        codes = list(dict.fromkeys([*performed, *able]))
        reason = _reason_to_spare(history, codes)
        if reason:
            verdicts.append(history.verdict("not judged", reason))
        else:
            waiting.append((history, codes))
    return verdicts + await _replay_all(waiting)


def _reason_to_spare(history: History, codes: Sequence[Code]) -> str:
    if not history.has_run:
        # The Replayer calls every such history fine: it has nothing to compare.
        return NEVER_RAN if history.is_closed else NOT_YET_RUN
    return "" if codes else NO_CODE


async def _replay_all(waiting: deque[tuple[History, list[Code]]]) -> list[Verdict]:
    """Replay each history until one of its codes accepts it.

    A test may bring a second worker with other code for the same queue; a history
    is sound if either can have made it.
    """
    verdicts = []
    while waiting:
        code = waiting[0][1][0]
        batch = [entry for entry in waiting if entry[1][0] is code]
        waiting = deque(entry for entry in waiting if entry[1][0] is not code)
        failures = await replay(code, [history.official for history, _ in batch])
        for (history, codes), failure in zip(batch, failures, strict=True):
            if failure is None:
                verdicts.append(history.verdict("accepted"))
            elif codes[1:]:
                waiting.append((history, codes[1:]))
            else:
                verdicts.append(history.verdict("rejected", _said_by(failure)))
    return verdicts


def _said_by(failure: BaseException) -> str:
    """Temporal's sentence, out of the Rust structure that it comes in if need be."""
    text = str(failure)
    found = re.search(r'message: "((?:[^"\\]|\\.)+)"', text)
    return f"{type(failure).__name__}: {found.group(1) if found else text}"


async def replay(code: Code, histories: Sequence[WorkflowHistory]) -> list[Failure]:
    """What the Replayer says against each of the histories."""
    failures: list[Failure] = []
    with warnings.catch_warnings():
        # Where warnings are errors the code would fail at what only the test expects.
        warnings.simplefilter("ignore")
        while len(failures) < len(histories):
            failures += await _ask(code, histories[len(failures) :])
    return failures


async def _ask(code: Code, histories: Sequence[WorkflowHistory]) -> list[Failure]:
    """What one Replayer says, up to the first history that it cannot cope with."""
    failures: list[Failure] = []
    answered = asyncio.Event()
    asking = asyncio.create_task(_ask_each(code, histories, failures, answered))
    all_answered = asyncio.create_task(answered.wait())
    await asyncio.wait(
        (asking, all_answered),
        timeout=REPLAY_PATIENCE,
        return_when=asyncio.FIRST_COMPLETED,
    )
    all_answered.cancel()
    # Its answers count even if its own end then fails or never comes.
    await asyncio.wait((asking,), timeout=END_PATIENCE if answered.is_set() else 0)
    if not asking.done():
        asking.cancel()
        await asyncio.wait((asking,), timeout=END_PATIENCE)
    if not answered.is_set():
        failures.append(_error_of(asking))
    return failures


def _error_of(asking: asyncio.Task[None]) -> BaseException:
    error = None
    if asking.done() and not asking.cancelled():
        error = asking.exception()
    return error or TimeoutError(f"no answer within {REPLAY_PATIENCE:.0f} s")


async def _ask_each(
    code: Code,
    histories: Sequence[WorkflowHistory],
    failures: list[Failure],
    answered: asyncio.Event,
) -> None:
    async def one_by_one() -> AsyncIterator[WorkflowHistory]:
        for history in histories:
            yield history

    # Each class costs an import inside the sandbox: only those that are needed.
    types = {
        code.class_for(started(history).workflow_type.name) for history in histories
    }
    replayer = Replayer(
        **code.options,
        workflows=list(types),
        workflow_task_executor=_threads(),
        build_id="replay-oracle",
        runtime=_runtime(),
    )
    # Not through the constructor: there they would configure a second time.
    replayer.plugins = code.plugins
    async with replayer.workflow_replay_iterator(one_by_one()) as answers:
        async for answer in answers:
            failures.append(answer.replay_failure)
            if len(failures) == len(histories):
                answered.set()


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="replay_oracle_")


@functools.cache
def _runtime() -> Runtime:
    """A runtime apart from the tests' own, so that their metrics count no replay."""
    return Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=None)
