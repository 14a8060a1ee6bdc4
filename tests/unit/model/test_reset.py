"""The history of a run that begins as another one did."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.enums.v1 import UpdateAdmittedEventOrigin

from dbosify._model.protos import EventType, HistoryEvent, UpdateRequest
from dbosify._model.reset import BadPoint, Fork, Reset, fork
from tests.unit.core.spelling import at, beginning, payload, start

OLD, NEW = "old-run", "new-run"


def event(kind: str, **attributes: Any) -> HistoryEvent:
    """An event without its number."""
    result = HistoryEvent(event_type=EventType.Value(f"EVENT_TYPE_{kind.upper()}"))
    getattr(result, f"{kind}_event_attributes").SetInParent()
    for name, value in attributes.items():
        field = getattr(result, f"{kind}_event_attributes")
        if isinstance(value, int | str):
            setattr(field, name, value)
        else:
            getattr(field, name).CopyFrom(value)
    return result


def signal(name: str) -> HistoryEvent:
    """A signal that came."""
    return event("workflow_execution_signaled", signal_name=name)


def update(update_id: str) -> UpdateRequest:
    """An update that was sent."""
    request = UpdateRequest()
    request.meta.update_id = update_id
    return request


def accepted(update_id: str) -> HistoryEvent:
    """An update that the workflow took."""
    return event(
        "workflow_execution_update_accepted", accepted_request=update(update_id)
    )


def history(*later: HistoryEvent, **changes: Any) -> list[HistoryEvent]:
    """A run's events, the first task's completion being the fourth."""
    events = [
        *beginning(start(**changes)),
        event("workflow_task_started", scheduled_event_id=2),
        event("workflow_task_completed", scheduled_event_id=2, started_event_id=3),
        *later,
    ]
    for number, one in enumerate(events, start=1):
        one.event_id = number
    return events


def task(*news: HistoryEvent, after: int) -> list[HistoryEvent]:
    """A second task with its news, behind `after` events."""
    scheduled = after + len(news) + 1
    return [
        *news,
        event("workflow_task_scheduled"),
        event("workflow_task_started", scheduled_event_id=scheduled),
        event("workflow_task_completed", scheduled_event_id=scheduled),
    ]


def reset(events: list[HistoryEvent], number: int, **options: Any) -> Fork:
    """Reset the run of these events."""
    later = options.pop("later", ())
    wanted = Reset(number, "why", OLD, NEW, **options)
    return fork(events, wanted, now=at(99), later=later)


def kinds(events: list[HistoryEvent]) -> list[str]:
    """What kinds they are."""
    return [
        EventType.Name(one.event_type).removeprefix("EVENT_TYPE_").lower()
        for one in events
    ]


def test_the_task_that_was_completed_has_failed_now() -> None:
    made = reset(history(), 4)
    assert [one.event_id for one in made.kept] == [1, 2, 3]
    assert kinds(made.added) == ["workflow_task_failed", "workflow_task_scheduled"]
    assert [one.event_id for one in made.added] == [4, 5]
    failed = made.added[0].workflow_task_failed_event_attributes
    assert (failed.scheduled_event_id, failed.started_event_id) == (2, 3)
    assert (failed.base_run_id, failed.new_run_id) == (OLD, NEW)
    assert failed.failure.message == "why"
    assert made.added[0].event_time == at(99)
    scheduled = made.added[1].workflow_task_scheduled_event_attributes
    assert scheduled.task_queue.name == "queue"
    assert scheduled.attempt == 1


def test_a_task_that_only_began_is_begun_anew() -> None:
    made = reset(history(signal("a"), *task(after=5)), 7)
    assert kinds(made.added) == [
        "workflow_task_started",
        "workflow_task_failed",
        "workflow_task_scheduled",
    ]
    started = made.added[0].workflow_task_started_event_attributes
    assert (started.scheduled_event_id, started.identity) == (6, "history-service")
    failed = made.added[1].workflow_task_failed_event_attributes
    assert failed.started_event_id == 7


@pytest.mark.parametrize("number", [-1, 0, 1, 9])
def test_an_event_that_is_not_there_is_no_point(number: int) -> None:
    with pytest.raises(BadPoint, match=r"> 1 && <= workflow last event ID\.$"):
        reset(history(*task(after=4), signal("b")), number)


def command() -> HistoryEvent:
    """What a workflow task wanted."""
    return event("timer_started", workflow_task_completed_event_id=4)


@pytest.mark.parametrize(
    ("later", "number"),
    [
        ([], 2),
        ([command()], 5),
        ([accepted("u")], 5),
        ([event("workflow_execution_update_completed")], 5),
        ([event("activity_task_started"), event("activity_task_completed")], 6),
    ],
    ids=["first task", "command", "accepted", "completed", "outcome"],
)
def test_what_is_written_with_the_event_before_it_is_no_point(
    later: list[HistoryEvent], number: int
) -> None:
    with pytest.raises(BadPoint, match=f"event ID: {number - 1}, version: 0"):
        reset(history(*later), number)


@pytest.mark.parametrize(
    "kind",
    ["timer_fired", "workflow_execution_signaled", "activity_task_started"],
)
def test_what_is_no_workflow_task_is_no_point(kind: str) -> None:
    with pytest.raises(BadPoint, match=r"in range \[WorkflowTaskScheduled .*: 6$"):
        reset(history(command(), event(kind)), 6)


def test_later_signals_are_sent_again_whoever_got_them() -> None:
    events = history(*task(signal("a"), after=4), signal("b"))
    made = reset(events, 8, later=[*beginning(), signal("c")])
    names = [
        one.workflow_execution_signaled_event_attributes.signal_name
        for one in made.added
        if one.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert names == ["b", "c"]
    assert kinds(made.added)[-1] == "workflow_task_scheduled"
    assert events[-1].event_id == 9, "the old run keeps its events"


def test_signals_can_be_left_out() -> None:
    made = reset(history(signal("a"), accepted("u")), 4, signals=False)
    assert kinds(made.added)[1:-1] == ["workflow_execution_update_admitted"]


def test_updates_can_be_left_out() -> None:
    made = reset(history(signal("a"), accepted("u")), 4, updates=False)
    assert kinds(made.added)[1:-1] == ["workflow_execution_signaled"]
    assert not made.updates


def test_an_update_is_sent_again_once() -> None:
    admitted = event("workflow_execution_update_admitted", request=update("u"))
    made = reset(history(admitted, accepted("u"), accepted("v")), 4)
    assert [one.meta.update_id for one in made.updates] == ["u", "v"]
    attributes = made.added[1].workflow_execution_update_admitted_event_attributes
    assert attributes.request == update("u")
    origin = UpdateAdmittedEventOrigin.UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY
    assert attributes.origin == origin


def test_open_activities_are_still_to_be_done() -> None:
    scheduled = "activity_task_scheduled"
    later = [
        event(scheduled, activity_id="done", workflow_task_completed_event_id=4),
        event(scheduled, activity_id="open", workflow_task_completed_event_id=4),
        event(scheduled, activity_id="unwanted", workflow_task_completed_event_id=4),
        event("activity_task_cancel_requested", scheduled_event_id=5),
        event("activity_task_cancel_requested", scheduled_event_id=7),
        event("activity_task_canceled", scheduled_event_id=5),
    ]
    made = reset(history(*later, *task(after=10)), 13)
    assert list(made.activities) == [6, 7]
    assert made.cancelled == {7}


def test_memo_and_attributes_are_those_of_the_point() -> None:
    upsert = event("upsert_workflow_search_attributes")
    fields = upsert.upsert_workflow_search_attributes_event_attributes
    fields.search_attributes.indexed_fields["Kept"].CopyFrom(payload("later"))
    modified = event("workflow_properties_modified")
    memo = modified.workflow_properties_modified_event_attributes.upserted_memo
    memo.fields["gone"].CopyFrom(payload(None))
    memo.fields["new"].CopyFrom(payload(2))
    events = history(upsert, modified, *task(after=6))
    started = events[0].workflow_execution_started_event_attributes
    started.memo.fields["gone"].CopyFrom(payload(1))
    started.search_attributes.indexed_fields["Kept"].CopyFrom(payload("first"))

    before, after = reset(events, 4), reset(events, 9)

    assert dict(before.memo.fields) == {"gone": payload(1)}
    assert dict(after.memo.fields) == {"new": payload(2)}
    indexed = before.search_attributes.indexed_fields
    assert dict(indexed) == {"Kept": payload("first")}
    assert dict(after.search_attributes.indexed_fields) == {"Kept": payload("later")}


def test_what_others_answered_later_is_told_again() -> None:
    asked = event("start_child_workflow_execution_initiated")
    later = [
        event("child_workflow_execution_started", initiated_event_id=5),
        event("child_workflow_execution_completed", initiated_event_id=5),
        event("child_workflow_execution_completed", initiated_event_id=6),
    ]
    events = history(asked, *task(after=5), *later)
    made = reset(events, 8, later=[*beginning(), later[2]])
    assert kinds(made.added) == [
        "workflow_task_failed",
        "child_workflow_execution_started",
        "child_workflow_execution_completed",
        "workflow_task_scheduled",
    ]
    ended = made.added[2].child_workflow_execution_completed_event_attributes
    assert ended.started_event_id == made.added[1].event_id == 9
