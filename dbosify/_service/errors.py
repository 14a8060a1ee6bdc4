"""Temporal's errors: gRPC status, text and detail, as its clients unpack them."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import (
    NamespaceNotFoundFailure,
    NotFoundFailure,
    QueryFailedFailure,
    WorkflowNotReadyFailure,
)
from temporalio.service import RPCError, RPCStatusCode


def error(
    status: RPCStatusCode, message: str, detail: Message | None = None
) -> RPCError:
    """An error as the gRPC client would raise it."""
    packed = GrpcStatus(code=int(status), message=message)
    if detail is not None:
        wrapped = Any()
        wrapped.Pack(detail)
        packed.details.append(wrapped)
    return RPCError(message, status, packed.SerializeToString())


def invalid(message: str, detail: Message | None = None) -> RPCError:
    """The request itself is wrong."""
    return error(RPCStatusCode.INVALID_ARGUMENT, message, detail)


def not_found(message: str) -> RPCError:
    """What the request names is not there, or over."""
    return error(RPCStatusCode.NOT_FOUND, message, NotFoundFailure())


def namespace_not_found(namespace: str) -> RPCError:
    """No such namespace."""
    return error(
        RPCStatusCode.NOT_FOUND,
        f"Namespace {namespace} is not found.",
        NamespaceNotFoundFailure(namespace=namespace),
    )


def workflow_not_found(workflow_id: str, run_id: str) -> RPCError:
    """No such workflow or run."""
    if not run_id:
        return not_found(f"workflow not found for ID: {workflow_id}")
    return not_found(
        f'workflow execution not found for workflow ID "{workflow_id}"'
        f' and run ID "{run_id}"'
    )


def already_completed() -> RPCError:
    """The run is closed and takes no more messages."""
    return not_found("workflow execution already completed")


def attempt_gone() -> RPCError:
    """No attempt of that name is under way."""
    return not_found(
        "invalid activityID or activity already timed out or invoking workflow is"
        " completed"
    )


def activity_not_pending(activity_id: str) -> RPCError:
    """The run has no open activity of that id."""
    return not_found(
        f"cannot find pending activity with ActivityID {activity_id}, check workflow"
        " execution history for more details"
    )


def activity_not_found(activity_id: str) -> RPCError:
    """No client started an activity of that id, or no attempt at it is under way."""
    return not_found(f"activity not found for ID: {activity_id}")


def operation_not_found(operation_id: str) -> RPCError:
    """No client started a Nexus operation of that id."""
    return not_found(f"operation not found for ID: {operation_id}")


def failed_precondition(message: str) -> RPCError:
    """What the request names is in no state for it."""
    return error(RPCStatusCode.FAILED_PRECONDITION, message)


def chain_mismatch() -> RPCError:
    """The run belongs to another chain than the request says."""
    return not_found("workflow execution not found")


def not_ready(message: str) -> RPCError:
    """The workflow cannot answer yet."""
    return error(RPCStatusCode.FAILED_PRECONDITION, message, WorkflowNotReadyFailure())


def query_failed(message: str, detail: QueryFailedFailure) -> RPCError:
    """The workflow answered a query with a failure."""
    return invalid(message, detail)


def unimplemented(message: str) -> RPCError:
    """dbosify does not do this."""
    return error(RPCStatusCode.UNIMPLEMENTED, message)


def too_large(limit: int) -> RPCError:
    """The request is bigger than what a server lets in."""
    return error(
        RPCStatusCode.RESOURCE_EXHAUSTED,
        f"grpc: received message after decompression larger than max {limit}",
    )


def deadline_exceeded() -> RPCError:
    """The caller's timeout has passed."""
    return error(RPCStatusCode.DEADLINE_EXCEEDED, "context deadline exceeded")


def unavailable(message: str) -> RPCError:
    """The database cannot be reached just now."""
    return error(RPCStatusCode.UNAVAILABLE, message)


def data_loss(message: str) -> RPCError:
    """What is stored cannot be read."""
    return error(RPCStatusCode.DATA_LOSS, message)
