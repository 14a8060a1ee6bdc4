"""A worker's place in a worker deployment, if it has one.

The worker makes its version known before it takes the first task, and tells every
minute that it is still there, as long as it is.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.common import WorkerDeploymentVersion

from dbosify._model import protos
from dbosify._service import deployment_workers
from dbosify._store.engine import LOST_CONNECTION

from .hints import hinted

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

_SEEN_EVERY = 60.0
"""Seconds; a version counts as polled for five minutes."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What makes a worker one of a version."""

    version: WorkerDeploymentVersion
    task_queue: str
    kinds: frozenset[int]
    """Of its tasks, as the API numbers them."""


def membership(config: Any) -> Membership | None:
    """Of the worker with that configuration; None if it takes no part in versioning."""
    strategy, types = config.versioning_strategy, config.task_types
    if not getattr(strategy, "use_worker_versioning", False):
        return None
    kinds = {
        TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW: types.enable_workflows,
        TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY: types.enable_remote_activities,
        TaskQueueType.TASK_QUEUE_TYPE_NEXUS: types.enable_nexus,
    }
    version = strategy.version
    return Membership(
        WorkerDeploymentVersion(version.deployment_name, version.build_id),
        config.task_queue,
        frozenset(int(kind) for kind, enabled in kinds.items() if enabled),
    )


class Deployed:
    """See the module's text.

    Args:
        host: of the namespace.
        member: which version, and what its worker serves.
    """

    def __init__(self, host: Host, member: Membership) -> None:
        self.version_id = 0
        self.version = protos.WorkerDeploymentVersion(
            deployment_name=member.version.deployment_name,
            build_id=member.version.build_id,
        )
        self._host = host
        self._member = member
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Make the version known, and keep it known.

        Raises:
            RPCError: the deployment or the build has no possible name.
        """
        await self._register()
        self._task = asyncio.get_running_loop().create_task(self._stay())

    async def leave(self) -> None:
        """The worker ends."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _register(self) -> None:
        self.version_id = await deployment_workers.register(
            self._host.database,
            self._host.clock.now(),
            name=self._member.version.deployment_name,
            build_id=self._member.version.build_id,
            task_queue=self._member.task_queue,
            kinds=self._member.kinds,
        )

    async def _stay(self) -> None:
        while True:
            await hinted(self._wake, _SEEN_EVERY)
            try:
                await self._register()
            except LOST_CONNECTION as error:
                logger.warning("version not shown as polled: %s", error)
