"""Appending turns: one fenced transaction for whatever turns are ready.

While one flush is on its way the next turns gather; an idle process flushes at once.
A turn is written only if its run is still owned with the turn's token, and a turn that
closes its run only if no message has arrived that the turn did not see.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dbosify._model import journal
from dbosify._model.activity import rank
from dbosify._model.journal import Damaged, Step
from dbosify._model.protos import HistoryEvent

from .engine import LOST_CONNECTION, Call, Connection, Database, Rows, answering


@dataclass(frozen=True, slots=True)
class BegunActivity:
    """An activity that a turn schedules: run here (`executor_id`) or queued."""

    task_id: str
    event: HistoryEvent
    state: int
    scheduled_at: float
    deadline: float | None
    executor_id: str | None = None
    token: str | None = None
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class ClosedRun:
    """How a turn closes its run."""

    inbox: int
    status: int
    dbos_status: str
    close_time: str
    history_length: int
    history_size: int
    next_run_id: str | None
    output: str | None
    error: str | None
    search_attributes: str | None = None
    memo: bytes | None = None
    """Both as the turn leaves them, if it changed them."""


@dataclass(slots=True)
class TurnRow:
    """All that one turn writes."""

    workflow_uuid: str
    token: str
    first_step: int
    steps: Sequence[Step]
    messages: Sequence[str] = ()
    begun: Sequence[BegunActivity] = ()
    ended: Sequence[str] = ()
    close: ClosedRun | None = None
    before: Sequence[Call] = ()
    """Statements of its own that come first, each fenced by the run's token."""
    others: Sequence[Call] = ()
    """Those that come last."""
    done: asyncio.Future[Verdict] = field(init=False)


class Verdict(enum.Enum):
    """What became of a turn."""

    WRITTEN = enum.auto()
    REFUSED = enum.auto()
    """It would have closed the run, but a message has arrived that it did not see."""
    LOST = enum.auto()
    """The run belongs to somebody else now."""


class TurnWriter:
    """The one writer of an event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[TurnRow] = []
        self._flushing: asyncio.Task[None] | None = None
        self._connection: Connection | None = None

    async def write(self, turn: TurnRow) -> Verdict:
        """Write a turn; nothing at all of it is written unless that is the verdict.

        Raises:
            psycopg.Error: the connection broke; whether it was written is not known.
        """
        turn.done = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await turn.done

    async def _own_connection(self) -> Connection:
        """The writer's own: borrowing one from a pool costs a tenth of a commit."""
        if self._connection is None or self._connection.closed:
            self._connection = await self._database.connect()
        return self._connection

    async def close(self) -> None:
        """Close the writer's connection; a later turn opens a new one."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _flush(self) -> None:
        while self._waiting:
            turns, self._waiting = self._waiting, []
            try:
                verdicts = await self._commit(turns)
            except LOST_CONNECTION as error:
                # Whether the commit happened is unknown; each run is read again.
                for turn in turns:
                    if not turn.done.done():
                        turn.done.set_exception(error)
                continue
            except Exception as error:
                await self._isolate(turns, error)
                continue
            for turn in turns:
                if not turn.done.done():
                    turn.done.set_result(_verdict(turn, verdicts))

    async def _isolate(self, turns: list[TurnRow], error: Exception) -> None:
        """One bad turn must not take the others of its flush with it."""
        if len(turns) == 1:
            if not turns[0].done.done():
                turns[0].done.set_exception(error)
            return
        for turn in turns:
            try:
                verdicts = await self._commit([turn])
            except Exception as own:
                turn.done.set_exception(own)
            else:
                turn.done.set_result(_verdict(turn, verdicts))

    async def _commit(self, turns: Sequence[TurnRow]) -> dict[str, bool]:
        calls = [call for turn in turns for call in turn.before]
        before = len(calls)
        appended = [turn for turn in turns if turn.close is None]
        closed = [turn for turn in turns if turn.close is not None]
        if appended:
            calls.append(Call("append_turns", _append_params(appended)))
        if closed:
            calls.append(Call("close_turns", _close_params(closed)))
        verdicts = len(calls)
        for turn in turns:
            calls.extend(turn.others)
        connection = await self._own_connection()
        with answering(connection):
            results = await self._database.together(calls, connection)
        return {
            row["workflow_uuid"]: row["accepted"]
            for rows in results[before:verdicts]
            for row in rows
        }


def _verdict(turn: TurnRow, accepted: dict[str, bool]) -> Verdict:
    if turn.workflow_uuid not in accepted:
        return Verdict.LOST
    return Verdict.WRITTEN if accepted[turn.workflow_uuid] else Verdict.REFUSED


def _step_params(turns: Sequence[TurnRow]) -> dict[str, Any]:
    rows = [
        (turn.workflow_uuid, turn.first_step + offset, step)
        for turn in turns
        for offset, step in enumerate(turn.steps)
    ]
    return {
        "uuids": [turn.workflow_uuid for turn in turns],
        "tokens": [turn.token for turn in turns],
        "step_uuids": [row[0] for row in rows],
        "step_ids": [row[1] for row in rows],
        "step_names": [row[2].name for row in rows],
        "step_outputs": [row[2].encode() for row in rows],
        "step_started": [row[2].started_ms for row in rows],
        "step_completed": [row[2].completed_ms for row in rows],
        "messages": [message for turn in turns for message in turn.messages],
    }


def _append_params(turns: Sequence[TurnRow]) -> dict[str, Any]:
    begun = [(turn.workflow_uuid, act) for turn in turns for act in turn.begun]
    options = [act.event.activity_task_scheduled_event_attributes for _, act in begun]
    return _step_params(turns) | {
        "ended": [task_id for turn in turns for task_id in turn.ended],
        "task_ids": [act.task_id for _, act in begun],
        "task_uuids": [uuid for uuid, _ in begun],
        "event_ids": [act.event.event_id for _, act in begun],
        "activity_ids": [option.activity_id for option in options],
        "types": [option.activity_type.name for option in options],
        "task_queues": [option.task_queue.name for option in options],
        "priorities": [rank(option.priority) for option in options],
        "tasks": [act.event.SerializeToString() for _, act in begun],
        "states": [act.state for _, act in begun],
        "scheduled": [act.scheduled_at for _, act in begun],
        "started": [act.scheduled_at if act.token else None for _, act in begun],
        "executors": [act.executor_id for _, act in begun],
        "task_tokens": [act.token for _, act in begun],
        "identities": [act.identity for _, act in begun],
        "deadlines": [act.deadline for _, act in begun],
    }


def _close_params(turns: Sequence[TurnRow]) -> dict[str, Any]:
    closes = [turn.close for turn in turns if turn.close is not None]
    return _step_params(turns) | {
        "inboxes": [close.inbox for close in closes],
        "statuses": [close.status for close in closes],
        "dbos_statuses": [close.dbos_status for close in closes],
        "close_times": [close.close_time for close in closes],
        "history_lengths": [close.history_length for close in closes],
        "history_sizes": [close.history_size for close in closes],
        "next_run_ids": [close.next_run_id for close in closes],
        "outputs": [close.output for close in closes],
        "errors": [close.error for close in closes],
        "search_attributes": [close.search_attributes for close in closes],
        "memos": [close.memo for close in closes],
    }


@dataclass(frozen=True, slots=True)
class Journal:
    """A run's events, and the step that comes next."""

    events: list[HistoryEvent]
    next_step: int


