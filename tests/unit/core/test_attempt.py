"""Attempts that return, raise, or are tried again."""

from __future__ import annotations

import pytest

from dbosify._core.fsm import FatalMachineError
from dbosify._core.machines.attempt import AttemptMachine
from dbosify._model import failures, limits
from dbosify._model.activity import AttemptState, Pause, Progress
from dbosify._model.protos import (
    Failure,
    Payload,
    Payloads,
    RetryState,
    TimeoutType,
)
from tests.unit.core.attempts import Attempts, scheduled, seconds
from tests.unit.core.spelling import BEGAN, boom, payloads, span


def test_a_fresh_activity_waits_for_its_first_attempt() -> None:
    fresh = Attempts()
    assert fresh.state is AttemptState.SCHEDULED
    assert fresh.machine.progress == Progress(1, BEGAN)
    assert fresh.machine.closing is None


def test_an_activity_goes_on_where_it_stood() -> None:
    progress = Progress(3, BEGAN + 9, started_at=BEGAN + 10, identity="w", token="t")
    machine = AttemptMachine(scheduled(), progress, AttemptState.STARTED)
    machine.complete(BEGAN + 11, payloads("r"), "w")
    assert machine.closing is not None
    started = machine.closing[0].activity_task_started_event_attributes
    assert started.attempt == 3


# Success.


def test_history_hears_of_the_start_together_with_the_end() -> None:
    tried = Attempts().begin(1, "picker@here")
    assert tried.machine.closing is None
    tried.machine.complete(BEGAN + 2.5, payloads("done"), "worker@here")
    assert tried.story == "ActivityStarted ActivityCompleted"
    started, completed = tried.closing
    assert (seconds(started), seconds(completed)) == (1, 2.5)
    began = started.activity_task_started_event_attributes
    assert began.scheduled_event_id == 5
    assert began.identity == "picker@here"
    assert began.request_id == "token-1"
    assert began.attempt == 1
    assert not began.HasField("last_failure")
    ended = completed.activity_task_completed_event_attributes
    assert ended.scheduled_event_id == 5
    assert ended.identity == "worker@here"
    assert ended.result == payloads("done")


def test_an_activity_may_return_nothing_at_all() -> None:
    tried = Attempts().begin(1)
    tried.machine.complete(BEGAN + 2, None, "worker@here")
    completed = tried.closing[1].activity_task_completed_event_attributes
    assert not completed.HasField("result")


def test_the_last_start_tells_its_number_and_the_failure_before_it() -> None:
    tried = Attempts().begin(0).raises(1, boom("first")).begin(2)
    tried.raises(3, boom("second")).begin(5)
    tried.machine.complete(BEGAN + 6, None, "worker@here")
    started = tried.closing[0].activity_task_started_event_attributes
    assert started.attempt == 3
    assert started.last_failure == boom("second")


# Failures, in the order in which the server asks.


def test_a_failure_after_a_wish_to_cancel_is_final_whatever_it_is() -> None:
    tried = Attempts().begin(0).asked_to_end(1).raises(2, boom())
    assert tried.story == (
        "ActivityStarted ActivityFailed CANCEL_REQUESTED error 'boom'"
    )


def test_a_wish_to_cancel_outweighs_a_failure_that_is_final_anyway() -> None:
    tried = Attempts(attempts=1).begin(0).asked_to_end(1).raises(2, boom(final=True))
    assert "CANCEL_REQUESTED" in tried.story


def test_a_final_failure_is_final_before_attempts_are_counted() -> None:
    tried = Attempts(attempts=1).begin(0).raises(1, boom(final=True))
    assert tried.story == (
        "ActivityStarted ActivityFailed NON_RETRYABLE_FAILURE error 'boom' for good"
    )


def test_attempts_are_counted_before_time() -> None:
    tried = Attempts(attempts=1, total=1.5).begin(0).raises(1, boom())
    assert tried.story == (
        "ActivityStarted ActivityFailed MAXIMUM_ATTEMPTS_REACHED error 'boom'"
    )


def test_a_retry_that_would_come_too_late_is_not_made() -> None:
    tried = Attempts(total=10, initial=2).begin(0).raises(9, boom())
    assert tried.story == "ActivityStarted ActivityFailed TIMEOUT error 'boom'"


