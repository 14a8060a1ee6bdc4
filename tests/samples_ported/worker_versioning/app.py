"""Makes each version the current one in turn, with runs that outlive the change."""

import asyncio
from contextlib import suppress
from typing import Any

from dbosify.api.deployment.v1 import WorkerDeploymentVersion
from dbosify.api.enums.v1 import TaskQueueType
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from dbosify.client import Client, WorkflowHandle
from dbosify.service import RPCError
from tests.samples_ported.connection import connect
from tests.samples_ported.worker_versioning.work import (
    DEPLOYMENT,
    TASK_QUEUE,
    WORKFLOWS,
)

KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


async def wait_for_workers(client: Client, build_id: str) -> None:
    """Wait until the workers of a version have come, for workflows and activities."""
    request = DescribeWorkerDeploymentVersionRequest(
        namespace=client.namespace,
        deployment_version=WorkerDeploymentVersion(
            deployment_name=DEPLOYMENT, build_id=build_id
        ),
    )
    while True:
        with suppress(RPCError):  # until the first of them has come
            found = await client.workflow_service.describe_worker_deployment_version(
                request
            )
            if {queue.type for queue in found.version_task_queues} >= set(KINDS):
                return
        await asyncio.sleep(0.2)


async def make_current(client: Client, build_id: str) -> None:
    """Let a version get the new runs, and wait until its task queue knows."""
    await client.workflow_service.set_worker_deployment_current_version(
        SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build_id
        )
    )
    for kind in KINDS:
        while await current_version(client, kind) != build_id:
            await asyncio.sleep(0.2)


async def current_version(client: Client, kind: TaskQueueType.ValueType) -> str:
    """Which version gets the tasks of a kind."""
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=TASK_QUEUE),
            task_queue_type=kind,
        )
    )
    return described.versioning_info.current_deployment_version.build_id


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
        for build_id in WORKFLOWS:
            await wait_for_workers(client, build_id)
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
