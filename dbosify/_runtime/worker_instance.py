"""What a worker says of itself to whoever lists the workers of a namespace."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import uuid
from typing import TYPE_CHECKING, Any

import temporalio.service
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from dbosify._store import worker_instances
from dbosify._store.engine import LOST_CONNECTION

from .worker_config import pollers

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)


class WorkerInstance:
    """One worker, for the time that it runs.

    Args:
        config: the bridge's worker configuration.
        identity: of the worker.
        build_id: of its code.
    """

    def __init__(
        self,
        config: Any,
        identity: str,
        build_id: str,
    ) -> None:
        self._about = WorkerHeartbeat(
            worker_instance_key=str(uuid.uuid4()),
            worker_identity=identity,
            task_queue=config.task_queue,
            deployment_version=_version(config.versioning_strategy, build_id),
            sdk_name="temporal-python",
            sdk_version=temporalio.service.__version__,
            status=WorkerStatus.WORKER_STATUS_RUNNING,
        )
        self._about.host_info.host_name = platform.node()
        self._about.host_info.process_id = str(os.getpid())
        _describe_pollers(self._about, config)
        self._entering: asyncio.Task[None] | None = None

    async def enter(self, host: Host) -> None:
        """The worker begins."""
        self._about.start_time.CopyFrom(host.now())
        await worker_instances.enter(host.database, host.executor_id, self._about)

    def enter_again(self, host: Host) -> None:
        """Its process was taken for dead, and others may have forgotten the worker."""
        self._entering = asyncio.get_running_loop().create_task(self._again(host))

    async def _again(self, host: Host) -> None:
        try:
            await worker_instances.enter(host.database, host.executor_id, self._about)
        except LOST_CONNECTION as error:
            logger.debug("worker not listed: %s", error)

    async def leave(self, host: Host) -> None:
        """The worker has ended."""
        if self._entering is not None:
            await self._entering
        try:
            await worker_instances.drop(host.database, self._about.worker_instance_key)
        except LOST_CONNECTION as error:
            logger.debug("worker still listed until its lease ends: %s", error)


def _version(strategy: Any, build_id: str) -> WorkerDeploymentVersion:
    version = getattr(strategy, "version", None)
    name = "" if version is None else version.deployment_name
    return WorkerDeploymentVersion(deployment_name=name, build_id=build_id)


def _describe_pollers(about: WorkerHeartbeat, config: Any) -> None:
    types = config.task_types
    for polled, info, behavior in (
        (
            types.enable_workflows,
            about.workflow_poller_info,
            config.workflow_task_poller_behavior,
        ),
        (
            types.enable_remote_activities,
            about.activity_poller_info,
            config.activity_task_poller_behavior,
        ),
        (
            types.enable_nexus,
            about.nexus_poller_info,
            config.nexus_task_poller_behavior,
        ),
    ):
        if polled:
            info.current_pollers = pollers(behavior)
            info.is_autoscaling = not hasattr(behavior, "simple_maximum")
