"""Worker deployments as tests use them: named, with workers, and asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dbosify.api.deployment.v1 import WorkerDeploymentVersion as ApiVersion
from dbosify.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentResponse,
    DescribeWorkerDeploymentVersionRequest,
    DescribeWorkerDeploymentVersionResponse,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentCurrentVersionResponse,
    SetWorkerDeploymentRampingVersionRequest,
    SetWorkerDeploymentRampingVersionResponse,
)
from dbosify.client import Client
from dbosify.common import VersioningBehavior, WorkerDeploymentVersion
from dbosify.service import RPCError
from dbosify.worker import Worker, WorkerDeploymentConfig
from tests.waiting import eventually

PATIENCE = 30.0


class Deployment:
    """A worker deployment.

    Args:
        client: for its workers and questions.
        name: of the deployment.
        task_queue: of its workers.
    """

    def __init__(self, client: Client, name: str, task_queue: str) -> None:
        self.client = client
        self.name = name
        self.task_queue = task_queue

    def version(self, build_id: str) -> WorkerDeploymentVersion:
        """One of its versions, as the SDK names it."""
        return WorkerDeploymentVersion(self.name, build_id)

    def api_version(self, build_id: str) -> ApiVersion:
        """One of its versions, as the service names it."""
        return ApiVersion(deployment_name=self.name, build_id=build_id)

    def worker(
        self,
        build_id: str,
        workflows: Sequence[type],
        *,
        default: VersioningBehavior = VersioningBehavior.UNSPECIFIED,
        **options: Any,
    ) -> Worker:
        """A worker of a version."""
        return Worker(
            self.client,
            task_queue=self.task_queue,
            workflows=workflows,
            deployment_config=WorkerDeploymentConfig(
                version=self.version(build_id),
                use_worker_versioning=True,
                default_versioning_behavior=default,
            ),
            **options,
        )

    async def describe(self) -> DescribeWorkerDeploymentResponse:
        """What the service tells of it."""
        return await self.client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(
                namespace=self.client.namespace, deployment_name=self.name
            )
        )

    async def describe_version(
        self, build_id: str
    ) -> DescribeWorkerDeploymentVersionResponse:
        """What the service tells of a version."""
        return await self.client.workflow_service.describe_worker_deployment_version(
            DescribeWorkerDeploymentVersionRequest(
                namespace=self.client.namespace,
                deployment_version=self.api_version(build_id),
            )
        )

    async def seen(self, build_id: str, queues: int = 1) -> None:
        """Wait until a version's worker is known with its kinds of task queues."""

        async def known() -> None:
            described = await self.describe_version(build_id)
            assert len(described.version_task_queues) >= queues

        await eventually(known, patience=PATIENCE, retry_on=(RPCError, AssertionError))

    async def set_current(
        self, build_id: str, **fields: Any
    ) -> SetWorkerDeploymentCurrentVersionResponse:
        """Let new runs go to a version."""
        service = self.client.workflow_service
        return await service.set_worker_deployment_current_version(
            SetWorkerDeploymentCurrentVersionRequest(
                namespace=self.client.namespace,
                deployment_name=self.name,
                build_id=build_id,
                **fields,
            )
        )

    async def set_ramping(
        self, build_id: str, percentage: float, **fields: Any
    ) -> SetWorkerDeploymentRampingVersionResponse:
        """Let a share of the runs go to a version."""
        service = self.client.workflow_service
        return await service.set_worker_deployment_ramping_version(
            SetWorkerDeploymentRampingVersionRequest(
                namespace=self.client.namespace,
                deployment_name=self.name,
                build_id=build_id,
                percentage=percentage,
                **fields,
            )
        )