def test_a_retry_at_the_very_last_moment_is_made() -> None:
    tried = Attempts(total=10, initial=2).begin(0).raises(8, boom())
    assert tried.next_attempt == (2, 10)


def test_a_failure_is_told_as_the_worker_told_it() -> None:
    failure = boom("outer", kind="Custom", final=True)
    failure.application_failure_info.details.CopyFrom(payloads("detail"))
    failure.cause.CopyFrom(boom("inner"))
    tried = Attempts().begin(0).raises(1, failure)
    failed = tried.closing[1].activity_task_failed_event_attributes
    assert failed.failure == failure
    assert failed.identity == "worker@here"
    assert failed.scheduled_event_id == 5


# Retries.


def test_retries_wait_longer_each_time_up_to_a_limit() -> None:
    tried = Attempts(initial=1, coefficient=3, maximum=5)
    moment, waits = 0.0, []
    for _ in range(4):
        tried.begin(moment).raises(moment, boom())
        _, due = tried.next_attempt
        waits.append(due - moment)
        moment = due
    assert waits == [1, 3, 5, 5]


def test_a_failure_may_set_the_delay_itself() -> None:
    failure = boom()
    failure.application_failure_info.next_retry_delay.CopyFrom(span(77))
    tried = Attempts(initial=1, maximum=5).begin(0).raises(1, failure)
    assert tried.next_attempt == (2, 78)


def test_a_retry_is_no_history_but_keeps_the_failure_and_the_heartbeat() -> None:
    tried = Attempts(heartbeat=5).begin(0).beats(1, payloads("half"))
    tried.raises(2, boom("first"))
    progress = tried.machine.progress
    assert tried.machine.closing is None
    assert progress.last_failure == boom("first")
    assert progress.heartbeat == payloads("half")
    assert progress.started_at is None
    assert progress.completed_at == BEGAN + 2
    assert progress.token == ""


def test_the_failure_that_is_kept_is_a_copy() -> None:
    failure = boom("first")
    tried = Attempts().begin(0).raises(1, failure)
    failure.message = "changed"
    assert tried.machine.progress.last_failure == boom("first")


def test_a_retry_may_start_when_its_back_off_is_over() -> None:
    tried = Attempts().begin(0).raises(1, boom())
    assert tried.deadline == 2
    with pytest.raises(FatalMachineError, match="BACKOFF"):
        tried.machine.start(BEGAN + 1.5, identity="w", token="t")
    tried.runs_out()
    assert tried.state is AttemptState.SCHEDULED
    tried.machine.start(BEGAN + 2, identity="w", token="t")
    assert tried.machine.progress.started_at == BEGAN + 2


def test_a_new_attempt_has_not_been_heard_of_yet() -> None:
    tried = Attempts(heartbeat=5).begin(0).beats(3, payloads("half"))
    tried.raises(4, boom()).begin(5)
    assert tried.machine.progress.heartbeat_at is None
    assert tried.machine.progress.token == "token-5"
    assert tried.deadline == 10


# The worker is gone.


def test_a_lost_attempt_is_tried_again_at_once() -> None:
    tried = Attempts(initial=60).begin(0).loses_worker(3)
    assert tried.next_attempt == (2, 3)
    assert tried.machine.progress.last_failure == failures.activity_timeout(
        TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    )


def test_a_lost_attempt_that_heartbeat_is_missed_by_its_heartbeat() -> None:
    tried = Attempts(heartbeat=2).begin(0).beats(1, payloads("half")).loses_worker(1.5)
    assert tried.machine.progress.last_failure == failures.activity_timeout(
        TimeoutType.TIMEOUT_TYPE_HEARTBEAT, heartbeat=payloads("half")
    )


def test_a_lost_attempt_counts_as_used() -> None:
    tried = Attempts(attempts=1).begin(0).loses_worker(3)
    assert tried.story == (
        "ActivityStarted ActivityTimedOut MAXIMUM_ATTEMPTS_REACHED"
        " START_TO_CLOSE 'activity StartToClose timeout' of Server"
    )
    assert seconds(tried.closing[1]) == 3


def test_the_last_attempt_is_not_the_last_if_somebody_has_paused_the_activity() -> None:
    tried = Attempts(attempts=1).begin(0)
    assert tried.machine.last_attempt
    tried.machine.progress.pause = Pause(BEGAN + 1, "me", "lunch")
    assert tried.raises(2, boom()).next_attempt == (2, 2)


