"""Local activities in the driver: what markers say, and what a replay makes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from dbosify._core import local_marker
from dbosify._core.driver import RunDriver
from dbosify._core.fsm import FatalMachineError
from dbosify._core.local_marker import MARKER_NAME
from dbosify._core.outcomes import Again, Outcome, Waits
from dbosify._model import failures
from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.local import CancelLocal, End, LocalOutcome, RunLocal
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    MarkerRecordedEventAttributes,
    Payload,
    RetryState,
    TimeoutType,
    WorkflowActivation,
    WorkflowCommand,
)
from tests.unit.core.spelling import (
    BEGAN,
    NEXT_RUN_ID,
    at,
    beginning,
    boom,
    copies,
    driver_of,
    payload,
    span,
    start,
)
from tests.unit.core.traces import showing
from tests.unit.core.traces.commands import (
    ABANDON,
    TRY,
    WAIT,
    cancel_local,
    complete,
    completion,
    local,
)
from tests.unit.core.traces.local_activities import done, failed


class Task:
    """The first workflow task of a run, which is what most of these tests need."""

    def __init__(self, journal: Sequence[HistoryEvent] | None = None) -> None:
        self.journal = copies(list(journal or beginning()))
        self.driver: RunDriver = driver_of(self.journal)
        self.outcome: Outcome | WorkflowActivation | None = None

    def begin(self, moment: float = 1) -> Task:
        """The task begins."""
        self.outcome = self.driver.begin(
            [], now=at(moment), next_run_id=NEXT_RUN_ID, request_id="r"
        )
        return self

    def replay(self) -> Task:
        """The first task of the journal is shown again."""
        shown = self.driver.next_replay()
        assert shown is not None
        self.outcome = shown
        return self

    def does(self, *commands: WorkflowCommand) -> Task:
        """The code answers."""
        self.outcome = self.driver.complete(completion(commands))
        return self

    def ends(self, seq: int, outcome: LocalOutcome, moment: float = 1) -> Task:
        """A local activity is over."""
        self.outcome = self.driver.end_local(seq, outcome, now=at(moment))
        return self

    @property
    def jobs(self) -> list[str]:
        """What the code is shown."""
        shown = self.outcome
        if isinstance(shown, Again):
            shown = shown.activation
        assert isinstance(shown, WorkflowActivation), shown
        return [showing.job(job) for job in shown.jobs]

    @property
    def turn(self) -> Turn:
        """What the task became."""
        assert isinstance(self.outcome, Turn), self.outcome
        return self.outcome

    @property
    def events(self) -> list[HistoryEvent]:
        """The journal with what the task became."""
        return [*self.journal, *self.turn.events]

    @property
    def markers(self) -> list[MarkerRecordedEventAttributes]:
        """What the task's markers say."""
        return [
            event.marker_recorded_event_attributes
            for event in self.turn.events
            if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
        ]

    @property
    def failure(self) -> str:
        """Why the task failed."""
        assert isinstance(self.outcome, TaskFailed), self.outcome
        return self.outcome.failure.message


def data_of(marker: MarkerRecordedEventAttributes) -> dict[str, object]:
    """The JSON of a marker."""
    (found,) = marker.details["data"].payloads
    assert found.metadata["encoding"] == b"json/plain"
    return dict(json.loads(found.data))


def moment(seconds: float) -> dict[str, int]:
    """A moment as markers write it."""
    stamp = at(seconds)
    return {"seconds": stamp.seconds, "nanos": stamp.nanos}


# Markers.


def test_a_marker_is_what_temporals_core_writes() -> None:
    task = Task().begin().does(local(1, "echo")).ends(1, done("x", runtime=0.5), 2)
    (marker,) = task.does(complete()).markers
    assert marker.marker_name == MARKER_NAME == "core_local_activity"
    assert marker.workflow_task_completed_event_id == 4
    assert set(marker.details) == {"data", "result"}
    assert list(marker.details["result"].payloads) == [payload("x")]
    assert data_of(marker) == {
        "seq": 1,
        "attempt": 1,
        "activity_id": "1",
        "activity_type": "echo",
        "complete_time": moment(1.5),
        "backoff": None,
        "original_schedule_time": moment(1),
        "activation_index": 1,
    }


def test_a_marker_of_a_backoff_says_how_long() -> None:
    task = Task().begin().does(local(1)).ends(1, failed(boom(), backoff=0.25))
    (marker,) = task.does(complete()).markers
    assert data_of(marker)["backoff"] == {"seconds": 0, "nanos": 250_000_000}
    assert marker.failure == boom()


@pytest.mark.parametrize("kind", [TRY, WAIT, ABANDON])
def test_one_that_is_cancelled_before_it_begins_has_no_time(kind: str) -> None:
    task = Task().begin().does(local(1, cancellation=kind), cancel_local(1))
    assert task.driver.local_orders == []
    (marker,) = task.does(complete()).markers
    said = data_of(marker)
    assert (said["attempt"], said["complete_time"]) == (0, None)
    assert marker.failure == failures.activity_cancelled()


