"""The journal: the run's official history, cut into the steps that DBOS's tools show.

Each step is one thing that happened to the run (its start, a signal, an activity's
outcome, a timer) with the history events it brought; the workflow task that took it
in, and the events of that task's commands, stand in the last step of the task. Read in
order, the steps' events are Temporal's history, event ids and all.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message

from . import clock
from .protos import EventType, History, HistoryEvent

_CLOSED = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminate",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "time out",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: "cancel",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: "start",
}

_ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
_TASK = "workflow task"
_OF_OTHERS = frozenset(
    {
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
    }
)
"""What became of a child, or of a message to another workflow."""

_NEXUS_ANSWERS = {
    EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED: "started",
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED: "asked to cancel",
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED: "refuses to cancel",
}
"""What an operation that is not over yet has answered."""

NEWS = frozenset(
    {
        *_CLOSED,
        *_OF_OTHERS,
        *_NEXUS_ANSWERS,
        EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_CANCELED,
        EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
        EventType.EVENT_TYPE_TIMER_FIRED,
    }
)
"""Events that end a step's own part: what follows belongs to the workflow task."""


_BEGINNING = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
_UNREADABLE = (DecodeError, KeyError, TypeError, ValueError)
"""What comes of reading as JSON, base64 and protobuf what is something else."""


class Damaged(Exception):
    """What stands in a run's rows is nothing that dbosify has written."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the journal."""

    name: str
    events: tuple[HistoryEvent, ...]

    @property
    def started_ms(self) -> int:
        """When it began, milliseconds since 1970."""
        return clock.milliseconds(self.events[0].event_time)

    @property
    def completed_ms(self) -> int:
        """When it ended, milliseconds since 1970."""
        return clock.milliseconds(self.events[-1].event_time)

    def encode(self) -> str:
        """The step's output column."""
        return json.dumps({"history": pack(self.events)})


def pack(events: Iterable[HistoryEvent]) -> str:
    """Events as text."""
    return base64.b64encode(History(events=events).SerializeToString()).decode()


def unpack(text: str) -> list[HistoryEvent]:
    """The inverse of `pack`."""
    return list(History.FromString(base64.b64decode(text)).events)


def pack_bytes(events: Iterable[HistoryEvent]) -> bytes:
    """Events as a serialised `History`."""
    return History(events=events).SerializeToString()


def pack_message(message: Message) -> str:
    """Any protobuf message as text."""
    return base64.b64encode(message.SerializeToString()).decode()


def unpack_bytes(data: bytes) -> list[HistoryEvent]:
    """Events stored as a serialised `History`."""
    return list(History.FromString(data).events)


def unpack_start(data: bytes) -> list[HistoryEvent]:
    """The events that a run was started with.

    Raises:
        Damaged: it holds something else.
    """
    try:
        events = unpack_bytes(data)
    except _UNREADABLE:
        events = []
    if not events or events[0].event_type != _BEGINNING:
        raise Damaged("the start in the journal of the run is damaged")
    return events


def decode(output: str) -> list[HistoryEvent]:
    """The events of a step's output column.

    Raises:
        Damaged: it holds something else.
    """
    try:
        return unpack(json.loads(output)["history"])
    except _UNREADABLE:
        raise Damaged("a step in the journal of the run is damaged") from None


def decode_message(message: str) -> tuple[int, list[HistoryEvent]]:
    """A message's place in the inbox, and its events.

    Raises:
        Damaged: it holds something else.
    """
    try:
        content = json.loads(message)
        return int(content["n"]), unpack(content["history"])
    except _UNREADABLE:
        raise Damaged("a message in the inbox of the run is damaged") from None


def steps(
    events: Sequence[HistoryEvent], names: Names, default: str = _TASK
) -> list[Step]:
    """Cut the events of a turn into steps.

    Args:
        events: of the turn, with their ids.
        names: of the run.
        default: for a turn that brought no news, and accepted no update.

    Returns:
        Nothing for a turn without events: it only rejected updates.
    """
    result: list[Step] = []
    current: list[HistoryEvent] = []
    name = ""
    for event in events:
        if name and _begins_step(event):
            result.append(Step(name, tuple(current)))
            current, name = [], ""
        current.append(event)
        names.learn(event)
        if not name and event.event_type in NEWS:
            name = names.of(event)
        elif event.event_type == _ACCEPTED and default == _TASK:
            accepted = event.workflow_execution_update_accepted_event_attributes
            default = f"update {accepted.accepted_request.input.name}"
    if current:
        result.append(Step(name or default, tuple(current)))
    return result


def _begins_step(event: HistoryEvent) -> bool:
    return (
        event.event_type in NEWS
        or event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    )


_TO_OTHERS = (
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
)


def _to_other(event: HistoryEvent) -> str:
    attributes: Any = getattr(event, event.WhichOneof("attributes") or "")
    match event.event_type:
        case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
            return f"child {attributes.workflow_type.name}"
        case EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
            target = attributes.workflow_execution.workflow_id
            return f"signal {attributes.signal_name} to {target}"
        case EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED:
            return f"nexus {attributes.service} {attributes.operation}"
        case _:
            return f"cancel {attributes.workflow_execution.workflow_id}"


class Names:
    """Names steps; remembers what activities, timers and children were called.

    A closing event tells only the number of the event that opened it, so the names are
    kept while they are open.
    """

    def __init__(self) -> None:
        self._open: dict[int, str] = {}

    def learn(self, event: HistoryEvent) -> None:
        """Remember an event that opens something."""
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            self._open[event.event_id] = f"activity {scheduled.activity_type.name}"
        elif event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
            delay = event.timer_started_event_attributes.start_to_fire_timeout
            self._open[event.event_id] = f"timer {clock.seconds(delay):g}s"
        elif event.event_type in _TO_OTHERS:
            self._open[event.event_id] = _to_other(event)

    def of(self, event: HistoryEvent) -> str:
        """The name of the step that `event` makes."""
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                signaled = event.workflow_execution_signaled_event_attributes
                return f"signal {signaled.signal_name}"
            case EventType.EVENT_TYPE_TIMER_FIRED:
                return self._close(event.timer_fired_event_attributes.started_event_id)
            case kind if kind in _CLOSED:
                return _CLOSED[kind]
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
                started = event.child_workflow_execution_started_event_attributes
                return f"child {started.workflow_type.name} started"
            case kind if kind in _NEXUS_ANSWERS:
                attributes = getattr(event, event.WhichOneof("attributes") or "")
                name = self._open.get(attributes.scheduled_event_id, "nexus")
                return f"{name} {_NEXUS_ANSWERS[kind]}"
            case kind if kind in _OF_OTHERS:
                attributes = getattr(event, event.WhichOneof("attributes") or "")
                return self._close(attributes.initiated_event_id)
            case _:
                attributes = getattr(event, event.WhichOneof("attributes") or "")
                return self._close(attributes.scheduled_event_id)

    def _close(self, opened: int) -> str:
        return self._open.pop(opened, "activity")
