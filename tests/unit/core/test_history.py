"""Journals, cut into the workflow tasks that wrote them."""

from __future__ import annotations

import pytest

from dbosify._core.history import Past, cut
from dbosify._model.protos import EventType, HistoryEvent
from tests.unit.core.traces import showing

BATCH = "workflow_task_scheduled workflow_task_started workflow_task_completed"
FAILED = "workflow_task_scheduled workflow_task_started workflow_task_failed"


def journal(text: str) -> list[HistoryEvent]:
    """Events of these kinds, numbered."""
    return [
        HistoryEvent(
            event_id=number, event_type=EventType.Value(f"EVENT_TYPE_{name.upper()}")
        )
        for number, name in enumerate(text.split(), start=1)
    ]


def past(text: str) -> Past:
    """The journal of these events, cut."""
    return cut(journal(text))


def kinds(events: list[HistoryEvent]) -> str:
    """What kinds they are."""
    return " ".join(showing.event(event) for event in events)


def batches(cut_up: Past) -> list[tuple[str, str]]:
    """What each task was given, and what came of it."""
    return [(kinds(batch.news), kinds(batch.commands)) for batch in cut_up.batches]


def test_a_run_that_no_worker_has_seen_is_all_backlog() -> None:
    fresh = past("workflow_execution_started workflow_task_scheduled")
    assert fresh.batches == []
    assert kinds(fresh.backlog) == "RunStarted"
    assert fresh.scheduled_event_id == 2
    assert (fresh.attempt, fresh.last_event_id, fresh.closed) == (1, 2, False)


def test_a_task_takes_what_came_before_it_and_leaves_its_commands() -> None:
    cut_up = past(
        f"workflow_execution_started {BATCH} activity_task_scheduled timer_started"
        f" timer_fired activity_task_started activity_task_completed {BATCH}"
        " timer_started workflow_execution_completed"
    )
    assert batches(cut_up) == [
        ("RunStarted", "ActivityScheduled TimerStarted"),
        ("TimerFired ActivityStarted ActivityCompleted", "TimerStarted RunCompleted"),
    ]
    assert cut_up.backlog == []
    assert cut_up.scheduled_event_id == 0
    assert cut_up.closed
    assert [batch.started.event_id for batch in cut_up.batches] == [3, 11]
    assert [batch.completed.event_id for batch in cut_up.batches] == [4, 12]


def test_news_may_come_while_a_task_waits_or_runs() -> None:
    cut_up = past(
        "workflow_execution_started workflow_task_scheduled"
        " workflow_execution_signaled workflow_task_started"
        " workflow_execution_signaled workflow_task_completed"
    )
    assert batches(cut_up) == [("RunStarted RunSignaled RunSignaled", "")]


def test_what_follows_the_commands_is_news_again() -> None:
    cut_up = past(
        f"workflow_execution_started {BATCH} timer_started"
        " workflow_execution_signaled timer_started"
    )
    assert batches(cut_up) == [("RunStarted", "TimerStarted")]
    assert kinds(cut_up.backlog) == "RunSignaled TimerStarted"


def test_a_failed_attempt_leaves_its_news_to_the_next() -> None:
    cut_up = past(
        f"workflow_execution_started {FAILED} workflow_execution_signaled {BATCH}"
    )
    assert batches(cut_up) == [("RunStarted RunSignaled", "")]
    assert cut_up.attempt == 1


@pytest.mark.parametrize(
    ("text", "attempt"),
    [
        (FAILED, 2),
        (f"{FAILED} {FAILED}", 3),
        ("workflow_task_scheduled workflow_task_timed_out", 2),
        (f"{BATCH} {FAILED}", 2),
    ],
)
def test_failed_attempts_are_counted_since_the_last_good_one(
    text: str, attempt: int
) -> None:
    cut_up = past(f"workflow_execution_started {text}")
    assert cut_up.attempt == attempt
    assert cut_up.scheduled_event_id == 0


@pytest.mark.parametrize("end", ["terminated", "timed_out"])
def test_a_run_may_be_closed_from_outside(end: str) -> None:
    cut_up = past(
        f"workflow_execution_started {BATCH} timer_started"
        f" workflow_execution_signaled workflow_execution_{end}"
    )
    assert cut_up.closed
    assert kinds(cut_up.backlog) == "RunSignaled"
    assert batches(cut_up) == [("RunStarted", "TimerStarted")]


@pytest.mark.parametrize("end", ["completed", "failed", "canceled", "continued_as_new"])
def test_a_run_may_close_itself(end: str) -> None:
    cut_up = past(f"workflow_execution_started {BATCH} workflow_execution_{end}")
    assert cut_up.closed
    assert len(cut_up.batches[0].commands) == 1


def test_sizes_add_up() -> None:
    events = journal(f"workflow_execution_started {BATCH}")
    assert cut(events).size == sum(event.ByteSize() for event in events)