def test_a_marker_has_the_arguments_if_they_are_wanted() -> None:
    asked = local(1, "echo", 1, 2, include_arguments_in_marker=True)
    task = Task().begin().does(asked).ends(1, LocalOutcome(End.COMPLETED, 1))
    (marker,) = task.does(complete()).markers
    assert list(marker.details["input"].payloads) == [payload(1), payload(2)]
    assert "result" not in marker.details


def test_a_marker_has_the_summary_of_its_command() -> None:
    asked = local(1)
    asked.user_metadata.summary.CopyFrom(payload("what for"))
    task = Task().begin().does(asked).ends(1, done(1)).does(complete())
    marker = next(
        event
        for event in task.turn.events
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
    )
    assert marker.user_metadata.summary == payload("what for")


@pytest.mark.parametrize(
    "outcome",
    [
        done("x", attempt=2),
        LocalOutcome(End.COMPLETED, 1),
        failed(boom()),
        failed(boom(), backoff=2.5),
        LocalOutcome(End.CANCELLED, 0, failure=failures.activity_cancelled()),
        LocalOutcome(
            End.TIMED_OUT,
            1,
            failure=failures.local_timeout(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE),
        ),
    ],
)
def test_a_marker_says_how_it_ended(outcome: LocalOutcome) -> None:
    marker = local_marker.Marker(1, "a", "b", outcome, at(2), at(1), 1)
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_MARKER_RECORDED,
        marker_recorded_event_attributes=local_marker.write(marker),
    )
    assert local_marker.parse(event) == marker


