"""What the service says and does about runs that belong to versions of deployments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from dbosify import activity, workflow
from dbosify.api.common.v1 import WorkflowExecution, WorkflowType
from dbosify.api.enums.v1 import ContinueAsNewVersioningBehavior as Initial
from dbosify.api.enums.v1 import EventType
from dbosify.api.enums.v1 import VersioningBehavior as Behavior
from dbosify.api.history.v1 import WorkflowExecutionStartedEventAttributes
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflow.v1 import (
    PostResetOperation,
    VersioningOverride,
    WorkflowExecutionOptions,
)
from dbosify.api.workflowservice import v1
from dbosify.client import Client, WorkflowHandle
from dbosify.common import (
    AutoUpgradeVersioningOverride,
    PinnedVersioningOverride,
    VersioningBehavior,
)
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.contract import Refusal, invalid, refusal_of
from tests.ported_temporal.deployments import PATIENCE, Deployment
from tests.ported_temporal.scaffold import random_id
from tests.waiting import eventually

pytestmark = pytest.mark.needs("worker versioning")

PINNED = Behavior.VERSIONING_BEHAVIOR_PINNED
AUTO_UPGRADE = Behavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
PinnedOverride = VersioningOverride.PinnedOverride
BY_VERSION = VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED
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


@workflow.defn(name="Told", versioning_behavior=VersioningBehavior.PINNED)
class PinnedV1(_Told):
    label = "1"

    @workflow.run
    async def run(self, then: str = "") -> str:
        return await self.go(then)

    @workflow.signal
    def poke(self) -> None:
        self.pokes += 1

    @workflow.signal
    def end(self) -> None:
        self.ends = True


@workflow.defn(name="Told", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class UpgradesV2(_Told):
    label = "2"

    @workflow.run
    async def run(self, then: str = "") -> str:
        return await self.go(then)

    @workflow.signal
    def poke(self) -> None:
        self.pokes += 1

    @workflow.signal
    def end(self) -> None:
        self.ends = True


@workflow.defn(name="Told", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class UpgradesV3(_Told):
    label = "3"

    @workflow.run
    async def run(self, then: str = "") -> str:
        return await self.go(then)

    @workflow.signal
    def poke(self) -> None:
        self.pokes += 1

    @workflow.signal
    def end(self) -> None:
        self.ends = True


@workflow.defn(name="Told")
class Unversioned(_Told):
    label = "unversioned"

    @workflow.run
    async def run(self, then: str = "") -> str:
        return await self.go(then)

    @workflow.signal
    def poke(self) -> None:
        self.pokes += 1

    @workflow.signal
    def end(self) -> None:
        self.ends = True


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


async def override(
    client: Client,
    workflow_id: str,
    wanted: VersioningOverride | None,
    path: str = "versioning_override",
) -> VersioningOverride:
    """Override the version of a run, or stop doing so."""
    service = client.workflow_service
    response = await service.update_workflow_execution_options(
        v1.UpdateWorkflowExecutionOptionsRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            workflow_execution_options=WorkflowExecutionOptions(
                versioning_override=wanted
            ),
            update_mask=FieldMask(paths=[path]),
        )
    )
    return response.workflow_execution_options.versioning_override


def pinned(made: Deployment, build_id: str) -> VersioningOverride:
    return VersioningOverride(
        pinned=PinnedOverride(behavior=BY_VERSION, version=made.api_version(build_id))
    )


def once(made: Deployment, build_id: str) -> VersioningOverride:
    target = made.api_version(build_id)
    return VersioningOverride(
        one_time=VersioningOverride.OneTimeOverride(target_deployment_version=target)
    )


def not_present(made: Deployment, build_id: str) -> Refusal:
    return Refusal(
        RPCStatusCode.FAILED_PRECONDITION,
        f"Pinned version '{made.name}:{build_id}' is not present in task queue"
        f" '{made.task_queue}' of type 'Workflow'",
    )


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


async def test_an_override_goes_before_what_the_code_wants(client: Client) -> None:
    async with deployed(client) as made:
        on_second = await start(
            made,
            "child",
            versioning_override=PinnedVersioningOverride(made.version("2")),
        )
        assert await version_of(on_second, 2) == "2"
        child = client.get_workflow_handle(f"{on_second.id}-child")
        begun = await started(child)
        assert begun.versioning_override == pinned(made, "2")
        assert begun.inherited_pinned_version == made.api_version("2")
        info = (await described(client, on_second.id)).workflow_execution_info
        shown = info.versioning_info.versioning_override
        assert shown.pinned.version == made.api_version("2")
        assert shown.behavior == PINNED
        assert shown.pinned_version == f"{made.name}.2"
        assert info.versioning_info.behavior == AUTO_UPGRADE

        upgrades = await start(
            made, versioning_override=AutoUpgradeVersioningOverride()
        )
        assert await version_of(upgrades) == "1"
        assert (await started(upgrades)).versioning_override.auto_upgrade
        await current(made, "3")
        assert await poked(upgrades, 2) == "3"
        for handle in (child, on_second, upgrades):
            await handle.signal("end")
        assert [await on_second.result(), await upgrades.result()] == ["2", "3"]


async def test_an_override_for_one_time_moves_a_run_and_is_gone(
    client: Client,
) -> None:
    async with deployed(client) as made:
        handle = await start(made)
        await version_of(handle)
        await current(made, "3")
        assert await override(client, handle.id, once(made, "2")) == once(made, "2")
        assert await poked(handle, 2) == "2"
        info = (await described(client, handle.id)).workflow_execution_info
        assert not info.versioning_info.HasField("versioning_override")
        # The code that it has now lets it follow the current version.
        assert await poked(handle, 3) == "3"
        await handle.signal("end")
        assert await handle.result() == "3"


async def test_a_run_can_be_pinned_elsewhere_and_set_free(client: Client) -> None:
    async with deployed(client) as made:
        handle = await start(made)
        await version_of(handle)
        await override(client, handle.id, pinned(made, "2"))
        shown = await attributes(client, handle.id)
        assert shown["TemporalWorkerDeploymentVersion"] == f'"{made.name}:2"'
        assert await poked(handle, 2) == "2"
        before = (await handle.fetch_history()).events[-1].event_id
        await override(client, handle.id, pinned(made, "2"))
        assert (await handle.fetch_history()).events[-1].event_id == before
        gone = await override(client, handle.id, None)
        assert gone == VersioningOverride()
        assert await poked(handle, 3) == "1"
        events = (await handle.fetch_history()).events
        changes = [
            event.workflow_execution_options_updated_event_attributes
            for event in events
            if event.event_type
            == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
        ]
        assert [c.versioning_override for c in changes] == [
            pinned(made, "2"),
            VersioningOverride(),
        ]
        assert [c.unset_versioning_override for c in changes] == [False, True]
        await handle.signal("end")
        assert await handle.result() == "1"


async def test_overrides_that_make_no_sense_are_refused(client: Client) -> None:
    async with deployed(client) as made:
        wrong: list[tuple[VersioningOverride, Refusal]] = [
            (
                VersioningOverride(pinned=PinnedOverride(behavior=BY_VERSION)),
                invalid("must provide version if override is pinned."),
            ),
            (
                VersioningOverride(
                    pinned=PinnedOverride(version=made.api_version("2"))
                ),
                invalid("must specify pinned override behavior if override is pinned."),
            ),
            (pinned(made, "9"), not_present(made, "9")),
            (once(made, "9"), not_present(made, "9")),
            (
                VersioningOverride(one_time=VersioningOverride.OneTimeOverride()),
                invalid(
                    "must provide target deployment version if override is one-time."
                ),
            ),
            (VersioningOverride(), invalid("override behavior is required")),
            (
                VersioningOverride(auto_upgrade=False),
                invalid("auto-upgrade override must be true"),
            ),
            (
                VersioningOverride(behavior=7),  # type: ignore[arg-type]
                invalid("override behavior 7 not recognized"),
            ),
            (
                VersioningOverride(behavior=PINNED),
                invalid(
                    "must provide deployment (deprecated) or pinned version if"
                    " behavior is 'PINNED'"
                ),
            ),
            (
                VersioningOverride(behavior=AUTO_UPGRADE, pinned_version="a.1"),
                invalid("only provide pinned version if behavior is 'PINNED'"),
            ),
            (
                VersioningOverride(behavior=PINNED, pinned_version="nodot"),
                invalid(
                    'invalid version string "nodot", expected format is'
                    ' "<deployment_name>.<build_id>"'
                ),
            ),
        ]
        for given, expected in wrong:
            assert await refusal_of(begin_with(made, given)) == expected
        handle = await start(made)
        await version_of(handle)
        for given, expected in wrong[1:]:
            assert await refusal_of(override(client, handle.id, given)) == expected
        part = override(client, handle.id, None, "versioning_override.auto_upgrade")
        assert await refusal_of(part) == invalid(
            "error applying update_options: versioning_override doesn't support"
            " partial updates"
        )
        await handle.signal("end")
        assert await handle.result() == "1"


async def begin_with(made: Deployment, given: VersioningOverride) -> None:
    """Start a run with an override that the SDK would not make."""
    await made.client.workflow_service.start_workflow_execution(
        v1.StartWorkflowExecutionRequest(
            namespace=made.client.namespace,
            workflow_id=random_id("told"),
            workflow_type=WorkflowType(name="Told"),
            task_queue=TaskQueue(name=made.task_queue),
            request_id=random_id(),
            versioning_override=given,
        )
    )


async def test_a_run_that_upgrades_can_be_pinned_only_by_naming_a_version(
    client: Client,
) -> None:
    async with deployed(client) as made:
        here = VersioningOverride(pinned=PinnedOverride(behavior=BY_VERSION))
        stays = await start(made)
        await version_of(stays)
        assert await override(client, stays.id, here) == pinned(made, "1")
        await current(made, "2")
        moves = await start(made)
        await version_of(moves)
        refused = await refusal_of(override(client, moves.id, here))
        assert refused == Refusal(
            RPCStatusCode.FAILED_PRECONDITION,
            "must specify a specific pinned override version because workflow with id"
            f" {moves.id} has behavior AutoUpgrade and is not yet pinned to any"
            " version",
        )
        for handle in (stays, moves):
            await handle.signal("end")
            await handle.result()


async def test_a_run_can_be_reset_onto_another_version(client: Client) -> None:
    async with deployed(client) as made:
        handle = await start(made)
        await version_of(handle)
        change = PostResetOperation.UpdateWorkflowOptions(
            workflow_execution_options=WorkflowExecutionOptions(
                versioning_override=pinned(made, "2")
            ),
            update_mask=FieldMask(paths=["versioning_override"]),
        )
        await client.workflow_service.reset_workflow_execution(
            v1.ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=handle.id),
                reason="on to the next",
                request_id=random_id(),
                workflow_task_finish_event_id=4,
                post_reset_operations=[
                    PostResetOperation(update_workflow_options=change)
                ],
            )
        )
        again = client.get_workflow_handle(handle.id)
        assert await version_of(again) == "2"
        events = (await again.fetch_history()).events
        assert [event.event_type for event in events[3:6]] == [
            EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
            EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        ]
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
        await current(made, "")
        assert await poked(handle, 3) == ""
        info = (await described(client, handle.id)).workflow_execution_info
        assert info.versioning_info.behavior == Behavior.VERSIONING_BEHAVIOR_UNSPECIFIED
        await handle.signal("end")
        assert await handle.result() == "unversioned"


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
