"""Commands that the server refuses, with its causes and texts."""

from __future__ import annotations

from typing import Any

import pytest

from dbosify._core.outcomes import Again
from dbosify._core.validate import BadCommand
from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.protos import (
    EvictionReason,
    Priority,
    RetryPolicy,
    WorkflowActivation,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)
from tests.unit.core.spelling import at, beginning, driver_of, span
from tests.unit.core.traces.commands import (
    activity,
    cancel_activity,
    cancel_timer,
    completion,
    continue_as_new,
    memo,
    patched,
    timer,
    upsert,
)

ACTIVITY = "BadScheduleActivityAttributes"
CHAIN = "ContinueAsNewWorkflowExecutionCommand"
LONG = "n" * 1001
TOO_LONG = "exceeds length limit. Length=1001 Limit=1000"
NUL = "a NUL character cannot be stored"


REFUSED_CHAINS: tuple[tuple[dict[str, Any], str], ...] = (
    (
        {"workflow_type": LONG},
        f"WorkflowType on {CHAIN} exceeds length limit."
        f" WorkflowType={LONG} Length=1001 Limit=1000",
    ),
    (
        {"task_queue": LONG},
        f"error validating {CHAIN} TaskQueue: taskQueue length exceeds"
        f' limit. WorkflowType=Order TaskQueue=name:"{LONG}"'
        " kind:TASK_QUEUE_KIND_NORMAL",
    ),
    *(
        (
            {field: span(-1)},
            f"Invalid {what} on {CHAIN}: negative duration."
            ' WorkflowType=Order TaskQueue=name:"queue"'
            " kind:TASK_QUEUE_KIND_NORMAL",
        )
        for field, what in (
            ("workflow_run_timeout", "WorkflowRunTimeout"),
            ("workflow_task_timeout", "WorkflowTaskTimeout"),
            ("backoff_start_interval", "BackoffStartInterval"),
        )
    ),
    (
        {"retry_policy": RetryPolicy(maximum_attempts=-1)},
        f"invalid WorkflowRetryPolicy on {CHAIN}: MaximumAttempts cannot be negative on"
        ' retry policy.. WorkflowType=Order TaskQueue=name:"queue"'
        " kind:TASK_QUEUE_KIND_NORMAL",
    ),
)


def outcome(*commands: WorkflowCommand) -> object:
    """What a first task with these commands comes to."""
    driver = driver_of(beginning())
    shown = driver.begin([], now=at(1), next_run_id="", request_id="")
    assert isinstance(shown, WorkflowActivation)
    result: object = driver.complete(completion(commands))
    if isinstance(result, Again):
        result = driver.complete(completion([]))
    return result


def without(name: str) -> WorkflowCommand:
    """An activity that lacks something."""
    command = activity(1, "x")
    command.schedule_activity.ClearField(name)  # type: ignore[arg-type]
    return command


def named(field: str, name: str) -> WorkflowCommand:
    """An activity with a name that cannot be."""
    command = activity(1, "x")
    setattr(command.schedule_activity, field, name)
    return command


def negative(name: str) -> WorkflowCommand:
    """An activity that has less than no time."""
    command = activity(1, "x")
    getattr(command.schedule_activity, name).CopyFrom(span(-1))
    return command


