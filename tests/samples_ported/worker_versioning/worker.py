"""A worker of one version of the deployment: its build id is the argument."""

import asyncio
import sys

from dbosify.common import WorkerDeploymentVersion
from dbosify.worker import Worker, WorkerDeploymentConfig
from tests.samples_ported.connection import connect
from tests.samples_ported.worker_versioning.work import (
    DEPLOYMENT,
    TASK_QUEUE,
    WORKFLOWS,
    some_activity,
    some_incompatible_activity,
)


async def main(build_id: str) -> None:
    async with await connect() as client:
        await Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=WORKFLOWS[build_id],
            activities=[some_activity, some_incompatible_activity],
            deployment_config=WorkerDeploymentConfig(
                version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
                use_worker_versioning=True,
            ),
        ).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
