"""Activities that are not over, as rows: one for each, wherever it runs.

A row with `eager` belongs to the process that owns the run and goes with it; any other
is also a DBOS workflow on the activity queue, and whoever claims that gets a token that
its heartbeats and its outcome must show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dbosify._model import journal, standalone
from dbosify._model.activity import ActivityRow, AttemptState, Pause, Progress, rank
from dbosify._model.outbox import Entry, Kind
from dbosify._model.protos import (
    ActivityExecutionOutcome,
    Failure,
    HistoryEvent,
    Payloads,
)

from . import outbox
from .claims import PARKED_FOR_EVER, Owner, Share
from .engine import Call, Connection, Database


@dataclass(frozen=True, slots=True)
class Known:
    """By what a row is recognised as the one that was read."""

    token: str | None
    attempt: int
    state: AttemptState


def of_row(row: dict[str, Any], orphaned: bool = False) -> ActivityRow:
    """An activity as a statement tells of it."""
    details, failure = row["heartbeat_details"], row["last_failure"]
    progress = Progress(
        attempt=row["attempt"],
        attempt_scheduled_at=row["attempt_scheduled_s"],
        started_at=row["started_s"],
        completed_at=row["completed_s"],
        heartbeat_at=row["heartbeat_s"],
        heartbeat=Payloads.FromString(details) if details is not None else None,
        last_failure=Failure.FromString(failure) if failure is not None else None,
        identity=row["worker_identity"] or "",
        token=row["token"] or "",
        cancel_requested=row["cancel_requested"],
        pause=_pause(row),
        reset_requested=row["reset_requested"],
    )
    return ActivityRow(
        task_id=row["task_id"],
        workflow_uuid=row["workflow_uuid"] or "",
        workflow_id=row["workflow_id"] or "",
        run_id=row["run_id"],
        workflow_type=row["workflow_type"] or "",
        scheduled=HistoryEvent.FromString(row["task"]),
        progress=progress,
        state=AttemptState(row["state"]),
        executor_id=row["executor_id"],
        token=row["token"],
        eager=row["eager"],
        orphaned=orphaned,
    )


def _pause(row: dict[str, Any]) -> Pause | None:
    if row["paused_at"] is None:
        return None
    return Pause(row["paused_at"].timestamp(), row["paused_by"], row["pause_reason"])


async def of_run(database: Database, run_id: str) -> list[ActivityRow]:
    """The activities of a run that are not over."""
    rows = await database.fetch("load_activities", {"run_id": run_id})
    return [of_row(row) for row in rows]


async def claim(
    database: Database,
    owner: Owner,
    *,
    identity: str,
    now: float,
    share: Share,
) -> tuple[list[ActivityRow], bool]:
    """Take a share of the activities of the owner's queue; tell if some are left."""
    rows = await database.fetch(
        "claim_activities",
        {
            "queue": owner.queue,
            "limit": share.limit,
            "processes": share.processes,
            "token": owner.token,
            "executor_id": owner.executor_id,
            "identity": identity,
            "now": now,
        },
    )
    return [of_row(row) for row in rows], share.leaves_some(rows)


async def find(
    database: Database,
    run_id: str,
    *,
    task_id: str | None = None,
    activity_id: str | None = None,
) -> ActivityRow | None:
    """An activity of a run that is not over, by either of its ids."""
    rows = await database.fetch(
        "find_activity",
        {"run_id": run_id, "task_id": task_id, "activity_id": activity_id},
    )
    return of_row(rows[0]) if rows else None


def outcome(row: ActivityRow) -> Call:
    """Store what became of an attempt, if `row.token` is still valid."""
    return end(row) if row.state is AttemptState.OVER else requeue(row)


def requeue(row: ActivityRow) -> Call:
    """Store the end of an attempt and queue the next, if `row.token` is still valid."""
    progress = row.progress
    delay_until = None
    if row.state is AttemptState.BACKOFF:
        delay_until = int(progress.attempt_scheduled_at * 1000)
    return Call(
        "requeue_activity",
        {
            "task_id": row.task_id,
            "token": row.token,
            "attempt": progress.attempt,
            "state": int(row.state),
            "cancel_requested": progress.cancel_requested,
            "attempt_scheduled": progress.attempt_scheduled_at,
            "completed": progress.completed_at,
            "heartbeat": progress.heartbeat_at,
            "details": _bytes(progress.heartbeat),
            "failure": _bytes(progress.last_failure),
            "deadline": row.deadline,
            "delay_until": delay_until,
            "for_ever": PARKED_FOR_EVER,
            "priority": rank(
                row.scheduled.activity_task_scheduled_event_attributes.priority
            ),
        },
    )


