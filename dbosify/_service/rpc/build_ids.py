"""Worker versioning of old: sets of compatible build ids, kept and shown.

Workers are not chosen by them: that is what worker deployments are for. The rules that
came between the two are refused, as by a server that has not been told otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

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

from dbosify._model import limits
from dbosify._model import version_sets as model
from dbosify._model.conditions import All, Any, Compare, Condition, Field, IsNull, Not
from dbosify._model.search_attributes import DATETIME, KEYWORD, KEYWORD_LIST
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._store import version_sets, visibility

_LONGEST = 255
_MOST_ASKED = 5
_NEW = TaskReachability.TASK_REACHABILITY_NEW_WORKFLOWS
_EXISTING = TaskReachability.TASK_REACHABILITY_EXISTING_WORKFLOWS
_OPEN = TaskReachability.TASK_REACHABILITY_OPEN_WORKFLOWS
_CLOSED = TaskReachability.TASK_REACHABILITY_CLOSED_WORKFLOWS

_QUEUE = Field("TaskQueue", KEYWORD, True)
_BUILD_IDS = Field("BuildIds", KEYWORD_LIST, False)
_IS_OPEN = IsNull(Field("CloseTime", DATETIME, True))
_UNVERSIONED: Condition = Any(
    (IsNull(_BUILD_IDS), Compare(_BUILD_IDS, "=", "unversioned"))
)


async def update_worker_build_id_compatibility(
    context: Context, request: UpdateWorkerBuildIdCompatibilityRequest
) -> UpdateWorkerBuildIdCompatibilityResponse:
    """Add a build id to a task queue's sets, promote one, or merge two sets."""
    wrong = list(_wrong(request))
    if wrong:
        raise errors.invalid(
            "request to update worker build ID compatability requires: , "
            + ", ".join(wrong)
        )
    _check_queue(request.task_queue)
    for build_id in _build_ids(request):
        validate.clean(build_id)
    async with context.database.transaction() as connection:
        sets = await version_sets.hold(context.database, connection, request.task_queue)
        try:
            after = model.changed(sets, request)
        except model.NoSuchBuildId as refusal:
            raise errors.not_found(str(refusal)) from None
        except model.Contradiction as refusal:
            raise errors.invalid(str(refusal)) from None
        except model.TooMany as refusal:
            raise errors.failed_precondition(str(refusal)) from None
        if after != sets:
            await version_sets.save(
                context.database, connection, request.task_queue, after
            )
    return UpdateWorkerBuildIdCompatibilityResponse()


def _wrong(request: UpdateWorkerBuildIdCompatibilityRequest) -> Iterator[str]:
    """What the request lacks, in the server's words and order."""
    if not request.task_queue:
        yield "`task_queue` to be set"
    operation = request.WhichOneof("operation")
    if operation is None:
        yield "an operation to be specified"
    wanted = request.add_new_compatible_build_id
    fields = {
        "add_new_build_id_in_new_default_set": {
            "add_new_version_id_in_new_default_set": (
                request.add_new_build_id_in_new_default_set
            )
        },
        "add_new_compatible_build_id": {
            "add_new_compatible_version": wanted.new_build_id,
            "existing_compatible_version": wanted.existing_compatible_build_id,
        },
        "promote_set_by_build_id": {
            "promote_set_by_version_id": request.promote_set_by_build_id
        },
        "promote_build_id_within_set": {
            "promote_version_id_within_set": request.promote_build_id_within_set
        },
    }
    for name, build_id in fields.get(operation or "", {}).items():
        if not build_id:
            yield f"`{name}` to be set"
    for build_id in _build_ids(request):
        if len(build_id.encode()) > _LONGEST:
            yield f" Worker build IDs to be no larger than {_LONGEST} characters"


def _build_ids(request: UpdateWorkerBuildIdCompatibilityRequest) -> tuple[str, ...]:
    """All that a request names; those that it does not use are empty."""
    return (
        request.add_new_build_id_in_new_default_set,
        request.add_new_compatible_build_id.new_build_id,
        request.add_new_compatible_build_id.existing_compatible_build_id,
        request.promote_set_by_build_id,
        request.promote_build_id_within_set,
        request.merge_sets.primary_set_build_id,
        request.merge_sets.secondary_set_build_id,
    )


