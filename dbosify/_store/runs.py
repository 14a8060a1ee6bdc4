"""Runs in the database: started, found, ended and deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from dbosify._model import ids, journal
from dbosify._model.activity import rank
from dbosify._model.journal import Step
from dbosify._model.outbox import Entry
from dbosify._model.protos import (
    Failure,
    HistoryEvent,
    Payload,
    Payloads,
    SearchAttributes,
    WorkerDeploymentVersion,
    WorkflowExecutionStartedEventAttributes,
    WorkflowExecutionStatus,
)
from dbosify._model.search_attributes import as_sent, document, keywords
from dbosify._model.versioning import Versioning, pin_of

from . import fairness
from .claims import PARKED_FOR_EVER, Claim, Owner
from .engine import Call, Connection, Database

_END_OF_TIME = 253_402_300_799
OPEN = int(WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING)


@dataclass(frozen=True, slots=True)
class StartRow:
    """A run to be started."""

    workflow_id: str
    run_id: str
    request_id: str
    events: Sequence[HistoryEvent]
    """WorkflowExecutionStarted, and WorkflowTaskScheduled unless it must wait."""
    backoff: float = 0.0
    owner: Owner | None = None
    """Set when the starting process runs it at once."""
    begins_on: WorkerDeploymentVersion | None = None
    """The version that gets it, though it is not pinned."""

    @property
    def workflow_uuid(self) -> str:
        """Its DBOS id."""
        return ids.workflow_uuid(self.workflow_id, self.run_id)

    @property
    def pin(self) -> WorkerDeploymentVersion | None:
        """The version that gets it, whatever the routing of new runs."""
        started = self.events[0].workflow_execution_started_event_attributes
        return self.begins_on or pin_of(started)

    @property
    def expires_at(self) -> int | None:
        """When it is out of time; see `expiration`."""
        began = self.events[0]
        started = began.workflow_execution_started_event_attributes
        waits = round(self.backoff * 1e9)
        return expiration(started, began.event_time.ToNanoseconds() + waits)

    def claimed_by(self, owner: Owner) -> Claim:
        """What the run is its owner's by, once it is started."""
        return Claim(
            self.workflow_uuid,
            self.workflow_id,
            self.run_id,
            owner.token,
            1,
            None if self.expires_at is None else self.expires_at / 1e9,
        )

    def params(self) -> dict[str, Any]:
        """As the statements want it."""
        started = self.events[0].workflow_execution_started_event_attributes
        at = self.events[0].event_time.ToNanoseconds()
        delay_until = None
        waits = round(self.backoff * 1e9)
        dbos_status = "ENQUEUED"
        if self.backoff > 0:
            dbos_status = "DELAYED"
            delay_until = min((at + waits) // 1_000_000, PARKED_FOR_EVER)
        return {
            "workflow_id": self.workflow_id,
            "run_id": self.run_id,
            "workflow_uuid": self.workflow_uuid,
            "workflow_type": started.workflow_type.name,
            "task_queue": started.task_queue.name,
            "first_run_id": started.first_execution_run_id,
            "request_id": self.request_id,
            "attempt": started.attempt,
            "start_time": iso(at),
            "execution_time": iso(at + waits),
            "expires_at": None if self.expires_at is None else iso(self.expires_at),
            "history_length": len(self.events),
            **_ancestors(started),
            "memo": started.memo.SerializeToString() if started.memo.fields else None,
            "search_attributes": search_attributes_json(started.search_attributes),
            "started": journal.pack_bytes(self.events),
            "inputs": readable_inputs(started.input.payloads),
            "dbos_status": dbos_status,
            "executor_id": self.owner.executor_id if self.owner else None,
            "token": self.owner.token if self.owner else None,
            "delay_until": delay_until,
            "priority": rank(started.priority),
            "queue": self.owner.queue if self.owner else None,
            **pin_params(self.pin),
        }


def shown_attributes(attributes: SearchAttributes, versioning: Versioning) -> str:
    """Search attributes as the typed JSON column keeps them, with those of versions."""
    typed = typed_search_attributes(attributes)
    return json.dumps(typed | keywords(versioning.attributes()))


def version_params(versioning: Versioning) -> dict[str, str | None]:
    """Where a run belongs, as statements want it."""
    version = versioning.version
    return {
        "deployment": None if version is None else version.deployment_name,
        "build_id": None if version is None else version.build_id,
        **pin_params(versioning.pinned_to),
    }


def pin_params(pin: WorkerDeploymentVersion | None) -> dict[str, str | None]:
    """The version that a run is pinned to, as statements want it."""
    return {
        "pin_deployment": None if pin is None else pin.deployment_name,
        "pin_build_id": None if pin is None else pin.build_id,
    }


def _ancestors(started: WorkflowExecutionStartedEventAttributes) -> dict[str, Any]:
    parent, root = started.parent_workflow_execution, started.root_workflow_execution
    return {
        "parent_workflow_id": parent.workflow_id or None,
        "parent_run_id": parent.run_id or None,
        "root_workflow_id": root.workflow_id or None,
        "root_run_id": root.run_id or None,
    }


def expiration(
    started: WorkflowExecutionStartedEventAttributes, begins: int
) -> int | None:
    """When a run is out of time, or None: nanoseconds since 1970.

    Args:
        started: its start.
        begins: when its first task is due, from which a run's timeout counts.
    """
    moments = []
    if started.workflow_run_timeout.ToNanoseconds() > 0:
        moments.append(begins + started.workflow_run_timeout.ToNanoseconds())
    if started.HasField("workflow_execution_expiration_time"):
        moments.append(started.workflow_execution_expiration_time.ToNanoseconds())
    return min(moments, default=None)


def iso(nanoseconds: int) -> str:
    """A time as Postgres reads it, without a float between; at most the year 9999."""
    seconds = min(nanoseconds // 1_000_000_000, _END_OF_TIME)
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    micros = nanoseconds // 1000 % 1_000_000
    return moment.replace(microsecond=micros).isoformat()


def readable(payload: Payload) -> str:
    """A payload as JSON for DBOS's own tools: itself if it is JSON, else its bytes.

    Not every sender's JSON is any.
    """
    if payload.metadata.get("encoding") == b"json/plain":
        with suppress(ValueError):
            json.loads(payload.data)
            return payload.data.decode()
    return json.dumps({"payload": journal.pack_message(payload)})


def readable_inputs(payloads: Iterable[Payload]) -> str:
    """Arguments as JSON for DBOS's own tools."""
    given = [json.loads(readable(payload)) for payload in payloads]
    inputs = {"positionalArgs": given, "namedArgs": {}}
    return json.dumps(inputs).replace("\\u0000", "")


def readable_result(payloads: Payloads | None) -> str:
    """A workflow's result as JSON for DBOS's own tools."""
    if payloads is None or not payloads.payloads:
        return "null"
    return readable(payloads.payloads[0]).replace("\\u0000", "")


def readable_error(failure: Failure) -> str:
    """A workflow's failure as DBOS's portable error."""
    info = failure.application_failure_info
    return json.dumps(
        {"name": info.type or "WorkflowFailure", "message": failure.message}
    ).replace("\\u0000", "")


def search_attributes_json(attributes: SearchAttributes) -> str | None:
    """Search attributes as the typed JSON column keeps them."""
    typed = typed_search_attributes(attributes)
    return json.dumps(typed) if typed else None


def typed_search_attributes(attributes: SearchAttributes) -> dict[str, Any]:
    """Search attributes by name, each with what comparisons need."""
    kept = {
        name: document(payload) for name, payload in attributes.indexed_fields.items()
    }
    return {name: value for name, value in kept.items() if value is not None}


def search_attributes_of(typed: Mapping[str, Any]) -> SearchAttributes:
    """The inverse of `typed_search_attributes`."""
    return SearchAttributes(
        indexed_fields={name: as_sent(value) for name, value in typed.items()}
    )


async def start(
    database: Database,
    row: StartRow,
    reusable: Sequence[int],
    *,
    recognise: bool = True,
    also: Sequence[Call] = (),
) -> tuple[bool, bool, dict[str, Any] | None]:
    """Start a run unless the id's latest run forbids it.

    Args:
        database: of the namespace.
        row: the new run.
        reusable: statuses in which a closed latest run leaves the id free.
        recognise: whether a run that the same request started or joined is in the way.
        also: statements that go along; they look themselves whether there is a run.

    Returns:
        Whether it was started, whether by its owner, and the run that was the latest
        before, if any.
    """
    call = start_call(row, reusable, recognise=recognise)
    started = row.events[0].workflow_execution_started_event_attributes
    queue, priority = started.task_queue.name, started.priority
    also = [*fairness.place_one(row.workflow_uuid, queue, priority), *also]
    if also:
        rows, *_ = await database.fetch_together([call, *also])
    else:
        rows = await database.fetch(call.name, call.params)
    found = rows[0]
    latest = found if found["run_id"] is not None else None
    return bool(found["created"]), found["owned"], latest


def start_call(
    row: StartRow, reusable: Sequence[int], *, recognise: bool = True
) -> Call:
    """The statement of `start`."""
    known = row.request_id if recognise else None
    return Call(
        "start_run",
        row.params() | {"reusable": list(reusable), "known_request": known},
    )


def start_next(previous: str, row: StartRow) -> Call:
    """The statement that starts the next run of a chain as the last one closes."""
    return Call("start_next_run", row.params() | {"previous": previous})


async def find(
    database: Database, workflow_id: str, run_id: str | None
) -> dict[str, Any] | None:
    """A run, or the latest of a workflow id."""
    rows = await database.fetch(
        "find_run", {"workflow_id": workflow_id, "run_id": run_id}
    )
    return rows[0] if rows else None


async def find_in(
    connection: Connection, database: Database, workflow_id: str, run_id: str | None
) -> dict[str, Any] | None:
    """A run, or the latest of a workflow id, within a transaction."""
    rows = await database.run(
        connection, "find_run", {"workflow_id": workflow_id, "run_id": run_id}
    )
    return rows[0] if rows else None


async def forget(database: Database, workflow_uuid: str) -> None:
    """Let go of an open run whose DBOS row is gone: somebody deleted it there."""
    await database.fetch("forget_run", {"workflow_uuid": workflow_uuid})


async def open_ones(database: Database, workflow_uuids: Sequence[str]) -> set[str]:
    """Which of some runs are still open."""
    rows = await database.fetch("open_runs", {"workflow_uuids": list(workflow_uuids)})
    return {row["workflow_uuid"] for row in rows}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run is closed from outside its workflow code."""

    event: HistoryEvent
    """The last one; it gets its number when the run is closed."""
    status: WorkflowExecutionStatus.ValueType
    dbos_status: str
    step: str
    """What DBOS's tools call it."""
    error: str | None = None
    next: StartRow | None = None
    replaced: bool = False
    """Whether a reset has made another run that parent and children belong to now."""
    entries: Sequence[Entry] = ()
    """What lies in the outbox because of it."""


async def end(
    connection: Connection,
    database: Database,
    workflow_uuid: str,
    ending: Ending,
    step: tuple[int, Step],
    *,
    history_size: int,
) -> bool:
    """Close a run from outside, in a transaction that holds its status row's lock."""
    number, content = step
    event = content.events[-1]
    rows = await database.run(
        connection,
        "end_run",
        {
            "workflow_uuid": workflow_uuid,
            "status": int(ending.status),
            "dbos_status": ending.dbos_status,
            "error": ending.error,
            "next_run_id": ending.next.run_id if ending.next else None,
            "close_time": iso(event.event_time.ToNanoseconds()),
            "history_length": event.event_id,
            "history_size": history_size,
            "step_id": number,
            "step_name": content.name,
            "step_output": content.encode(),
            "step_ms": content.completed_ms,
        },
    )
    if rows and ending.next is not None:
        call = start_next(workflow_uuid, ending.next)
        await database.run(connection, call.name, call.params)
    return bool(rows)


async def delete(
    connection: Connection, database: Database, workflow_uuid: str
) -> None:
    """Delete a closed run, in a transaction that holds its status row's lock."""
    await database.run(connection, "delete_run", {"workflow_uuid": workflow_uuid})


async def expired(database: Database) -> list[str]:
    """Open runs that are out of time, the longest first; not all if there are many."""
    rows = await database.fetch("expired_runs", {})
    return [row["workflow_uuid"] for row in rows]
