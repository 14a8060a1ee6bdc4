"""QueryWorkflow: answered by the worker that owns the run, or by any that rebuilds it.

An open run is asked where it is cached, so that the answer has seen every message sent
before; a parked run is woken for it; a closed run is rebuilt by any worker of its queue
through the mailbox.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from temporalio.api.enums.v1 import QueryRejectCondition
from temporalio.api.errordetails.v1 import QueryFailedFailure
from temporalio.api.workflowservice.v1 import (
    QueryWorkflowRequest,
    QueryWorkflowResponse,
)

from dbosify._model import limits
from dbosify._model.protos import (
    Payloads,
    QueryResult,
    WorkflowActivationJob,
    WorkflowExecutionStatus,
)
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._service.ending import find_run
from dbosify._store import queries
from dbosify._store.queries import QueryRow

_RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
_COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
_PATIENCE = 30.0
"""Seconds to wait for an answer when the caller sets no deadline."""
_FAILING_ATTEMPT = 3


async def query_workflow(
    context: Context, request: QueryWorkflowRequest
) -> QueryWorkflowResponse:
    """Ask a run something without leaving a trace in it."""
    workflow_id, run_id = validate.execution(request.execution)
    if not request.HasField("query"):
        raise errors.invalid("WorkflowQuery is not set on request.")
    if not request.query.query_type:
        raise errors.invalid("QueryType is not set on request.")
    run = await find_run(context, workflow_id, run_id)
    if run is None:
        raise errors.workflow_not_found(workflow_id, run_id or "")
    if _rejected(request.query_reject_condition, run["status"]):
        response = QueryWorkflowResponse()
        response.query_rejected.status = run["status"]
        return response
    await _check_ready(context, run)
    result = await _ask(context, run, _job(request))
    return _response(result)


def _rejected(condition: int, status: int) -> bool:
    if condition == QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_OPEN:
        return status != _RUNNING
    if condition == QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_COMPLETED_CLEANLY:
        return status not in (_RUNNING, _COMPLETED)
    return False


async def _check_ready(context: Context, run: dict[str, Any]) -> None:
    if run["close_time"] is not None:
        if not await context.database.fetch(
            "first_step", {"workflow_uuid": run["workflow_uuid"]}
        ):
            raise errors.not_ready(
                "Workflow execution closed before WorkflowTaskStarted event"
            )
        return
    if run["task_attempt"] >= _FAILING_ATTEMPT:
        raise errors.not_ready(
            "Unable to query workflow due to Workflow Task in failed state."
        )
    wait = run["execution_time"].timestamp() - context.around.now().seconds
    if wait > context.time_left(_PATIENCE):
        raise errors.not_ready("Workflow task is not scheduled yet.")


def _job(request: QueryWorkflowRequest) -> WorkflowActivationJob:
    job = WorkflowActivationJob()
    query = job.query_workflow
    query.query_id = "legacy_query"
    query.query_type = request.query.query_type
    query.arguments.extend(request.query.query_args.payloads)
    for key, value in request.query.header.fields.items():
        query.headers[key].CopyFrom(value)
    return job


async def _ask(
    context: Context, run: dict[str, Any], job: WorkflowActivationJob
) -> QueryResult:
    content = job.SerializeToString()
    here = await context.around.query_here(run["workflow_uuid"], content, run["inbox"])
    if here is not None:
        return here
    row = QueryRow(
        str(uuid.uuid4()), run["workflow_uuid"], run["run_id"], content, run["inbox"]
    )
    patience = context.time_left(_PATIENCE)
    if not await queries.ask(context.database, row, ttl=patience):
        raise errors.workflow_not_found(run["workflow_id"], run["run_id"])
    answer = None
    try:
        with context.around.watch(f"query:{row.query_id}") as watch:
            context.around.query_left(run["task_queue"])
            while answer is None and context.time_left(patience) > 0:
                await watch.wait(0.25)
                answer = await queries.take(context.database, row.query_id)
                patience -= 0.25
    finally:
        if answer is None:
            await asyncio.shield(
                queries.take(context.database, row.query_id, give_up=True)
            )
    if answer is None:
        raise errors.deadline_exceeded()
    return QueryResult.FromString(answer)


def _response(result: QueryResult) -> QueryWorkflowResponse:
    if result.HasField("failed"):
        # Core sends the server only the failure's message, so the detail is empty.
        raise errors.query_failed(result.failed.message, QueryFailedFailure())
    payloads = Payloads(payloads=[result.succeeded.response])
    if payloads.ByteSize() > limits.current.blob_bytes:
        raise errors.query_failed("Blob data size exceeds limit.", QueryFailedFailure())
    return QueryWorkflowResponse(query_result=payloads)
