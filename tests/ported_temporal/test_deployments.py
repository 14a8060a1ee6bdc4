"""Runs and the versions of worker deployments: who gets them, and who keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from dbosify import workflow
from dbosify.api.enums.v1 import EventType, RoutingConfigUpdateState
from dbosify.api.enums.v1 import VersioningBehavior as ApiBehavior
from dbosify.client import Client, WorkflowHandle
from dbosify.common import (
    PinnedVersioningOverride,
    RawValue,
    VersioningBehavior,
    WorkerDeploymentVersion,
)
from dbosify.workflow import ContinueAsNewVersioningBehavior as Initial
from tests.ported_temporal.deployments import PATIENCE, Deployment
from tests.ported_temporal.scaffold import random_id
from tests.waiting import eventually

pytestmark = pytest.mark.needs("worker versioning")

PINNED = ApiBehavior.VERSIONING_BEHAVIOR_PINNED
AUTO_UPGRADE = ApiBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE


class _Stays:
    """Waits until it is told, and can be asked who it is."""

    def __init__(self) -> None:
        self.done = False
        self.version: WorkerDeploymentVersion | None = None

    async def until_done(self) -> None:
        self.version = workflow.info().get_current_deployment_version()
        await workflow.wait_condition(lambda: self.done)

    @workflow.signal
    def finish(self) -> None:
        self.done = True


@workflow.defn(name="Stays", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class StaysV1(_Stays):
    @workflow.run
    async def run(self) -> str:
        await self.until_done()
        return "version-v1"

    @workflow.query
    def state(self) -> str:
        return "v1"


@workflow.defn(name="Stays", versioning_behavior=VersioningBehavior.PINNED)
class StaysV2(_Stays):
    @workflow.run
    async def run(self) -> str:
        await self.until_done()
        current = workflow.info().get_current_deployment_version()
        assert current is not None
        assert current.build_id == "2.0"
        assert self.version == current
        return "version-v2"

    @workflow.query
    def state(self) -> str:
        return "v2"


@workflow.defn(name="Stays", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class StaysV3(_Stays):
    @workflow.run
    async def run(self) -> str:
        await self.until_done()
        return "version-v3"

    @workflow.query
    def state(self) -> str:
        return "v3"


@workflow.defn(dynamic=True, versioning_behavior=VersioningBehavior.PINNED)
class AnyPinned:
    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> str:
        return "dynamic"


@workflow.defn(dynamic=True)
class AnyConfigured:
    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> str:
        return "dynamic"

    @workflow.dynamic_config
    def config(self) -> workflow.DynamicWorkflowConfig:
        return workflow.DynamicWorkflowConfig(
            versioning_behavior=VersioningBehavior.AUTO_UPGRADE
        )


@workflow.defn
class NoOpinion:
    @workflow.run
    async def run(self) -> str:
        return "whee"


@workflow.defn(name="Moves", versioning_behavior=VersioningBehavior.PINNED)
class MovesV1:
    """Continues as new as soon as another version is there."""

    @workflow.run
    async def run(self, attempt: int) -> str:
        while attempt == 0:
            if workflow.info().is_target_worker_deployment_version_changed():
                workflow.continue_as_new(
                    attempt + 1,
                    initial_versioning_behavior=Initial.AUTO_UPGRADE,
                )
            await workflow.sleep(timedelta(milliseconds=10))
        return "v1.0"


@workflow.defn(name="Moves", versioning_behavior=VersioningBehavior.PINNED)
class MovesV2:
    @workflow.run
    async def run(self, attempt: int) -> str:
        return "v2.0"


@workflow.defn(name="Ramps", versioning_behavior=VersioningBehavior.PINNED)
class RampsV1:
    """Continues as new on the version that ramps up, when told."""

    def __init__(self) -> None:
        self.go_on = False

    @workflow.run
    async def run(self, attempt: int) -> str:
        if attempt == 0:
            await workflow.wait_condition(lambda: self.go_on)
            workflow.continue_as_new(
                attempt + 1, initial_versioning_behavior=Initial.USE_RAMPING_VERSION
            )
        return "v1.0"

    @workflow.signal
    def proceed(self) -> None:
        self.go_on = True


@workflow.defn(name="Ramps", versioning_behavior=VersioningBehavior.PINNED)
class RampsV2:
    @workflow.run
    async def run(self, attempt: int) -> str:
        return "v2.0"

    @workflow.signal
    def proceed(self) -> None:
        pass


def deployment(client: Client) -> Deployment:
    return Deployment(client, f"deployment-{random_id()}", f"queue-{random_id()}")


async def routed(made: Deployment) -> None:
    """Wait until all task queues know the deployment's routing."""

    async def propagated() -> None:
        info = (await made.describe()).worker_deployment_info
        assert info.routing_config_update_state == (
            RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED
        )

    await eventually(propagated, patience=PATIENCE)


async def make_current(made: Deployment, build_id: str) -> None:
    await made.seen(build_id)
    await made.set_current(build_id)
    await routed(made)