def change(row: ActivityRow, before: Known, *, forget_details: bool) -> Call:
    """Store what an operator did to an activity, if it still is what it was.

    Args:
        row: as it is to be.
        before: what was known of it.
        forget_details: whether its heartbeats are forgotten.
    """
    progress = row.progress
    delay_until = None
    if progress.pause is not None:
        delay_until = PARKED_FOR_EVER
    elif row.state is AttemptState.BACKOFF:
        delay_until = int(progress.attempt_scheduled_at * 1000)
    options = row.scheduled.activity_task_scheduled_event_attributes
    return Call(
        "change_activity",
        {
            "task_id": row.task_id,
            "token": before.token,
            "known_attempt": before.attempt,
            "known_state": int(before.state),
            "new_token": row.token,
            "task": row.scheduled.SerializeToString(),
            "task_queue": options.task_queue.name,
            "attempt": progress.attempt,
            "state": int(row.state),
            "attempt_scheduled": progress.attempt_scheduled_at,
            "forget_details": forget_details,
            "paused_at": progress.pause.at if progress.pause else None,
            "paused_by": progress.pause.identity if progress.pause else None,
            "pause_reason": progress.pause.reason if progress.pause else None,
            "reset_requested": progress.reset_requested,
            "deadline": row.deadline,
            "delay_until": delay_until,
        },
    )


def postpone(row: ActivityRow) -> Call:
    """Look at a running activity again at its deadline."""
    return Call("postpone_activity", {"task_id": row.task_id, "deadline": row.deadline})


def end(row: ActivityRow) -> Call:
    """The activity is over: its run gets a message, if it has one."""
    assert row.closing is not None, "the attempt machine closed it"
    if row.standalone:
        status, outcome = standalone.outcome_of(row.closing, row.cancel_reason)
        return end_standalone(row, status, outcome)
    return Call(
        "end_activity",
        {
            "task_id": row.task_id,
            "token": row.token,
            "dbos_status": _dbos_status(row.closing[-1]),
            "events": journal.pack(row.closing),
        },
    )


def report_of(task_id: str) -> Entry:
    """What an activity that is over owes those who asked to be told."""
    return Entry(task_id, Kind.ACTIVITY_CALL_BACK, 0, ())


def end_standalone(
    row: ActivityRow, status: int, outcome: ActivityExecutionOutcome
) -> Call:
    """An activity without a workflow is over: its own row tells how."""
    progress = row.progress
    return Call(
        "end_standalone",
        {
            "report_id": report_of(row.task_id).entry_id,
            "report": Kind.ACTIVITY_CALL_BACK.value,
            "head_start": outbox.HEAD_START,
            "task_id": row.task_id,
            "token": row.token,
            "status": status,
            "dbos_status": standalone.DBOS_STATUSES[status],
            "outcome": outcome.SerializeToString(),
            "attempt": progress.attempt,
            "started": progress.started_at,
            "completed": standalone.last_attempt_end(row),
            "heartbeat": progress.heartbeat_at,
            "details": _bytes(progress.heartbeat),
            "failure": _bytes(standalone.last_failure(row, outcome)),
            "identity": progress.identity,
        },
    )


def _dbos_status(event: HistoryEvent) -> str:
    match event.WhichOneof("attributes"):
        case "activity_task_completed_event_attributes":
            return "SUCCESS"
        case "activity_task_canceled_event_attributes":
            return "CANCELLED"
        case _:
            return "ERROR"


def beat(row: ActivityRow) -> Call:
    """Store a heartbeat."""
    progress = row.progress
    return Call(
        "beat_activity",
        {
            "task_id": row.task_id,
            "token": row.token,
            "now": progress.heartbeat_at,
            "details": _bytes(progress.heartbeat),
            "deadline": row.deadline,
        },
    )


def ask_cancel(task_ids: Sequence[str], run_token: str, identity: str) -> Call:
    """Note that the workflow, on the worker `identity`, wants activities to end."""
    return Call(
        "ask_cancel",
        {"task_ids": list(task_ids), "token": run_token, "identity": identity},
    )


async def due(database: Database, connection: Connection) -> list[ActivityRow]:
    """Lock queued activities whose time is up or whose worker is gone."""
    found = await database.run(connection, "due_activities", {})
    # A row may have been claimed while we waited for it, by a worker that the first
    # statement's snapshot had not seen or not connected to it.
    executors = [row["executor_id"] for row in found if row["executor_id"] is not None]
    live = await database.run(connection, "live_workers", {"executor_ids": executors})
    alive = {row["executor_id"] for row in live}
    return [
        of_row(row, orphaned=row["executor_id"] not in {None, *alive}) for row in found
    ]


def _bytes(message: Payloads | Failure | None) -> bytes | None:
    return message.SerializeToString() if message is not None else None


def detach(row: ActivityRow) -> Call:
    """Let a running activity go on without its run's owner."""
    return Call(
        "detach_activity",
        {
            "task_id": row.task_id,
            "token": row.token,
            "executor_id": row.executor_id,
            "deadline": row.deadline,
        },
    )


def hand_out(row: ActivityRow) -> Call:
    """Let an attempt go on outside of any worker."""
    return Call(
        "hand_out_activity",
        {"task_id": row.task_id, "token": row.token, "deadline": row.deadline},
    )
