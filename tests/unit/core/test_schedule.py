"""What is stored of an activity's options."""

from __future__ import annotations

import pytest
from temporalio.api.common.v1 import Priority
from temporalio.api.enums.v1 import TaskQueueKind

from dbosify._core import schedule
from dbosify._model.protos import ActivityTaskScheduledEventAttributes, RetryPolicy
from tests.unit.core.spelling import payload, payloads, retry_policy, span, start
from tests.unit.core.traces.commands import activity


def stored(
    *,
    run: float = 0,
    total: float | None = None,
    to_start: float | None = None,
    to_close: float | None = None,
    heartbeat: float | None = None,
) -> tuple[float, float, float, float]:
    """What is stored of these timeouts: in all, to start, to close, heartbeat."""
    given = {
        "schedule_to_close_timeout": total,
        "schedule_to_start_timeout": to_start,
        "start_to_close_timeout": to_close,
        "heartbeat_timeout": heartbeat,
    }
    command = activity(1, start_to_close=0)
    for name, value in given.items():
        if value is not None:
            getattr(command.schedule_activity, name).CopyFrom(span(value))
    result = schedule.attributes(
        command.schedule_activity, start(workflow_run_timeout=span(run))
    )
    return (
        result.schedule_to_close_timeout.ToNanoseconds() / 1e9,
        result.schedule_to_start_timeout.ToNanoseconds() / 1e9,
        result.start_to_close_timeout.ToNanoseconds() / 1e9,
        result.heartbeat_timeout.ToNanoseconds() / 1e9,
    )


def test_a_time_in_all_alone_is_the_time_of_everything() -> None:
    assert stored(total=8) == (8, 8, 8, 0)


def test_a_time_in_all_bounds_the_others() -> None:
    assert stored(total=8, to_start=9, to_close=10) == (8, 8, 8, 0)
    assert stored(total=8, to_start=2, to_close=3) == (8, 2, 3, 0)


def test_a_time_to_close_alone_leaves_the_rest_to_the_run() -> None:
    assert stored(to_close=5) == (0, 0, 5, 0)
    assert stored(to_close=5, run=60) == (60, 60, 5, 0)
    assert stored(to_close=5, to_start=2, run=60) == (60, 2, 5, 0)


def test_nothing_exceeds_the_time_of_the_run() -> None:
    assert stored(total=90, run=60) == (60, 60, 60, 0)
    assert stored(to_close=90, to_start=80, run=60) == (60, 60, 60, 0)


def test_a_heartbeat_is_due_before_the_end() -> None:
    assert stored(to_close=5, heartbeat=2)[3] == 2
    assert stored(to_close=5, heartbeat=9)[3] == 5
    assert stored(total=4, heartbeat=9)[3] == 4


def test_parts_of_seconds_are_kept() -> None:
    assert stored(total=0.000_000_001, run=1) == (1e-9, 1e-9, 1e-9, 0)


def test_timeouts_of_no_time_are_stored_as_such() -> None:
    result = schedule.attributes(activity(1).schedule_activity, start())
    assert result.HasField("schedule_to_close_timeout")
    assert result.HasField("heartbeat_timeout")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, retry_policy()),
        (RetryPolicy(initial_interval=span(3)), retry_policy(initial=3, maximum=300)),
        (RetryPolicy(maximum_attempts=1), retry_policy(attempts=1)),
        (
            RetryPolicy(backoff_coefficient=1.5, maximum_interval=span(7)),
            retry_policy(coefficient=1.5, maximum=7),
        ),
    ],
)
def test_a_retry_policy_is_stored_in_full(
    given: RetryPolicy | None, expected: RetryPolicy
) -> None:
    command = activity(1, retry_policy=given).schedule_activity
    assert schedule.attributes(command, start()).retry_policy == expected


def test_the_command_itself_is_left_as_it_is() -> None:
    command = activity(1, retry_policy=RetryPolicy(maximum_attempts=1))
    before = command.SerializeToString(deterministic=True)
    schedule.attributes(command.schedule_activity, start())
    assert command.SerializeToString(deterministic=True) == before


def test_everything_else_is_stored_as_given() -> None:
    command = activity(
        1,
        "charge",
        "a",
        2,
        activity_id="card",
        headers={"trace": payload("t")},
        priority=Priority(priority_key=3),
    ).schedule_activity
    result = schedule.attributes(command, start())
    assert result.activity_id == "card"
    assert result.activity_type.name == "charge"
    assert result.task_queue.name == "queue"
    assert result.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert result.input == payloads("a", 2)
    assert result.header.fields["trace"] == payload("t")
    assert result.priority.priority_key == 3


def test_what_is_not_given_is_not_stored() -> None:
    result = schedule.attributes(activity(1).schedule_activity, start())
    names = {field.name for field, _ in result.ListFields()}
    assert names.isdisjoint({"input", "header", "priority"})
    assert isinstance(result, ActivityTaskScheduledEventAttributes)
