"""Workflows of several versions, and what is asked of runs that belong to one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from dbosify import workflow
from dbosify.api.common.v1 import WorkflowExecution
from dbosify.api.enums.v1 import EventType
from dbosify.api.history.v1 import WorkflowExecutionStartedEventAttributes
from dbosify.api.workflowservice import v1
from dbosify.client import Client, WorkflowHandle
from dbosify.common import VersioningBehavior
from tests.ported_temporal.deployments import PATIENCE, Deployment
from tests.ported_temporal.scaffold import random_id
from tests.waiting import eventually

SOON = timedelta(seconds=30)


class _Told:
    """Ends when it is told, and counts how often it was poked."""

    label = "none"

    def __init__(self) -> None:
        self.pokes = 0
        self.ends = False

    async def go(self, then: str) -> str:
        if then == "child":
            child_id = f"{workflow.info().workflow_id}-child"
            await workflow.start_child_workflow("Told", "", id=child_id)
        if then == "activity":
            await workflow.execute_activity("work", start_to_close_timeout=SOON)
        await workflow.wait_condition(lambda: self.ends)
        if then == "again":
            workflow.continue_as_new("")
        if then == "upgraded":
            workflow.continue_as_new(
                "",
                initial_versioning_behavior=(
                    workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE
                ),
            )
        return self.label

    @workflow.signal
    def poke(self) -> None:
        self.pokes += 1

    @workflow.signal
    def end(self) -> None:
        self.ends = True


@workflow.defn(name="Told", versioning_behavior=VersioningBehavior.PINNED)
class PinnedV1(_Told):
    label = "1"

    @workflow.run
    async def run(self, then: str = "") -> str:
        return await self.go(then)


@workflow.defn(name="Told", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class UpgradesV2(_Told):
    label = "2"

    @workflow.run
    async def run(self, then: str = "") -> str:
        return await self.go(then)


@workflow.defn(name="Told", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class UpgradesV3(_Told):
    label = "3"

    @workflow.run
    async def run(self, then: str = "") -> str:
        return await self.go(then)


@workflow.defn(name="Told")
class Unversioned(_Told):
    label = "unversioned"

    @workflow.run
    async def run(self, then: str = "") -> str:
        return await self.go(then)


@asynccontextmanager
async def deployed(client: Client) -> AsyncIterator[Deployment]:
    """Versions 1 (pinned; the current one), 2 and 3 (which upgrade), with workers."""
    made = Deployment(client, random_id("deployment"), random_id("queue"))
    async with (
        made.worker("1", [PinnedV1]),
        made.worker("2", [UpgradesV2]),
        made.worker("3", [UpgradesV3]),
    ):
        for build_id in ("1", "2", "3"):
            await made.seen(build_id)
        await current(made, "1")
        yield made


async def current(made: Deployment, build_id: str) -> None:
    """Make a version the current one, and wait until new runs go there."""
    await made.set_current(build_id, ignore_missing_task_queues=True)

    async def gets_runs() -> None:
        handle = await start(made)
        await version_of(handle)
        await handle.signal("end")
        assert await handle.result() == (build_id or "unversioned")

    await eventually(gets_runs, patience=PATIENCE)


async def start(
    made: Deployment, then: str = "", **options: Any
) -> WorkflowHandle[Any, Any]:
    return await made.client.start_workflow(
        "Told", then, id=random_id("told"), task_queue=made.task_queue, **options
    )


async def described(
    client: Client, workflow_id: str
) -> v1.DescribeWorkflowExecutionResponse:
    return await client.workflow_service.describe_workflow_execution(
        v1.DescribeWorkflowExecutionRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id),
        )
    )


async def version_of(handle: WorkflowHandle[Any, Any], tasks: int = 1) -> str:
    """The build id that completed the latest task, when there were that many."""

    async def build_id() -> str:
        done = [
            event.workflow_task_completed_event_attributes.deployment_version.build_id
            async for event in handle.fetch_history_events()
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        ]
        assert len(done) >= tasks
        return done[-1]

    return await eventually(build_id, patience=PATIENCE)


async def continued(
    client: Client, handle: WorkflowHandle[Any, Any]
) -> WorkflowHandle[Any, Any]:
    """The run that follows, when there is one."""

    async def goes_on() -> str:
        run_id = (await handle.describe()).run_id
        assert run_id != handle.first_execution_run_id
        return run_id

    run_id = await eventually(goes_on, patience=PATIENCE)
    return client.get_workflow_handle(handle.id, run_id=run_id)


async def started(
    handle: WorkflowHandle[Any, Any],
) -> WorkflowExecutionStartedEventAttributes:
    first = (await handle.fetch_history()).events[0]
    return first.workflow_execution_started_event_attributes


async def poked(handle: WorkflowHandle[Any, Any], tasks: int) -> str:
    """Poke the run; the build id that completes its task."""
    await handle.signal("poke")
    return await version_of(handle, tasks)


async def attributes(client: Client, workflow_id: str) -> dict[str, str]:
    info = (await described(client, workflow_id)).workflow_execution_info
    return {
        name: payload.data.decode()
        for name, payload in info.search_attributes.indexed_fields.items()
    }