def _check_queue(task_queue: str) -> None:
    if len(task_queue.encode()) > limits.current.id_bytes:
        raise errors.invalid("taskQueue length exceeds limit")
    validate.clean(task_queue)


async def get_worker_build_id_compatibility(
    context: Context, request: GetWorkerBuildIdCompatibilityRequest
) -> GetWorkerBuildIdCompatibilityResponse:
    """A task queue's sets, the default one last; all, or as many as were asked for."""
    _check_queue(request.task_queue)
    found = await version_sets.known(context.database, [request.task_queue])
    sets = found.get(request.task_queue, ())
    shown = sets[-request.max_sets :] if request.max_sets > 0 else sets
    return GetWorkerBuildIdCompatibilityResponse(
        major_version_sets=[CompatibleVersionSet(build_ids=ids) for ids in shown]
    )


async def get_worker_task_reachability(
    context: Context, request: GetWorkerTaskReachabilityRequest
) -> GetWorkerTaskReachabilityResponse:
    """For which workflows build ids are still needed, task queue by task queue."""
    _check_question(request)
    response = GetWorkerTaskReachabilityResponse()
    for build_id in request.build_ids:
        answer = BuildIdReachability(build_id=build_id)
        if request.task_queues:
            known = await version_sets.known(context.database, request.task_queues)
            queues = list(request.task_queues)
        else:
            known = await version_sets.having(context.database, build_id)
            queues = list(known)
        for queue in queues:
            needed = await _needed(
                context, queue, build_id, known.get(queue, ()), request.reachability
            )
            answer.task_queue_reachability.append(
                TaskQueueReachability(task_queue=queue, reachability=needed)
            )
        response.build_id_reachability.append(answer)
    return response


def _check_question(request: GetWorkerTaskReachabilityRequest) -> None:
    if not request.build_ids:
        raise errors.invalid(
            "Must query at least one build ID (or empty string for unversioned worker)"
        )
    if len(request.build_ids) > _MOST_ASKED:
        raise errors.invalid(
            f"Too many build ids queried at once, limit: {_MOST_ASKED}"
        )
    for build_id in request.build_ids:
        if len(build_id.encode()) > _LONGEST:
            raise errors.invalid(
                "Build ID exceeds configured limit.workerBuildIdSize, use a shorter"
                " build ID."
            )
        validate.clean(build_id)
    if "" in request.build_ids and not request.task_queues:
        raise errors.invalid(
            "Cannot get reachability of an unversioned worker without specifying at"
            " least one task queue (empty build ID is interpereted as unversioned)"
        )
    for queue in request.task_queues:
        _check_queue(queue)


async def _needed(
    context: Context,
    task_queue: str,
    build_id: str,
    sets: model.VersionSets,
    asked: TaskReachability.ValueType,
) -> list[TaskReachability.ValueType]:
    """What a build id is needed for; only the default of a set ever is."""
    if build_id == "":
        # Without a worker of the default set's kind, unversioned ones go on.
        new, theirs = True, _UNVERSIONED
    else:
        place = model.set_of(sets, build_id)
        if place is None or sets[place][-1] != build_id:
            return []
        new = place == len(sets) - 1
        theirs = Any(
            tuple(
                Compare(_BUILD_IDS, "=", f"versioned:{other}") for other in sets[place]
            )
        )
    needed = [_NEW] if new else []
    if asked == _NEW:
        return needed
    kind, state = _asked(asked)
    runs = await visibility.count_runs(
        context.database,
        All((Compare(_QUEUE, "=", task_queue), theirs, *state)),
        all_divisions=False,
    )
    return [*needed, kind] if sum(runs.values()) else needed


def _asked(
    asked: TaskReachability.ValueType,
) -> tuple[TaskReachability.ValueType, tuple[Condition, ...]]:
    """What is answered if there are such runs, and which runs are meant."""
    match asked:
        case TaskReachability.TASK_REACHABILITY_UNSPECIFIED:
            return _EXISTING, ()
        case TaskReachability.TASK_REACHABILITY_EXISTING_WORKFLOWS:
            return _EXISTING, ()
        case TaskReachability.TASK_REACHABILITY_OPEN_WORKFLOWS:
            return _OPEN, (_IS_OPEN,)
        case TaskReachability.TASK_REACHABILITY_CLOSED_WORKFLOWS:
            return _CLOSED, (Not(_IS_OPEN),)
    raise errors.invalid(f"Unsupported reachability type: {asked}")


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
