"""Attempts that run out of time, or are asked to end."""

from __future__ import annotations

import pytest

from dbosify._model import failures
from dbosify._model.activity import AttemptState
from dbosify._model.protos import Failure, TimeoutType
from tests.unit.core.attempts import Attempts, seconds
from tests.unit.core.spelling import BEGAN, boom, payloads

NOT_STARTED = "SCHEDULE_TO_START 'activity ScheduleToStart timeout' of Server"
TOO_SLOW = "START_TO_CLOSE 'activity StartToClose timeout' of Server"
SILENT = "HEARTBEAT 'activity Heartbeat timeout' of Server"
NO_TIME = (
    "SCHEDULE_TO_CLOSE 'Not enough time to schedule next retry before activity"
    " ScheduleToClose timeout, giving up retrying' of Server"
)


def told(tried: Attempts) -> Failure:
    """The failure of an activity that timed out."""
    return tried.closing[-1].activity_task_timed_out_event_attributes.failure


# Deadlines.


@pytest.mark.parametrize(
    ("timeouts", "deadline"),
    [
        pytest.param({"run": 10}, None, id="no limit while it waits"),
        pytest.param({"run": 10, "to_start": 3}, 3, id="until it starts"),
        pytest.param({"run": 10, "total": 20, "to_start": 30}, 20, id="in all"),
    ],
)
def test_a_waiting_attempt_is_due(
    timeouts: dict[str, float], deadline: float | None
) -> None:
    assert Attempts(**timeouts).deadline == deadline


@pytest.mark.parametrize(
    ("timeouts", "deadline"),
    [
        pytest.param({"run": 10, "to_start": 1}, 11, id="once it runs"),
        pytest.param({"run": 10, "total": 5}, 5, id="in all"),
        pytest.param({"run": 10, "heartbeat": 2}, 3, id="until it is heard of"),
        pytest.param({"run": 0, "total": 0}, None, id="without any limit"),
    ],
)
def test_a_running_attempt_is_due(
    timeouts: dict[str, float], deadline: float | None
) -> None:
    assert Attempts(**timeouts).begin(1).deadline == deadline


def test_a_heartbeat_moves_the_deadline() -> None:
    tried = Attempts(heartbeat=2).begin(1).beats(2.5)
    assert tried.deadline == 4.5
    assert Attempts(heartbeat=2, run=3).begin(1).beats(2.5).deadline == 4


def test_an_activity_that_is_over_is_never_due() -> None:
    tried = Attempts(run=0).begin(1).raises(2, boom(final=True))
    assert tried.deadline is None


# What running out of time comes to.


def test_an_attempt_that_nobody_takes_is_not_tried_again() -> None:
    tried = Attempts(to_start=3).runs_out()
    assert tried.story == f"ActivityTimedOut TIMEOUT {NOT_STARTED}"
    assert seconds(tried.closing[0]) == 3
    timed_out = tried.closing[0].activity_task_timed_out_event_attributes
    assert timed_out.scheduled_event_id == 5


def test_an_activity_with_one_limit_in_all_is_said_not_to_have_started() -> None:
    # The server sets the time to start to the time in all when only that is given.
    assert Attempts(total=3, to_start=3, run=3).runs_out().story == (
        f"ActivityTimedOut TIMEOUT {NOT_STARTED}"
    )


def test_a_retry_that_nobody_takes_in_time_runs_out_of_all_its_time() -> None:
    tried = Attempts(total=10, to_start=10, run=5).begin(0).raises(1, boom())
    tried.runs_out()
    assert (tried.state, tried.deadline) == (AttemptState.SCHEDULED, 10)
    tried.runs_out()
    assert tried.story == f"ActivityTimedOut TIMEOUT {NO_TIME} <- error 'boom'"


def test_a_slow_attempt_is_tried_again() -> None:
    tried = Attempts(run=3).begin(1).runs_out()
    assert tried.next_attempt == (2, 5)
    assert tried.machine.progress.last_failure == failures.activity_timeout(
        TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    )


def test_the_last_slow_attempt_times_out_with_what_was_last_heard_of_it() -> None:
    tried = Attempts(run=3, attempts=1).begin(1).beats(2, payloads("half")).runs_out()
    assert tried.story == (
        f"ActivityStarted ActivityTimedOut MAXIMUM_ATTEMPTS_REACHED {TOO_SLOW}"
    )
    assert told(tried).timeout_failure_info.last_heartbeat_details == payloads("half")
    assert seconds(tried.closing[1]) == 4


def test_a_silent_attempt_times_out_with_what_was_last_heard_of_it() -> None:
    tried = Attempts(heartbeat=2, attempts=1).begin(1)
    tried.beats(2, payloads("half")).beats(2.5, payloads("more")).runs_out()
    assert tried.story == (
        f"ActivityStarted ActivityTimedOut MAXIMUM_ATTEMPTS_REACHED {SILENT}"
    )
    assert told(tried).timeout_failure_info.last_heartbeat_details == payloads("more")
    assert seconds(tried.closing[1]) == 4.5


@pytest.mark.parametrize(
    ("listed", "timeouts", "text"),
    [
        ("TemporalTimeout:StartToClose", {"run": 3}, TOO_SLOW),
        ("TemporalTimeout:Heartbeat", {"heartbeat": 3}, SILENT),
    ],
)
def test_a_timeout_may_be_listed_as_final(
    listed: str, timeouts: dict[str, float], text: str
) -> None:
    tried = Attempts(final=(listed,), **timeouts).begin(1).runs_out()
    assert tried.story == (
        f"ActivityStarted ActivityTimedOut NON_RETRYABLE_FAILURE {text}"
    )


