"""Where runs belong among the versions of a worker deployment, as one worker sees it.

A run that is queued is placed by the database. The worker itself must know for the runs
that it has in memory: one that follows the routing of new runs, or was given another
version, is left to that version's workers before its next task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dbosify._model import routes, versioning
from dbosify._model.protos import (
    ContinueAsNewVersioningBehavior,
    WorkerDeploymentVersion,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify._model.routes import WORKFLOW, Routes, Target
from dbosify._model.versioning import Versioning

_Initial = ContinueAsNewVersioningBehavior
_RAMPING = _Initial.CONTINUE_AS_NEW_VERSIONING_BEHAVIOR_USE_RAMPING_VERSION


@dataclass(frozen=True, slots=True)
class Belonging:
    """See the module's text."""

    task_queue: str
    version: WorkerDeploymentVersion | None
    """Of the worker."""
    routes: Callable[[], Routes]
    """As the process knows them now."""

    def target(self, workflow_id: str) -> Target:
        """Who gets the runs of a workflow that are pinned to no version."""
        return routes.target(self.routes(), self.task_queue, WORKFLOW, workflow_id)

    def keeps(self, run: Versioning, workflow_id: str) -> bool:
        """Whether the worker is to do the next task of a run that it did tasks of."""
        pinned_to = run.pinned_to
        if pinned_to is not None:
            return pinned_to == self.version
        return self.target(workflow_id).version == self.version

    def first_on(
        self, started: WorkflowExecutionStartedEventAttributes
    ) -> WorkerDeploymentVersion | None:
        """The version that a run begins on, though it is not pinned; None if any."""
        wanted = started.inherited_auto_upgrade_info
        if wanted.continue_as_new_initial_versioning_behavior != _RAMPING:
            return None
        route = self.routes().get((started.task_queue.name, WORKFLOW))
        return None if route is None else route.ramping.version

    def begins(self, started: WorkflowExecutionStartedEventAttributes) -> bool:
        """Whether the next run of a chain may begin with this worker."""
        if started.task_queue.name != self.task_queue:
            return False
        first = self.first_on(started) or versioning.pin_of(started)
        if first is None:
            first = self.target(started.workflow_id).version
        return first == self.version