async def load(database: Database, workflow_uuid: str) -> Journal | None:
    """Read a run's journal, or None if there is no such run."""
    found = await load_rows(database, [workflow_uuid])
    return of_rows(found.get(workflow_uuid, []))


async def load_rows(
    database: Database, workflow_uuids: Sequence[str]
) -> dict[str, Rows]:
    """Read the journals of several runs, as rows: `of_rows` takes its time for each."""
    found: dict[str, Rows] = {}
    rows = await database.fetch(
        "load_journal", {"workflow_uuids": list(workflow_uuids)}
    )
    for row in rows:
        found.setdefault(row["workflow_uuid"], []).append(row)
    return found


async def load_in(
    connection: Connection, database: Database, workflow_uuid: str
) -> Journal | None:
    """Read a run's journal within a transaction.

    Raises:
        Damaged: it cannot be read.
    """
    return of_rows(await rows_in(connection, database, workflow_uuid))


async def rows_in(
    connection: Connection, database: Database, workflow_uuid: str
) -> Rows:
    """Read the rows of a run's journal within a transaction."""
    return await database.run(
        connection, "load_journal", {"workflow_uuids": [workflow_uuid]}
    )


def of_rows(rows: Rows) -> Journal | None:
    """What the rows of one run say; None if there are none.

    Raises:
        Damaged: one of them holds something else, or some are missing.
    """
    if not rows:
        return None
    events = journal.unpack_start(rows[0]["started_event"])
    next_step = 0
    for row in rows:
        if row["function_id"] is not None:
            step = journal.decode(row["output"])
            if step and step[0].event_id != events[-1].event_id + 1:
                raise Damaged("steps of the journal of the run are missing")
            events.extend(step)
            next_step = row["function_id"] + 1
    return Journal(events, next_step)


def ruins(rows: Rows, start: HistoryEvent) -> Journal:
    """What can still be read of a damaged journal: enough to end its run.

    Args:
        rows: of the run.
        start: taken for the run's own if that cannot be read.
    """
    events = [start]
    with suppress(Damaged):
        events = journal.unpack_start(rows[0]["started_event"])
    next_step = 0
    for row in rows:
        if row["function_id"] is not None:
            next_step = row["function_id"] + 1
            with suppress(Damaged):
                events.extend(journal.decode(row["output"]))
    return Journal(events, next_step)


async def last_event(database: Database, workflow_uuid: str) -> HistoryEvent | None:
    """The newest event of a run, if it has any beyond its start."""
    rows = await database.fetch("load_last_step", {"workflow_uuid": workflow_uuid})
    return journal.decode(rows[0]["output"])[-1] if rows else None


async def last_event_in(
    connection: Connection, database: Database, workflow_uuid: str
) -> HistoryEvent:
    """The newest event of a closed run, within a transaction."""
    rows = await database.run(
        connection, "load_last_step", {"workflow_uuid": workflow_uuid}
    )
    return journal.decode(rows[0]["output"])[-1]
