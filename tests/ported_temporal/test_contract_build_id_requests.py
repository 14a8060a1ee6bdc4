"""How requests about sets of build ids are refused, and what is asked about them."""

from __future__ import annotations

import pytest

from dbosify.api.enums.v1 import TaskReachability
from dbosify.api.taskqueue.v1 import BuildIdReachability
from dbosify.api.workflowservice.v1 import (
    GetWorkerBuildIdCompatibilityRequest,
    GetWorkerTaskReachabilityRequest,
    UpdateWorkerBuildIdCompatibilityRequest,
)
from dbosify.client import BuildIdOpAddNewCompatible, BuildIdOpAddNewDefault, Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import (
    TOO_LONG,
    Refusal,
    invalid,
    not_found,
    refusal_of,
)
from tests.ported_temporal.scaffold import random_id

Change = UpdateWorkerBuildIdCompatibilityRequest

TOO_LONG_BUILD_ID = "x" * 256


def needs(what: str) -> Refusal:
    """The refusal of a change that lacks something."""
    return invalid(
        f"request to update worker build ID compatability requires: , {what}"
    )


async def change(client: Client, task_queue: str, request: Change) -> None:
    """Change the sets of a task queue."""
    request.namespace = client.namespace
    request.task_queue = task_queue
    await client.workflow_service.update_worker_build_id_compatibility(request)


async def sets_of(client: Client, task_queue: str, *, most: int = 0) -> list[list[str]]:
    """The sets of a task queue."""
    request = GetWorkerBuildIdCompatibilityRequest(
        namespace=client.namespace, task_queue=task_queue, max_sets=most
    )
    service = client.workflow_service
    response = await service.get_worker_build_id_compatibility(request)
    return [list(found.build_ids) for found in response.major_version_sets]


async def reachability(
    client: Client,
    *build_ids: str,
    task_queues: tuple[str, ...] = (),
    kind: TaskReachability.ValueType = (TaskReachability.TASK_REACHABILITY_UNSPECIFIED),
) -> list[BuildIdReachability]:
    """What the service says of build ids."""
    request = GetWorkerTaskReachabilityRequest(
        namespace=client.namespace,
        build_ids=build_ids,
        task_queues=task_queues,
        reachability=kind,
    )
    service = client.workflow_service
    response = await service.get_worker_task_reachability(request)
    return list(response.build_id_reachability)


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (Change(), needs("an operation to be specified")),
        (
            Change(add_new_build_id_in_new_default_set=""),
            needs("`add_new_version_id_in_new_default_set` to be set"),
        ),
        (
            Change(promote_set_by_build_id=""),
            needs("`promote_set_by_version_id` to be set"),
        ),
        (
            Change(promote_build_id_within_set=""),
            needs("`promote_version_id_within_set` to be set"),
        ),
        (
            Change(add_new_compatible_build_id=Change.AddNewCompatibleVersion()),
            needs(
                "`add_new_compatible_version` to be set, `existing_compatible_version`"
                " to be set"
            ),
        ),
        (
            Change(merge_sets=Change.MergeSets()),
            not_found("targeted primary version  not found"),
        ),
        (
            Change(add_new_build_id_in_new_default_set=TOO_LONG_BUILD_ID),
            needs(" Worker build IDs to be no larger than 255 characters"),
        ),
        (
            Change(promote_set_by_build_id="'; DROP TABLE dbosify_version_sets; --"),
            not_found(
                "targeted version '; DROP TABLE dbosify_version_sets; -- not found"
            ),
        ),
    ],
)
async def test_a_bad_change_is_refused_and_leaves_nothing(
    client: Client, request_: Change, refusal: Refusal
) -> None:
    task_queue = random_id("queue")
    assert await refusal_of(change(client, task_queue, request_)) == refusal
    assert await sets_of(client, task_queue) == []


async def test_a_change_names_a_task_queue(client: Client) -> None:
    request = Change(add_new_build_id_in_new_default_set="1.0")
    assert await refusal_of(change(client, "", request)) == needs(
        "`task_queue` to be set"
    )
    assert await refusal_of(change(client, TOO_LONG, request)) == invalid(
        "taskQueue length exceeds limit"
    )


@pytest.mark.only_against("dbosify", reason="Temporal stores the character")
async def test_a_nul_character_in_a_build_id_is_refused(client: Client) -> None:
    request = Change(add_new_build_id_in_new_default_set="1\0")
    refusal = await refusal_of(change(client, random_id("queue"), request))
    assert refusal == invalid("a NUL character cannot be stored")


async def test_sets_are_limited(client: Client) -> None:
    task_queue = random_id("queue")
    for number in range(10):
        await client.update_worker_build_id_compatibility(
            task_queue, BuildIdOpAddNewDefault(f"{number}.0")
        )
    one_more = Change(add_new_build_id_in_new_default_set="next")
    assert await refusal_of(change(client, task_queue, one_more)) == Refusal(
        RPCStatusCode.FAILED_PRECONDITION,
        "update would exceed number of compatible version sets permitted in namespace"
        " dynamic config (11/10)",
    )


async def test_a_question_about_build_ids_has_its_form(client: Client) -> None:
    queue = (random_id("queue"),)
    assert await refusal_of(reachability(client)) == invalid(
        "Must query at least one build ID (or empty string for unversioned worker)"
    )
    assert await refusal_of(reachability(client, *"abcdef")) == invalid(
        "Too many build ids queried at once, limit: 5"
    )
    assert await refusal_of(reachability(client, "")) == invalid(
        "Cannot get reachability of an unversioned worker without specifying at least"
        " one task queue (empty build ID is interpereted as unversioned)"
    )
    assert await refusal_of(reachability(client, TOO_LONG_BUILD_ID)) == invalid(
        "Build ID exceeds configured limit.workerBuildIdSize, use a shorter build ID."
    )
    unknown = TaskReachability.ValueType(9)
    refusal = await refusal_of(
        reachability(client, "", task_queues=queue, kind=unknown)
    )
    assert refusal == invalid("Unsupported reachability type: 9")


async def test_only_the_default_of_a_queue_gets_new_workflows(client: Client) -> None:
    task_queue, other = random_id("queue"), random_id("queue")
    old, new = random_id("old"), random_id("new")
    for operation in (BuildIdOpAddNewDefault(old), BuildIdOpAddNewCompatible(new, old)):
        await client.update_worker_build_id_compatibility(task_queue, operation)
    found = await reachability(client, old, new, "", task_queues=(task_queue, other))
    told = {
        (answer.build_id, queue.task_queue): list(queue.reachability)
        for answer in found
        for queue in answer.task_queue_reachability
    }
    new_workflows = [TaskReachability.TASK_REACHABILITY_NEW_WORKFLOWS]
    assert told == {
        (old, task_queue): [],
        (old, other): [],
        (new, task_queue): new_workflows,
        (new, other): [],
        ("", task_queue): new_workflows,
        ("", other): new_workflows,
    }
