"""Which version of a worker deployment gets a task that is pinned to none.

A task queue's route names the current version, and one that ramps up beside it. The
database places what is queued by the same rule (`dbosify_place()`, migration 0017);
here it is for those who must know before they ask: may a run begin in this process, and
does a run that is in memory still belong here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dbosify._model.protos import WorkerDeploymentVersion

WORKFLOW, ACTIVITY, NEXUS = 1, 2, 3
"""The kinds of tasks, as the API numbers them."""

UNVERSIONED = 0
"""The number that stands for all workers without a version."""

_ALL = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """A version that gets tasks; workers without one if it has no number."""

    version_id: int = UNVERSIONED
    deployment: str = ""
    build_id: str = ""

    @property
    def version(self) -> WorkerDeploymentVersion | None:
        """As the API names it."""
        if self.version_id == UNVERSIONED:
            return None
        return WorkerDeploymentVersion(
            deployment_name=self.deployment, build_id=self.build_id
        )


@dataclass(frozen=True, slots=True)
class Route:
    """Who gets the tasks of one kind in one task queue."""

    current: Target
    ramping: Target
    share: int
    """Of 10,000 workflow ids, those whose runs go to the ramping version."""

    def target(self, workflow_id: str) -> Target:
        """Who gets the tasks of a workflow."""
        digest = hashlib.md5(workflow_id.encode(), usedforsecurity=False).hexdigest()
        ramps = int(digest[:8], 16) % _ALL < self.share
        return self.ramping if ramps else self.current

    @property
    def targets(self) -> tuple[Target, ...]:
        """Who gets any."""
        if self.share == 0:
            return (self.current,)
        return (self.ramping,) if self.share == _ALL else (self.current, self.ramping)


Routes: TypeAlias = Mapping[tuple[str, int], Route]
"""By task queue and kind; what is not there goes to workers without a version."""

NOBODY = Target()


def target(routes: Routes, task_queue: str, kind: int, workflow_id: str) -> Target:
    """Who gets a task that is pinned to no version."""
    route = routes.get((task_queue, kind))
    return NOBODY if route is None else route.target(workflow_id)


def gets_any(
    routes: Routes, task_queue: str, kind: int, version: WorkerDeploymentVersion | None
) -> bool:
    """Whether a version gets tasks of a kind that are pinned to none."""
    route = routes.get((task_queue, kind))
    targets = (NOBODY,) if route is None else route.targets
    return any(found.version == version for found in targets)
