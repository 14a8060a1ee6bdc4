"""The journal: events as text, and the steps that DBOS's tools show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from temporalio.api.history.v1 import (
    ActivityTaskCanceledEventAttributes,
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
    ActivityTaskScheduledEventAttributes,
    ActivityTaskStartedEventAttributes,
    ActivityTaskTimedOutEventAttributes,
    TimerFiredEventAttributes,
    TimerStartedEventAttributes,
    WorkflowExecutionCancelRequestedEventAttributes,
    WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionStartedEventAttributes,
    WorkflowExecutionTerminatedEventAttributes,
    WorkflowExecutionTimedOutEventAttributes,
    WorkflowExecutionUpdateAcceptedEventAttributes,
    WorkflowTaskCompletedEventAttributes,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStartedEventAttributes,
)

from dbosify._model import clock, journal
from dbosify._model.journal import Names, Step, steps
from dbosify._model.protos import ActivityType, EventType, HistoryEvent

KINDS: dict[type[Any], str] = {
    ActivityTaskCanceledEventAttributes: "activity_task_canceled",
    ActivityTaskCompletedEventAttributes: "activity_task_completed",
    ActivityTaskFailedEventAttributes: "activity_task_failed",
    ActivityTaskScheduledEventAttributes: "activity_task_scheduled",
    ActivityTaskStartedEventAttributes: "activity_task_started",
    ActivityTaskTimedOutEventAttributes: "activity_task_timed_out",
    TimerFiredEventAttributes: "timer_fired",
    TimerStartedEventAttributes: "timer_started",
    WorkflowExecutionCancelRequestedEventAttributes: (
        "workflow_execution_cancel_requested"
    ),
    WorkflowExecutionSignaledEventAttributes: "workflow_execution_signaled",
    WorkflowExecutionStartedEventAttributes: "workflow_execution_started",
    WorkflowExecutionTerminatedEventAttributes: "workflow_execution_terminated",
    WorkflowExecutionTimedOutEventAttributes: "workflow_execution_timed_out",
    WorkflowExecutionUpdateAcceptedEventAttributes: (
        "workflow_execution_update_accepted"
    ),
    WorkflowTaskCompletedEventAttributes: "workflow_task_completed",
    WorkflowTaskScheduledEventAttributes: "workflow_task_scheduled",
    WorkflowTaskStartedEventAttributes: "workflow_task_started",
}


def numbered(first: int, *attributes: Any) -> list[HistoryEvent]:
    """Events with these attributes; each a second after the one before."""
    events = []
    for number, each in enumerate(attributes, start=first):
        kind = KINDS[type(each)]
        fields: dict[str, Any] = {f"{kind}_event_attributes": each}
        events.append(
            HistoryEvent(
                event_id=number,
                event_type=EventType.Value(f"EVENT_TYPE_{kind.upper()}"),
                event_time=clock.timestamp(number * 10**9),
                **fields,
            )
        )
    return events


TASK = (
    WorkflowTaskScheduledEventAttributes(),
    WorkflowTaskStartedEventAttributes(),
    WorkflowTaskCompletedEventAttributes(),
)
SIGNAL = WorkflowExecutionSignaledEventAttributes(signal_name="approve")


def activity(name: str) -> ActivityTaskScheduledEventAttributes:
    """An activity of this type is scheduled."""
    return ActivityTaskScheduledEventAttributes(activity_type=ActivityType(name=name))


def update(name: str) -> WorkflowExecutionUpdateAcceptedEventAttributes:
    """An update of this name is accepted."""
    accepted = WorkflowExecutionUpdateAcceptedEventAttributes()
    accepted.accepted_request.input.name = name
    return accepted


def timer(seconds: float) -> TimerStartedEventAttributes:
    """A timer starts."""
    return TimerStartedEventAttributes(start_to_fire_timeout=clock.duration(seconds))


def shown(found: list[Step]) -> list[tuple[str, list[int]]]:
    """Steps by their names and the numbers of their events."""
    return [(step.name, [event.event_id for event in step.events]) for step in found]


# As text.


def test_events_survive_as_text_and_as_bytes() -> None:
    events = numbered(1, SIGNAL, *TASK)
    assert journal.unpack(journal.pack(events)) == events
    assert journal.unpack_bytes(journal.pack_bytes(events)) == events
    assert journal.unpack(journal.pack([])) == []


@pytest.mark.parametrize(
    "stored",
    [b"", b"garbage", journal.pack_bytes(numbered(1, SIGNAL))],
    ids=["nothing", "garbage", "no start"],
)
def test_a_start_that_is_none_is_damage(stored: bytes) -> None:
    with pytest.raises(journal.Damaged, match="start in the journal"):
        journal.unpack_start(stored)


def test_a_message_becomes_text_that_any_column_takes() -> None:
    assert journal.pack_message(SIGNAL).isascii()


def test_a_steps_output_is_json_that_anyone_can_open() -> None:
    events = numbered(1, SIGNAL)
    output = Step("signal approve", tuple(events)).encode()
    assert set(json.loads(output)) == {"history"}
    assert journal.decode(output) == events


def test_a_step_lasts_from_its_first_event_to_its_last() -> None:
    step = Step("s", tuple(numbered(3, SIGNAL, *TASK)))
    assert (step.started_ms, step.completed_ms) == (3000, 6000)


# Cutting.


def test_a_turn_is_one_step_for_each_of_its_news() -> None:
    names = Names()
    first = steps(
        numbered(
            1,
            WorkflowExecutionStartedEventAttributes(),
            *TASK,
            activity("charge"),
            timer(30),
        ),
        names,
        "start",
    )
    assert shown(first) == [("start", [1, 2, 3, 4, 5, 6])]
    second = steps(
        numbered(
            7,
            ActivityTaskStartedEventAttributes(scheduled_event_id=5),
            ActivityTaskCompletedEventAttributes(scheduled_event_id=5),
            SIGNAL,
            TimerFiredEventAttributes(started_event_id=6),
            *TASK,
        ),
        names,
    )
    assert shown(second) == [
        ("activity charge", [7, 8]),
        ("signal approve", [9]),
        ("timer 30s", [10, 11, 12, 13]),
    ]


def test_a_turn_without_news_is_a_step_of_its_own_name() -> None:
    assert shown(steps(numbered(3, *TASK), Names())) == [("workflow task", [3, 4, 5])]
    assert shown(steps(numbered(3, *TASK), Names(), "start")) == [("start", [3, 4, 5])]


def test_an_accepted_update_names_the_step_of_a_turn_without_news() -> None:
    turn = [*TASK, update("pay"), update("refund")]
    by_updates = shown(steps(numbered(3, *turn), Names()))
    assert by_updates == [("update pay", [3, 4, 5, 6, 7])]
    assert shown(steps(numbered(3, *turn), Names(), "start")) == [
        ("start", [3, 4, 5, 6, 7])
    ]
    assert shown(steps(numbered(3, SIGNAL, *turn), Names())) == [
        ("signal approve", [3, 4, 5, 6, 7, 8])
    ]


def test_a_turn_that_only_rejected_updates_is_no_step() -> None:
    assert steps([], Names()) == []


def test_an_activitys_start_belongs_to_its_end() -> None:
    names = Names()
    for event in numbered(5, activity("a"), activity("b")):
        names.learn(event)
    cut = steps(
        numbered(
            7,
            ActivityTaskStartedEventAttributes(scheduled_event_id=6),
            ActivityTaskFailedEventAttributes(scheduled_event_id=6),
            ActivityTaskStartedEventAttributes(scheduled_event_id=5),
            ActivityTaskTimedOutEventAttributes(scheduled_event_id=5),
        ),
        names,
    )
    assert shown(cut) == [("activity b", [7, 8]), ("activity a", [9, 10])]


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        (WorkflowExecutionStartedEventAttributes(), "start"),
        (WorkflowExecutionCancelRequestedEventAttributes(), "cancel"),
        (WorkflowExecutionTerminatedEventAttributes(), "terminate"),
        (WorkflowExecutionTimedOutEventAttributes(), "time out"),
        (SIGNAL, "signal approve"),
        (ActivityTaskCompletedEventAttributes(scheduled_event_id=5), "activity charge"),
        (ActivityTaskFailedEventAttributes(scheduled_event_id=5), "activity charge"),
        (ActivityTaskTimedOutEventAttributes(scheduled_event_id=5), "activity charge"),
        (ActivityTaskCanceledEventAttributes(scheduled_event_id=5), "activity charge"),
        (TimerFiredEventAttributes(started_event_id=6), "timer 0.5s"),
    ],
)
def test_news_give_a_step_its_name(attributes: Any, name: str) -> None:
    names = Names()
    for event in numbered(5, activity("charge"), timer(0.5)):
        names.learn(event)
    (step,) = steps(numbered(7, attributes, *TASK), names)
    assert step.name == name


def test_an_outcome_of_something_forgotten_still_has_a_name() -> None:
    ended = ActivityTaskCompletedEventAttributes(scheduled_event_id=99)
    (step,) = steps(numbered(7, ended), Names())
    assert step.name == "activity"


def test_every_kind_of_news_is_an_event_that_ends_a_step() -> None:
    assert {EventType.Name(kind) for kind in journal.NEWS} == {
        f"EVENT_TYPE_{name}"
        for name in (
            "ACTIVITY_TASK_CANCELED",
            "ACTIVITY_TASK_COMPLETED",
            "ACTIVITY_TASK_FAILED",
            "ACTIVITY_TASK_TIMED_OUT",
            "CHILD_WORKFLOW_EXECUTION_CANCELED",
            "CHILD_WORKFLOW_EXECUTION_COMPLETED",
            "CHILD_WORKFLOW_EXECUTION_FAILED",
            "CHILD_WORKFLOW_EXECUTION_STARTED",
            "CHILD_WORKFLOW_EXECUTION_TERMINATED",
            "CHILD_WORKFLOW_EXECUTION_TIMED_OUT",
            "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED",
            "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED",
            "NEXUS_OPERATION_CANCELED",
            "NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED",
            "NEXUS_OPERATION_CANCEL_REQUEST_FAILED",
            "NEXUS_OPERATION_COMPLETED",
            "NEXUS_OPERATION_FAILED",
            "NEXUS_OPERATION_STARTED",
            "NEXUS_OPERATION_TIMED_OUT",
            "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
            "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
            "START_CHILD_WORKFLOW_EXECUTION_FAILED",
            "TIMER_FIRED",
            "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
            "WORKFLOW_EXECUTION_SIGNALED",
            "WORKFLOW_EXECUTION_STARTED",
            "WORKFLOW_EXECUTION_TERMINATED",
            "WORKFLOW_EXECUTION_TIMED_OUT",
        )
    }


@pytest.mark.parametrize(
    "text", ["gASV", "[]", "{}", '{"n": 1}', '{"n": 1, "history": "////"}']
)
def test_what_is_no_step_and_no_message_is_damaged(text: str) -> None:
    with pytest.raises(journal.Damaged, match="a step in the journal"):
        journal.decode(text)
    with pytest.raises(journal.Damaged, match="a message in the inbox"):
        journal.decode_message(text)


def test_a_message_has_a_place_and_events() -> None:
    event = HistoryEvent(event_id=3)
    text = json.dumps({"n": 2, "history": journal.pack([event])})
    assert journal.decode_message(text) == (2, [event])
