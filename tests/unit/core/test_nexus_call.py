"""Calls of a Nexus operation's handler, and what its caller is told."""

from __future__ import annotations

import pytest

from dbosify._core.machines.nexus_call import State, pause_after
from dbosify._model import failures
from dbosify._model.protos import (
    Failure,
    NexusHandlerErrorRetryBehavior,
    NexusOperationCancellationState,
    PendingNexusOperationState,
    TimeoutType,
)
from tests.unit.core.nexus_calls import (
    Calls,
    begins,
    complies,
    error,
    fails,
    returns,
)
from tests.unit.core.spelling import BEGAN, at, boom, payload
from tests.unit.core.traces import showing

_RETRY = NexusHandlerErrorRetryBehavior


def test_a_result_ends_it() -> None:
    calls = Calls().answered(1, returns("hello"))
    assert calls.machine.over
    assert calls.story == "NexusCompleted"
    (event,) = calls.machine.news
    completed = event.nexus_operation_completed_event_attributes
    assert completed.result == payload("hello")
    assert completed.scheduled_event_id == 5
    assert completed.request_id == "request"
    assert event.event_time == at(1)


def test_a_beginning_is_told_and_the_end_is_awaited() -> None:
    calls = Calls().answered(1, begins("t"))
    assert calls.machine.state is State.STARTED
    assert calls.story == "NexusStarted"
    started = calls.machine.news[0].nexus_operation_started_event_attributes
    assert started.operation_token == started.operation_id == "t"
    assert calls.due is None
    assert calls.operation.call is None
    states = PendingNexusOperationState
    assert calls.operation.info.state == states.PENDING_NEXUS_OPERATION_STATE_STARTED
    assert calls.loaded().machine.state is State.STARTED


@pytest.mark.parametrize(
    ("failure", "event"),
    [
        (boom("no", kind="OperationError"), "NexusFailed"),
        (failures.canceled(), "NexusCanceled"),
    ],
)
def test_a_failure_of_the_operation_ends_it(failure: Failure, event: str) -> None:
    calls = Calls().answered(1, fails(failure))
    assert calls.story == event
    name = calls.machine.news[0].WhichOneof("attributes") or ""
    told = getattr(calls.machine.news[0], name).failure
    assert told.cause == failure
    assert told.message == "nexus operation completed unsuccessfully"


@pytest.mark.parametrize(
    "kind",
    [
        "BAD_REQUEST",
        "UNAUTHENTICATED",
        "UNAUTHORIZED",
        "NOT_FOUND",
        "CONFLICT",
        "NOT_IMPLEMENTED",
    ],
)
def test_some_errors_of_handlers_are_final(kind: str) -> None:
    assert Calls().answered(1, error(kind)).story == "NexusFailed"


def test_other_errors_lead_to_another_call_after_a_pause() -> None:
    calls = Calls().answered(1, error("INTERNAL"))
    assert calls.machine.state is State.SCHEDULED
    assert calls.story == ""
    info = calls.operation.info
    states = PendingNexusOperationState
    assert info.state == states.PENDING_NEXUS_OPERATION_STATE_BACKING_OFF
    assert (info.attempt, calls.due) == (1, 2)
    assert info.last_attempt_failure == error("INTERNAL")
    assert info.next_attempt_schedule_time == at(2)
    calls.machine.unanswered(BEGAN + 12)
    assert (info.attempt, calls.due) == (2, 14)
    assert info.last_attempt_failure.message == "upstream timeout"
    assert calls.answered(14, begins()).operation.info.attempt == 3
    assert not info.HasField("last_attempt_failure")


def test_a_handler_may_say_itself_whether_to_call_again() -> None:
    retried = error("BAD_REQUEST", _RETRY.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_RETRYABLE)
    final = error("INTERNAL", _RETRY.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_NON_RETRYABLE)
    assert not Calls().answered(1, retried).machine.over
    assert Calls().answered(1, final).machine.over


