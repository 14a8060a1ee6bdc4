"""Makes each version the current one in turn, with runs that outlive the change."""

import asyncio
from typing import Any

from dbosify.api.enums.v1 import RoutingConfigUpdateState
from dbosify.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentResponse,
    SetWorkerDeploymentCurrentVersionRequest,
)
from dbosify.client import Client, WorkflowHandle
from dbosify.service import RPCError
from tests.samples_ported.connection import connect
from tests.samples_ported.worker_versioning.work import DEPLOYMENT, TASK_QUEUE

ROUTED = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED


async def describe(client: Client) -> DescribeWorkerDeploymentResponse:
    return await client.workflow_service.describe_worker_deployment(
        DescribeWorkerDeploymentRequest(
            namespace=client.namespace, deployment_name=DEPLOYMENT
        )
    )


async def wait_for_worker(client: Client, build_id: str) -> None:
    """Wait until a worker of a version has come."""
    while True:
        try:
            found = await describe(client)
        except RPCError:
            found = None
        if found is not None and build_id in [
            summary.deployment_version.build_id
            for summary in found.worker_deployment_info.version_summaries
        ]:
            return
        await asyncio.sleep(0.2)


async def make_current(client: Client, build_id: str) -> None:
    await wait_for_worker(client, build_id)
    while True:
        try:
            await client.workflow_service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=client.namespace,
                    deployment_name=DEPLOYMENT,
                    build_id=build_id,
                )
            )
        except RPCError:
            await asyncio.sleep(0.2)  # not all its task queues are known yet
        else:
            break
    while True:
        described = await describe(client)
        if described.worker_deployment_info.routing_config_update_state == ROUTED:
            return
        await asyncio.sleep(0.2)


async def start(client: Client, kind: str, number: int) -> WorkflowHandle[Any, Any]:
    """Start a run, and let it do something on the version it begins with."""
    handle = await client.start_workflow(
        kind, id=f"{kind}-{number}", task_queue=TASK_QUEUE
    )
    await handle.signal("do_next", "do-activity")
    await acted(handle)
    return handle


async def acted(handle: WorkflowHandle[Any, Any], times: int = 1) -> None:
    """Wait until the run has done as many activities."""
    while True:
        done = [
            event
            async for event in handle.fetch_history_events()
            if event.HasField("activity_task_completed_event_attributes")
        ]
        if len(done) >= times:
            return
        await asyncio.sleep(0.1)


async def main() -> None:
    async with await connect() as client:
        await make_current(client, "1.0")
        upgrading = await start(client, "AutoUpgrading", 1)
        pinned = await start(client, "Pinned", 1)

        await make_current(client, "1.1")
        for handle in (upgrading, pinned):
            await handle.signal("do_next", "do-activity")
            await acted(handle, 2)
        upgraded = await start(client, "AutoUpgrading", 2)

        await make_current(client, "2.0")
        pinned_later = await start(client, "Pinned", 2)
        for handle in (upgrading, upgraded, pinned, pinned_later):
            await handle.signal("do_next", "conclude")
            print(f"{handle.id}:", *await handle.result(), sep="\n  ")


if __name__ == "__main__":
    asyncio.run(main())
