"""The failures that Temporal's server and core write, with their exact texts.

Sources: the server's timeout and retry messages, and the wrappers that core puts
around an activity's outcome before the SDK sees it.
"""

from __future__ import annotations

from .protos import Failure, Payloads, RetryState, TimeoutType

_TIMEOUT_TEXT = {
    TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE: "activity StartToClose timeout",
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START: "activity ScheduleToStart timeout",
    TimeoutType.TIMEOUT_TYPE_HEARTBEAT: "activity Heartbeat timeout",
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE: (
        "Not enough time to schedule next retry before activity ScheduleToClose"
        " timeout, giving up retrying"
    ),
}


def activity_timeout(
    kind: TimeoutType.ValueType,
    *,
    heartbeat: Payloads | None = None,
    cause: Failure | None = None,
) -> Failure:
    """The failure of an activity attempt that ran out of time."""
    failure = Failure(message=_TIMEOUT_TEXT[kind], source="Server")
    failure.timeout_failure_info.timeout_type = kind
    if heartbeat is not None:
        failure.timeout_failure_info.last_heartbeat_details.CopyFrom(heartbeat)
    if cause is not None:
        failure.cause.CopyFrom(cause)
        # One level only: the server keeps the previous attempt's failure, not a chain.
        failure.cause.ClearField("cause")
    return failure


def workflow_timeout() -> Failure:
    """The failure that a run which timed out leaves to the next run of its chain."""
    failure = Failure(message="workflow timeout", source="Server")
    failure.timeout_failure_info.timeout_type = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    return failure


def application(
    message: str, *, kind: str = "", non_retryable: bool = False
) -> Failure:
    """An application failure as a worker would report it."""
    failure = Failure(message=message)
    failure.application_failure_info.type = kind
    failure.application_failure_info.non_retryable = non_retryable
    return failure


def server(message: str) -> Failure:
    """A failure that the server writes about a task it refused."""
    failure = Failure(message=message)
    failure.server_failure_info.SetInParent()
    return failure


def unprocessed_update() -> Failure:
    """The rejection of an update that the workflow took no notice of."""
    return _of_server(
        "Workflow Update is rejected because it wasn't processed by worker. Probably,"
        " Workflow Update is not supported by the worker.",
        "UnprocessedUpdate",
    )


def abandoned_update() -> Failure:
    """The outcome of an update whose run ended before it did."""
    return _of_server(
        "Workflow Update failed because the Workflow completed before the Update"
        " completed.",
        "AcceptedUpdateCompletedWorkflow",
    )


def _of_server(message: str, kind: str) -> Failure:
    failure = application(message, kind=kind, non_retryable=True)
    failure.source = "Server"
    return failure


def canceled(details: Payloads | None = None) -> Failure:
    """A cancellation, with the details its activity or workflow gave."""
    failure = Failure()
    failure.canceled_failure_info.SetInParent()
    if details is not None:
        failure.canceled_failure_info.details.CopyFrom(details)
    return failure


def activity_cancelled() -> Failure:
    """The cancellation of a local activity that was not asked what it made of it."""
    failure = canceled()
    failure.message = "Activity cancelled"
    return failure


def local_timeout(kind: TimeoutType.ValueType) -> Failure:
    """The failure of a local activity that ran out of time; core's words."""
    failure = Failure(message="Activity timed out")
    failure.timeout_failure_info.timeout_type = kind
    return failure


def is_local_timeout(failure: Failure) -> bool:
    """Whether core wrote the failure, not an activity that met with a timeout."""
    return failure == local_timeout(failure.timeout_failure_info.timeout_type)


def activity(
    message: str,
    *,
    activity_id: str,
    activity_type: str,
    cause: Failure,
    retry_state: RetryState.ValueType,
    identity: str = "",
    scheduled_event_id: int = 0,
    started_event_id: int = 0,
) -> Failure:
    """Core's wrapper around the outcome of an activity."""
    failure = Failure(message=message, cause=cause)
    info = failure.activity_failure_info
    info.activity_id = activity_id
    info.activity_type.name = activity_type
    info.identity = identity
    info.retry_state = retry_state
    info.scheduled_event_id = scheduled_event_id
    info.started_event_id = started_event_id
    return failure


def timed_out() -> Failure:
    """The cause that core gives a parent whose child timed out."""
    failure = Failure(message="Timed out")
    failure.timeout_failure_info.timeout_type = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    return failure


def terminated() -> Failure:
    """The cause that core gives a parent whose child was terminated."""
    failure = Failure(message="Terminated")
    failure.terminated_failure_info.SetInParent()
    return failure


def nexus_operation(
    message: str,
    *,
    scheduled_event_id: int,
    endpoint: str,
    service: str,
    operation: str,
    token: str,
    cause: Failure,
) -> Failure:
    """The wrapper around the outcome of a Nexus operation, the server's and core's."""
    failure = Failure(message=message, cause=cause)
    info = failure.nexus_operation_execution_failure_info
    info.scheduled_event_id = scheduled_event_id
    info.endpoint = endpoint
    info.service = service
    info.operation = operation
    info.operation_id = info.operation_token = token
    return failure
