"""Which workers and SDKs drive a run, and by which flags: the SDK asks it.

A flag stands for a change in how the SDK behaves; one that was used is kept, so that
the run behaves the same for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from dbosify._model.protos import (
    HistoryEvent,
    VersioningBehavior,
    WorkerDeploymentVersion,
    WorkflowActivation,
)
from dbosify._model.versioning import Versioning


class Versions:
    """See the module's text.

    Args:
        build_id: of the worker that drives the run now.
        version: of its worker deployment, if it is part of one.
    """

    def __init__(self, build_id: str, version: WorkerDeploymentVersion | None) -> None:
        self.flags: set[int] = set()
        self.behavior: VersioningBehavior.ValueType = (
            VersioningBehavior.VERSIONING_BEHAVIOR_UNSPECIFIED
        )
        """What the code wants new versions to mean to the run."""
        self.run = Versioning()
        """Where the run belongs."""
        self._noted = self.run
        """As the run's row has it."""
        self._version = version or WorkerDeploymentVersion(build_id=build_id)
        self._used: set[int] = set()
        self._sdk_version = ""
        self._last_version = WorkerDeploymentVersion()
        """Of the worker that completed the last task: a query is not a task."""

    @property
    def new_flags(self) -> set[int]:
        """Flags of the current task that no task before it has used."""
        return self._used - self.flags

    def load(self, events: Iterable[HistoryEvent]) -> None:
        """Take in the journal: where the run belongs must be known before a replay."""
        for event in events:
            self.run.learn(event)
        self._noted = copy(self.run)

    def take_changes(self) -> Versioning | None:
        """Where the run belongs now, if its row is to be told."""
        if self._noted == self.run:
            return None
        self._noted = copy(self.run)
        return self.run

    def complete_task(self, completed: HistoryEvent) -> None:
        """The worker has completed a task; `end_task` follows."""
        self.run = copy(self.run)
        self.run.learn(completed)

    @property
    def current(self) -> Versioning:
        """Where the run will belong when the current task is completed."""
        named = self._version if self._version.deployment_name else None
        return self.run.with_task_of(named, self.behavior)

    def replay_task(self, completed: HistoryEvent) -> None:
        """A task of the journal is about to be replayed."""
        attributes = completed.workflow_task_completed_event_attributes
        self.flags.update(attributes.sdk_metadata.lang_used_flags)

    def use(self, flags: Iterable[int]) -> None:
        """The SDK used flags in the current task."""
        self._used.update(flags)

    def end_task(self, completed: HistoryEvent) -> None:
        """The current task is over."""
        attributes = completed.workflow_task_completed_event_attributes
        self._last_version = _version_of(completed)
        metadata = attributes.sdk_metadata
        self._sdk_version = metadata.sdk_version or self._sdk_version
        self.flags.update(self._used)
        self._used = set()

    def show(
        self,
        activation: WorkflowActivation,
        *,
        replayed: HistoryEvent | None,
        querying: bool,
    ) -> None:
        """Tell the SDK what it asks.

        Args:
            activation: to be filled in.
            replayed: the end of the task that is being replayed, if one is.
            querying: whether it is a query.
        """
        activation.available_internal_flags.extend(sorted(self.flags))
        version = self._last_version if querying else self._version
        if replayed is not None:
            version = _version_of(replayed)
        if version.build_id:
            activation.deployment_version_for_current_task.build_id = version.build_id
            activation.deployment_version_for_current_task.deployment_name = (
                version.deployment_name
            )
        activation.last_sdk_version = self._sdk_version


def _version_of(completed: HistoryEvent) -> WorkerDeploymentVersion:
    """Of the worker that completed a task; of no deployment if it was in none."""
    attributes = completed.workflow_task_completed_event_attributes
    if attributes.HasField("deployment_version"):
        return attributes.deployment_version
    return WorkerDeploymentVersion(build_id=attributes.worker_version.build_id)
