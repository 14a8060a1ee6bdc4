"""Worker versioning of old, as far as clients show it: sets of build ids, rules."""

from collections.abc import Sequence

import pytest

from dbosify.api.workflowservice.v1 import (
    UpdateWorkerBuildIdCompatibilityRequest,
)
from dbosify.client import (
    BuildIdOp,
    BuildIdOpAddNewCompatible,
    BuildIdOpAddNewDefault,
    BuildIdOpMergeSets,
    BuildIdOpPromoteBuildIdWithinSet,
    BuildIdOpPromoteSetByBuildId,
    Client,
    TaskReachabilityType,
)
from tests.ported_temporal.contract import Refusal, invalid, not_found, refusal_of
from tests.ported_temporal.scaffold import assert_eventually, random_id

TO_START = [
    BuildIdOpAddNewDefault("1.0"),
    BuildIdOpAddNewCompatible("1.1", "1.0"),
    BuildIdOpAddNewDefault("2.0"),
]


async def sets_of(client: Client, queue: str) -> list[list[str]]:
    """The sets of a task queue."""
    found = await client.get_worker_build_id_compatibility(queue)
    return [] if found is None else [list(s.build_ids) for s in found.version_sets]


async def started(client: Client, operations: Sequence[BuildIdOp] = TO_START) -> str:
    """A task queue with some sets."""
    queue = random_id("queue")
    for operation in operations:
        await client.update_worker_build_id_compatibility(queue, operation)
    return queue


async def test_build_id_interactions(client: Client) -> None:
    queue = random_id("queue")
    for operation, default in (
        (BuildIdOpAddNewDefault("1.0"), "1.0"),
        (BuildIdOpAddNewCompatible("1.1", "1.0"), "1.1"),
        (BuildIdOpPromoteBuildIdWithinSet("1.0"), "1.0"),
        (BuildIdOpAddNewDefault("2.0"), "2.0"),
        (BuildIdOpPromoteSetByBuildId("1.0"), "1.0"),
        (BuildIdOpMergeSets("2.0", "1.0"), "2.0"),
    ):
        await client.update_worker_build_id_compatibility(queue, operation)
        found = await client.get_worker_build_id_compatibility(queue)
        assert found is not None
        assert found.default_build_id() == default
        assert found.default_set().default() == default

    async def reachable() -> None:
        reachability = await client.get_worker_task_reachability(
            ["2.0", "1.0", "1.1"], [queue]
        )
        seen = {
            build_id: list(each.task_queue_reachability[queue])
            for build_id, each in reachability.build_id_reachability.items()
        }
        assert seen == {
            "2.0": [TaskReachabilityType.NEW_WORKFLOWS],
            "1.0": [],
            "1.1": [],
        }

    await assert_eventually(reachable)


@pytest.mark.parametrize(
    ("operation", "sets"),
    [
        (BuildIdOpAddNewDefault("3.0"), [["1.0", "1.1"], ["2.0"], ["3.0"]]),
        (BuildIdOpAddNewDefault("2.0"), [["1.0", "1.1"], ["2.0"]]),
        (BuildIdOpAddNewCompatible("1.2", "1.0"), [["1.0", "1.1", "1.2"], ["2.0"]]),
        (
            BuildIdOpAddNewCompatible("1.2", "1.1", promote_set=True),
            [["2.0"], ["1.0", "1.1", "1.2"]],
        ),
        (BuildIdOpAddNewCompatible("1.1", "1.0"), [["1.0", "1.1"], ["2.0"]]),
        (BuildIdOpPromoteSetByBuildId("1.0"), [["2.0"], ["1.0", "1.1"]]),
        (BuildIdOpPromoteBuildIdWithinSet("1.0"), [["1.1", "1.0"], ["2.0"]]),
        (BuildIdOpMergeSets("1.0", "2.0"), [["1.0", "2.0", "1.1"]]),
        (BuildIdOpMergeSets("2.0", "1.1"), [["1.0", "1.1", "2.0"]]),
    ],
)
async def test_an_operation_changes_the_sets(
    client: Client, operation: BuildIdOp, sets: list[list[str]]
) -> None:
    queue = await started(client)
    await client.update_worker_build_id_compatibility(queue, operation)
    assert await sets_of(client, queue) == sets


async def test_as_many_sets_are_shown_as_are_asked_for(client: Client) -> None:
    queue = await started(client)
    found = await client.get_worker_build_id_compatibility(queue, max_sets=1)
    assert found is not None
    assert [list(each.build_ids) for each in found.version_sets] == [["2.0"]]


async def test_a_queue_has_no_sets_before_it_is_given_some(client: Client) -> None:
    assert await sets_of(client, random_id("queue")) == []


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        (BuildIdOpAddNewDefault("1.0"), invalid("version 1.0 already exists")),
        (
            BuildIdOpAddNewCompatible("1.2", "zz"),
            not_found("targeted compatible_version zz not found"),
        ),
        (
            BuildIdOpAddNewCompatible("2.0", "1.0"),
            invalid(
                "2.0 requested to be made compatible with 1.0 but both versions exist"
                " and are incompatible"
            ),
        ),
        (
            BuildIdOpPromoteSetByBuildId("zz"),
            not_found("targeted version zz not found"),
        ),
        (
            BuildIdOpPromoteBuildIdWithinSet("zz"),
            not_found("targeted version zz not found"),
        ),
        (
            BuildIdOpMergeSets("1.0", "zz"),
            not_found("targeted secondary version zz not found"),
        ),
        (
            BuildIdOpMergeSets("zz", "1.0"),
            not_found("targeted primary version zz not found"),
        ),
    ],
)
async def test_an_operation_that_fits_nothing_is_refused(
    client: Client, operation: BuildIdOp, refusal: Refusal
) -> None:
    queue = await started(client)
    before = await sets_of(client, queue)
    changing = client.update_worker_build_id_compatibility(queue, operation)
    assert await refusal_of(changing) == refusal
    assert await sets_of(client, queue) == before


async def test_a_request_without_an_operation_is_refused(client: Client) -> None:
    request = UpdateWorkerBuildIdCompatibilityRequest(
        namespace=client.namespace, task_queue=random_id("queue")
    )
    service = client.workflow_service
    changing = service.update_worker_build_id_compatibility(request)
    assert await refusal_of(changing) == invalid(
        "request to update worker build ID compatability requires: , an operation to be"
        " specified"
    )


async def test_reachability_is_asked_about_something(client: Client) -> None:
    asking = client.get_worker_task_reachability([])
    assert await refusal_of(asking) == invalid(
        "Must query at least one build ID (or empty string for unversioned worker)"
    )
