"""Which build of a worker did a workflow task, as code and history are told."""

import pytest

from dbosify import workflow
from dbosify.client import Client
from dbosify.common import WorkerDeploymentVersion
from dbosify.worker import Worker, WorkerDeploymentConfig
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    events_of,
    new_worker,
    random_id,
)


@workflow.defn
class BuildIdWorkflow:
    """Takes another way if a newer build does its second task."""

    def __init__(self) -> None:
        self.do_finish = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.do_finish)
        if workflow.info().get_current_build_id() == "1.0":
            raise RuntimeError("the first build did not do this task")
        return "done"

    @workflow.query
    def current_build_id(self) -> str:
        return workflow.info().get_current_build_id()

    @workflow.signal
    def finish(self) -> None:
        self.do_finish = True

    @workflow.signal
    def nudge(self) -> None:
        pass


def built(client: Client, build_id: str, task_queue: str) -> Worker:
    """A worker of that build."""
    return new_worker(client, BuildIdWorkflow, build_id=build_id, task_queue=task_queue)


@pytest.mark.filterwarnings("ignore:.*build_id.*:DeprecationWarning")
async def test_workflow_current_build_id_appropriately_set(client: Client) -> None:
    task_queue = random_id("queue")
    async with built(client, "1.0", task_queue):
        handle = await client.start_workflow(
            BuildIdWorkflow.run, id=random_id(), task_queue=task_queue
        )
        assert await handle.query(BuildIdWorkflow.current_build_id) == "1.0"

    async def current() -> str:
        return await handle.query(BuildIdWorkflow.current_build_id)

    async with built(client, "1.1", task_queue):
        # A query is no task: it is answered as of the last one.
        assert await current() == "1.0"
        await handle.signal(BuildIdWorkflow.nudge)
        await assert_eq_eventually("1.1", current)
        await handle.signal(BuildIdWorkflow.finish)
        assert await handle.result() == "done"
        assert await current() == "1.1"


@workflow.defn
class NotVersionedWorkflow:
    """Says nothing about versions."""

    @workflow.run
    async def run(self) -> str:
        return "whee"


async def test_worker_deployment_config_without_versioning(client: Client) -> None:
    build_id = random_id("build")
    config = WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(
            deployment_name=random_id("deployment"), build_id=build_id
        ),
        use_worker_versioning=False,
    )
    async with new_worker(
        client, NotVersionedWorkflow, deployment_config=config
    ) as worker:
        handle = await client.start_workflow(
            NotVersionedWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == "whee"
    assert build_id in {
        event.workflow_task_completed_event_attributes.worker_version.build_id
        for event in await events_of(handle)
    }
