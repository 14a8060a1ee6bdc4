"""The workers that run: listed, counted, described.

Temporal's server knows them by the heartbeats that they send every minute; here a
worker enters a table when it begins, and is alive while its process has its lease.
"""

from __future__ import annotations

from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerInfo, WorkerListInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkersRequest,
    CountWorkersResponse,
    DescribeWorkerRequest,
    DescribeWorkerResponse,
    ListWorkersRequest,
    ListWorkersResponse,
)
from temporalio.service import RPCError

from dbosify._model.conditions import Value, holds
from dbosify._model.search_attributes import DATETIME, KEYWORD
from dbosify._service import errors
from dbosify._service.context import Context
from dbosify._service.filter.meaning import understand
from dbosify._store import worker_instances

_PAGE = 1000
_FIELDS = {
    "WorkerInstanceKey": KEYWORD,
    "WorkerIdentity": KEYWORD,
    "HostName": KEYWORD,
    "TaskQueue": KEYWORD,
    "DeploymentName": KEYWORD,
    "BuildId": KEYWORD,
    "SdkName": KEYWORD,
    "SdkVersion": KEYWORD,
    "StartTime": DATETIME,
}


async def list_workers(
    context: Context, request: ListWorkersRequest
) -> ListWorkersResponse:
    """A page of the workers that meet a query."""
    size = request.page_size if 0 < request.page_size < _PAGE else _PAGE
    try:
        after = request.next_page_token.decode()
    except UnicodeDecodeError:
        raise errors.invalid("invalid next page token") from None
    found = [
        each
        for each in await _meeting(context, request.query)
        if each.worker_instance_key > after
    ]
    page = found[:size]
    return ListWorkersResponse(
        workers_info=[WorkerInfo(worker_heartbeat=each) for each in page],
        workers=[_short(each) for each in page],
        next_page_token=(
            page[-1].worker_instance_key.encode() if len(found) > size else b""
        ),
    )


async def count_workers(
    context: Context, request: CountWorkersRequest
) -> CountWorkersResponse:
    """How many workers meet a query."""
    return CountWorkersResponse(count=len(await _meeting(context, request.query)))


async def describe_worker(
    context: Context, request: DescribeWorkerRequest
) -> DescribeWorkerResponse:
    """A worker by its key."""
    for each in await worker_instances.alive(context.database):
        if each.worker_instance_key == request.worker_instance_key:
            return DescribeWorkerResponse(worker_info=WorkerInfo(worker_heartbeat=each))
    raise errors.not_found(f"Worker {request.worker_instance_key} not found")


async def _meeting(context: Context, query: str) -> list[WorkerHeartbeat]:
    try:
        condition = understand(query, {}, _FIELDS).condition
    except RPCError as error:
        # The server takes a name that it does not know for one that no worker has.
        if error.message.startswith("invalid query: invalid search attribute:"):
            return []
        raise
    workers = await worker_instances.alive(context.database)
    if condition is None:
        return workers
    return [each for each in workers if holds(condition, _values(each))]


def _values(worker: WorkerHeartbeat) -> dict[str, Value]:
    return {
        "WorkerInstanceKey": worker.worker_instance_key,
        "WorkerIdentity": worker.worker_identity,
        "HostName": worker.host_info.host_name,
        "TaskQueue": worker.task_queue,
        "DeploymentName": worker.deployment_version.deployment_name,
        "BuildId": worker.deployment_version.build_id,
        "SdkName": worker.sdk_name,
        "SdkVersion": worker.sdk_version,
        "StartTime": worker.start_time.ToNanoseconds(),
    }


def _short(worker: WorkerHeartbeat) -> WorkerListInfo:
    return WorkerListInfo(
        worker_instance_key=worker.worker_instance_key,
        worker_identity=worker.worker_identity,
        task_queue=worker.task_queue,
        deployment_version=worker.deployment_version,
        sdk_name=worker.sdk_name,
        sdk_version=worker.sdk_version,
        status=worker.status,
        start_time=worker.start_time,
        host_name=worker.host_info.host_name,
        process_id=worker.host_info.process_id,
    )
