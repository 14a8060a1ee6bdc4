"""Fetches histories, and follows them to the runs that their runs started."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode, ServiceClient

from .verdicts import DELETED, Outcome, Verdict
from .watching import Run

_CLOSING = (
    "workflow_execution_completed_event_attributes",
    "workflow_execution_failed_event_attributes",
    "workflow_execution_timed_out_event_attributes",
    "workflow_execution_canceled_event_attributes",
    "workflow_execution_terminated_event_attributes",
    "workflow_execution_continued_as_new_event_attributes",
)

_OUT_OF_REACH = (RPCStatusCode.CANCELLED, RPCStatusCode.UNAVAILABLE)
"""Says nothing against the history: its reader is closed or gone."""


@dataclass(frozen=True, slots=True)
class History:
    """A run and its history, with what the events say of the run."""

    run: Run
    official: WorkflowHistory

    @property
    def events(self) -> Sequence[HistoryEvent]:
        """The events, oldest first."""
        return self.official.events

    @property
    def started(self) -> WorkflowExecutionStartedEventAttributes:
        """How the run was started."""
        return started(self.official)

    @property
    def is_closed(self) -> bool:
        """Whether the run has ended."""
        return self.events[-1].WhichOneof("attributes") in _CLOSING

    @property
    def has_run(self) -> bool:
        """Whether workflow code ever did anything that was kept."""
        return any(
            event.HasField("workflow_task_completed_event_attributes")
            for event in self.events
        )

    def relatives(self) -> Iterator[Run]:
        """The runs that this one started: its children and its successor."""
        for event in self.events:
            kind = event.WhichOneof("attributes")
            if kind == "child_workflow_execution_started_event_attributes":
                child = event.child_workflow_execution_started_event_attributes
                namespace = child.namespace or self.run.namespace
                execution = child.workflow_execution
                yield self._beside(namespace, execution.workflow_id, execution.run_id)
            elif kind in _CLOSING:
                successor = getattr(getattr(event, kind), "new_execution_run_id", "")
                if successor:
                    yield self._beside(
                        self.run.namespace, self.run.workflow_id, successor
                    )

    def _beside(self, namespace: str, workflow_id: str, run_id: str) -> Run:
        return Run(namespace, workflow_id, run_id, self.run.service, self.run.loop)

    def verdict(self, outcome: Outcome, reason: str = "") -> Verdict:
        """A verdict on this run."""
        return Verdict(
            self.run.workflow_id,
            self.run.run_id,
            outcome,
            workflow_type=self.started.workflow_type.name,
            reason=reason,
            events=len(self.events),
            closed=self.is_closed,
        )


def started(history: WorkflowHistory) -> WorkflowExecutionStartedEventAttributes:
    """The attributes of the first event."""
    return history.events[0].workflow_execution_started_event_attributes


async def fetch_all(
    runs: Sequence[Run], *, services: Sequence[ServiceClient], known: set[str]
) -> tuple[list[History], list[Verdict]]:
    """Fetch the histories of runs and of all runs that those started.

    Args:
        runs: Where to begin.
        services: Others to ask if a run's own service is closed.
        known: Ids of runs to leave out; extended by those that were met.

    Returns:
        The histories, and a verdict for each run that has none.
    """
    histories: list[History] = []
    verdicts: list[Verdict] = []
    pending = deque(runs)
    while pending:
        run = pending.popleft()
        if run.run_id in known:
            continue
        known.add(run.run_id)
        found = await _fetch(run, services)
        if isinstance(found, Verdict):
            verdicts.append(found)
        else:
            histories.append(found)
            pending.extend(found.relatives())
    return histories, verdicts


async def _fetch(run: Run, services: Sequence[ServiceClient]) -> History | Verdict:
    try:
        return await _read(run, run.service)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return _unread(run, "not judged", DELETED)
        if error.status not in _OUT_OF_REACH:
            return _unread(run, "rejected", f"no history: {error.status.name}: {error}")
        reason = f"history out of reach: {error.status.name}"
    except Exception as error:
        reason = f"history out of reach: {type(error).__name__}: {error}"
    for service in services:
        if service is not run.service:
            try:
                return await _read(run, service)
            except Exception:
                # It may serve another database: only what it finds counts.
                continue
    return _unread(run, "not judged", reason)


async def _read(run: Run, service: ServiceClient) -> History:
    client = Client(service, namespace=run.namespace)
    handle = client.get_workflow_handle(run.workflow_id, run_id=run.run_id)
    return History(run, await handle.fetch_history())


def _unread(run: Run, outcome: Outcome, reason: str) -> Verdict:
    return Verdict(run.workflow_id, run.run_id, outcome, reason=reason)
