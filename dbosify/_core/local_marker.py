"""The marker that a local activity leaves in history, as Temporal's core writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dbosify._model import clock, failures
from dbosify._model.local import End, LocalOutcome
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    MarkerRecordedEventAttributes,
    Payload,
    Timestamp,
)

from .fsm import FatalMachineError

MARKER_NAME = "core_local_activity"


@dataclass(frozen=True, slots=True)
class Marker:
    """What a marker says."""

    seq: int
    activity_id: str
    activity_type: str
    outcome: LocalOutcome
    complete_time: Timestamp | None
    """The workflow's time afterwards; None if the clock was left alone."""
    scheduled: Timestamp | None
    shown_in: int | None
    """Which of its task's activations resolved it, from 0."""


def is_marker(event: HistoryEvent) -> bool:
    """Whether the event is the end of a local activity."""
    return (
        event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
        and event.marker_recorded_event_attributes.marker_name == MARKER_NAME
    )


def write(marker: Marker) -> MarkerRecordedEventAttributes:
    """A marker as Temporal's core writes it."""
    outcome = marker.outcome
    backoff = None if outcome.backoff is None else clock.duration(outcome.backoff)
    data = {
        "seq": marker.seq,
        "attempt": outcome.attempt,
        "activity_id": marker.activity_id,
        "activity_type": marker.activity_type,
        "complete_time": _plain(marker.complete_time),
        "backoff": _plain(backoff),
        "original_schedule_time": _plain(marker.scheduled),
        "activation_index": marker.shown_in,
    }
    attributes = MarkerRecordedEventAttributes(marker_name=MARKER_NAME)
    attributes.details["data"].payloads.append(
        Payload(
            metadata={"encoding": b"json/plain"},
            data=json.dumps(data, separators=(",", ":")).encode(),
        )
    )
    if outcome.result is not None:
        attributes.details["result"].payloads.append(outcome.result)
    if outcome.failure is not None:
        attributes.failure.CopyFrom(outcome.failure)
    return attributes


def parse(event: HistoryEvent) -> Marker:
    """The inverse of `write`.

    Raises:
        FatalMachineError: the marker is none that a core has written.
    """
    attributes = event.marker_recorded_event_attributes
    try:
        data = json.loads(_payload(attributes, "data").data)
        backoff = _moment(data["backoff"])
        return Marker(
            data["seq"],
            data["activity_id"],
            data["activity_type"],
            _outcome(
                attributes,
                data["attempt"],
                None if backoff is None else clock.seconds(backoff),
            ),
            _moment(data["complete_time"]),
            _moment(data["original_schedule_time"]),
            data.get("activation_index"),
        )
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise FatalMachineError(
            f"Local activity marker was unparsable: event {event.event_id}"
        ) from error


def _outcome(
    attributes: MarkerRecordedEventAttributes, attempt: int, backoff: float | None
) -> LocalOutcome:
    if not attributes.HasField("failure"):
        # A result that is nothing at all leaves no detail.
        known = "result" in attributes.details
        result = _payload(attributes, "result") if known else None
        return LocalOutcome(End.COMPLETED, attempt, result=result)
    failure = attributes.failure
    end = End.FAILED
    if "canceled_failure_info" in (
        failure.WhichOneof("failure_info"),
        failure.cause.WhichOneof("failure_info"),
    ):
        end = End.CANCELLED
    elif failures.is_local_timeout(failure):
        # Temporal's core forgets on replay that it was a timeout, and shows the bare
        # failure: code that looks at it closely is not deterministic there.
        end = End.TIMED_OUT
    return LocalOutcome(end, attempt, failure=failure, backoff=backoff)


def _payload(attributes: MarkerRecordedEventAttributes, name: str) -> Payload:
    # Looking up what is not there would put it there.
    if name not in attributes.details:
        raise KeyError(name)
    return attributes.details[name].payloads[0]


def _plain(value: Any) -> dict[str, int] | None:
    if value is None:
        return None
    return {"seconds": value.seconds, "nanos": value.nanos}


def _moment(value: Any) -> Timestamp | None:
    if value is None:
        return None
    return Timestamp(seconds=value["seconds"], nanos=value["nanos"])
