"""The peer that is DBOS alone: async workflows and steps started in this process.

It is the floor dbosify is compared with: the same durability on the same Postgres, and
nothing of Temporal's between. Where DBOS has no namesake of a Temporal feature the
nearest one stands in: a message for a signal, a published event for a query.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowHandleAsync

from bench.peers.activities import echo
from bench.peers.face import Engine, Run, Shape

_TOPIC = "release"
_PROGRESS = "done"
_PATIENCE = 3600.0
# DBOS asks once a second for the result of a run that another process started: left at
# that, the recovery row would time the question instead of the recovery.
_RESULT_POLL = 0.01

_step = DBOS.step(name="echo")(echo)


@DBOS.workflow(name="noop")
async def _noop(size: int) -> int:
    return size


@DBOS.workflow(name="sequence")
async def _sequence(size: int) -> int:
    for index in range(size):
        await _step(index)
    return size


@DBOS.workflow(name="parallel")
async def _parallel(size: int) -> int:
    await asyncio.gather(*(_step(index) for index in range(size)))
    return size


@DBOS.workflow(name="waiting")
async def _waiting(size: int) -> int:
    for index in range(size):
        await _step(index)
    await DBOS.recv_async(_TOPIC, _PATIENCE)
    return size


@DBOS.workflow(name="watched")
async def _watched(size: int) -> int:
    for index in range(size):
        await _step(index)
    await DBOS.set_event_async(_PROGRESS, size)
    await DBOS.recv_async(_TOPIC, _PATIENCE)
    return size


_WORKFLOWS = {
    Shape.NOOP: _noop,
    Shape.SEQUENCE: _sequence,
    Shape.PARALLEL: _parallel,
    Shape.WAITING: _waiting,
    Shape.WATCHED: _watched,
}


@dataclass(frozen=True, slots=True)
class _DbosRun:
    handle: WorkflowHandleAsync[int]

    async def signal(self) -> None:
        await DBOS.send_async(self.handle.workflow_id, True, _TOPIC)

    async def query(self) -> int:
        done = await DBOS.get_event_async(self.handle.workflow_id, _PROGRESS, _PATIENCE)
        return int(done)

    async def result(self) -> int:
        return await self.handle.get_result(polling_interval_sec=_RESULT_POLL)


@dataclass(frozen=True, slots=True)
class _DbosEngine:
    async def start(self, shape: Shape, size: int, *, run_id: str) -> Run:
        with SetWorkflowID(run_id):
            return _DbosRun(await DBOS.start_workflow_async(_WORKFLOWS[shape], size))

    async def attach(self, run_id: str) -> Run:
        return _DbosRun(await DBOS.retrieve_workflow_async(run_id))


@asynccontextmanager
async def open_engine(address: str) -> AsyncIterator[Engine]:
    """Run DBOS with its defaults until the block ends."""
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": address,
        "application_version": "bench",
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    try:
        yield _DbosEngine()
    finally:
        DBOS.destroy()