def test_pauses_grow_up_to_an_hour() -> None:
    pauses = [pause_after(attempt) for attempt in (1, 2, 3, 12, 13, 1000)]
    assert pauses == [1, 2, 4, 2048, 3600, 3600]


def test_a_report_ends_it() -> None:
    calls = Calls().answered(1, begins()).reported(2, payload("later"))
    assert calls.story == "NexusStarted NexusCompleted"
    assert calls.machine.over


def test_a_report_may_be_faster_than_the_handlers_answer() -> None:
    calls = Calls().reported(1, None)
    assert calls.story == "NexusStarted NexusCompleted"
    started = calls.machine.news[0].nexus_operation_started_event_attributes
    assert started.operation_token == "early"
    completed = calls.machine.news[1].nexus_operation_completed_event_attributes
    assert completed.HasField("result")


def test_a_cancellation_waits_for_the_beginning() -> None:
    calls = Calls().asked_to_cancel(1)
    assert calls.due == 0
    states = NexusOperationCancellationState
    asked = calls.operation.info.cancellation_info
    assert asked.state == states.NEXUS_OPERATION_CANCELLATION_STATE_SCHEDULED
    assert asked.requested_time == at(1)
    assert calls.answered(2, begins()).due == 2
    calls.answered(3, complies())
    assert calls.story == "NexusStarted NexusCancelRequestCompleted"
    assert calls.due is None
    told = calls.machine.news[1]
    assert told.worker_may_ignore
    attributes = told.nexus_operation_cancel_request_completed_event_attributes
    assert attributes.requested_event_id == 9
    assert attributes.scheduled_event_id == 5
    assert attributes.workflow_task_completed_event_id == 8
    assert asked.state == states.NEXUS_OPERATION_CANCELLATION_STATE_SUCCEEDED
    assert asked.attempt == 1


def test_a_cancellation_is_tried_again_until_it_is_refused() -> None:
    calls = Calls().answered(1, begins()).asked_to_cancel(2)
    assert calls.due == 2
    calls.answered(3, error("INTERNAL"))
    asked = calls.operation.info.cancellation_info
    states = NexusOperationCancellationState
    assert asked.state == states.NEXUS_OPERATION_CANCELLATION_STATE_BACKING_OFF
    assert (calls.due, asked.attempt) == (4, 1)
    calls.answered(4, error("NOT_FOUND"))
    assert calls.story == "NexusStarted NexusCancelRequestFailed"
    told = calls.machine.news[1].nexus_operation_cancel_request_failed_event_attributes
    assert told.failure == error("NOT_FOUND")
    assert asked.state == states.NEXUS_OPERATION_CANCELLATION_STATE_FAILED
    assert not calls.machine.over


def test_nobody_to_call_ends_it() -> None:
    calls = Calls()
    calls.machine.conclude(BEGAN + 1, error("NOT_FOUND"))
    assert calls.story == "NexusFailed"


@pytest.mark.parametrize(
    ("options", "started", "kind", "moment"),
    [
        ({"total": 5}, False, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, 5),
        ({"total": 5}, True, TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, 5),
        (
            {"total": 5, "to_start": 3},
            False,
            TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START,
            3,
        ),
        ({"total": 5, "run": 2}, True, TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE, 3),
    ],
)
def test_time_runs_out(
    options: dict[str, float],
    started: bool,
    kind: TimeoutType.ValueType,
    moment: float,
) -> None:
    calls = Calls(**options)
    if started:
        calls.answered(1, begins())
    assert calls.operation.expires_at == BEGAN + moment
    assert not calls.machine.expire(BEGAN + moment - 0.1)
    assert calls.machine.expire(BEGAN + moment)
    failure = calls.machine.news[-1].nexus_operation_timed_out_event_attributes.failure
    name = TimeoutType.Name(kind).removeprefix("TIMEOUT_TYPE_")
    assert showing.failure(failure.cause) == f"{name} 'operation timed out' of "


def test_without_timeouts_it_waits_for_ever() -> None:
    assert Calls(to_start=3).answered(1, begins()).operation.expires_at is None
    assert not Calls().machine.expire(BEGAN + 1e9)
