"""Schedules as rows: made, locked, stored, found when they are due.

A row is changed only under its lock, in the transaction that also starts and ends what
the schedule wants; so whatever dies in between, each time fires once.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio.api.schedule.v1 import BackfillRequest, Schedule, ScheduleInfo

from dbosify._model import journal
from dbosify._model.conditions import Condition
from dbosify._model.protos import Failure, Memo, Payloads, WorkflowExecution
from dbosify._model.schedules.overlap import Start
from dbosify._model.schedules.scheduler import Record

from .engine import Connection, Database
from .runs import iso
from .visibility import of_schedules


@dataclass(slots=True)
class ScheduleRow:
    """A schedule and what is kept beside it."""

    record: Record
    request_id: str
    now: int
    """The database's time when it was read, nanoseconds since 1970."""
    memo: Memo | None = None
    search_attributes: dict[str, Any] = field(default_factory=dict)
    """By name, each with its type and its value."""
    deleted_at: datetime | None = None


def read(row: dict[str, Any]) -> ScheduleRow:
    """A schedule from its row in the table."""
    progress = row["progress"]
    record = Record(
        row["schedule_id"],
        Schedule.FromString(row["schedule"]),
        ScheduleInfo.FromString(row["info"]),
        conflict_token=row["conflict_token"],
        processed=progress["processed"],
        waiting=[
            Start(nominal, at, policy, manual=manual)
            for nominal, at, policy, manual in progress["waiting"]
        ],
        backfills=[
            BackfillRequest.FromString(base64.b64decode(text))
            for text in progress["backfills"]
        ],
        last_result=_unpack(Payloads, progress["last_result"]),
        last_failure=_unpack(Failure, progress["last_failure"]),
    )
    return ScheduleRow(
        record,
        row["request_id"],
        row["now_us"] * 1000,
        Memo.FromString(row["memo"]) if row["memo"] is not None else None,
        row["search_attributes"] or {},
        row["deleted_at"],
    )


def _unpack(kind: type[Any], text: str | None) -> Any:
    return kind.FromString(base64.b64decode(text)) if text is not None else None


def _json(value: dict[str, Any]) -> str | None:
    return json.dumps(value) if value else None


def _params(record: Record) -> dict[str, Any]:
    result, failure = record.last_result, record.last_failure
    return {
        "schedule_id": record.schedule_id,
        "schedule": record.schedule.SerializeToString(),
        "info": record.info.SerializeToString(),
        "progress": json.dumps(
            {
                "processed": record.processed,
                "waiting": [
                    [start.nominal, start.at, start.policy, start.manual]
                    for start in record.waiting
                ],
                "backfills": [journal.pack_message(each) for each in record.backfills],
                "last_result": journal.pack_message(result) if result else None,
                "last_failure": journal.pack_message(failure) if failure else None,
            }
        ),
        "conflict_token": record.conflict_token,
        "paused": record.schedule.state.paused,
    }


async def create(connection: Connection, database: Database, row: ScheduleRow) -> bool:
    """Make a schedule, unless there is one; its row is locked then."""
    created = await database.run(
        connection,
        "create_schedule",
        _params(row.record)
        | {
            "request_id": row.request_id,
            "created_at": iso(row.now),
            "memo": row.memo.SerializeToString() if row.memo is not None else None,
            "search_attributes": _json(row.search_attributes),
        },
    )
    return bool(created)


async def find(database: Database, schedule_id: str) -> ScheduleRow | None:
    """A schedule, even a deleted one."""
    rows = await database.fetch("find_schedule", {"schedule_id": schedule_id})
    return read(rows[0]) if rows else None


async def lock(
    connection: Connection, database: Database, schedule_id: str
) -> ScheduleRow | None:
    """A schedule, even a deleted one, for the transaction alone."""
    rows = await database.run(connection, "lock_schedule", {"schedule_id": schedule_id})
    return read(rows[0]) if rows else None


async def due(connection: Connection, database: Database) -> dict[str, Any] | None:
    """A schedule that has something to do, for the transaction alone.

    Returns:
        Its row as it stands in the table, for `read`: that it cannot be read must not
        hide which one it is.
    """
    rows = await database.run(connection, "due_schedule", {})
    return rows[0] if rows else None


async def save(
    connection: Connection,
    database: Database,
    row: ScheduleRow,
    *,
    next_look: int | None,
) -> None:
    """Store a locked schedule, to be looked at again at `next_look` (nanoseconds)."""
    running = row.record.info.running_workflows if row.record.waiting else []
    await database.run(
        connection,
        "save_schedule",
        _params(row.record)
        | {
            "next_look": iso(next_look) if next_look is not None else None,
            "deleted_at": row.deleted_at,
            "awaited_workflow_ids": [each.workflow_id for each in running] or None,
            "awaited_run_ids": [each.run_id for each in running] or None,
            "search_attributes": _json(row.search_attributes),
        },
    )


async def hold(database: Database, schedule_id: str, seconds: float) -> None:
    """Leave a schedule alone for some seconds."""
    await database.fetch(
        "hold_schedule", {"schedule_id": schedule_id, "seconds": seconds}
    )


async def end_of_chain(
    connection: Connection, database: Database, workflow_id: str, first_run_id: str
) -> dict[str, Any] | None:
    """The newest run of a chain."""
    rows = await database.run(
        connection,
        "end_of_chain",
        {"workflow_id": workflow_id, "first_run_id": first_run_id},
    )
    return rows[0] if rows else None


async def still_running(
    database: Database, executions: Sequence[WorkflowExecution]
) -> list[WorkflowExecution]:
    """Those of some workflows, named by their first runs, that are not over."""
    if not executions:
        return []
    rows = await database.fetch(
        "open_chains",
        {
            "workflow_ids": [each.workflow_id for each in executions],
            "run_ids": [each.run_id for each in executions],
        },
    )
    found = {(row["workflow_id"], row["run_id"]) for row in rows}
    return [each for each in executions if (each.workflow_id, each.run_id) in found]


async def newest(
    database: Database,
    condition: Condition | None,
    size: int,
    before: tuple[str, str] | None,
) -> list[ScheduleRow]:
    """A page of the schedules, newest first.

    Args:
        database: of the namespace.
        condition: that they meet; None for all.
        size: of the page.
        before: creation time and id of the last one on the page before.
    """
    created_at, schedule_id = before or (None, None)
    text, params = of_schedules("list_schedules", database, condition)
    place = {"size": size, "created_at": created_at, "schedule_id": schedule_id}
    rows = await database.fetch_composed(text, params | place)
    return [read(row) for row in rows]


async def count(database: Database, condition: Condition | None) -> int:
    """How many schedules meet a condition."""
    text, params = of_schedules("count_schedules", database, condition)
    return int((await database.fetch_composed(text, params))[0]["count"])
