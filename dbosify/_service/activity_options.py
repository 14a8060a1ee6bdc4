"""New options for an activity: which of them a mask names, and what they become."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.enums.v1 import TaskQueueKind

from dbosify._model import clock
from dbosify._model.activity import ActivityRow
from dbosify._model.policies import fill_defaults
from dbosify._model.protos import ActivityTaskScheduledEventAttributes, Duration

from . import errors, validate

_TIMEOUTS = (
    "schedule_to_close_timeout",
    "schedule_to_start_timeout",
    "start_to_close_timeout",
    "heartbeat_timeout",
)
_RETRY = (
    "retry_policy.initial_interval",
    "retry_policy.backoff_coefficient",
    "retry_policy.maximum_interval",
    "retry_policy.maximum_attempts",
)
_PRIORITY = (
    "priority.priority_key",
    "priority.fairness_key",
    "priority.fairness_weight",
)
KNOWN = frozenset(
    {
        *_TIMEOUTS,
        *_RETRY,
        *_PRIORITY,
        "task_queue.name",
        "retry_policy",
        "priority",
        "start_delay",
    }
)
"""Paths that a mask may name."""

Attributes = ActivityTaskScheduledEventAttributes


def paths_of(paths: Iterable[str]) -> list[str]:
    """The paths of a mask, which may be spelled as JSON spells them."""
    return [
        re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", path) for path in paths
    ]


def changing(
    options: ActivityOptions, paths: Iterable[str]
) -> Callable[[ActivityRow, float], bool]:
    """The change that gives an activity new options.

    Args:
        options: of the request.
        paths: which of them; others than `KNOWN` are passed over.
    """
    named = [path for path in paths if path in KNOWN]

    def change(row: ActivityRow, now: float) -> bool:
        attributes = row.scheduled.activity_task_scheduled_event_attributes
        for path in named:
            _set(attributes, options, path)
        _check(attributes)
        return False

    return change


def _set(attributes: Attributes, options: ActivityOptions, path: str) -> None:
    whole, _, part = path.partition(".")
    if whole == "task_queue":
        if not options.task_queue.name:
            raise errors.invalid("TaskQueue is not provided")
        attributes.task_queue.name = validate.clean(options.task_queue.name)
        attributes.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    elif path in _TIMEOUTS:
        _check_timeout(getattr(options, path), path)
        getattr(attributes, path).CopyFrom(getattr(options, path))
    elif whole == "retry_policy":
        if not options.HasField("retry_policy"):
            raise errors.invalid("RetryPolicy is not provided")
        _copy(attributes.retry_policy, options.retry_policy, part)
    elif whole == "priority":
        _copy(attributes.priority, options.priority, part)


def _copy(target: object, source: object, part: str) -> None:
    """Copy one field of a message, or all of it."""
    if not part:
        target.CopyFrom(source)  # type: ignore[attr-defined]
    elif isinstance(getattr(source, part), Duration):
        getattr(target, part).CopyFrom(getattr(source, part))
    else:
        setattr(target, part, getattr(source, part))


def _check_timeout(value: Duration, path: str) -> None:
    if clock.seconds(value) < 0:
        name = "".join(word.capitalize() for word in path.split("_"))
        raise errors.invalid(f"invalid {name}: negative duration")


def _check(attributes: Attributes) -> None:
    """Fill in and cut what the options say together.

    Raises:
        RPCError: they cannot be together.
    """
    close = clock.seconds(attributes.schedule_to_close_timeout)
    run = clock.seconds(attributes.start_to_close_timeout)
    if close <= 0 and run <= 0:
        raise errors.invalid(
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the"
            f" activity. ActivityId={attributes.activity_id}"
            f" ActivityType={attributes.activity_type.name}"
        )
    if close > 0:
        for field in (
            attributes.start_to_close_timeout,
            attributes.schedule_to_start_timeout,
        ):
            field.CopyFrom(clock.duration(min(clock.seconds(field) or close, close)))
    run = clock.seconds(attributes.start_to_close_timeout)
    if clock.seconds(attributes.heartbeat_timeout) > run:
        attributes.heartbeat_timeout.CopyFrom(clock.duration(run))
    fill_defaults(attributes.retry_policy)
    validate.retry_policy(attributes.retry_policy)
    validate.priority(attributes.priority)


def shown(row: ActivityRow) -> ActivityOptions:
    """An activity's options, as they are answered."""
    attributes = row.scheduled.activity_task_scheduled_event_attributes
    result = ActivityOptions(
        task_queue=attributes.task_queue,
        retry_policy=attributes.retry_policy,
        priority=attributes.priority,
    )
    for name in _TIMEOUTS:
        getattr(result, name).CopyFrom(getattr(attributes, name))
    return result
