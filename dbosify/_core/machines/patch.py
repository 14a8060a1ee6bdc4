"""Patches: a marker per patch id, and the run's list of them as a search attribute.

Core writes the marker once per id and right behind it an upsert of
`TemporalChangeVersion`, which holds every patch id of the run; replay expects both.
"""

from __future__ import annotations

import enum
import json
from typing import ClassVar

from temporalio.api.history.v1 import (
    MarkerRecordedEventAttributes,
    UpsertWorkflowSearchAttributesEventAttributes,
)

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Machine, Nondeterminism, Table, To
from dbosify._model.effects import UpsertSearchAttributes
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    Payload,
    SearchAttributes,
    WorkflowActivationJob,
)

MARKER_NAME = "core_patch"
CHANGE_VERSION = "TemporalChangeVersion"
_MAX_CHANGE_VERSION = 2048
"""Bytes of one search attribute's value, beyond which core leaves the upsert out."""


class State(enum.Enum):
    """Whether the marker stands in history yet."""

    CREATED = enum.auto()
    RECORDED = enum.auto()


class Input(enum.Enum):
    """The only thing that can happen."""

    RECORDED = enum.auto()


class PatchMachine(Machine):
    """One patch id of a run."""

    title: ClassVar[str] = "Patch"
    __slots__ = ("patch_id",)

    def __init__(self, patch_id: str) -> None:
        super().__init__(State.CREATED)
        self.patch_id = patch_id

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`; the marker may differ in `deprecated` only.

        Raises:
            Nondeterminism: history has another patch's marker here.
        """
        recorded = patch_of(event)
        if recorded is not None and recorded[0] != self.patch_id:
            raise Nondeterminism(
                f"Change id {recorded[0]} does not match expected id {self.patch_id}"
            )

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        self.fire(Input.RECORDED)

    table: ClassVar[Table] = {
        State.CREATED: {Input.RECORDED: To(State.RECORDED)},
        State.RECORDED: {},
    }


class ChangeVersionMachine(Machine):
    """The upsert behind a marker."""

    title: ClassVar[str] = "UpsertWorkflowSearchAttributesMachine"
    __slots__ = ("attributes",)

    def __init__(self, attributes: SearchAttributes) -> None:
        super().__init__(State.CREATED)
        self.attributes = attributes

    def check(self, command: Command, event: HistoryEvent) -> None:
        """See `Recorder.check`; contents are not compared."""

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """See `Recorder.recorded`."""
        self.fire(Input.RECORDED, out)

    def _on_recorded(self, out: Output) -> None:
        out.effects.append(UpsertSearchAttributes(self.attributes))

    table: ClassVar[Table] = {
        State.CREATED: {Input.RECORDED: To(State.RECORDED, _on_recorded)},
        State.RECORDED: {},
    }


def commands(patch_id: str, deprecated: bool, all_ids: set[str]) -> list[Command]:
    """The marker command of `patch_id`, and the upsert that goes with it.

    Args:
        patch_id: the id that the workflow asked for first now.
        deprecated: whether it did so through `deprecate_patch`.
        all_ids: every patch id of the run, this one included.
    """
    data = json.dumps(
        {"id": patch_id, "deprecated": deprecated}, separators=(",", ":")
    ).encode()
    marker = MarkerRecordedEventAttributes(marker_name=MARKER_NAME)
    marker.details["patch-data"].payloads.append(
        Payload(metadata={"encoding": b"json/plain"}, data=data)
    )
    result = [
        Command(
            EventType.EVENT_TYPE_MARKER_RECORDED,
            "marker_recorded_event_attributes",
            marker,
            PatchMachine(patch_id),
        )
    ]
    versions = json.dumps(sorted(all_ids), separators=(",", ":")).encode()
    if len(versions) < _MAX_CHANGE_VERSION:
        attributes = SearchAttributes()
        attributes.indexed_fields[CHANGE_VERSION].CopyFrom(
            Payload(
                metadata={"encoding": b"json/plain", "type": b"KeywordList"},
                data=versions,
            )
        )
        result.append(
            Command(
                EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
                "upsert_workflow_search_attributes_event_attributes",
                UpsertWorkflowSearchAttributesEventAttributes(
                    search_attributes=attributes
                ),
                ChangeVersionMachine(attributes),
            )
        )
    return result


def notify(patch_id: str) -> WorkflowActivationJob:
    """The job that tells a replaying workflow that history has the patch."""
    job = WorkflowActivationJob()
    job.notify_has_patch.patch_id = patch_id
    return job


def patch_of(event: HistoryEvent) -> tuple[str, bool] | None:
    """The patch id and `deprecated` of a marker event, or None for other events."""
    if event.event_type != EventType.EVENT_TYPE_MARKER_RECORDED:
        return None
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != MARKER_NAME:
        return None
    data = json.loads(marker.details["patch-data"].payloads[0].data)
    return data["id"], bool(data.get("deprecated"))


def is_change_version(event: HistoryEvent) -> bool:
    """Whether the event is the upsert that follows a marker."""
    if event.event_type != EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
        return False
    upsert = event.upsert_workflow_search_attributes_event_attributes
    return CHANGE_VERSION in upsert.search_attributes.indexed_fields


def missing_command(patch_id: str) -> Nondeterminism:
    """History has a marker that the code no longer asks for."""
    return Nondeterminism(
        f"Non-deprecated patch marker encountered for change {patch_id}, but there is"
        " no corresponding change command!"
    )
