"""What the server refuses and fills in before it starts an activity for a client."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from temporalio.api.enums.v1 import ActivityIdConflictPolicy, ActivityIdReusePolicy
from temporalio.api.workflowservice.v1 import StartActivityExecutionRequest

from dbosify._model import clock, limits
from dbosify._model.nexus import SYSTEM_CALLBACK
from dbosify._model.policies import wrong_priority
from dbosify._model.protos import Duration, UserMetadata

from . import errors, validate
from .attributes import settled
from .start_checks import check_task_queue

_MAX_SUMMARY = 400
_MAX_DETAILS = 20_000
_MAX_NANOSECONDS = 999_999_999
_TIMEOUTS = (
    ("ScheduleToCloseTimeout", "schedule_to_close_timeout"),
    ("ScheduleToStartTimeout", "schedule_to_start_timeout"),
    ("StartToCloseTimeout", "start_to_close_timeout"),
    ("HeartbeatTimeout", "heartbeat_timeout"),
)


def check(
    request: StartActivityExecutionRequest, custom: Mapping[str, str], namespace: str
) -> None:
    """Check a request to start an activity.

    Args:
        request: its retry policy gets its defaults, its search attributes their types,
            and it gets an id if it has none.
        custom: the types of the registered attributes among them.
        namespace: in which it is to start.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    identifier(request.activity_id, "activityId", missing="activityId is not set")
    kind = request.activity_type.name
    identifier(kind, "activityType", missing="activityType is not set")
    identifier(request.request_id, "request ID")
    identifier(request.identity, "identity")
    check_task_queue(request)
    _check_timeouts(request)
    validate.retry_policy(request.retry_policy)
    _check_priority(request)
    if request.input.ByteSize() > limits.current.blob_bytes:
        raise errors.invalid("input exceeds length limit")
    if request.search_attributes.indexed_fields:
        attributes = settled(request.search_attributes, custom, namespace)
        request.search_attributes.CopyFrom(attributes)
    check_metadata(request.user_metadata)
    _check_policies(request)
    if not request.request_id:
        request.request_id = str(uuid.uuid4())


def identifier(value: str, name: str, *, missing: str | None = None) -> None:
    """Check an id's length, and that there is one if there has to be.

    Raises:
        RPCError: it is too long or missing.
    """
    if missing is not None and not value:
        raise errors.invalid(missing)
    size = len(value.encode())
    if size > limits.current.id_bytes:
        raise errors.invalid(
            f"{name} exceeds length limit. Length={size}"
            f" Limit={limits.current.id_bytes}"
        )
    validate.clean(value)


def named(activity_id: str, run_id: str) -> tuple[str, str | None]:
    """The activity that a request names.

    Raises:
        RPCError: no activity id, or a run id that is no UUID.
    """
    identifier(activity_id, "activity ID", missing="activity ID is required")
    if run_id and not validate.is_uuid(run_id):
        raise errors.invalid("invalid run id: must be a valid UUID")
    return activity_id, run_id or None


def _check_timeouts(request: StartActivityExecutionRequest) -> None:
    for name, field in _TIMEOUTS:
        _check_duration(getattr(request, field), name)
    if not (
        clock.seconds(request.start_to_close_timeout)
        or clock.seconds(request.schedule_to_close_timeout)
    ):
        raise errors.invalid(
            "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the"
            f" activity. ActivityId={request.activity_id}"
            f" ActivityType={request.activity_type.name}"
        )
    _check_duration(request.start_delay, "StartDelay")


def _check_duration(value: Duration, name: str) -> None:
    if value.seconds * value.nanos < 0 or abs(value.nanos) > _MAX_NANOSECONDS:
        raise errors.invalid(
            f"invalid {name}: duration has seconds and nanos with different signs"
        )
    if clock.seconds(value) < 0:
        raise errors.invalid(f"invalid {name}: negative duration")


def _check_priority(request: StartActivityExecutionRequest) -> None:
    wrong = wrong_priority(request.priority)
    if wrong:
        raise errors.invalid(f"invalid priorities: {wrong}")


def check_metadata(metadata: UserMetadata) -> None:
    """Check the sizes of what a client says of what it starts.

    Raises:
        RPCError: it says too much.
    """
    for name, size, limit in (
        ("summary", metadata.summary.ByteSize(), _MAX_SUMMARY),
        ("details", metadata.details.ByteSize(), _MAX_DETAILS),
    ):
        if size > limit:
            raise errors.invalid(
                f"user_metadata.{name} exceeds size limit. Length={size} Limit={limit}"
            )


def _check_policies(request: StartActivityExecutionRequest) -> None:
    if request.id_reuse_policy not in ActivityIdReusePolicy.values():
        raise errors.invalid(f"unsupported ID reuse policy: {request.id_reuse_policy}")
    if request.id_conflict_policy not in ActivityIdConflictPolicy.values():
        raise errors.invalid(
            f"unsupported ID conflict policy: {request.id_conflict_policy}"
        )
    if request.on_conflict_options.attach_request_id and not (
        request.completion_callbacks or request.links
    ):
        raise errors.invalid(
            "on_conflict_options: attach_request_id requires at least one completion"
            " callback or link"
        )
    for callback in request.completion_callbacks:
        if callback.nexus.url == SYSTEM_CALLBACK:
            continue
        raise errors.invalid(
            "invalid url: url does not match any configured callback address:"
            f" {callback.nexus.url}"
        )