def test_a_pause_does_not_save_from_a_final_failure() -> None:
    tried = Attempts().begin(0)
    assert not tried.machine.last_attempt
    tried.machine.progress.pause = Pause(BEGAN + 1, "me", "lunch")
    assert "NON_RETRYABLE_FAILURE" in tried.raises(2, boom(final=True)).story


def test_a_lost_attempt_without_time_for_another_times_out() -> None:
    tried = Attempts(total=5, run=5, initial=3).begin(0).loses_worker(3)
    assert tried.story.startswith("ActivityStarted ActivityTimedOut TIMEOUT")


# What may not happen.


def test_an_activity_that_is_over_takes_nothing_more() -> None:
    tried = Attempts().begin(0)
    tried.machine.complete(BEGAN + 1, None, "w")
    with pytest.raises(FatalMachineError):
        tried.machine.complete(BEGAN + 2, None, "w")
    with pytest.raises(FatalMachineError):
        tried.asked_to_end(2)
    with pytest.raises(FatalMachineError):
        tried.machine.due(BEGAN + 99)


def test_an_attempt_that_has_not_started_cannot_end() -> None:
    with pytest.raises(FatalMachineError):
        Attempts().raises(1, Failure())
    with pytest.raises(FatalMachineError):
        Attempts().beats(1)


def too_much() -> Payloads:
    """More than anybody may say at once."""
    return Payloads(payloads=[Payload(data=b"x" * (limits.current.blob_bytes + 1))])


def failed_for_good(tried: Attempts) -> Failure:
    """Why the activity failed, although it might be tried again."""
    assert tried.state is AttemptState.OVER
    assert tried.machine.closing is not None
    failed = tried.machine.closing[-1].activity_task_failed_event_attributes
    assert failed.retry_state == RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
    return failed.failure


def test_a_result_that_is_too_big_fails_the_activity_for_good() -> None:
    tried = Attempts()
    tried.machine.start(BEGAN + 1, identity="w", token="t")
    tried.machine.complete(BEGAN + 2, too_much(), "w")
    assert failed_for_good(tried).message == "Complete result exceeds size limit."


def test_a_heartbeat_that_is_too_big_fails_the_activity_for_good() -> None:
    tried = Attempts()
    tried.machine.start(BEGAN + 1, identity="w", token="t")
    tried.machine.beat(BEGAN + 2, too_much(), "w")
    assert failed_for_good(tried).message == "Heartbeat details exceed size limit."


def test_a_failure_that_is_too_big_is_cut_and_final() -> None:
    failure = Failure(
        message="é" * limits.current.blob_bytes, source="Here", stack_trace="deep"
    )
    failure.application_failure_info.type = "Trouble"
    failure.cause.message = "left out"
    tried = Attempts()
    tried.machine.start(BEGAN + 1, identity="w", token="t")
    tried.machine.fail(BEGAN + 2, failure, "w")
    instead = failed_for_good(tried)
    assert instead.message == "Failure exceeds size limit."
    assert instead.server_failure_info.non_retryable
    cut = instead.cause
    assert cut.ByteSize() <= limits.CUT_FAILURE
    assert failure.message.startswith(cut.message)
    assert cut.application_failure_info.type == "Trouble"
    assert cut.source == "Here"
    assert not cut.HasField("cause")


@pytest.mark.parametrize("kind", ["server_failure_info", None])
def test_what_is_kept_of_a_failure_is_short(kind: str | None) -> None:
    failure = Failure(message="short", stack_trace="line\n" * 2000)
    if kind is not None:
        getattr(failure, kind).SetInParent()
    tried = Attempts()
    tried.machine.start(BEGAN + 1, identity="w", token="t")
    tried.machine.fail(BEGAN + 2, failure, "w")
    assert tried.state is AttemptState.BACKOFF
    kept = tried.machine.progress.last_failure
    assert kept is not None
    assert kept.ByteSize() <= limits.KEPT_FAILURE + 100
    assert not kept.server_failure_info.non_retryable
    assert kept.cause.message == "short"
    assert kept.cause.stack_trace.startswith("line\n")
    assert kept.cause.WhichOneof("failure_info") == kind
