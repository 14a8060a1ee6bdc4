"""The process an engine is measured in; it reads its job from standard input.

Every peer gets fresh processes, so that no engine inherits another's threads, caches or
garbage. The job comes through standard input since it holds a database password, and
arguments are for everyone to see.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bench.peers.face import PEERS, Engine, Opener, Shape
from bench.results import Measurement, Transactions, to_json
from bench.rows import ROWS, Ending, Row
from bench.transactions import SETTLING, count_transactions

_ROW_TIMEOUT = 900.0
_PROGRESS_POLL = 0.05
_QUICK_SETTLING = 1.0


class Task(Enum):
    """What the process is for."""

    MEASURE = "measure"
    """Run rows and answer with their measurements."""
    BUILD = "build"
    """Bring a run to the point where only a signal is missing, then leave it."""
    RESUME = "resume"
    """Take that run over and answer with the seconds until its end."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process has to do."""

    task: Task
    peer: str
    address: str
    answer: str
    """The file for the answer: standard output belongs to the engine's logs."""
    quick: bool = False
    rows: tuple[str, ...] = ()
    counter_url: str | None = None
    database: str | None = None
    run_id: str = ""
    size: int = 0
    ending: Ending = Ending.STOPPED

    def to_json(self) -> str:
        """Write the job down for the process that will do it."""
        return json.dumps(
            dataclasses.asdict(self)
            | {"task": self.task.value, "ending": self.ending.value}
        )

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        return cls(
            **fields
            | {
                "task": Task(fields["task"]),
                "ending": Ending(fields["ending"]),
                "rows": tuple(fields["rows"]),
            }
        )

    def reply(self, value: object) -> None:
        """Leave an answer; a later one replaces it."""
        Path(self.answer).write_text(json.dumps(value))


async def _count(engine: Engine, row: Row, job: Job) -> Transactions | None:
    if (
        row.activities is None
        or isinstance(row.how, Ending)
        or job.counter_url is None
        or job.database is None
    ):
        return None
    # A pass of its own: the waits around it would cool the timed rounds down.
    measure = row.how
    scale = dataclasses.replace(row.scale(quick=job.quick), warmup=0)

    async def work() -> None:
        await measure(engine, scale)

    return await count_transactions(
        work,
        activities=row.activities(scale.size) * scale.rounds,
        url=job.counter_url,
        database=job.database,
        settling=_QUICK_SETTLING if job.quick else SETTLING,
    )


async def _measure_row(engine: Engine, row: Row, job: Job) -> Measurement:
    if isinstance(row.how, Ending):
        raise TypeError("recovery rows take processes of their own")
    try:
        samples = await asyncio.wait_for(
            row.how(engine, row.scale(quick=job.quick)), _ROW_TIMEOUT
        )
        transactions = await asyncio.wait_for(_count(engine, row, job), _ROW_TIMEOUT)
    except Exception as error:
        # One row that fails must not cost the others; the report names it.
        traceback.print_exc()
        return Measurement(error=f"{type(error).__name__}: {error}")
    return Measurement(samples=tuple(samples), transactions=transactions)


async def _measure(open_engine: Opener, job: Job) -> None:
    answer = {}
    async with open_engine(job.address) as engine:
        for key in job.rows:
            answer[key] = to_json(await _measure_row(engine, ROWS[key], job))
            job.reply(answer)


async def _build(open_engine: Opener, job: Job) -> None:
    async with open_engine(job.address) as engine:
        run = await engine.start(Shape.WATCHED, job.size, run_id=job.run_id)
        while await run.query() < job.size:  # noqa: ASYNC110 - only a query can tell
            await asyncio.sleep(_PROGRESS_POLL)
        if job.ending is Ending.KILLED:
            os.kill(os.getpid(), signal.SIGKILL)


async def _resume(open_engine: Opener, job: Job) -> None:
    began = time.perf_counter()
    async with open_engine(job.address) as engine:
        run = await engine.attach(job.run_id)
        await run.signal()
        done = await run.result()
        seconds = time.perf_counter() - began
    if done != job.size:
        raise ValueError(f"the run lost activities: {done} of {job.size}")
    job.reply(seconds)


_TASKS = {Task.MEASURE: _measure, Task.BUILD: _build, Task.RESUME: _resume}


def main() -> None:
    """Do the job on standard input."""
    job = Job.from_json(sys.stdin.read())
    # Imports first: a service has them behind it when its worker starts.
    open_engine = PEERS[job.peer].load()
    asyncio.run(_TASKS[job.task](open_engine, job))
    # The engine is closed and the answer written. What is left is the interpreter's own
    # end, in which native threads of the SDK can still abort the process: skip it.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
