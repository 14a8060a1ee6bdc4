"""Storing what became of an activity's attempt, and hinting those whom it concerns.

An activity that is over becomes a message to its run; one that is to be tried again
goes back to its queue. Whoever decides it (the attempt's own process, a request from
outside, the clock) stores it here.
"""

from __future__ import annotations

from dbosify._model import ids
from dbosify._model.activity import ActivityRow, AttemptState
from dbosify._store import activities
from dbosify._store.engine import Database, Rows

from .context import Surroundings


async def store(database: Database, around: Surroundings, row: ActivityRow) -> bool:
    """Store an attempt that is over; False if it was not the valid one any more."""
    call = activities.outcome(row)
    rows = await database.fetch(call.name, call.params)
    tell(around, row, rows)
    return bool(rows)


def tell(around: Surroundings, row: ActivityRow, stored: Rows) -> None:
    """Hint those whom an outcome concerns, once it is committed.

    Args:
        around: the process.
        row: the activity, as stored.
        stored: what the statement of `activities.outcome` answered.
    """
    if not stored:
        return
    if row.standalone and row.state is AttemptState.OVER:
        tell_ended(around, row.task_id, stored)
    elif row.state is AttemptState.OVER:
        around.messaged(stored[0]["workflow_uuid"])
        if stored[0]["executor_id"] is None:
            around.run_queued(stored[0]["queue_name"])
    elif row.state is AttemptState.BACKOFF:
        around.wake_at(row.progress.attempt_scheduled_at)
    else:
        options = row.scheduled.activity_task_scheduled_event_attributes
        around.run_queued(ids.activity_queue(options.task_queue.name))


def tell_ended(around: Surroundings, task_id: str, stored: Rows) -> None:
    """Hint those whom the end of an activity without a workflow concerns.

    Args:
        around: the process.
        task_id: the activity's.
        stored: what the statement of `activities.end_standalone` answered.
    """
    around.closed(task_id, None)
    if stored and stored[0]["owed"] is not None:
        around.deliver([activities.report_of(task_id)])
