"""The rows of the report: what is timed, how often, and on runs of what size.

A row is written against `peers.face`, never for one engine. Recovery rows need
processes of their own to die in; they are only described here and run by `recovery`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from bench.peers.face import Engine, Shape

_CONCURRENCY = 50
_ACTIVITIES_OF_MANY = 3


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of a row is run."""

    rounds: int
    warmup: int
    size: int


class Ending(Enum):
    """How the worker that held a run left it to the next one."""

    STOPPED = "stopped"
    KILLED = "killed"


Measure = Callable[[Engine, Scale], Awaitable[list[float]]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report; times are in seconds, rates in workflows per second."""

    title: str
    full: Scale
    quick: Scale
    how: Measure | Ending
    kind: Literal["time", "rate"] = "time"
    activities: Callable[[int], int] | None = None
    """Activities of one round, given for the rows whose transactions are counted."""

    def scale(self, *, quick: bool) -> Scale:
        """Choose the scale of a mode."""
        return self.quick if quick else self.full


def new_run_id() -> str:
    """Give a workflow an id that no earlier round has used."""
    return f"bench-{uuid.uuid4().hex}"


async def _run(engine: Engine, shape: Shape, size: int) -> None:
    run = await engine.start(shape, size, run_id=new_run_id())
    await run.result()


async def _rounds(scale: Scale, once: Callable[[], Awaitable[float]]) -> list[float]:
    for _ in range(scale.warmup):
        await once()
    return [await once() for _ in range(scale.rounds)]


async def _seconds(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def _whole_run(shape: Shape) -> Measure:
    async def measure(engine: Engine, scale: Scale) -> list[float]:
        return await _rounds(scale, lambda: _seconds(_run(engine, shape, scale.size)))

    return measure


async def _per_activity(engine: Engine, scale: Scale) -> list[float]:
    whole = await _whole_run(Shape.SEQUENCE)(engine, scale)
    return [seconds / scale.size for seconds in whole]


async def _signal(engine: Engine, scale: Scale) -> list[float]:
    async def cycle() -> None:
        run = await engine.start(Shape.WAITING, scale.size, run_id=new_run_id())
        await run.signal()
        await run.result()

    return await _rounds(scale, lambda: _seconds(cycle()))


async def _query(engine: Engine, scale: Scale) -> list[float]:
    run = await engine.start(Shape.WATCHED, scale.size, run_id=new_run_id())

    async def ask() -> None:
        await run.query()

    samples = await _rounds(scale, lambda: _seconds(ask()))
    await run.signal()
    await run.result()
    return samples


async def _many(engine: Engine, scale: Scale) -> list[float]:
    async def one(gate: asyncio.Semaphore) -> None:
        async with gate:
            await _run(engine, Shape.SEQUENCE, _ACTIVITIES_OF_MANY)

    async def all_of_them() -> None:
        gate = asyncio.Semaphore(_CONCURRENCY)
        await asyncio.gather(*(one(gate) for _ in range(scale.size)))

    async def rate() -> float:
        return scale.size / await _seconds(all_of_them())

    return await _rounds(scale, rate)


ROWS = {
    "noop": Row(
        "no-op workflow, start → result",
        full=Scale(rounds=100, warmup=20, size=0),
        quick=Scale(rounds=3, warmup=1, size=0),
        how=_whole_run(Shape.NOOP),
    ),
    "one-activity": Row(
        "workflow of one activity, start → result",
        full=Scale(rounds=100, warmup=20, size=1),
        quick=Scale(rounds=3, warmup=1, size=1),
        how=_whole_run(Shape.SEQUENCE),
    ),
    "sequential": Row(
        "50 activities one after the other, per activity",
        full=Scale(rounds=20, warmup=3, size=50),
        quick=Scale(rounds=2, warmup=1, size=10),
        how=_per_activity,
        activities=lambda size: size,
    ),
    "parallel": Row(
        "200 activities at once, start → result",
        full=Scale(rounds=15, warmup=3, size=200),
        quick=Scale(rounds=2, warmup=1, size=20),
        how=_whole_run(Shape.PARALLEL),
    ),
    "signal": Row(
        "start, signal, result of a waiting workflow",
        full=Scale(rounds=100, warmup=20, size=0),
        quick=Scale(rounds=3, warmup=1, size=0),
        how=_signal,
    ),
    "query": Row(
        "query of a waiting workflow",
        full=Scale(rounds=200, warmup=20, size=0),
        quick=Scale(rounds=3, warmup=1, size=0),
        how=_query,
    ),
    "many": Row(
        "500 workflows × 3 activities, 50 at a time",
        full=Scale(rounds=5, warmup=1, size=500),
        quick=Scale(rounds=1, warmup=1, size=20),
        how=_many,
        kind="rate",
        activities=lambda size: size * _ACTIVITIES_OF_MANY,
    ),
    "recovery": Row(
        "recovery of 1,000 done activities, worker stopped",
        full=Scale(rounds=3, warmup=0, size=1000),
        quick=Scale(rounds=1, warmup=0, size=20),
        how=Ending.STOPPED,
    ),
    "recovery-killed": Row(
        "recovery of 1,000 done activities, worker killed",
        full=Scale(rounds=3, warmup=0, size=1000),
        quick=Scale(rounds=1, warmup=0, size=20),
        how=Ending.KILLED,
    ),
}
