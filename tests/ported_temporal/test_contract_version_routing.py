"""What the service says and does about runs that belong to versions of deployments."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import activity
from dbosify.api.enums.v1 import ContinueAsNewVersioningBehavior as Initial
from dbosify.api.enums.v1 import EventType
from dbosify.api.enums.v1 import VersioningBehavior as Behavior
from dbosify.api.workflowservice import v1
from dbosify.client import Client, NexusClient
from dbosify.common import PinnedVersioningOverride
from dbosify.service import RPCError
from dbosify.worker import Worker
from tests.ported_temporal.deployments import PATIENCE, Deployment
from tests.ported_temporal.nexus_calls import endpoint_for
from tests.ported_temporal.scaffold import random_id
from tests.ported_temporal.version_runs import (
    PinnedV1,
    Unversioned,
    UpgradesV2,
    UpgradesV3,
    attributes,
    continued,
    current,
    deployed,
    described,
    poked,
    start,
    started,
    version_of,
)
from tests.waiting import eventually

pytestmark = pytest.mark.needs("worker versioning")

PINNED = Behavior.VERSIONING_BEHAVIOR_PINNED
AUTO_UPGRADE = Behavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE


async def test_a_pinned_run_stays_and_is_told_of_another_version(
    client: Client,
) -> None:
    async with deployed(client) as made:
        handle = await start(made)
        assert await version_of(handle) == "1"
        await current(made, "2")
        assert await poked(handle, 2) == "1"
        info = (await described(client, handle.id)).workflow_execution_info
        assert info.worker_deployment_name == made.name
        assert info.most_recent_worker_version_stamp.build_id == "1"
        assert info.versioning_info.behavior == PINNED
        assert info.versioning_info.deployment_version == made.api_version("1")
        assert info.versioning_info.version == f"{made.name}.1"
        told = [
            event.workflow_task_started_event_attributes
            for event in (await handle.fetch_history()).events
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
        ]
        assert [t.target_worker_deployment_version_changed for t in told] == [
            False,
            True,
        ]
        assert await attributes(client, handle.id) == {
            "BuildIds": f'["pinned:{made.name}:1","unversioned:1"]',
            "TemporalUsedWorkerDeploymentVersions": f'["{made.name}:1"]',
            "TemporalWorkerDeployment": f'"{made.name}"',
            "TemporalWorkerDeploymentVersion": f'"{made.name}:1"',
            "TemporalWorkflowVersioningBehavior": '"Pinned"',
        }
        await handle.signal("end")
        assert await handle.result() == "1"


async def test_a_run_that_upgrades_moves_with_its_next_task(client: Client) -> None:
    async with deployed(client) as made:
        await current(made, "2")
        handle = await start(made)
        assert await version_of(handle) == "2"
        await current(made, "3")
        assert await poked(handle, 2) == "3"
        info = (await described(client, handle.id)).workflow_execution_info
        assert info.versioning_info.behavior == AUTO_UPGRADE
        assert info.versioning_info.deployment_version == made.api_version("3")
        shown = await attributes(client, handle.id)
        assert shown["TemporalWorkflowVersioningBehavior"] == '"AutoUpgrade"'
        assert shown["TemporalUsedWorkerDeploymentVersions"] == (
            f'["{made.name}:2","{made.name}:3"]'
        )
        await handle.signal("end")
        assert await handle.result() == "3"


async def test_runs_are_found_by_their_version(client: Client) -> None:
    async with deployed(client) as made:
        handle = await start(made)
        await version_of(handle)

        async def found() -> None:
            query = (
                f"TemporalWorkerDeploymentVersion = '{made.name}:1'"
                " AND TemporalWorkflowVersioningBehavior = 'Pinned'"
                f" AND WorkflowId = '{handle.id}'"
            )
            assert [run.id async for run in client.list_workflows(query)] == [handle.id]

        await eventually(found, patience=PATIENCE)
        await handle.terminate()


async def test_children_begin_where_their_parent_is(client: Client) -> None:
    async with deployed(client) as made:
        on_first = await start(made, "child")
        assert await version_of(on_first, 2) == "1"
        child = client.get_workflow_handle(f"{on_first.id}-child")
        begun = await started(child)
        assert begun.inherited_pinned_version == made.api_version("1")
        assert await version_of(child) == "1"

        await current(made, "2")
        on_second = await start(made, "child")
        assert await version_of(on_second, 2) == "2"
        child = client.get_workflow_handle(f"{on_second.id}-child")
        begun = await started(child)
        assert not begun.HasField("inherited_pinned_version")
        inherited = begun.inherited_auto_upgrade_info
        assert inherited.source_deployment_version == made.api_version("2")
        for parent in (on_first, on_second):
            await client.get_workflow_handle(f"{parent.id}-child").signal("end")
            await parent.signal("end")
        assert [await on_first.result(), await on_second.result()] == ["1", "2"]


async def test_a_pinned_run_continues_as_new_where_it_is(client: Client) -> None:
    async with deployed(client) as made:
        handle = await start(made, "again")
        await version_of(handle)
        await current(made, "2")
        await handle.signal("end")
        again = await continued(client, handle)
        begun = await started(again)
        assert begun.inherited_pinned_version == made.api_version("1")
        declined = begun.declined_target_version_upgrade
        assert declined.deployment_version == made.api_version("2")
        assert await version_of(again) == "1"
        assert await poked(again, 2) == "1"
        assert not any(
            event.workflow_task_started_event_attributes.target_worker_deployment_version_changed
            for event in (await again.fetch_history()).events
        )
        await again.signal("end")
        assert await again.result() == "1"


async def test_a_pinned_run_may_continue_as_new_on_the_current_version(
    client: Client,
) -> None:
    async with deployed(client) as made:
        handle = await start(made, "upgraded")
        await version_of(handle)
        await current(made, "2")
        await handle.signal("end")
        again = await continued(client, handle)
        assert await version_of(again) == "2"
        inherited = (await started(again)).inherited_auto_upgrade_info
        assert inherited.source_deployment_version == made.api_version("1")
        assert inherited.continue_as_new_initial_versioning_behavior == (
            Initial.CONTINUE_AS_NEW_VERSIONING_BEHAVIOR_AUTO_UPGRADE
        )
        await again.signal("end")
        assert await again.result() == "2"


async def test_a_run_waits_until_somebody_may_have_it(client: Client) -> None:
    made = Deployment(client, random_id("deployment"), random_id("queue"))
    handle = await start(made)
    async with made.worker("1", [PinnedV1]):
        await made.seen("1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handle.result(), 1)
        assert len((await handle.fetch_history()).events) == 2
        await made.set_current("1")
        assert await version_of(handle) == "1"
        await handle.signal("end")
        assert await handle.result() == "1"


async def test_runs_of_workers_without_a_version_move_to_the_current_one(
    client: Client,
) -> None:
    made = Deployment(client, random_id("deployment"), random_id("queue"))
    plain = Worker(client, task_queue=made.task_queue, workflows=[Unversioned])
    async with plain, made.worker("2", [UpgradesV2]):
        await made.seen("2")
        handle = await start(made)
        assert await version_of(handle) == ""
        await current(made, "2")
        assert await poked(handle, 2) == "2"
        await handle.signal("end")
        assert await handle.result() == "2"


async def test_an_activity_runs_on_the_version_of_its_run(client: Client) -> None:
    made = Deployment(client, random_id("deployment"), random_id("queue"))
    ran: list[str] = []

    def work_of(build_id: str) -> Any:
        @activity.defn(name="work")
        async def work() -> None:
            ran.append(build_id)

        return work

    async with (
        made.worker("1", [PinnedV1], activities=[work_of("1")]),
        made.worker("2", [UpgradesV2], activities=[work_of("2")]),
    ):
        await made.seen("1", 2)
        await made.seen("2", 2)
        await current(made, "1")
        handle = await start(made, "activity")
        await version_of(handle, 2)
        await current(made, "2")
        other = await start(
            made,
            "activity",
            versioning_override=PinnedVersioningOverride(made.version("1")),
        )
        await version_of(other, 2)
        latest = await start(made, "activity")
        await version_of(latest, 2)
        assert ran == ["1", "1", "2"]
        for each in (handle, other, latest):
            await each.signal("end")
            await each.result()


async def test_what_a_run_waits_for_comes_along_when_it_moves(client: Client) -> None:
    made = Deployment(client, random_id("deployment"), random_id("queue"))
    runs, goes_on = 0, asyncio.Event()

    @activity.defn(name="work")
    async def work() -> None:
        nonlocal runs
        runs += 1
        await goes_on.wait()

    async with (
        made.worker("2", [UpgradesV2], activities=[work]),
        made.worker("3", [UpgradesV3], activities=[work]),
    ):
        await made.seen("2", 2)
        await made.seen("3", 2)
        await current(made, "2")
        handle = await start(made, "activity")

        async def is_running() -> None:
            assert runs == 1

        await eventually(is_running, patience=PATIENCE)
        await current(made, "3")
        assert await poked(handle, 2) == "3"
        goes_on.set()
        assert await version_of(handle, 3) == "3"
        assert runs == 1
        await handle.signal("end")
        assert await handle.result() == "3"


async def test_a_version_with_pinned_runs_drains(client: Client) -> None:
    async with deployed(client) as made:
        handle = await start(made)
        await version_of(handle)
        await current(made, "2")
        with pytest.raises(RPCError):
            await made.client.workflow_service.delete_worker_deployment_version(
                v1.DeleteWorkerDeploymentVersionRequest(
                    namespace=client.namespace,
                    deployment_version=made.api_version("1"),
                )
            )
        await handle.signal("end")
        assert await handle.result() == "1"


@nexusrpc.handler.service_handler(name="Labels")
class Labels:
    """Tells which version answers."""

    def __init__(self, label: str) -> None:
        self.text = label

    @nexusrpc.handler.sync_operation
    async def label(
        self, ctx: nexusrpc.handler.StartOperationContext, given: str
    ) -> str:
        return self.text


@pytest.mark.needs("nexus operations")
async def test_nexus_operations_go_to_the_current_version(client: Client) -> None:
    made = Deployment(client, random_id("deployment"), random_id("queue"))
    async with (
        endpoint_for(client, made.task_queue) as endpoint,
        made.worker("1", [PinnedV1], nexus_service_handlers=[Labels("1")]),
        made.worker("2", [UpgradesV2], nexus_service_handlers=[Labels("2")]),
    ):
        await made.seen("1", 2)
        await made.seen("2", 2)
        nexus: NexusClient[Any] = client.create_nexus_client(
            service="Labels", endpoint=endpoint
        )
        for build_id in ("1", "2"):
            await current(made, build_id)

            async def answers(expected: str = build_id) -> None:
                answer = await nexus.execute_operation(
                    "label",
                    "",
                    id=random_id(),
                    result_type=str,
                    schedule_to_close_timeout=timedelta(seconds=30),
                )
                assert answer == expected

            await eventually(answers, patience=PATIENCE)
