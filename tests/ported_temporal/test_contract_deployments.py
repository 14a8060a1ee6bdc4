"""What the service answers about worker deployments and their versions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dbosify import workflow
from dbosify.api.common.v1 import Payload
from dbosify.api.enums.v1 import (
    TaskQueueType,
    WorkerDeploymentVersionStatus,
)
from dbosify.api.taskqueue.v1 import TaskQueue, TaskQueueVersioningInfo
from dbosify.api.workflowservice import v1
from dbosify.client import Client
from dbosify.common import VersioningBehavior
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import Refusal, invalid, not_found, refusal_of
from tests.ported_temporal.deployments import Deployment
from tests.ported_temporal.scaffold import random_id
from tests.waiting import eventually

pytestmark = pytest.mark.needs("worker versioning")

Status = WorkerDeploymentVersionStatus
UNVERSIONED = "__unversioned__"
TOO_LONG = "x" * 1001


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class StayWorkflow:
    """Waits until it is told."""

    def __init__(self) -> None:
        self.done = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.done)

    @workflow.signal
    def finish(self) -> None:
        self.done = True


def deployment(client: Client) -> Deployment:
    """One that nobody knows yet."""
    return Deployment(client, random_id("deployment"), random_id("queue"))


def precondition(message: str) -> Refusal:
    """What is asked for is not possible now."""
    return Refusal(RPCStatusCode.FAILED_PRECONDITION, message)


def no_deployment(name: str) -> Refusal:
    """There is no deployment of that name."""
    return not_found(
        f"no Worker Deployment found with name '{name}'; does your Worker Deployment"
        " have pollers?"
    )


async def created(client: Client, *builds: str) -> Deployment:
    """A deployment with versions that have no workers."""
    made = deployment(client)
    service = client.workflow_service
    await service.create_worker_deployment(
        v1.CreateWorkerDeploymentRequest(
            namespace=client.namespace,
            deployment_name=made.name,
            identity="creator",
            request_id=random_id(),
        )
    )
    for build_id in builds:
        await service.create_worker_deployment_version(
            v1.CreateWorkerDeploymentVersionRequest(
                namespace=client.namespace,
                deployment_version=made.api_version(build_id),
                identity="creator",
                request_id=random_id(),
            )
        )
    return made


async def routing_of(made: Deployment) -> TaskQueueVersioningInfo:
    """What the task queue of a deployment's workers tells of versions."""
    described = await made.client.workflow_service.describe_task_queue(
        v1.DescribeTaskQueueRequest(
            namespace=made.client.namespace,
            task_queue=TaskQueue(name=made.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return described.versioning_info


async def delete_version(made: Deployment, build_id: str, **fields: Any) -> None:
    """Delete a version."""
    service = made.client.workflow_service
    await service.delete_worker_deployment_version(
        v1.DeleteWorkerDeploymentVersionRequest(
            namespace=made.client.namespace,
            deployment_version=made.api_version(build_id),
            **fields,
        )
    )


async def delete(made: Deployment) -> None:
    """Delete the deployment."""
    await made.client.workflow_service.delete_worker_deployment(
        v1.DeleteWorkerDeploymentRequest(
            namespace=made.client.namespace, deployment_name=made.name
        )
    )


async def set_manager(
    made: Deployment, **fields: Any
) -> v1.SetWorkerDeploymentManagerResponse:
    """Say who may change it."""
    return await made.client.workflow_service.set_worker_deployment_manager(
        v1.SetWorkerDeploymentManagerRequest(
            namespace=made.client.namespace, deployment_name=made.name, **fields
        )
    )


async def note(
    made: Deployment, build_id: str, **fields: Any
) -> v1.UpdateWorkerDeploymentVersionMetadataResponse:
    """Change what is noted about a version."""
    service = made.client.workflow_service
    return await service.update_worker_deployment_version_metadata(
        v1.UpdateWorkerDeploymentVersionMetadataRequest(
            namespace=made.client.namespace,
            deployment_version=made.api_version(build_id),
            **fields,
        )
    )


async def test_a_worker_makes_its_version_known(client: Client) -> None:
    made = deployment(client)
    async with made.worker("1", [StayWorkflow]):
        await made.seen("1")
        described = await made.describe_version("1")
        info = described.worker_deployment_version_info
        assert info.version == f"{made.name}.1"
        assert info.deployment_version == made.api_version("1")
        assert info.status == Status.WORKER_DEPLOYMENT_VERSION_STATUS_INACTIVE
        assert info.HasField("create_time")
        assert [(queue.name, queue.type) for queue in info.task_queue_infos] == [
            (made.task_queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)
        ]
        assert [(q.name, q.type) for q in described.version_task_queues] == [
            (made.task_queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)
        ]
        shown = (await made.describe()).worker_deployment_info
        assert shown.name == made.name
        assert shown.routing_config.current_version == UNVERSIONED
        assert [summary.version for summary in shown.version_summaries] == [
            f"{made.name}.1"
        ]
        refused = await refusal_of(delete_version(made, "1"))
        assert refused == precondition(
            f"version '{made.name}:1' cannot be deleted since it has active pollers"
        )


async def test_new_runs_are_given_to_a_version(client: Client) -> None:
    made = await created(client, "1", "2")
    first = await made.set_current("1", identity="setter")
    assert first.previous_version == UNVERSIONED
    assert not first.HasField("previous_deployment_version")
    again = await made.set_current("1", identity="setter")
    assert again.conflict_token == first.conflict_token
    assert again.previous_version == f"{made.name}.1"
    assert again.previous_deployment_version == made.api_version("1")

    await made.set_current("2", identity="another")
    described = await made.describe()
    info = described.worker_deployment_info
    assert info.last_modifier_identity == "another"
    routing = info.routing_config
    assert routing.current_version == f"{made.name}.2"
    assert routing.current_deployment_version == made.api_version("2")
    assert routing.HasField("current_version_changed_time")
    assert routing.revision_number == 2
    statuses = {
        summary.deployment_version.build_id: summary.status
        for summary in info.version_summaries
    }
    assert statuses["2"] == Status.WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT
    assert statuses["1"] in (
        Status.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINING,
        Status.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINED,
    )

    last = await made.set_current("", identity="another")
    assert last.previous_deployment_version == made.api_version("2")
    assert last.conflict_token == (await made.describe()).conflict_token


async def test_a_share_of_the_runs_is_given_to_a_version(client: Client) -> None:
    made = await created(client, "1", "2")
    await made.set_current("1", identity="setter")
    first = await made.set_ramping("2", 5, identity="setter")
    assert (first.previous_version, first.previous_percentage) == ("", 0)
    more = await made.set_ramping("2", 7.5, identity="setter")
    assert (more.previous_version, more.previous_percentage) == (f"{made.name}.2", 5)
    assert more.previous_deployment_version == made.api_version("2")
    same = await made.set_ramping("2", 7.5, identity="setter")
    assert same.conflict_token == more.conflict_token

    info = (await made.describe()).worker_deployment_info
    routing = info.routing_config
    assert routing.ramping_version == f"{made.name}.2"
    assert routing.ramping_deployment_version == made.api_version("2")
    assert routing.ramping_version_percentage == 7.5
    assert info.version_summaries[0].status == (
        Status.WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING
    )
    version = (await made.describe_version("2")).worker_deployment_version_info
    assert version.ramp_percentage == 7.5

    # A version that becomes current ramps no longer.
    await made.set_current("2", identity="setter")
    routing = (await made.describe()).worker_deployment_info.routing_config
    assert (routing.ramping_version, routing.ramping_version_percentage) == ("", 0)
    assert await refusal_of(made.set_ramping("2", 5)) == precondition(
        f"requested ramping version {made.name}.2 is already current"
    )

    without = await made.set_ramping("", 20, identity="setter")
    assert without.previous_version == ""
    again = await made.set_ramping("", 30, identity="setter")
    assert (again.previous_version, again.previous_percentage) == (UNVERSIONED, 20)
    ended = await made.set_ramping("", 0, identity="setter")
    assert (ended.previous_version, ended.previous_percentage) == (UNVERSIONED, 30)
    same = await made.set_ramping("", 0, identity="setter")
    assert same.conflict_token == ended.conflict_token
    assert same.previous_version == ""


async def test_a_task_queue_tells_which_versions_get_its_tasks(client: Client) -> None:
    made = deployment(client)
    none = await routing_of(made)
    assert none.current_version == UNVERSIONED
    async with made.worker("1", [StayWorkflow]), made.worker("2", [StayWorkflow]):
        await made.seen("1")
        await made.seen("2")
        begun = await made.set_current("1")
        assert begun.previous_version == UNVERSIONED
        await made.set_ramping("2", 12.5)

        async def both_are_told() -> TaskQueueVersioningInfo:
            found = await routing_of(made)
            assert found.current_version == f"{made.name}.1"
            assert found.ramping_version == f"{made.name}.2"
            return found

        both = await eventually(both_are_told)
        assert both.current_deployment_version == made.api_version("1")
        assert both.ramping_deployment_version == made.api_version("2")
        assert both.ramping_version_percentage == 12.5
        assert both.HasField("update_time")

        await made.set_current("2")
        await made.set_ramping("", 20)

        async def unversioned_ramp() -> TaskQueueVersioningInfo:
            found = await routing_of(made)
            assert found.current_version == f"{made.name}.2"
            assert found.ramping_version == UNVERSIONED
            return found

        ramping = await eventually(unversioned_ramp)
        assert not ramping.HasField("ramping_deployment_version")
        assert ramping.ramping_version_percentage == 20


async def test_workers_without_a_version_do_not_ramp_beside_themselves(
    client: Client,
) -> None:
    made = await created(client)
    assert await refusal_of(made.set_ramping("", 7)) == precondition(
        "requested ramping version __unversioned__ is already current"
    )


@pytest.mark.parametrize("percentage", [-1, 100.5, float("nan")])
async def test_a_share_is_a_percentage(client: Client, percentage: float) -> None:
    made = await created(client, "1")
    if percentage == percentage:
        assert await refusal_of(made.set_ramping("1", percentage)) == invalid(
            "Percentage must be between 0 and 100 (inclusive)"
        )


async def test_a_view_that_is_outdated_changes_nothing(client: Client) -> None:
    made = await created(client, "1", "2")
    old = (await made.describe()).conflict_token
    new = (await made.set_current("1", conflict_token=old)).conflict_token
    stale = precondition("conflict token mismatch")
    assert await refusal_of(made.set_current("2", conflict_token=old)) == stale
    assert await refusal_of(made.set_ramping("2", 5, conflict_token=b"x")) == stale
    refused = await refusal_of(
        set_manager(made, manager_identity="a", identity="x", conflict_token=b"z")
    )
    assert refused == stale
    await made.set_current("2", conflict_token=new)


async def test_a_manager_alone_changes_the_routing(client: Client) -> None:
    made = await created(client, "1")
    first = await set_manager(made, manager_identity="boss", identity="x")
    assert first.previous_manager_identity == ""
    again = await set_manager(made, manager_identity="boss", identity="x")
    assert again.previous_manager_identity == "boss"
    assert again.conflict_token == first.conflict_token
    held = precondition(
        "ManagerIdentity 'boss' is set and does not match user identity 'x'; to"
        " proceed, set your own identity as the ManagerIdentity, remove the"
        " ManagerIdentity, or wait for the other client to do so"
    )
    assert await refusal_of(made.set_current("1", identity="x")) == held
    assert await refusal_of(made.set_ramping("1", 5, identity="x")) == held
    await made.set_current("1", identity="boss")

    taken = await set_manager(made, self=True, identity="x")
    assert taken.previous_manager_identity == "boss"
    info = (await made.describe()).worker_deployment_info
    assert info.manager_identity == "x"
    await made.set_current("", identity="x")
    await set_manager(made, manager_identity="", identity="x")
    await made.set_current("1", identity="somebody")


async def test_a_manager_is_set_by_somebody(client: Client) -> None:
    made = deployment(client)
    refused = await refusal_of(set_manager(made, manager_identity="boss"))
    assert refused == invalid("Identity is required")
    refused = await refusal_of(set_manager(made, self=True, identity="x"))
    assert refused == not_found(
        f"workflow not found for ID: temporal-sys-worker-deployment:{made.name}"
    )


async def test_notes_on_a_version_are_kept(client: Client) -> None:
    made = await created(client, "1")
    noted = await note(
        made, "1", upsert_entries={"a": Payload(data=b"1"), "b": Payload(data=b"2")}
    )
    assert {key: note.data for key, note in noted.metadata.entries.items()} == {
        "a": b"1",
        "b": b"2",
    }
    left = await note(
        made,
        "1",
        upsert_entries={"b": Payload(data=b"3")},
        remove_entries=["a", "none"],
        identity="noter",
    )
    assert {key: note.data for key, note in left.metadata.entries.items()} == {
        "b": b"3"
    }
    info = (await made.describe_version("1")).worker_deployment_version_info
    assert info.metadata == left.metadata
    assert info.last_modifier_identity == "noter"

    assert await refusal_of(note(made, "1")) == invalid(
        "At least one of remove_entries or upsert_entries must be provided"
    )
    assert await refusal_of(note(made, "77", remove_entries=["a"])) == not_found(
        "workflow not found for ID:"
        f" temporal-sys-worker-deployment-version:{made.name}:77"
    )


async def test_what_is_not_needed_is_deleted(client: Client) -> None:
    made = await created(client, "1", "2")
    await made.set_current("1")
    await made.set_ramping("2", 5)
    for build_id in ("1", "2"):
        assert await refusal_of(delete_version(made, build_id)) == precondition(
            f"version '{made.name}:{build_id}' cannot be deleted since it is current"
            " or ramping"
        )
    assert await refusal_of(delete(made)) == precondition(
        "deployment has versions, can't be deleted"
    )
    await made.set_current("")
    await made.set_ramping("", 0)
    for build_id in ("1", "2", "2", "none"):
        await delete_version(made, build_id, skip_drainage=True)
    assert await refusal_of(made.describe_version("1")) == not_found(
        "Worker Deployment Version not found"
    )
    await delete(made)
    assert await refusal_of(made.describe()) == no_deployment(made.name)
    await delete(made)


async def test_deployments_are_created_once(client: Client) -> None:
    made = deployment(client)
    service = client.workflow_service

    def request(name: str, request_id: str) -> v1.CreateWorkerDeploymentRequest:
        return v1.CreateWorkerDeploymentRequest(
            namespace=client.namespace,
            deployment_name=name,
            identity="creator",
            request_id=request_id,
        )

    first = await service.create_worker_deployment(request(made.name, "a"))
    again = await service.create_worker_deployment(request(made.name, "a"))
    assert again == first
    taken = await refusal_of(service.create_worker_deployment(request(made.name, "b")))
    assert taken == Refusal(
        RPCStatusCode.ALREADY_EXISTS,
        f'Worker Deployment with name "{made.name}" already exists',
    )
    for name, refusal in BAD_NAMES:
        refused = await refusal_of(service.create_worker_deployment(request(name, "c")))
        assert refused == refusal


BAD_NAMES = [
    ("", invalid("deployment name cannot be empty")),
    ("a.b", invalid("worker deployment name cannot contain '.'")),
    ("a:b", invalid("worker deployment name cannot contain ':'")),
    ("__a", invalid("WorkerDeploymentName cannot start with '__'")),
    (
        TOO_LONG,
        invalid("size of WorkerDeploymentName larger than the maximum allowed"),
    ),
]


async def test_versions_are_created_once(client: Client) -> None:
    made = await created(client)
    service = client.workflow_service

    def request(
        name: str, build_id: str, request_id: str
    ) -> v1.CreateWorkerDeploymentVersionRequest:
        request = v1.CreateWorkerDeploymentVersionRequest(
            namespace=client.namespace, identity="creator", request_id=request_id
        )
        request.deployment_version.deployment_name = name
        request.deployment_version.build_id = build_id
        return request

    create = service.create_worker_deployment_version
    await create(request(made.name, "a.b:c", "1"))
    await create(request(made.name, "a.b:c", "1"))
    assert await refusal_of(create(request(made.name, "a.b:c", "2"))) == Refusal(
        RPCStatusCode.ALREADY_EXISTS,
        f'Worker Deployment Version "{made.name}.a.b:c" already exists',
    )
    unknown = random_id("deployment")
    assert await refusal_of(create(request(unknown, "1", "3"))) == no_deployment(
        unknown
    )
    for build_id, refusal in (
        ("", "build ID cannot be empty"),
        ("__x", "BuildID cannot start with '__'"),
        (TOO_LONG, "size of BuildID larger than the maximum allowed"),
    ):
        refused = await refusal_of(create(request(made.name, build_id, "4")))
        assert refused == invalid(refusal)
    info = (await made.describe_version("a.b:c")).worker_deployment_version_info
    assert info.status == Status.WORKER_DEPLOYMENT_VERSION_STATUS_CREATED
    assert info.last_modifier_identity == "creator"


async def test_versions_without_workers_can_be_chosen_beforehand(
    client: Client,
) -> None:
    made = deployment(client)
    assert await refusal_of(made.set_current("7")) == no_deployment(made.name)
    await made.set_current("7", allow_no_pollers=True)
    assert await refusal_of(made.set_ramping("8", 10)) == not_found(
        f"build ID '8' not found in Worker Deployment '{made.name}'"
    )
    await made.set_ramping("8", 10, allow_no_pollers=True)
    routing = (await made.describe()).worker_deployment_info.routing_config
    assert routing.current_deployment_version == made.api_version("7")
    assert routing.ramping_deployment_version == made.api_version("8")


async def test_versions_can_be_named_in_one_string(client: Client) -> None:
    made = await created(client, "1")
    await made.set_current("", version=f"{made.name}.1")
    routing = (await made.describe()).worker_deployment_info.routing_config
    assert routing.current_deployment_version == made.api_version("1")
    await made.set_current("", version=UNVERSIONED)
    assert await refusal_of(made.set_current("", version="other.1")) == invalid(
        f"invalid version string 'other.1' does not match deployment name '{made.name}'"
    )
    assert await refusal_of(made.set_current("", version="zzz")) == invalid(
        "invalid version string: expected delimiter ':' or '.' not found in version"
        " string zzz"
    )


def version_string(text: str) -> Refusal:
    """It names no version."""
    return invalid(
        f'invalid version string "{text}", expected format is'
        ' "<deployment_name>.<build_id>"'
    )


async def test_what_is_asked_about_is_named(client: Client) -> None:
    service, namespace = client.workflow_service, client.namespace
    made = deployment(client)

    async def describe(name: str) -> object:
        return await service.describe_worker_deployment(
            v1.DescribeWorkerDeploymentRequest(
                namespace=namespace, deployment_name=name
            )
        )

    async def describe_version(**fields: Any) -> object:
        return await service.describe_worker_deployment_version(
            v1.DescribeWorkerDeploymentVersionRequest(namespace=namespace, **fields)
        )

    async def drop_version(**fields: Any) -> object:
        return await service.delete_worker_deployment_version(
            v1.DeleteWorkerDeploymentVersionRequest(namespace=namespace, **fields)
        )

    nameless = invalid("WorkerDeploymentName cannot be empty")
    unnamed = deployment(client)
    unnamed.name = ""
    cases: list[tuple[Callable[[], Awaitable[object]], Refusal]] = [
        (lambda: describe(""), nameless),
        (lambda: describe(made.name), no_deployment(made.name)),
        (
            lambda: describe(TOO_LONG),
            invalid("size of WorkerDeploymentName larger than the maximum allowed"),
        ),
        (describe_version, invalid("deployment version cannot be empty")),
        (
            lambda: describe_version(deployment_version=made.api_version("")),
            version_string(f"{made.name}."),
        ),
        (
            lambda: describe_version(deployment_version=unnamed.api_version("1")),
            version_string(".1"),
        ),
        (lambda: describe_version(version="nodot"), version_string("nodot")),
        (
            lambda: describe_version(version=f"{made.name}.1"),
            not_found("Worker Deployment Version not found"),
        ),
        (drop_version, version_string("")),
        (
            lambda: delete_version(made, "1"),
            not_found(
                f"workflow not found for ID: temporal-sys-worker-deployment:{made.name}"
            ),
        ),
        (lambda: delete(unnamed), nameless),
        (
            lambda: unnamed.set_current("1"),
            invalid("deployment name cannot be empty"),
        ),
        (lambda: made.set_ramping("1", 5), no_deployment(made.name)),
    ]
    for ask, refusal in cases:
        assert await refusal_of(ask()) == refusal


async def test_deployments_are_listed_page_by_page(client: Client) -> None:
    made = [await created(client, "1") for _ in range(3)]
    await made[0].set_current("1")
    wanted = {each.name for each in made}

    async def listed() -> dict[str, Any]:
        found: dict[str, Any] = {}
        token = b""
        while True:
            page = await client.workflow_service.list_worker_deployments(
                v1.ListWorkerDeploymentsRequest(
                    namespace=client.namespace, page_size=2, next_page_token=token
                )
            )
            assert len(page.worker_deployments) <= 2
            for shown in page.worker_deployments:
                assert shown.name not in found
                found[shown.name] = shown
            token = page.next_page_token
            if not token:
                break
        assert wanted <= set(found)
        first = found[made[0].name]
        assert first.routing_config.current_version == f"{made[0].name}.1"
        return found

    found = await eventually(listed, patience=30)
    first = found[made[0].name]
    assert first.latest_version_summary.version == f"{made[0].name}.1"


@pytest.mark.parametrize("hostile", ["a\0b", "x'; DROP TABLE dbosify_versions; --"])
@pytest.mark.only_against("dbosify", reason="the server stores what it is given")
async def test_hostile_names_do_no_harm(client: Client, hostile: str) -> None:
    made = await created(client, "1")
    strange = Deployment(client, hostile, "queue")
    for ask in (
        strange.describe(),
        strange.describe_version(hostile),
        strange.set_current(hostile),
        made.set_current(hostile),
        made.set_ramping(hostile, 5),
        set_manager(strange, manager_identity=hostile, identity=hostile),
        note(strange, hostile, remove_entries=[hostile]),
    ):
        refused = await refusal_of(ask)
        assert refused.status in (
            RPCStatusCode.NOT_FOUND,
            RPCStatusCode.INVALID_ARGUMENT,
        )
    assert (await made.describe()).worker_deployment_info.name == made.name
