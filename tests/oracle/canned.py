"""Histories written by hand, and a service that knows nothing else.

They let the oracle be tested without any backend: what it must accept and what it
must reject is then fixed for ever, whatever dbosify or a server writes.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from google.protobuf.message import Message
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import WorkflowHistory
from temporalio.service import (
    ConnectConfig,
    RPCError,
    RPCStatusCode,
    ServiceClient,
)

_FIRST_TASK = (
    "workflow_execution_started",
    "workflow_task_scheduled",
    "workflow_task_started",
    "workflow_task_completed",
)

SOUND = (*_FIRST_TASK, "workflow_execution_completed")
"""All there is to a workflow that does nothing."""

DOCTORED = (*_FIRST_TASK, "timer_started", "workflow_execution_completed")
"""The same with a timer that no code has started."""

OPEN = ("workflow_execution_started", "workflow_task_scheduled")
NEVER_RUN = (*OPEN, "workflow_execution_terminated")

DELETED: tuple[str, ...] = ()
"""For a run that was started, and that nobody knows of any more."""


def history(workflow_type: str, *kinds: str) -> WorkflowHistory:
    """A history of events of these kinds, each as far as the Replayer looks at it."""
    run_id = str(uuid.uuid4())
    events = [_event(number, kind) for number, kind in enumerate(kinds, start=1)]
    started = events[0].workflow_execution_started_event_attributes
    started.workflow_type.name = workflow_type
    started.task_queue.name = "canned"
    started.original_execution_run_id = run_id
    started.first_execution_run_id = run_id
    started.attempt = 1
    started.workflow_task_timeout.FromTimedelta(timedelta(seconds=10))
    return WorkflowHistory(f"canned-{run_id}", events)


def _event(number: int, kind: str) -> HistoryEvent:
    event = HistoryEvent(
        event_id=number, event_type=EventType.Value(f"EVENT_TYPE_{kind.upper()}")
    )
    event.event_time.FromSeconds(1_700_000_000 + number)
    attributes = getattr(event, f"{kind}_event_attributes")
    attributes.SetInParent()
    if kind == "workflow_task_started":
        attributes.scheduled_event_id = 2
    elif kind == "workflow_task_completed":
        attributes.scheduled_event_id, attributes.started_event_id = 2, 3
    elif kind == "timer_started":
        attributes.timer_id = "1"
        attributes.workflow_task_completed_event_id = 4
        attributes.start_to_fire_timeout.FromTimedelta(timedelta(seconds=1))
    elif kind == "workflow_execution_completed":
        attributes.workflow_task_completed_event_id = 4
    return event


class CannedService(ServiceClient):
    """Starts nothing, and answers with the history written for the workflow's id."""

    def __init__(self, kinds_by_id: Mapping[str, tuple[str, ...]]) -> None:
        """Know these kinds of events by workflow id."""
        super().__init__(ConnectConfig(target_host="nowhere.invalid:1"))
        self._kinds = kinds_by_id
        self._started: dict[str, WorkflowHistory] = {}

    @property
    def worker_service_client(self) -> Any:
        """No worker can use it."""
        raise NotImplementedError

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """There is nothing to update."""

    def update_api_key(self, api_key: str | None) -> None:
        """There is nothing to update."""

    async def _rpc_call(
        self, rpc: str, req: Message, resp_type: type[Any], **_: Any
    ) -> Any:
        if isinstance(req, StartWorkflowExecutionRequest):
            kinds = self._kinds[req.workflow_id] or OPEN
            made = history(req.workflow_type.name, *kinds)
            self._started[req.workflow_id] = made
            return resp_type(run_id=made.run_id, started=True)
        assert isinstance(req, GetWorkflowExecutionHistoryRequest), rpc
        workflow_id = req.execution.workflow_id
        if self._kinds[workflow_id] == DELETED:
            raise RPCError("no such run", RPCStatusCode.NOT_FOUND, b"")
        response = resp_type()
        response.history.events.extend(self._started[workflow_id].events)
        return response
