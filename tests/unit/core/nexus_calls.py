"""Nexus operations to call, and what their callers are told, in few words."""

from __future__ import annotations

from typing import Any

from temporalio.api.history.v1 import NexusOperationCancelRequestedEventAttributes

from dbosify._core.machines.nexus_call import NexusCallMachine
from dbosify._model import nexus
from dbosify._model.nexus import NexusOperation
from dbosify._model.protos import (
    EventType,
    Failure,
    HistoryEvent,
    NexusOperationScheduledEventAttributes,
    NexusResponse,
    Payload,
)
from tests.unit.core.spelling import BEGAN, RUN_ID, at, payload, span
from tests.unit.core.traces import showing


def scheduled(
    *, total: float = 0, to_start: float = 0, run: float = 0, **more: Any
) -> HistoryEvent:
    """A NexusOperationScheduled event with these timeouts."""
    return HistoryEvent(
        event_id=5,
        event_time=at(0),
        event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
        nexus_operation_scheduled_event_attributes=(
            NexusOperationScheduledEventAttributes(
                endpoint="EP",
                service="Svc",
                operation="hello",
                request_id="request",
                schedule_to_close_timeout=span(total),
                schedule_to_start_timeout=span(to_start),
                start_to_close_timeout=span(run),
                **more,
            )
        ),
    )


def asked_to_cancel() -> HistoryEvent:
    """The event by which the caller asks for the end."""
    return HistoryEvent(
        event_id=9,
        event_time=at(1),
        event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUESTED,
        nexus_operation_cancel_requested_event_attributes=(
            NexusOperationCancelRequestedEventAttributes(
                scheduled_event_id=5, workflow_task_completed_event_id=8
            )
        ),
    )


def returns(result: object) -> NexusResponse:
    """The handler answers at once."""
    response = NexusResponse()
    response.start_operation.sync_success.payload.CopyFrom(payload(result))
    return response


def begins(token: str = "t") -> NexusResponse:
    """The handler has begun."""
    response = NexusResponse()
    response.start_operation.async_success.operation_token = token
    return response


def fails(failure: Failure) -> NexusResponse:
    """The handler answers that the operation failed."""
    response = NexusResponse()
    response.start_operation.failure.CopyFrom(failure)
    return response


def complies() -> NexusResponse:
    """The handler has passed a cancellation on."""
    response = NexusResponse()
    response.cancel_operation.SetInParent()
    return response


def error(kind: str, behavior: Any = 0) -> Failure:
    """The handler raised."""
    failure = Failure(message="oh")
    failure.nexus_handler_failure_info.type = kind
    failure.nexus_handler_failure_info.retry_behavior = behavior
    return failure


class Calls:
    """An operation whose moments are seconds since it was asked for."""

    def __init__(self, **options: Any) -> None:
        self.operation = NexusOperation(
            f"orders/1/{RUN_ID}",
            "queue",
            event := scheduled(**options),
            nexus.pending(event),
            due_at=BEGAN,
        )
        self.machine = NexusCallMachine(self.operation)

    def answered(self, moment: float, response: NexusResponse | Failure) -> Calls:
        """The handler answers."""
        self.operation.call = "call"
        self.machine.answer(BEGAN + moment, response)
        return self

    def reported(self, moment: float, outcome: Payload | Failure | None) -> Calls:
        """Whoever worked on it reports the end."""
        self.machine.report(BEGAN + moment, outcome, token="early")
        return self

    def asked_to_cancel(self, moment: float) -> Calls:
        """The caller asks for the end."""
        self.machine.ask_cancel(BEGAN + moment, asked_to_cancel())
        return self

    def loaded(self) -> Calls:
        """As another process finds it."""
        self.machine = NexusCallMachine(self.operation)
        return self

    @property
    def due(self) -> float | None:
        """When the handler has to be called."""
        due = self.operation.due_at
        return None if due is None else round(due - BEGAN, 6)

    @property
    def story(self) -> str:
        """What the caller is told."""
        return " ".join(showing.event(event) for event in self.machine.news)
