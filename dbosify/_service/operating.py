"""What operators do to activities that are not over: pause, unpause, reset, change.

Each is a change of the activity's row. It is refused by the row if the attempt is
another one by then, and tried again on what is there.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from dbosify._model import clock, ids
from dbosify._model.activity import ActivityRow, AttemptState, Pause
from dbosify._model.protos import Duration, HistoryEvent
from dbosify._store import activities, journal
from dbosify._store.activities import Known

from . import errors
from .context import Context
from .ending import find_run

_STARTED, _SCHEDULED = AttemptState.STARTED, AttemptState.SCHEDULED


@dataclass(frozen=True, slots=True)
class Which:
    """Which activities of a run are meant.

    Attributes:
        activity_id: One, or
        activity_type: All of this type, or
        all: All.
    """

    activity_id: str = ""
    activity_type: str = ""
    all: bool = False

    def means(self, row: ActivityRow) -> bool:
        """Whether an activity is among them."""
        options = row.scheduled.activity_task_scheduled_event_attributes
        if self.activity_id:
            return options.activity_id == self.activity_id
        return self.all or options.activity_type.name == self.activity_type


Change = Callable[[ActivityRow, float], bool]
"""Changes a row, at a time; returns whether the details of heartbeats are forgotten."""


async def operate(
    context: Context,
    workflow_id: str,
    run_id: str | None,
    which: Which,
    change: Change,
) -> list[ActivityRow]:
    """Change activities of a run.

    Returns:
        The activities, as they are now.

    Raises:
        RPCError: there is no such run or activity, or the run is closed.
    """
    run = await find_run(context, workflow_id, run_id)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    if run["close_time"] is not None:
        raise errors.already_completed()
    rows = await activities.of_run(context.database, run["run_id"])
    meant = [row for row in rows if which.means(row)]
    if not meant and not which.all:
        raise not_pending()
    changed = [await _change(context, row, change) for row in meant]
    return [row for row in changed if row is not None]


def not_pending() -> Exception:
    """There is no such activity."""
    return errors.not_found(
        "Can't find pending activity with such ID. Invalid activityID or activity"
        " already completed"
    )


async def _change(
    context: Context, row: ActivityRow | None, change: Change
) -> ActivityRow | None:
    while row is not None:
        before = Known(row.token, row.progress.attempt, row.state)
        forget = change(row, clock.seconds(context.around.now()))
        row.deadline = context.around.attempt(row).deadline
        call = activities.change(row, before, forget_details=forget)
        if await context.database.fetch(call.name, call.params):
            _tell(context, row)
            return row
        row = await activities.find(context.database, row.run_id, task_id=row.task_id)
    return None


def _tell(context: Context, row: ActivityRow) -> None:
    if row.progress.pause is not None or row.state is _STARTED:
        return
    if row.state is AttemptState.BACKOFF:
        context.around.wake_at(row.progress.attempt_scheduled_at)
        return
    options = row.scheduled.activity_task_scheduled_event_attributes
    context.around.run_queued(ids.activity_queue(options.task_queue.name))


def pausing(identity: str, reason: str) -> Change:
    """No attempt begins any more; one that runs is told when it heartbeats."""

    def pause(row: ActivityRow, now: float) -> bool:
        if row.progress.pause is None:
            row.progress.pause = Pause(now, identity, reason)
        return False

    return pause


def unpausing(*, attempts: bool, heartbeat: bool, jitter: Duration) -> Change:
    """Attempts may begin again.

    Args:
        attempts: whether they are counted from one again.
        heartbeat: whether the details of heartbeats are forgotten.
        jitter: what the next one may wait, at most.
    """

    def unpause(row: ActivityRow, now: float) -> bool:
        if row.progress.pause is None:
            return False
        row.progress.pause = None
        if attempts:
            row.progress.attempt = 1
            _at_once(row, now)
        _jitter(row, now, jitter)
        return heartbeat

    return unpause


def resetting(
    *,
    heartbeat: bool,
    keep_paused: bool,
    jitter: Duration,
    original: dict[int, HistoryEvent] | None = None,
) -> Change:
    """Attempts are counted from one again, and the next does not wait.

    Args:
        heartbeat: whether the details of heartbeats are forgotten.
        keep_paused: whether a paused activity stays so.
        jitter: what the next attempt may wait, at most.
        original: the options that activities had at first, to have them again.
    """

    def reset(row: ActivityRow, now: float) -> bool:
        progress = row.progress
        if not keep_paused:
            progress.pause = None
        if row.state is _STARTED:
            if progress.attempt > 1:
                # As in Temporal, nobody has the attempt any more that now is the
                # first: the one that runs is told so, and this one times out.
                row.token = str(uuid.uuid4())
            progress.reset_requested = True
        else:
            _at_once(row, now)
            _jitter(row, now, jitter)
        progress.attempt = 1
        if original is not None:
            restoring(original)(row, now)
        return heartbeat

    return reset


def restoring(original: dict[int, HistoryEvent]) -> Change:
    """Activities have the options again that they had at first."""

    def restore(row: ActivityRow, now: float) -> bool:
        at_first = original[row.scheduled.event_id]
        row.scheduled.activity_task_scheduled_event_attributes.CopyFrom(
            at_first.activity_task_scheduled_event_attributes
        )
        return False

    return restore


async def original_options(
    context: Context, workflow_id: str, run_id: str | None
) -> dict[int, HistoryEvent]:
    """The events by which a run's activities were scheduled, by their numbers."""
    run = await find_run(context, workflow_id, run_id)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    loaded = await journal.load(context.database, run["workflow_uuid"])
    events = loaded.events if loaded is not None else []
    return {
        event.event_id: event
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    }


def _at_once(row: ActivityRow, now: float) -> None:
    """Let the next attempt begin now, if it waits."""
    if row.state is AttemptState.BACKOFF:
        row.state = _SCHEDULED
    if row.state is _SCHEDULED:
        row.progress.attempt_scheduled_at = now


def _jitter(row: ActivityRow, now: float, jitter: Duration) -> None:
    most = clock.seconds(jitter)
    if most > 0 and row.state is _SCHEDULED:
        row.state = AttemptState.BACKOFF
        row.progress.attempt_scheduled_at = now + random.uniform(0, most)  # noqa: S311
