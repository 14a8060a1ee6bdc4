"""The growing end of a run's history: event ids, times, and the events of a task.

The driver says what happens; here it becomes events. Numbers continue from the journal,
and the tail of one workflow task is what its turn journals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from temporalio.api.enums.v1 import SuggestContinueAsNewReason, TaskQueueKind
from temporalio.api.history.v1 import (
    WorkflowTaskCompletedEventAttributes,
    WorkflowTaskFailedEventAttributes,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStartedEventAttributes,
)

from dbosify._model import links
from dbosify._model.effects import TaskFailed
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    Timestamp,
    VersioningBehavior,
    WorkerDeploymentVersion,
)

CORE_FLAGS = (1, 2, 3)
"""Ids and types checked on replay; patches upsert a search attribute; the terminal
command moves behind all others. Core's numbers; every history we write has them."""

SUGGEST_EVENTS = 4096
"""A server's usual limit."""
_SUGGEST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker writes about itself into the tasks it completes."""

    identity: str
    build_id: str = ""
    version: WorkerDeploymentVersion | None = None
    """Of the worker deployment that it is a part of."""
    default_behavior: VersioningBehavior.ValueType = (
        VersioningBehavior.VERSIONING_BEHAVIOR_UNSPECIFIED
    )
    """Of workflows whose code has no opinion of new versions."""
    sdk_name: str = "temporal-python"
    sdk_version: str = ""
    suggest_after: int = SUGGEST_EVENTS
    """Events after which a run is told to continue as new."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a tail ended before a workflow task that may come to nothing."""

    last_event_id: int
    size: int
    scheduled_event_id: int


class Tail:
    """See the module's text.

    Args:
        worker: what to write about the worker.
        task_queue: of the run.
    """

    def __init__(self, worker: Worker, task_queue: str) -> None:
        self.events: list[HistoryEvent] = []
        self.last_event_id = 0
        self.size = 0
        self.scheduled_event_id = 0
        """An open WorkflowTaskScheduled event, or 0."""
        self.flags_written = False
        self.now = Timestamp()
        self._worker = worker
        self._task_queue = task_queue

    def begin(self, now: Timestamp, news: Iterable[HistoryEvent]) -> None:
        """Start a new tail, with events that have happened."""
        self.now = now
        self.events = []
        for event in news:
            self.append(event)

    def mark(self) -> Mark:
        """Where the tail ends now."""
        return Mark(self.last_event_id, self.size, self.scheduled_event_id)

    def drop_after(self, mark: Mark) -> None:
        """Take back whatever came since; nothing of it was journaled."""
        self.events = []
        self.last_event_id = mark.last_event_id
        self.size = mark.size
        self.scheduled_event_id = mark.scheduled_event_id

    def append(self, event: HistoryEvent) -> None:
        """Give an event its number and place."""
        self.last_event_id += 1
        event.event_id = self.last_event_id
        event.task_id = self.last_event_id
        if not event.HasField("event_time"):
            event.event_time.CopyFrom(self.now)
        links.to_earlier(event, self.events)
        self.events.append(event)
        self.size += event.ByteSize()

    def start_task(
        self,
        start: HistoryEvent,
        *,
        attempt: int,
        request_id: str,
        target_changed: bool = False,
    ) -> HistoryEvent:
        """Schedule a workflow task, unless one is open, and start it.

        Args:
            start: of the run.
            attempt: of the task.
            request_id: of whoever starts it.
            target_changed: whether new runs go to another version of the deployment.
        """
        self.schedule_task(start, attempt)
        attributes = WorkflowTaskStartedEventAttributes(
            scheduled_event_id=self.scheduled_event_id,
            identity=self._worker.identity,
            request_id=request_id,
            history_size_bytes=self.size,
            target_worker_deployment_version_changed=target_changed,
        )
        reasons = SuggestContinueAsNewReason
        if self.last_event_id + 1 > self._worker.suggest_after:
            attributes.suggest_continue_as_new_reasons.append(
                reasons.SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_HISTORY_EVENTS
            )
        if self.size > _SUGGEST_BYTES:
            attributes.suggest_continue_as_new_reasons.append(
                reasons.SUGGEST_CONTINUE_AS_NEW_REASON_HISTORY_SIZE_TOO_LARGE
            )
        attributes.suggest_continue_as_new = bool(
            attributes.suggest_continue_as_new_reasons
        )
        event = HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
            event_time=self.now,
            workflow_task_started_event_attributes=attributes,
        )
        self.append(event)
        return event

    def complete_task(
        self,
        started: HistoryEvent,
        new_flags: Iterable[int],
        behavior: VersioningBehavior.ValueType,
    ) -> HistoryEvent:
        """Complete the open task.

        Args:
            started: the task's WorkflowTaskStarted event.
            new_flags: SDK flags used in this task for the first time.
            behavior: what the code wants new versions to mean to the run.
        """
        attributes = WorkflowTaskCompletedEventAttributes(
            scheduled_event_id=self.scheduled_event_id,
            started_event_id=started.event_id,
            identity=self._worker.identity,
        )
        metadata = attributes.sdk_metadata
        if not self.flags_written:
            metadata.core_used_flags.extend(CORE_FLAGS)
            metadata.sdk_name = self._worker.sdk_name
            metadata.sdk_version = self._worker.sdk_version
            self.flags_written = True
        metadata.lang_used_flags.extend(sorted(new_flags))
        attributes.worker_version.build_id = self._worker.build_id
        version = self._worker.version
        if version is not None:
            attributes.versioning_behavior = behavior
            attributes.worker_deployment_name = version.deployment_name
            attributes.deployment_version.CopyFrom(version)
        event = HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
            workflow_task_completed_event_attributes=attributes,
        )
        self.append(event)
        self.scheduled_event_id = 0
        return event

    def fail_task(self, started: HistoryEvent, failed: TaskFailed) -> None:
        """Fail the open task."""
        attributes = WorkflowTaskFailedEventAttributes(
            scheduled_event_id=self.scheduled_event_id,
            started_event_id=started.event_id,
            cause=failed.cause,
            failure=failed.failure,
            identity=self._worker.identity,
        )
        self.append(
            HistoryEvent(
                event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
                workflow_task_failed_event_attributes=attributes,
            )
        )

    def schedule_task(self, start: HistoryEvent, attempt: int) -> None:
        """Schedule a workflow task, unless one is open."""
        if self.scheduled_event_id:
            return
        attributes = WorkflowTaskScheduledEventAttributes(attempt=attempt)
        attributes.task_queue.name = self._task_queue
        attributes.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
        started = start.workflow_execution_started_event_attributes
        attributes.start_to_close_timeout.CopyFrom(started.workflow_task_timeout)
        event = HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            workflow_task_scheduled_event_attributes=attributes,
        )
        self.append(event)
        self.scheduled_event_id = event.event_id
