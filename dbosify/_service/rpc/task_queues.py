"""A task queue as operators see it: who works on it, and what waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from temporalio.api.common.v1 import WorkerVersionCapabilities
from temporalio.api.enums.v1 import (
    DescribeTaskQueueMode,
    RateLimitSource,
    TaskQueueType,
)
from temporalio.api.taskqueue.v1 import (
    PollerInfo,
    TaskQueueStats,
    TaskQueueTypeInfo,
    TaskQueueVersionInfo,
    TaskQueueVersioningInfo,
)
from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerPollerInfo
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
)

from dbosify._model import clock, limits
from dbosify._service import deploying, errors, validate
from dbosify._service.context import Context
from dbosify._store import queue_configs, routing, worker_instances
from dbosify._store.engine import Database
from dbosify._store.worker_instances import Backlog

_WORKFLOWS = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
_ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
_NEXUS = TaskQueueType.TASK_QUEUE_TYPE_NEXUS
_ENHANCED = DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED
_USUAL_PRIORITY = 3
_NO_LIMIT = 100_000
"""What the server shows as the rate of a worker that has none."""
_SERVER_LIMIT = 4000
_BACKLOGS: dict[int, Callable[[Database, str], Awaitable[list[Backlog]]]] = {
    _WORKFLOWS: worker_instances.backlog_of_runs,
    _ACTIVITIES: worker_instances.backlog_of_activities,
    _NEXUS: worker_instances.backlog_of_nexus,
}


async def describe_task_queue(
    context: Context, request: DescribeTaskQueueRequest
) -> DescribeTaskQueueResponse:
    """Who works on a task queue, and what waits in it."""
    queue = request.task_queue.name
    if not request.HasField("task_queue"):
        raise errors.invalid("taskQueue is not set")
    if not queue:
        raise errors.invalid("missing task queue name")
    if len(validate.clean(queue)) > limits.current.id_bytes:
        raise errors.invalid("taskQueue length exceeds limit")
    workers = await worker_instances.alive(context.database, queue)
    if request.api_mode == _ENHANCED:
        return await _enhanced(context, request, workers)
    kind = request.task_queue_type or _WORKFLOWS
    response = DescribeTaskQueueResponse(pollers=_pollers(workers, kind))
    response.versioning_info.CopyFrom(await _versioning(context, queue, kind))
    await _show_config(context, request, kind, response)
    if request.report_stats:
        waiting = await _backlog(context, kind)(context.database, queue)
        response.stats.CopyFrom(_stats(context, waiting))
        by_key = response.stats_by_priority_key
        by_key[_USUAL_PRIORITY].CopyFrom(_stats(context, ()))
        for each in waiting:
            by_key[_USUAL_PRIORITY + each.priority].CopyFrom(_stats(context, (each,)))
    return response


async def _versioning(
    context: Context, task_queue: str, kind: int
) -> TaskQueueVersioningInfo:
    """Which versions of a worker deployment get the tasks that are pinned to none."""
    info = TaskQueueVersioningInfo(current_version=deploying.UNVERSIONED)
    found = await routing.shown(context.database, task_queue, kind)
    if found is None:
        return info
    route, changed_at = found
    info.update_time.FromDatetime(changed_at)
    if current := route.current.version:
        info.current_deployment_version.CopyFrom(current)
        info.current_version = deploying.version_string(current)
    if ramping := route.ramping.version:
        info.ramping_deployment_version.CopyFrom(ramping)
        info.ramping_version = deploying.version_string(ramping)
    elif route.share:
        info.ramping_version = deploying.UNVERSIONED
    info.ramping_version_percentage = route.share / 100
    return info


async def _show_config(
    context: Context,
    request: DescribeTaskQueueRequest,
    kind: int,
    response: DescribeTaskQueueResponse,
) -> None:
    config = await queue_configs.find(context.database, request.task_queue.name, kind)
    rate = None if config is None else queue_configs.rate_of(config)
    if config is not None and request.report_config:
        response.config.CopyFrom(config)
    source, shown = RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM, float(_SERVER_LIMIT)
    if rate is not None and rate < _SERVER_LIMIT:
        source, shown = RateLimitSource.RATE_LIMIT_SOURCE_API, rate
    response.effective_rate_limit.requests_per_second = shown
    response.effective_rate_limit.rate_limit_source = source


async def _enhanced(
    context: Context,
    request: DescribeTaskQueueRequest,
    workers: Iterable[WorkerHeartbeat],
) -> DescribeTaskQueueResponse:
    """The answer in the form that shows several kinds at once."""
    info = TaskQueueVersionInfo()
    for kind in request.task_queue_types or (_WORKFLOWS, _ACTIVITIES):
        of_kind = TaskQueueTypeInfo()
        if request.report_pollers:
            of_kind.pollers.extend(_pollers(workers, kind))
        if request.report_stats:
            queue = request.task_queue.name
            waiting = await _backlog(context, kind)(context.database, queue)
            of_kind.stats.CopyFrom(_stats(context, waiting))
        info.types_info[kind].CopyFrom(of_kind)
    return DescribeTaskQueueResponse(versions_info={"": info})


def _backlog(
    context: Context, kind: int
) -> Callable[[Database, str], Awaitable[list[Backlog]]]:
    return _BACKLOGS.get(kind, _nothing)


async def _nothing(database: Database, queue: str) -> list[Backlog]:
    return []


def _pollers(workers: Iterable[WorkerHeartbeat], kind: int) -> list[PollerInfo]:
    return [
        PollerInfo(
            last_access_time=each.heartbeat_time,
            identity=each.worker_identity,
            rate_per_second=_NO_LIMIT,
            worker_version_capabilities=WorkerVersionCapabilities(
                build_id=each.deployment_version.build_id
            ),
        )
        for each in workers
        if _polls(each, kind)
    ]


def _polls(worker: WorkerHeartbeat, kind: int) -> bool:
    by_kind: dict[int, WorkerPollerInfo] = {
        _WORKFLOWS: worker.workflow_poller_info,
        _ACTIVITIES: worker.activity_poller_info,
        _NEXUS: worker.nexus_poller_info,
    }
    return kind in by_kind and by_kind[kind].current_pollers > 0


def _stats(context: Context, waiting: Iterable[Backlog]) -> TaskQueueStats:
    waiting = list(waiting)
    now = clock.seconds(context.around.now())
    oldest = min((each.since for each in waiting), default=now)
    return TaskQueueStats(
        approximate_backlog_count=sum(each.tasks for each in waiting),
        approximate_backlog_age=clock.duration(max(0.0, now - oldest)),
    )
