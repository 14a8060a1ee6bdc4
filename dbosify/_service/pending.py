"""What a run's history already shows although no turn has journaled it.

Messages in the inbox stand in Temporal's history the moment they are sent. Here they
are journaled by the turn that takes them in; until then readers get them appended, with
the ids that this turn will give them, and so does the journal of a run that is
terminated before anyone took them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.api.history.v1 import WorkflowTaskScheduledEventAttributes

from dbosify._model import clock, links
from dbosify._model.protos import EventType, HistoryEvent, Timestamp
from dbosify._store.inboxes import Inbox

_SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
_TASK_OVER = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
)


def pending_events(
    events: Sequence[HistoryEvent],
    inbox: Inbox | None,
    run: dict[str, Any],
    now: Timestamp,
) -> list[HistoryEvent]:
    """The events that follow `events` in the history of an open run.

    Args:
        events: journaled, all of them.
        inbox: of the run, read after the journal.
        run: its row.
        now: the database's time.
    """
    groups = sorted(
        inbox.groups if inbox is not None else [],
        key=lambda group: clock.nanoseconds(group[-1].event_time),
    )
    result = [event for group in groups for event in group]
    # A cancel request, say, puts an end to the wait: then the run is parked no more.
    waiting = run["dbos_status"] == "DELAYED" and (
        run["execution_time"].timestamp() > clock.seconds(now)
    )
    news = any(not event.worker_may_ignore for event in result)
    # An update has no event, but the task that will show it is there already.
    news = news or (inbox is not None and bool(inbox.updates))
    due = not waiting and (news or not _had_task(events))
    if due and not _has_open_task(events):
        result.append(_task(events[0], result[-1].event_time if result else now))
    first = events[-1].event_id + 1
    for number, event in enumerate(result, first):
        event.event_id = event.task_id = number
        links.to_earlier(event, [*events, *result[: number - first]])
    return result


def _has_open_task(events: Sequence[HistoryEvent]) -> bool:
    for event in reversed(events):
        if event.event_type == _SCHEDULED:
            return True
        if event.event_type in _TASK_OVER:
            return False
    return False


def _had_task(events: Sequence[HistoryEvent]) -> bool:
    return any(event.event_type == _SCHEDULED for event in events)


def _task(start: HistoryEvent, at: Timestamp) -> HistoryEvent:
    started = start.workflow_execution_started_event_attributes
    return HistoryEvent(
        event_time=at,
        event_type=_SCHEDULED,
        workflow_task_scheduled_event_attributes=WorkflowTaskScheduledEventAttributes(
            task_queue=started.task_queue,
            start_to_close_timeout=started.workflow_task_timeout,
            attempt=1,
        ),
    )
