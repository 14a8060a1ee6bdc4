"""Where a run's activities may run in its own process: slots held for a turn."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from dbosify._model.activity import ActivityRow
from dbosify._model.protos import WorkerDeploymentVersion
from dbosify._model.routes import ACTIVITY

from .held_activity import HeldActivity, Run
from .slots import Permit

if TYPE_CHECKING:
    from .activity_worker import ActivityWorker
    from .host import Host


class ActivityPlaces:
    """Where a run's activities may run in its own process, on its own loop.

    Args:
        host: of the namespace.
        version: of the run's worker, if it is part of a worker deployment.
    """

    def __init__(self, host: Host, version: WorkerDeploymentVersion | None) -> None:
        self._host = host
        self._version = version
        self._taken: dict[str, deque[tuple[ActivityWorker, Permit]]] = {}

    def take(self, task_queue: str) -> bool:
        """Hold a slot of a worker for `task_queue`, if one is free here."""
        if self._version is None and (task_queue, ACTIVITY) in self._host.routes:
            return False
        for worker in self._host.activity_workers(task_queue, self._version):
            if worker.loop is not asyncio.get_running_loop():
                continue
            permit = worker.take()
            if permit is not None:
                self._taken.setdefault(task_queue, deque()).append((worker, permit))
                return True
        return False

    def give_back(self, task_queue: str) -> None:
        """The slot is not needed after all."""
        self._taken[task_queue].popleft()[1].release()

    def start(self, row: ActivityRow, run: Run) -> HeldActivity:
        """Run an activity on the slot that was taken for it."""
        options = row.scheduled.activity_task_scheduled_event_attributes
        worker, permit = self._taken[options.task_queue.name].popleft()
        losses = self._host.keeper.losses
        return worker.start(row, run, permit=permit, losses=losses)