def test_all_the_time_may_run_out_while_an_attempt_runs() -> None:
    tried = Attempts(total=5, run=10, attempts=1).begin(1).runs_out()
    assert tried.story == f"ActivityStarted ActivityTimedOut TIMEOUT {NO_TIME}"
    assert seconds(tried.closing[1]) == 5


def test_a_slow_attempt_without_time_for_another_runs_out_of_all_its_time() -> None:
    tried = Attempts(total=5, run=3, initial=2).begin(1).beats(2, payloads("half"))
    tried.runs_out()
    assert tried.story == f"ActivityStarted ActivityTimedOut TIMEOUT {NO_TIME}"
    assert told(tried).timeout_failure_info.last_heartbeat_details == payloads("half")


def test_a_timeout_tells_the_failure_of_the_attempt_before() -> None:
    tried = Attempts(run=3, attempts=2).begin(0).raises(1, boom("first")).begin(2)
    assert tried.runs_out().story == (
        "ActivityStarted ActivityTimedOut MAXIMUM_ATTEMPTS_REACHED"
        f" {TOO_SLOW} <- error 'first'"
    )


def test_a_timeout_tells_of_one_attempt_only() -> None:
    inner = boom("second")
    inner.cause.CopyFrom(boom("its cause"))
    tried = Attempts(run=3, attempts=3).begin(0).raises(1, boom("first"))
    tried.begin(2).raises(3, inner).begin(5).runs_out()
    assert tried.story == (
        "ActivityStarted ActivityTimedOut MAXIMUM_ATTEMPTS_REACHED"
        f" {TOO_SLOW} <- error 'second'"
    )


def test_timeouts_do_not_pile_up() -> None:
    tried = Attempts(run=3, attempts=3, initial=1, coefficient=1)
    for moment in (0, 4, 8):
        tried.begin(moment).runs_out()
    assert tried.story == (
        "ActivityStarted ActivityTimedOut MAXIMUM_ATTEMPTS_REACHED"
        f" {TOO_SLOW} <- {TOO_SLOW}"
    )
    started = tried.closing[0].activity_task_started_event_attributes
    assert not started.last_failure.HasField("cause")


# Cancellation.


def detail(tried: Attempts) -> list[bytes]:
    """The details of a cancelled activity."""
    canceled = tried.closing[-1].activity_task_canceled_event_attributes
    return [payload.data for payload in canceled.details.payloads]


def test_an_activity_that_has_not_started_is_cancelled_at_once() -> None:
    tried = Attempts().asked_to_end(2)
    assert tried.story == "ActivityCanceled"
    assert detail(tried) == [b'"ACTIVITY_ID_NOT_STARTED"']
    assert seconds(tried.closing[0]) == 2


def test_an_activity_that_waits_for_its_next_attempt_is_cancelled_at_once() -> None:
    tried = Attempts().begin(0).raises(1, boom()).asked_to_end(1.5)
    assert tried.story == "ActivityCanceled"
    assert detail(tried) == [b'"ACTIVITY_ID_NOT_STARTED"']


def test_a_running_attempt_goes_on_until_it_hears_of_the_wish() -> None:
    tried = Attempts().begin(0).asked_to_end(1).asked_to_end(1.5)
    assert tried.state is AttemptState.STARTED
    assert tried.machine.progress.cancel_requested
    tried.machine.canceled(BEGAN + 2, payloads("tidied"), "worker@here")
    assert tried.story == "ActivityStarted ActivityCanceled"
    assert detail(tried) == [b'"tidied"']
    canceled = tried.closing[1].activity_task_canceled_event_attributes
    assert canceled.scheduled_event_id == 5
    assert canceled.identity == "worker@here"


def test_an_attempt_may_be_cancelled_without_details() -> None:
    tried = Attempts().begin(0).asked_to_end(1)
    tried.machine.canceled(BEGAN + 2, None, "worker@here")
    canceled = tried.closing[1].activity_task_canceled_event_attributes
    assert not canceled.HasField("details")


def test_an_attempt_may_return_in_spite_of_the_wish() -> None:
    tried = Attempts().begin(0).asked_to_end(1)
    tried.machine.complete(BEGAN + 2, None, "worker@here")
    assert tried.story == "ActivityStarted ActivityCompleted"


@pytest.mark.parametrize(
    ("timeouts", "text"),
    [({"run": 3}, TOO_SLOW), ({"heartbeat": 3}, SILENT), ({"total": 3}, NO_TIME)],
)
def test_an_attempt_that_ignores_the_wish_until_it_is_out_of_time_is_over(
    timeouts: dict[str, float], text: str
) -> None:
    tried = Attempts(**timeouts).begin(0).asked_to_end(1).runs_out()
    assert tried.story == f"ActivityStarted ActivityTimedOut CANCEL_REQUESTED {text}"


def test_a_lost_attempt_is_not_tried_again_after_the_wish() -> None:
    tried = Attempts().begin(0).asked_to_end(1).loses_worker(2)
    assert tried.story == (
        f"ActivityStarted ActivityTimedOut CANCEL_REQUESTED {TOO_SLOW}"
    )