def test_one_that_met_with_a_timeout_of_its_own_is_shown_it_as_it_is() -> None:
    met = failures.local_timeout(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
    met.stack_trace = "somewhere"
    live = Task().begin().does(local(1)).ends(1, failed(met))
    shown = live.jobs
    again = Task(live.does(complete()).events).replay().does(local(1))
    assert again.jobs == shown
    assert shown == ["local 1 failed: START_TO_CLOSE 'Activity timed out' of "]


def test_one_that_ends_as_cancelled_with_a_failure_of_its_own_keeps_that() -> None:
    cause = failures.activity(
        "inner",
        activity_id="9",
        activity_type="other",
        cause=failures.canceled(),
        retry_state=RetryState.RETRY_STATE_UNSPECIFIED,
    )
    live = Task().begin().does(local(1))
    live.ends(1, LocalOutcome(End.CANCELLED, 1, failure=cause))
    shown = live.jobs
    again = Task(live.does(complete()).events).replay().does(local(1))
    assert again.jobs == shown
    assert shown == ["local 1 cancelled: inner (other/9 0-0 UNSPECIFIED) <- canceled"]


@pytest.mark.parametrize(
    "details", [{}, {"data": b"{}"}, {"data": b"nothing"}, {"data": b'{"backoff":1}'}]
)
def test_a_marker_that_no_core_wrote_is_fatal(details: dict[str, bytes]) -> None:
    marker = MarkerRecordedEventAttributes(marker_name=MARKER_NAME)
    for name, data in details.items():
        marker.details[name].payloads.append(Payload(data=data))
    with pytest.raises(FatalMachineError, match="Local activity marker was unparsable"):
        local_marker.parse(
            HistoryEvent(
                event_id=5,
                event_type=EventType.EVENT_TYPE_MARKER_RECORDED,
                marker_recorded_event_attributes=marker,
            )
        )


# Orders.


def test_an_order_says_when_it_was_first_asked_for() -> None:
    task = Task().begin().does(local(1), local(2, original_schedule_time=at(-5)))
    assert [
        (order.command.seq, order.scheduled)
        for order in task.driver.local_orders
        if isinstance(order, RunLocal)
    ] == [(1, at(1)), (2, at(-5))]


@pytest.mark.parametrize(
    ("kind", "told"), [(TRY, True), (WAIT, True), (ABANDON, False)]
)
def test_one_that_runs_is_told_to_end_unless_it_is_abandoned(
    kind: str, told: bool
) -> None:
    task = Task().begin().does(local(1, cancellation=kind), local(2))
    task.driver.local_orders.clear()
    task.ends(2, done(2)).does(cancel_local(1))
    assert task.driver.local_orders == ([CancelLocal(1)] if told else [])


def test_what_is_asked_for_while_there_are_jobs_begins_at_once() -> None:
    task = Task().begin()
    task.does(local(1), cancel_local(1), local(2))
    assert len(task.jobs) == 1
    assert [type(order) for order in task.driver.local_orders] == [RunLocal]


def test_one_that_never_was_cannot_be_cancelled() -> None:
    task = Task().begin().does(cancel_local(3))
    assert task.failure == (
        "[TMPRL1100] Nondeterminism error: Missing associated machine for"
        " LocalActivity(3)"
    )


@pytest.mark.parametrize(("timeout", "until"), [(10, 8), (2, 1.6), (0, 8)])
def test_a_task_waits_for_most_of_its_timeout(timeout: float, until: float) -> None:
    journal = beginning(start(workflow_task_timeout=span(timeout)))
    task = Task(journal).begin().does(local(1))
    assert isinstance(task.outcome, Waits)
    assert round(task.outcome.until - BEGAN - 1, 6) == until


def test_events_have_the_time_at_which_the_waiting_ended() -> None:
    task = Task().begin(1).does(local(1)).ends(1, done(1), 4).does(complete())
    assert [event.event_time for event in task.turn.events] == [
        *(at(1),),
        *[at(4)] * 3,
    ]


def test_the_end_of_one_that_nobody_remembers_is_ignored() -> None:
    task = Task().begin().does(local(1)).ends(7, done("who?"))
    assert isinstance(task.outcome, Waits)


# Replay.


def three(*outcomes: LocalOutcome) -> list[HistoryEvent]:
    """The journal of a run that closed after these local activities, one by one."""
    task = Task().begin()
    task.does(*[local(number + 1) for number in range(len(outcomes))])
    for number, outcome in enumerate(outcomes):
        task.ends(number + 1, outcome)
        assert len(task.jobs) == 1
        task.does(*([complete()] if number == len(outcomes) - 1 else []))
    return task.events


def test_outcomes_without_a_place_are_shown_together() -> None:
    journal = three(done(1), done(2))
    for event in journal:
        marker = event.marker_recorded_event_attributes
        if marker.marker_name == MARKER_NAME:
            found = marker.details["data"].payloads[0]
            data = json.loads(found.data)
            del data["activation_index"]
            found.data = json.dumps(data).encode()
    task = Task(journal).replay().does(local(1), local(2))
    assert task.jobs == ["local 1 completed 1", "local 2 completed 2"]


def test_outcomes_of_activations_that_do_not_come_are_shown_all_the_same() -> None:
    task = Task(three(done(1), done(2), done(3))).replay()
    task.does(local(1), local(2), local(3))
    assert task.jobs == ["local 1 completed 1"]
    fewer = Task(three(done(1), done(2), done(3))).replay()
    fewer.does(local(2), local(3))
    assert fewer.failure == (
        "[TMPRL1100] Nondeterminism error: Missing associated machine for"
        " LocalActivity(1)"
    )


def test_an_outcome_for_a_later_activation_is_not_kept_for_ever() -> None:
    journal = three(done(1), done(2))
    for event in journal:
        marker = event.marker_recorded_event_attributes
        if marker.marker_name == MARKER_NAME:
            found = marker.details["data"].payloads[0]
            data = json.loads(found.data)
            data["activation_index"] += 5
            found.data = json.dumps(data).encode()
    task = Task(journal).replay().does(local(1), local(2))
    assert task.jobs == ["local 1 completed 1", "local 2 completed 2"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            local(1, "other"),
            "Activity type of recorded marker 'echo' does not match activity type of"
            " local activity command 'other'",
        ),
        (
            local(1, activity_id="x"),
            "Activity id of recorded marker '1' does not match activity id of local"
            " activity command 'x'",
        ),
    ],
)
def test_another_activity_is_nondeterminism(asked: WorkflowCommand, text: str) -> None:
    task = Task(three(done(1))).replay().does(asked).does(complete())
    assert task.failure == f"[TMPRL1100] Nondeterminism error: {text}"


def test_one_that_was_asked_for_but_not_marked_runs_again() -> None:
    live = Task().begin().does(local(1))
    live.outcome = live.driver.heartbeat(now=at(9))
    again = Task(live.events).replay().does(local(1))
    assert again.driver.next_replay() is None
    assert again.driver.has_backlog
    assert again.driver.local_orders == []
    again.begin(20)
    assert isinstance(again.outcome, Waits)
    (order,) = again.driver.local_orders
    assert isinstance(order, RunLocal)
    assert order.scheduled == at(20)
    again.ends(1, done("late"), 21)
    assert again.jobs == ['local 1 completed "late"']


def test_one_that_was_cancelled_but_not_marked_ends_at_once() -> None:
    live = Task().begin().does(local(1, cancellation=WAIT), local(2))
    live.ends(2, done(2)).does(cancel_local(1))
    live.outcome = live.driver.heartbeat(now=at(9))
    again = Task(live.events).replay().does(local(1, cancellation=WAIT), local(2))
    assert again.jobs == ["local 2 completed 2"]
    again.does(cancel_local(1)).begin(20)
    assert again.driver.local_orders == []
    assert again.jobs == [
        "local 1 cancelled: Local Activity cancelled (echo/1 0-0 CANCEL_REQUESTED)"
        " <- canceled 'Activity cancelled'"
    ]
