"""Which workers and SDKs have driven a run, and by which flags: the SDK asks it.

A flag stands for a change in how the SDK behaves; one that was used is kept, so that
the run behaves the same for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from dbosify._model.protos import HistoryEvent, WorkflowActivation


class Versions:
    """See the module's text.

    Args:
        build_id: of the worker that drives the run now.
    """

    def __init__(self, build_id: str) -> None:
        self.flags: set[int] = set()
        self._build_id = build_id
        self._used: set[int] = set()
        self._sdk_version = ""
        self._last_build_id = ""
        """Of the worker that completed the last task: a query is not a task."""

    @property
    def new_flags(self) -> set[int]:
        """Flags of the current task that no task before it has used."""
        return self._used - self.flags

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
        self._last_build_id = attributes.worker_version.build_id
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
        build_id = self._last_build_id if querying else self._build_id
        if replayed is not None:
            attributes = replayed.workflow_task_completed_event_attributes
            build_id = attributes.worker_version.build_id
        if build_id:
            activation.deployment_version_for_current_task.build_id = build_id
        activation.last_sdk_version = self._sdk_version
