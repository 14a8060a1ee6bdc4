"""The request that a Nexus handler gets, as Temporal's server and core word it."""

from __future__ import annotations

from dbosify._model import clock, ids, nexus, nexus_links
from dbosify._model.nexus import NexusOperation
from dbosify._model.protos import NexusTask


def task(
    operation: NexusOperation, token: bytes, *, namespace: str, now: float
) -> NexusTask:
    """The task of a call: to start the operation, or to cancel it once it has begun.

    Args:
        operation: whose handler is called.
        token: by which the call is answered.
        namespace: of the caller.
        now: seconds since 1970.
    """
    wanted = operation.wanted
    seconds = nexus.CALL_SECONDS
    expires_at = operation.expires_at
    if expires_at is not None:
        seconds = max(min(seconds, expires_at - now), 0.001)
    result = NexusTask(endpoint=wanted.endpoint)
    result.request_deadline.CopyFrom(clock.of_seconds(now + seconds))
    result.task.task_token = token
    request = result.task.request
    request.endpoint = wanted.endpoint
    request.scheduled_time.CopyFrom(operation.info.scheduled_time)
    request.capabilities.temporal_failure_responses = True
    for name, text in wanted.nexus_header.items():
        request.header[name.lower()] = text
    request.header["request-timeout"] = f"{seconds:.6f}s"
    if operation.started:
        cancel = request.cancel_operation
        cancel.service, cancel.operation = wanted.service, wanted.operation
        cancel.operation_token = cancel.operation_id = operation.info.operation_token
        return result
    if expires_at is not None:
        request.header["operation-timeout"] = f"{expires_at - now:.6f}s"
    request.header["nexus-request-id"] = wanted.request_id
    start = request.start_operation
    start.service, start.operation = wanted.service, wanted.operation
    start.request_id = wanted.request_id
    start.callback = nexus.SYSTEM_CALLBACK
    start.callback_header[nexus.CALLBACK_HEADER] = nexus.callback_token(
        operation.key, wanted.request_id
    )
    if wanted.HasField("input"):
        start.payload.CopyFrom(wanted.input)
    uuid = operation.workflow_uuid
    caller = namespace, ids.workflow_id_of(uuid), ids.run_id_of(uuid)
    if operation.standalone:
        start.links.append(nexus_links.to_operation(*caller))
    else:
        start.links.append(nexus_links.to_event(*caller, operation.scheduled))
    return result
