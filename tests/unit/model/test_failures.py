"""The failures that are written here, word for word."""

from __future__ import annotations

import pytest

from dbosify._model import failures
from dbosify._model.protos import Failure, Payload, Payloads, RetryState, TimeoutType

DETAILS = Payloads(payloads=[Payload(data=b"d")])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE, "activity StartToClose timeout"),
        (
            TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START,
            "activity ScheduleToStart timeout",
        ),
        (TimeoutType.TIMEOUT_TYPE_HEARTBEAT, "activity Heartbeat timeout"),
        (
            TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE,
            "Not enough time to schedule next retry before activity ScheduleToClose"
            " timeout, giving up retrying",
        ),
    ],
)
def test_an_activity_that_timed_out_says_how(
    kind: TimeoutType.ValueType, text: str
) -> None:
    failure = failures.activity_timeout(kind)
    assert failure.message == text
    assert failure.source == "Server"
    assert failure.timeout_failure_info.timeout_type == kind
    assert not failure.timeout_failure_info.HasField("last_heartbeat_details")
    assert not failure.HasField("cause")


def test_a_timeout_tells_the_last_heartbeat_and_one_failure_before_it() -> None:
    before = Failure(message="before", cause=Failure(message="long before"))
    failure = failures.activity_timeout(
        TimeoutType.TIMEOUT_TYPE_HEARTBEAT, heartbeat=DETAILS, cause=before
    )
    assert failure.timeout_failure_info.last_heartbeat_details == DETAILS
    assert failure.cause == Failure(message="before")
    assert before.HasField("cause")


def test_a_run_that_timed_out_leaves_a_timeout() -> None:
    failure = failures.workflow_timeout()
    assert failure.message == "workflow timeout"
    assert failure.source == "Server"
    assert failure.timeout_failure_info.timeout_type == (
        TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    )


def test_an_application_failure_is_what_a_worker_would_report() -> None:
    failure = failures.application("no", kind="No", non_retryable=True)
    assert failure.message == "no"
    assert failure.application_failure_info.type == "No"
    assert failure.application_failure_info.non_retryable
    assert failures.application("no").HasField("application_failure_info")


def test_a_servers_failure_says_that_it_is_one() -> None:
    failure = failures.server("refused")
    assert failure.message == "refused"
    assert failure.HasField("server_failure_info")


def test_a_cancellation_has_no_words_but_may_have_details() -> None:
    assert failures.canceled().message == ""
    assert failures.canceled().HasField("canceled_failure_info")
    assert failures.canceled(DETAILS).canceled_failure_info.details == DETAILS


def test_an_activitys_failure_names_the_activity() -> None:
    failure = failures.activity(
        "Activity task failed",
        activity_id="1",
        activity_type="charge",
        cause=Failure(message="why"),
        retry_state=RetryState.RETRY_STATE_TIMEOUT,
        identity="worker@here",
        scheduled_event_id=5,
        started_event_id=6,
    )
    info = failure.activity_failure_info
    assert failure.message == "Activity task failed"
    assert failure.cause == Failure(message="why")
    assert (info.activity_id, info.activity_type.name) == ("1", "charge")
    assert (info.scheduled_event_id, info.started_event_id) == (5, 6)
    assert info.identity == "worker@here"
    assert info.retry_state == RetryState.RETRY_STATE_TIMEOUT