async def start(made: Deployment, kind: str, *args: object) -> WorkflowHandle[Any, Any]:
    return await made.client.start_workflow(
        kind, args=args, id=f"{kind}-{random_id()}", task_queue=made.task_queue
    )


async def shows_state(handle: WorkflowHandle[Any, Any], expected: str) -> None:
    async def shows() -> None:
        assert await handle.query("state") == expected

    await eventually(shows, patience=PATIENCE)


async def behaviors(handle: WorkflowHandle[Any, Any]) -> list[ApiBehavior.ValueType]:
    """What the run's completed workflow tasks say of its behavior."""
    return [
        event.workflow_task_completed_event_attributes.versioning_behavior
        async for event in handle.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]


async def test_worker_with_worker_deployment_config(client: Client) -> None:
    made = deployment(client)
    async with (
        made.worker("1.0", [StaysV1]),
        made.worker("2.0", [StaysV2]),
        made.worker("3.0", [StaysV3]),
    ):
        handles = []
        for number in (1, 2, 3):
            await make_current(made, f"{number}.0")
            handle = await start(made, "Stays")
            await shows_state(handle, f"v{number}")
            handles.append(handle)
        for handle in handles:
            await handle.signal("finish")
        results = await asyncio.gather(*(handle.result() for handle in handles))
        assert results == ["version-v3", "version-v2", "version-v3"]


async def test_worker_deployment_ramp(client: Client) -> None:
    made = deployment(client)

    async def results() -> list[str]:
        handles = [await start(made, "Stays") for _ in range(3)]
        for handle in handles:
            await handle.signal("finish")
        return [await handle.result() for handle in handles]

    async with made.worker("1.0", [StaysV1]), made.worker("2.0", [StaysV2]):
        await made.seen("2.0")
        await make_current(made, "1.0")
        await made.set_ramping("2.0", 100)
        await routed(made)
        assert await results() == ["version-v2"] * 3
        await made.set_ramping("2.0", 0)
        await routed(made)
        assert await results() == ["version-v1"] * 3
        await made.set_ramping("2.0", 50)
        await routed(made)
        seen: set[str] = set()

        async def both() -> None:
            seen.update(await results())
            assert seen == {"version-v1", "version-v2"}

        await eventually(both, patience=PATIENCE)


async def test_worker_deployment_dynamic_workflow_with_pinned_versioning(
    client: Client,
) -> None:
    made = deployment(client)
    async with made.worker("1.0", [AnyPinned]):
        await make_current(made, "1.0")
        handle = await start(made, "whatever")
        assert await handle.result() == "dynamic"
        assert PINNED in await behaviors(handle)


async def test_worker_deployment_dynamic_workflow_with_auto_upgrade_versioning(
    client: Client,
) -> None:
    made = deployment(client)
    async with made.worker("1.0", [AnyConfigured]):
        await make_current(made, "1.0")
        handle = await start(made, "whatever")
        assert await handle.result() == "dynamic"
        assert AUTO_UPGRADE in await behaviors(handle)


async def test_workflows_can_use_default_versioning_behavior(client: Client) -> None:
    made = deployment(client)
    async with made.worker("1.0", [NoOpinion], default=VersioningBehavior.PINNED):
        await make_current(made, "1.0")
        handle = await start(made, "NoOpinion")
        assert await handle.result() == "whee"
        assert PINNED in await behaviors(handle)


async def test_workflows_can_use_versioning_override(client: Client) -> None:
    made = deployment(client)
    async with made.worker("1.0", [AnyPinned]):
        await make_current(made, "1.0")
        handle = await client.start_workflow(
            "whatever",
            id=f"override-{random_id()}",
            task_queue=made.task_queue,
            versioning_override=PinnedVersioningOverride(made.version("1.0")),
        )
        assert await handle.result() == "dynamic"
        first = (await handle.fetch_history()).events[0]
        started = first.workflow_execution_started_event_attributes
        override = started.versioning_override
        assert override.behavior == PINNED or override.HasField("pinned")


async def test_continue_as_new_with_version_upgrade(client: Client) -> None:
    made = deployment(client)
    async with made.worker("1.0", [MovesV1]), made.worker("2.0", [MovesV2]):
        await made.seen("2.0")
        await make_current(made, "1.0")
        handle = await start(made, "Moves", 0)

        async def runs_on_the_first() -> None:
            assert PINNED in await behaviors(handle)

        await eventually(runs_on_the_first, patience=PATIENCE)
        await make_current(made, "2.0")
        assert await handle.result() == "v2.0"


async def test_continue_as_new_with_ramping_version(client: Client) -> None:
    made = deployment(client)
    async with made.worker("1.0", [RampsV1]), made.worker("2.0", [RampsV2]):
        await made.seen("2.0")
        await make_current(made, "1.0")
        await made.set_ramping("2.0", 0)
        await routed(made)
        handle = await start(made, "Ramps", 0)

        async def runs_on_the_first() -> None:
            assert PINNED in await behaviors(handle)

        await eventually(runs_on_the_first, patience=PATIENCE)
        await handle.signal("proceed")
        assert await handle.result() == "v2.0"
