"""How activities without a workflow are over, as clients are told."""

from __future__ import annotations

import pytest
from temporalio.api.history.v1 import (
    ActivityTaskCanceledEventAttributes,
    ActivityTaskCompletedEventAttributes,
    ActivityTaskFailedEventAttributes,
    ActivityTaskTimedOutEventAttributes,
)

from dbosify._model import failures, standalone
from dbosify._model.activity import ActivityRow, AttemptState, Progress
from dbosify._model.protos import (
    Failure,
    HistoryEvent,
    RetryState,
    TimeoutType,
)
from tests.unit.core.spelling import at, payloads

STARTED = HistoryEvent(event_time=at(1))
OH_NO = failures.application("oh no")


def completed() -> HistoryEvent:
    return HistoryEvent(
        event_time=at(2),
        activity_task_completed_event_attributes=ActivityTaskCompletedEventAttributes(
            result=payloads("result")
        ),
    )


def failed() -> HistoryEvent:
    return HistoryEvent(
        event_time=at(2),
        activity_task_failed_event_attributes=ActivityTaskFailedEventAttributes(
            failure=OH_NO,
            retry_state=RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE,
        ),
    )


def timed_out(kind: TimeoutType.ValueType) -> HistoryEvent:
    failure = failures.activity_timeout(kind, heartbeat=payloads(1), cause=OH_NO)
    return HistoryEvent(
        event_time=at(2),
        activity_task_timed_out_event_attributes=ActivityTaskTimedOutEventAttributes(
            failure=failure, retry_state=RetryState.RETRY_STATE_TIMEOUT
        ),
    )


def canceled() -> HistoryEvent:
    return HistoryEvent(
        event_time=at(2),
        activity_task_canceled_event_attributes=ActivityTaskCanceledEventAttributes(
            details=payloads("details"), identity="somebody"
        ),
    )


def row(*closing: HistoryEvent) -> ActivityRow:
    """An activity whose attempt before the last one failed three seconds ago."""
    return ActivityRow(
        task_id="activity/run",
        workflow_uuid="",
        workflow_id="",
        run_id="run",
        workflow_type="",
        scheduled=HistoryEvent(),
        progress=Progress(2, 0.0, completed_at=-1.0, last_failure=failures.server("x")),
        state=AttemptState.OVER,
        executor_id=None,
        token=None,
        eager=False,
        closing=closing or None,
    )


def test_a_result_is_the_outcome() -> None:
    status, outcome = standalone.outcome_of((STARTED, completed()), "")
    assert status == standalone.COMPLETED
    assert outcome.result == payloads("result")


def test_a_failure_is_the_outcome_with_why_it_is_the_last() -> None:
    status, outcome = standalone.outcome_of((STARTED, failed()), "")
    assert status == standalone.FAILED
    assert outcome.failure == OH_NO
    assert outcome.retry_state == RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE, "StartToClose"),
        (TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START, "ScheduleToStart"),
        (TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, "ScheduleToClose"),
        (TimeoutType.TIMEOUT_TYPE_HEARTBEAT, "Heartbeat"),
    ],
)
def test_a_timeout_has_words_of_its_own_and_no_cause(
    kind: TimeoutType.ValueType, name: str
) -> None:
    status, outcome = standalone.outcome_of((STARTED, timed_out(kind)), "")
    assert status == standalone.TIMED_OUT
    expected = Failure(message=f"activity {name} timeout")
    expected.timeout_failure_info.timeout_type = kind
    expected.timeout_failure_info.last_heartbeat_details.CopyFrom(payloads(1))
    assert outcome.failure == expected
    assert outcome.retry_state == RetryState.RETRY_STATE_TIMEOUT


@pytest.mark.parametrize(
    ("closing", "details"),
    [
        ((STARTED, canceled()), payloads("details")),
        ((canceled(),), payloads("reason")),
    ],
    ids=["by its worker", "before it began"],
)
def test_a_cancellation_says_what_the_worker_said_or_who_asked(
    closing: tuple[HistoryEvent, ...], details: object
) -> None:
    status, outcome = standalone.outcome_of(closing, "reason")
    assert status == standalone.CANCELED
    assert outcome.failure.message == "Activity canceled"
    assert outcome.failure.canceled_failure_info.details == details
    assert outcome.failure.canceled_failure_info.identity == "somebody"


def test_a_termination_says_why_and_who() -> None:
    outcome = standalone.terminated("bye", "somebody")
    assert outcome.failure.message == "bye"
    assert outcome.failure.terminated_failure_info.identity == "somebody"


@pytest.mark.parametrize(
    ("event", "message"),
    [(failed(), OH_NO.message), (completed(), "x"), (canceled(), "x")],
    ids=["failed", "completed", "canceled"],
)
def test_the_last_failure_is_that_of_the_last_attempt_if_it_had_one(
    event: HistoryEvent, message: str
) -> None:
    _, outcome = standalone.outcome_of((STARTED, event), "")
    last = standalone.last_failure(row(STARTED, event), outcome)
    assert last is not None
    assert last.message == message


def test_an_attempt_that_never_began_has_no_failure_of_its_own() -> None:
    outcome = standalone.terminated("bye", "")
    for given in (row(), row(canceled())):
        last = standalone.last_failure(given, outcome)
        assert last is not None
        assert last.message == "x"
        assert standalone.last_attempt_end(given) == -1.0


def test_the_last_attempt_ended_with_the_activity() -> None:
    ended = standalone.last_attempt_end(row(STARTED, completed()))
    assert ended == at(2).seconds


def test_every_end_has_a_name_and_a_status_in_dbos() -> None:
    ends = set(standalone.NAMES) - {standalone.RUNNING}
    assert ends == set(standalone.DBOS_STATUSES)
