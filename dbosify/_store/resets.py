"""Runs that begin as others did: in DBOS's words, forks of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dbosify._model import clock, ids, journal
from dbosify._model.activity import rank
from dbosify._model.children import Children
from dbosify._model.journal import Step
from dbosify._model.protos import (
    HistoryEvent,
    Memo,
    SearchAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify._model.versioning import Versioning

from .engine import Call, Connection, Database
from .runs import expiration, iso, shown_attributes, version_params


@dataclass(frozen=True, slots=True)
class Steps:
    """A run's journal, step by step.

    Attributes:
        first: The events that the run was started with.
        later: The events of each step, in order; a step's number is its place.
    """

    first: list[HistoryEvent]
    later: list[list[HistoryEvent]]

    @property
    def events(self) -> list[HistoryEvent]:
        """All of them."""
        return [*self.first, *(event for step in self.later for event in step)]

    def whole_before(self, number: int) -> tuple[int, int]:
        """How many steps end before the event `number`, and with which event."""
        last = self.first[-1].event_id
        for place, step in enumerate(self.later):
            if step[-1].event_id >= number:
                return place, last
            last = step[-1].event_id
        return len(self.later), last


async def steps_of(
    connection: Connection, database: Database, workflow_uuid: str
) -> Steps:
    """Read a run's journal within a transaction that has seen the run."""
    rows = await database.run(
        connection, "load_journal", {"workflow_uuids": [workflow_uuid]}
    )
    first = journal.unpack_start(rows[0]["started_event"])
    later = [
        journal.decode(row["output"]) for row in rows if row["function_id"] is not None
    ]
    return Steps(first, later)


@dataclass(frozen=True, slots=True)
class ForkRow:
    """A run that begins as another one.

    Attributes:
        base: The other one's DBOS id.
        workflow_uuid: Its own.
        run_number: Its place among the runs of the workflow id.
        request_id: Of whoever asks for it.
        first: The events that both were started with, or as many as it keeps.
        step_id: The number of its own first step; those before are the other's.
        events: Of that step.
        memo: What it shows.
        search_attributes: Likewise.
        versioning: Where it belongs.
    """

    base: str
    workflow_uuid: str
    run_number: int
    request_id: str
    first: Sequence[HistoryEvent]
    step_id: int
    events: Sequence[HistoryEvent]
    memo: Memo
    search_attributes: SearchAttributes
    versioning: Versioning


async def fork(connection: Connection, database: Database, row: ForkRow) -> bool:
    """Start the run; False if somebody else has started one of that id."""
    now = row.events[-1].event_time.ToNanoseconds()
    started = row.first[0].workflow_execution_started_event_attributes
    expires_at = expiration(started, now)
    step = Step("reset", tuple(row.events))
    rows = await database.run(
        connection,
        "fork_run",
        {
            "base": row.base,
            "run_id": ids.run_id_of(row.workflow_uuid),
            "workflow_uuid": row.workflow_uuid,
            "run_number": row.run_number,
            "request_id": row.request_id,
            "start_time": iso(now),
            "expires_at": None if expires_at is None else iso(expires_at),
            "history_length": row.events[-1].event_id,
            "memo": row.memo.SerializeToString() if row.memo.fields else None,
            "search_attributes": shown_attributes(
                row.search_attributes, row.versioning
            ),
            **version_params(row.versioning),
            "started": journal.pack_bytes(row.first),
            "step_id": row.step_id,
            "step_output": step.encode(),
            "step_ms": step.completed_ms,
        },
    )
    return bool(rows)


async def heir(
    connection: Connection,
    database: Database,
    workflow_uuid: str,
    child: WorkflowExecutionStartedEventAttributes,
) -> str | None:
    """The run that a reset has put in a run's place, if it waits for that child too.

    Args:
        connection: with an open transaction.
        database: of the namespace.
        workflow_uuid: of the run that was reset, perhaps.
        child: how the child was started.
    """
    rows = await database.run(connection, "find_heir", {"workflow_uuid": workflow_uuid})
    if not rows:
        return None
    run_id = str(rows[0]["reset_run_id"])
    uuid = ids.workflow_uuid(ids.workflow_id_of(workflow_uuid), run_id)
    steps = await steps_of(connection, database, uuid)
    waits = Children(steps.events).open.get(child.parent_initiated_event_id)
    if waits is None or waits.run_id != child.first_execution_run_id:
        return None
    return run_id


def queue_activities(
    workflow_uuid: str,
    scheduled: Sequence[HistoryEvent],
    deadlines: Sequence[float | None],
    *,
    cancelled: Collection[int],
) -> Call:
    """Let activities begin anew.

    Args:
        workflow_uuid: of their run.
        scheduled: their events; each has the time of now.
        deadlines: when each must be looked at, in seconds since 1970.
        cancelled: numbers of those whose end is wanted.
    """
    options = [event.activity_task_scheduled_event_attributes for event in scheduled]
    numbers = [event.event_id for event in scheduled]
    return Call(
        "queue_activities",
        {
            "workflow_uuid": workflow_uuid,
            "now": clock.seconds(scheduled[0].event_time),
            "task_ids": [ids.activity_task_id(workflow_uuid, n) for n in numbers],
            "event_ids": numbers,
            "activity_ids": [option.activity_id for option in options],
            "types": [option.activity_type.name for option in options],
            "task_queues": [option.task_queue.name for option in options],
            "priorities": [rank(option.priority) for option in options],
            "tasks": [event.SerializeToString() for event in scheduled],
            "cancelled": [number in cancelled for number in numbers],
            "deadlines": list(deadlines),
        },
    )
