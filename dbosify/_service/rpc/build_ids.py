"""Worker versioning of old: sets of compatible build ids, kept and shown.

Workers are not chosen by them: that is what worker deployments are for. The rules that
came between the two are refused, as by a server that has not been told otherwise.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import TaskReachability
from temporalio.api.errordetails.v1 import PermissionDeniedFailure
from temporalio.api.taskqueue.v1 import (
    BuildIdReachability,
    CompatibleVersionSet,
    TaskQueueReachability,
)
from temporalio.api.workflowservice.v1 import (
    GetWorkerBuildIdCompatibilityRequest,
    GetWorkerBuildIdCompatibilityResponse,
    GetWorkerTaskReachabilityRequest,
    GetWorkerTaskReachabilityResponse,
    GetWorkerVersioningRulesRequest,
    GetWorkerVersioningRulesResponse,
    UpdateWorkerBuildIdCompatibilityRequest,
    UpdateWorkerBuildIdCompatibilityResponse,
    UpdateWorkerVersioningRulesRequest,
    UpdateWorkerVersioningRulesResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model import version_sets as model
from dbosify._model.version_sets import Sets
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._store import version_sets

_NEW_WORKFLOWS = TaskReachability.TASK_REACHABILITY_NEW_WORKFLOWS


async def update_worker_build_id_compatibility(
    context: Context, request: UpdateWorkerBuildIdCompatibilityRequest
) -> UpdateWorkerBuildIdCompatibilityResponse:
    """Change the sets of a task queue."""
    _check(request)
    database, queue = context.database, request.task_queue
    async with database.transaction() as connection:
        sets = await version_sets.hold(connection, database, queue)
        try:
            changed = _changed(sets, request)
        except model.Unknown as error:
            raise errors.not_found(str(error)) from None
        except model.Exists as error:
            raise errors.invalid(str(error)) from None
        await version_sets.save(connection, database, queue, changed)
    return UpdateWorkerBuildIdCompatibilityResponse()


def _check(request: UpdateWorkerBuildIdCompatibilityRequest) -> None:
    if not request.task_queue:
        raise errors.invalid("missing task queue name")
    validate.length(request.task_queue, "taskQueue")
    compatible, merged = request.add_new_compatible_build_id, request.merge_sets
    for build_id in (
        request.add_new_build_id_in_new_default_set,
        request.promote_set_by_build_id,
        request.promote_build_id_within_set,
        *(compatible.new_build_id, compatible.existing_compatible_build_id),
        *(merged.primary_set_build_id, merged.secondary_set_build_id),
    ):
        validate.length(build_id, "BuildId")


def _changed(sets: Sets, request: UpdateWorkerBuildIdCompatibilityRequest) -> Sets:
    match request.WhichOneof("operation"):
        case "add_new_build_id_in_new_default_set":
            build_id = request.add_new_build_id_in_new_default_set
            return model.add_default(sets, build_id)
        case "add_new_compatible_build_id":
            added = request.add_new_compatible_build_id
            return model.add_compatible(
                sets,
                added.new_build_id,
                existing=added.existing_compatible_build_id,
                default=added.make_set_default,
            )
        case "promote_set_by_build_id":
            return model.promote_set(sets, request.promote_set_by_build_id)
        case "promote_build_id_within_set":
            return model.promote_within(sets, request.promote_build_id_within_set)
        case "merge_sets":
            merged = request.merge_sets
            return model.merge(
                sets, merged.primary_set_build_id, merged.secondary_set_build_id
            )
    raise errors.invalid(
        "request to update worker build ID compatability requires: , an operation to be"
        " specified"
    )


async def get_worker_build_id_compatibility(
    context: Context, request: GetWorkerBuildIdCompatibilityRequest
) -> GetWorkerBuildIdCompatibilityResponse:
    """The sets of a task queue, the default one last."""
    queue = validate.clean(request.task_queue)
    found = await version_sets.of_queues(context.database, [queue])
    sets = found.get(queue, [])
    if request.max_sets > 0:
        sets = sets[-request.max_sets :]
    return GetWorkerBuildIdCompatibilityResponse(
        major_version_sets=[CompatibleVersionSet(build_ids=ids) for ids in sets]
    )


async def get_worker_task_reachability(
    context: Context, request: GetWorkerTaskReachabilityRequest
) -> GetWorkerTaskReachabilityResponse:
    """Which build ids new runs would go to, by task queue."""
    if not request.build_ids:
        raise errors.invalid(
            "Must query at least one build ID (or empty string for unversioned worker)"
        )
    queues = [validate.clean(queue) for queue in request.task_queues]
    found = await version_sets.of_queues(context.database, queues or None)
    response = GetWorkerTaskReachabilityResponse()
    for build_id in request.build_ids:
        shown = BuildIdReachability(build_id=build_id)
        for queue in queues or sorted(_with(found, build_id)):
            default = found[queue][-1][-1] if queue in found else ""
            shown.task_queue_reachability.append(
                TaskQueueReachability(
                    task_queue=queue,
                    reachability=[_NEW_WORKFLOWS] if build_id == default else [],
                )
            )
        response.build_id_reachability.append(shown)
    return response


def _with(found: dict[str, Sets], build_id: str) -> list[str]:
    return [
        queue for queue, sets in found.items() if any(build_id in ids for ids in sets)
    ]


async def get_worker_versioning_rules(
    context: Context, request: GetWorkerVersioningRulesRequest
) -> GetWorkerVersioningRulesResponse:
    """Refused."""
    raise _disabled()


async def update_worker_versioning_rules(
    context: Context, request: UpdateWorkerVersioningRulesRequest
) -> UpdateWorkerVersioningRulesResponse:
    """Refused."""
    raise _disabled()


def _disabled() -> RPCError:
    return errors.error(
        RPCStatusCode.PERMISSION_DENIED,
        "Worker versioning v0.2 (Rules-based, deprecated) is disabled on this"
        " namespace.",
        PermissionDeniedFailure(),
    )