@pytest.mark.parametrize(
    ("command", "cause", "text"),
    [
        (
            without("activity_id"),
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            f"{ACTIVITY}: activityId is not set",
        ),
        (
            without("activity_type"),
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            f"{ACTIVITY}: activityType is not set",
        ),
        (
            without("task_queue"),
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            f"{ACTIVITY}: missing task queue name",
        ),
        (
            without("start_to_close_timeout"),
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            f"{ACTIVITY}: a valid StartToCloseTimeout or ScheduleToCloseTimeout must be"
            " set on the activity. ActivityId=1 ActivityType=x",
        ),
        *(
            (
                negative(field),
                "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
                f"{ACTIVITY}: invalid {name}: negative duration",
            )
            for field, name in (
                ("schedule_to_close_timeout", "ScheduleToCloseTimeout"),
                ("schedule_to_start_timeout", "ScheduleToStartTimeout"),
                ("start_to_close_timeout", "StartToCloseTimeout"),
                ("heartbeat_timeout", "HeartbeatTimeout"),
            )
        ),
        *(
            (
                named(field, name),
                "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
                f"{ACTIVITY}: {text}",
            )
            for field, name, text in (
                ("activity_id", LONG, f"activityId {TOO_LONG}"),
                ("activity_type", LONG, f"activityType {TOO_LONG}"),
                ("task_queue", LONG, "taskQueue length exceeds limit"),
                ("activity_id", "a\0b", f"activityId: {NUL}"),
                ("activity_type", "a\0b", f"activityType: {NUL}"),
                ("task_queue", "a\0b", f"taskQueue: {NUL}"),
            )
        ),
        (
            activity(1, "x", retry_policy=RetryPolicy(backoff_coefficient=0.5)),
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            f"{ACTIVITY}: BackoffCoefficient cannot be less than 1 on retry policy.",
        ),
        (
            activity(1, "x", priority=Priority(fairness_key="k" * 65)),
            "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
            f"{ACTIVITY}: invalid priorities: fairness key length exceeds limit",
        ),
        *(
            (
                continue_as_new(**options),
                "BAD_CONTINUE_AS_NEW_ATTRIBUTES",
                f"BadContinueAsNewAttributes: {text}",
            )
            for options, text in REFUSED_CHAINS
        ),
        (
            patched("a\0b"),
            "BAD_RECORD_MARKER_ATTRIBUTES",
            f"BadRecordMarkerAttributes: patch id: {NUL}",
        ),
        (
            timer(1, -1),
            "BAD_START_TIMER_ATTRIBUTES",
            "BadStartTimerAttributes: An invalid StartToFireTimeout is set on"
            " StartTimerCommand: negative duration. TimerId=1",
        ),
        (
            upsert(),
            "BAD_SEARCH_ATTRIBUTES",
            "BadSearchAttributes: IndexedFields is not set on"
            " UpsertWorkflowSearchAttributesCommand.",
        ),
        (
            upsert(TemporalChangeVersion=["mine"]),
            "BAD_SEARCH_ATTRIBUTES",
            "BadSearchAttributes: IndexedFields is not set on"
            " UpsertWorkflowSearchAttributesCommand.",
        ),
        (
            memo(),
            "BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES",
            "BadModifyWorkflowPropertiesAttributes: UpsertedMemo.Fields is not set on"
            " ModifyWorkflowPropertiesCommand.",
        ),
    ],
)
def test_a_bad_command_fails_the_task(
    command: WorkflowCommand, cause: str, text: str
) -> None:
    failed = outcome(command)
    assert isinstance(failed, TaskFailed)
    assert failed.cause == WorkflowTaskFailedCause.Value(
        f"WORKFLOW_TASK_FAILED_CAUSE_{cause}"
    )
    assert failed.failure.message == text
    assert failed.failure.HasField("server_failure_info")
    assert failed.eviction == EvictionReason.FATAL
    assert failed.message == "Error reporting WFT to server"


def test_queues_of_the_systems_own_are_refused() -> None:
    command = activity(1, "x")
    command.schedule_activity.task_queue = "/_sys/mine"
    failed = outcome(command)
    assert isinstance(failed, TaskFailed)
    assert failed.failure.message == (
        f"{ACTIVITY}: task queue name cannot start with reserved prefix /_sys/"
    )


def test_one_of_two_timeouts_is_enough() -> None:
    total = activity(1, start_to_close=0, schedule_to_close_timeout=span(1))
    assert isinstance(outcome(total), Turn)
    assert isinstance(outcome(activity(1, start_to_close=1)), Turn)


def test_an_id_is_free_again_once_its_owner_was_taken_back() -> None:
    same = [activity(1, activity_id="a"), cancel_activity(1)]
    assert isinstance(outcome(*same, activity(2, activity_id="a")), Turn)
    assert isinstance(outcome(timer(1, 1), cancel_timer(1), timer(1, 1)), Turn)


def test_a_text_is_told_as_far_as_anybody_reads() -> None:
    cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNSPECIFIED
    assert len(str(BadCommand(cause, "x" * 10_000_000))) < 20_000


def test_a_cause_of_no_name_leaves_the_text_alone() -> None:
    cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNSPECIFIED
    assert str(BadCommand(cause, "text")) == "text"
