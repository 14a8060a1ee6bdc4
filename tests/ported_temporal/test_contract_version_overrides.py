"""What the service makes of overrides of the version that a run belongs to."""

from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from dbosify.api.common.v1 import WorkflowExecution, WorkflowType
from dbosify.api.enums.v1 import EventType
from dbosify.api.enums.v1 import VersioningBehavior as Behavior
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflow.v1 import (
    PostResetOperation,
    VersioningOverride,
    WorkflowExecutionOptions,
)
from dbosify.api.workflowservice import v1
from dbosify.client import Client
from dbosify.common import AutoUpgradeVersioningOverride, PinnedVersioningOverride
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import Refusal, invalid, refusal_of
from tests.ported_temporal.deployments import Deployment
from tests.ported_temporal.scaffold import random_id
from tests.ported_temporal.version_runs import (
    attributes,
    current,
    deployed,
    described,
    poked,
    start,
    started,
    version_of,
)

pytestmark = pytest.mark.needs("worker versioning")

PINNED = Behavior.VERSIONING_BEHAVIOR_PINNED
AUTO_UPGRADE = Behavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
PinnedOverride = VersioningOverride.PinnedOverride
BY_VERSION = VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED


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
