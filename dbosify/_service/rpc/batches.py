"""StartBatchOperation, StopBatchOperation, DescribeBatchOperation, and their list."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

from temporalio.api.batch.v1 import BatchOperationInfo
from temporalio.api.enums.v1 import BatchOperationState, ExecutionType
from temporalio.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeBatchOperationResponse,
    ListBatchOperationsRequest,
    ListBatchOperationsResponse,
    StartBatchOperationRequest,
    StartBatchOperationResponse,
    StopBatchOperationRequest,
    StopBatchOperationResponse,
)
from temporalio.service import RPCStatusCode

from dbosify._service import errors, validate
from dbosify._service.batch_checks import TYPES, check
from dbosify._service.context import Context
from dbosify._store import batches

_PAGE = 1000


async def start_batch_operation(
    context: Context, request: StartBatchOperationRequest
) -> StartBatchOperationResponse:
    """Let workers do something to many runs."""
    check(request)
    targets = None
    if not request.visibility_query:
        targets = [(e.workflow_id, e.run_id) for e in request.executions]
        targets += [(e.business_id, e.run_id) for e in request.target_executions]
    if not await batches.create(context.database, request, targets):
        raise errors.error(
            RPCStatusCode.ALREADY_EXISTS,
            f"Workflow execution is already running. WorkflowId: {request.job_id}.",
            WorkflowExecutionAlreadyStartedFailure(),
        )
    context.around.batch_begun()
    return StartBatchOperationResponse()


async def stop_batch_operation(
    context: Context, request: StopBatchOperationRequest
) -> StopBatchOperationResponse:
    """Leave the rest of the runs alone."""
    _check_job_id(request.job_id)
    if not request.reason:
        raise errors.invalid("Reason is not set on request.")
    stopped = await batches.stop(context.database, request.job_id)
    if stopped is None:
        raise errors.workflow_not_found(request.job_id, "")
    if not stopped:
        raise errors.already_completed()
    return StopBatchOperationResponse()


async def describe_batch_operation(
    context: Context, request: DescribeBatchOperationRequest
) -> DescribeBatchOperationResponse:
    """What a batch does, and how far it is."""
    _check_job_id(request.job_id)
    row = await batches.find(context.database, request.job_id)
    if row is None:
        raise errors.workflow_not_found(request.job_id, "")
    asked = StartBatchOperationRequest.FromString(row["request"])
    kind = asked.WhichOneof("operation") or ""
    response = DescribeBatchOperationResponse(
        operation_type=TYPES[kind],
        job_id=row["job_id"],
        state=BatchOperationState.ValueType(row["state"]),
        total_operation_count=row["total"],
        complete_operation_count=row["position"] - row["failures"],
        failure_operation_count=row["failures"],
        identity=getattr(getattr(asked, kind), "identity", ""),
        reason=asked.reason,
        query=asked.visibility_query,
        executions=asked.target_executions,
    )
    for execution in asked.executions:
        response.executions.add(
            type=ExecutionType.EXECUTION_TYPE_WORKFLOW,
            business_id=execution.workflow_id,
            run_id=execution.run_id,
        )
    response.start_time.FromDatetime(row["started_at"])
    if row["closed_at"] is not None:
        response.close_time.FromDatetime(row["closed_at"])
    return response


async def list_batch_operations(
    context: Context, request: ListBatchOperationsRequest
) -> ListBatchOperationsResponse:
    """A page of batches, the latest first."""
    size = request.page_size if 0 < request.page_size < _PAGE else _PAGE
    before = _place(request.next_page_token)
    rows = await batches.listed(context.database, before, size + 1)
    response = ListBatchOperationsResponse()
    for row in rows[:size]:
        response.operation_info.append(_info(row))
    if len(rows) > size:
        last = rows[size - 1]
        place = [last["started_at"].isoformat(), last["job_id"]]
        response.next_page_token = json.dumps(place).encode()
    return response


def _info(row: dict[str, Any]) -> BatchOperationInfo:
    asked = StartBatchOperationRequest.FromString(row["request"])
    info = BatchOperationInfo(
        job_id=row["job_id"],
        state=BatchOperationState.ValueType(row["state"]),
        operation_type=TYPES[asked.WhichOneof("operation") or ""],
    )
    info.start_time.FromDatetime(row["started_at"])
    if row["closed_at"] is not None:
        info.close_time.FromDatetime(row["closed_at"])
    return info


def _check_job_id(job_id: str) -> None:
    if not job_id:
        raise errors.invalid("JobId is not set on request.")
    validate.clean(job_id)


def _place(token: bytes) -> tuple[datetime, str] | None:
    if not token:
        return None
    try:
        moment, job_id = json.loads(token)
        return datetime.fromisoformat(moment), validate.clean(str(job_id))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise errors.error(
            RPCStatusCode.UNKNOWN,
            f"something went wrong, please retry ({uuid.uuid4().hex[:8]})",
        ) from None
