"""The chain that a run belongs to: which run follows it, when, and with what.

A failure is retried if the policy says so; else, and after a success, a cron's next run
follows; a run that ran out of time has failed. What a next run takes along is what
Temporal's server carries over: the start as it was, not what the workflow upserted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from temporalio.api.history.v1 import WorkflowExecutionTimedOutEventAttributes

from dbosify._model import clock, cron, failures, versioning
from dbosify._model.effects import Close, NewRun
from dbosify._model.protos import (
    Callback,
    ContinueAsNewInitiator,
    ContinueAsNewVersioningBehavior,
    EventType,
    Failure,
    HistoryEvent,
    Payloads,
    RetryState,
    SearchAttributes,
    Timestamp,
    WorkerDeploymentVersion,
    WorkflowExecutionStartedEventAttributes,
    WorkflowExecutionStatus,
)
from dbosify._model.registered import Registered
from dbosify._model.versioning import Versioning

from .retry import Verdict, decide

_CRON = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
_CONTINUED = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
_AS_BEFORE = (
    ContinueAsNewVersioningBehavior.CONTINUE_AS_NEW_VERSIONING_BEHAVIOR_UNSPECIFIED
)
_RETRY = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY


@dataclass(frozen=True, slots=True)
class Chain:
    """What the end of a run needs to know about it."""

    run_id: str
    started: HistoryEvent
    next_run_id: str
    """Taken if a next run is made."""
    search_attributes: SearchAttributes
    """Of the start, with what the workflow upserted."""
    namespace: str = ""
    registered: Registered | None = None
    """What the task's commands speak of; None in a replay."""
    callbacks: Sequence[Callback] = ()
    """Of those who joined the run and want to be told of the chain's end."""
    versioning: Versioning = field(default_factory=Versioning)
    """Where the run belongs."""
    target: WorkerDeploymentVersion | None = None
    """Where runs go that are new."""

    @property
    def attributes(self) -> WorkflowExecutionStartedEventAttributes:
        """Of the run's start."""
        return self.started.workflow_execution_started_event_attributes

    def after_success(self, result: Payloads, now: Timestamp) -> NewRun | None:
        """The run that follows one that completed, if it is a cron's."""
        backoff = self._cron_backoff(now)
        if backoff is None:
            return None
        started = self._same_again(_CRON)
        started.ClearField("continued_failure")
        started.last_completion_result.CopyFrom(result)
        return self._cron_run(started, backoff)

    def after_failure(
        self, failure: Failure, now: Timestamp
    ) -> tuple[RetryState.ValueType, NewRun | None]:
        """What follows a run that failed: a retry before all, or a cron's next run.

        Returns:
            Whether it is retried or why not, and the run that follows, if one does.
        """
        verdict = self._retry(failure, now)
        if verdict.delay is not None:
            started = self._same_again(_RETRY)
            started.attempt += 1
            started.continued_failure.CopyFrom(failure)
            started.first_workflow_task_backoff.CopyFrom(clock.duration(verdict.delay))
            return verdict.state, NewRun(self.next_run_id, started, verdict.delay)
        backoff = self._cron_backoff(now)
        if backoff is None:
            return verdict.state, None
        started = self._same_again(_CRON)
        started.continued_failure.CopyFrom(failure)
        return verdict.state, self._cron_run(started, backoff)

    def timed_out(self, now: Timestamp) -> Close:
        """The end of the run whose time is up; the event has no number yet."""
        expires_at = self._expires_at
        failure = failures.workflow_timeout()
        state: RetryState.ValueType = RetryState.RETRY_STATE_TIMEOUT
        following = None
        if expires_at is None or clock.seconds(now) < expires_at:
            state, following = self.after_failure(failure, now)
        event = HistoryEvent(
            event_time=now,
            event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
            workflow_execution_timed_out_event_attributes=(
                WorkflowExecutionTimedOutEventAttributes(
                    retry_state=state,
                    new_execution_run_id=following.run_id if following else "",
                )
            ),
        )
        return Close(
            WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
            event,
            failure=failure,
            next=following,
        )

    def link(
        self,
        started: WorkflowExecutionStartedEventAttributes,
        initiator: ContinueAsNewInitiator.ValueType,
        initial: ContinueAsNewVersioningBehavior.ValueType = _AS_BEFORE,
    ) -> None:
        """Make `started` the start of the next run.

        Args:
            started: is changed.
            initiator: why there is a next run.
            initial: on which version it is to begin, if not where this one is.
        """
        # A retry stays on a version only if the run had not chosen it itself, and a
        # cron's next run begins like any new one.
        pinned = (
            initiator == _CONTINUED
            and started.task_queue.name == self.attributes.task_queue.name
        ) or (
            initiator == _RETRY and self.attributes.HasField("inherited_pinned_version")
        )
        notices = self.versioning.notices(self.target)
        versioning.inherit(
            started,
            self.versioning,
            pinned=pinned,
            initial=initial,
            declined=self.target if notices else None,
        )
        started.continued_execution_run_id = self.run_id
        started.original_execution_run_id = self.next_run_id
        started.initiator = initiator
        started.identity = ""
        started.completion_callbacks.extend(self.callbacks)
        started.eager_execution_accepted = False

    def _same_again(
        self, initiator: ContinueAsNewInitiator.ValueType
    ) -> WorkflowExecutionStartedEventAttributes:
        started = WorkflowExecutionStartedEventAttributes()
        started.CopyFrom(self.attributes)
        self.link(started, initiator)
        return started

    def _cron_run(
        self, started: WorkflowExecutionStartedEventAttributes, backoff: int
    ) -> NewRun:
        started.attempt = 1
        started.first_workflow_task_backoff.CopyFrom(clock.duration(backoff))
        return NewRun(self.next_run_id, started, backoff)

    def _retry(self, failure: Failure, now: Timestamp) -> Verdict:
        if not self.attributes.HasField("retry_policy"):
            return Verdict(RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET, None)
        return decide(
            self.attributes.retry_policy,
            failure,
            attempt=self.attributes.attempt,
            now=clock.seconds(now),
            deadline=self._expires_at,
        )

    def _cron_backoff(self, now: Timestamp) -> int | None:
        if not self.attributes.cron_schedule:
            return None
        expires_at = self._expires_at
        if expires_at is not None and clock.seconds(now) >= expires_at:
            return None
        scheduled = clock.later(
            self.started.event_time, self.attributes.first_workflow_task_backoff
        )
        return cron.backoff(self.attributes.cron_schedule, scheduled, now)

    @property
    def _expires_at(self) -> float | None:
        """When the whole chain runs out of time."""
        if not self.attributes.HasField("workflow_execution_expiration_time"):
            return None
        return clock.seconds(self.attributes.workflow_execution_expiration_time)
