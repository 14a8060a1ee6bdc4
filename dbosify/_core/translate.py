"""From the SDK's commands to machines and queued commands."""

from __future__ import annotations

from collections.abc import MutableMapping

from temporalio.api.history.v1 import (
    UpsertWorkflowSearchAttributesEventAttributes,
    WorkflowPropertiesModifiedEventAttributes,
)

from dbosify._model.effects import UpsertMemo, UpsertSearchAttributes
from dbosify._model.protos import (
    EventType,
    Payload,
    SearchAttributes,
    Timestamp,
    UserMetadata,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)

from . import close, schedule, validate
from .close import Chain
from .commands import Command, Output
from .fsm import Nondeterminism
from .machines import patch
from .machines.activity import ActivityMachine, State
from .machines.announcement import Announcement
from .machines.timer import State as TimerState
from .machines.timer import TimerMachine

_CLOSING = frozenset(
    {
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    }
)


class Translator:
    """The machines of a run, by the numbers that commands and events know them by."""

    def __init__(self) -> None:
        self.activities: dict[int, ActivityMachine] = {}
        self.activities_by_event: dict[int, ActivityMachine] = {}
        self.timers: dict[int, TimerMachine] = {}
        self.timers_by_event: dict[int, TimerMachine] = {}
        self.patches: set[str] = set()
        """Asked for by the code that runs now."""
        self.known_patches: set[str] = set()
        """These, and those that older code asked for."""
        self.carried = SearchAttributes()
        """What a run that continues as new takes along."""
        self._last_activity = 0
        self._last_timer = 0

    def apply(
        self, source: WorkflowCommand, chain: Chain, now: Timestamp, out: Output
    ) -> None:
        """Turn one command into machines, queued commands and immediate jobs.

        Raises:
            Nondeterminism: it cancels something that was never started.
            BadCommand: Temporal's server would refuse it.
        """
        variant = source.WhichOneof("variant")
        if variant in _CLOSING:
            out.commands.append(close.command(source, chain, now))
            return
        match variant:
            case "schedule_activity":
                self._schedule_activity(source, chain, out)
            case "request_cancel_activity":
                self._cancel_activity(source.request_cancel_activity.seq, out)
            case "start_timer":
                self._start_timer(source, out)
            case "cancel_timer":
                self._cancel_timer(source.cancel_timer.seq, out)
            case "set_patch_marker":
                marker = source.set_patch_marker
                self._set_patch(marker.patch_id, marker.deprecated, out)
            case "upsert_workflow_search_attributes":
                self._upsert(source, out)
            case "modify_workflow_properties":
                _modify(source, out)
            case _:
                raise validate.BadCommand(
                    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNSPECIFIED,
                    f"dbosify cannot run the command {variant} yet",
                )

    def forget_finished(self) -> None:
        """Drop machines that nothing can happen to any more."""
        for seq in [s for s, m in self.timers.items() if m.state is TimerState.OVER]:
            machine = self.timers.pop(seq)
            self.timers_by_event.pop(machine.started_event_id, None)
        for seq in [
            s
            for s, a in self.activities.items()
            if a.state in (State.RESOLVED, State.DROPPED)
        ]:
            activity = self.activities.pop(seq)
            self.activities_by_event.pop(activity.scheduled_event_id, None)

    def _schedule_activity(
        self, source: WorkflowCommand, chain: Chain, out: Output
    ) -> None:
        wanted = source.schedule_activity
        validate.activity(wanted, self.activities.values())
        started = chain.started.workflow_execution_started_event_attributes
        machine = ActivityMachine(wanted)
        self.activities[wanted.seq] = machine
        self._last_activity = max(self._last_activity, wanted.seq)
        attributes = schedule.attributes(wanted, started)
        out.commands.append(machine.schedule(attributes, _metadata(source)))

    def _cancel_activity(self, seq: int, out: Output) -> None:
        machine = self.activities.get(seq)
        if machine is not None:
            machine.cancel(out)
        elif seq > self._last_activity:
            raise Nondeterminism(f"Missing associated machine for Activity({seq})")

    def _start_timer(self, source: WorkflowCommand, out: Output) -> None:
        wanted = source.start_timer
        validate.timer(wanted.seq, wanted.start_to_fire_timeout, self.timers.values())
        machine = TimerMachine(wanted.seq, wanted.start_to_fire_timeout)
        self.timers[wanted.seq] = machine
        self._last_timer = max(self._last_timer, wanted.seq)
        out.commands.append(machine.start(_metadata(source)))

    def _cancel_timer(self, seq: int, out: Output) -> None:
        machine = self.timers.get(seq)
        if machine is not None:
            machine.cancel(out)
        elif seq > self._last_timer:
            raise Nondeterminism(f"Missing associated machine for Timer({seq})")

    def _set_patch(self, patch_id: str, deprecated: bool, out: Output) -> None:
        if patch_id in self.patches:
            return
        self.patches.add(patch_id)
        self.known_patches.add(patch_id)
        out.commands.extend(patch.commands(patch_id, deprecated, self.known_patches))

    def _upsert(self, source: WorkflowCommand, out: Output) -> None:
        attributes = SearchAttributes()
        attributes.CopyFrom(source.upsert_workflow_search_attributes.search_attributes)
        # The attribute is core's own: what users put there is left out.
        attributes.indexed_fields.pop(patch.CHANGE_VERSION, None)
        validate.search_attributes(attributes.indexed_fields)
        for key, value in attributes.indexed_fields.items():
            put(self.carried.indexed_fields, key, value)
        out.commands.append(
            Command(
                EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
                "upsert_workflow_search_attributes_event_attributes",
                UpsertWorkflowSearchAttributesEventAttributes(
                    search_attributes=attributes
                ),
                Announcement(
                    "UpsertWorkflowSearchAttributesMachine",
                    UpsertSearchAttributes(attributes),
                ),
            )
        )


def put(fields: MutableMapping[str, Payload], key: str, value: Payload) -> None:
    """Do to `fields` what an upsert does: a null takes the key away."""
    if value.metadata.get("encoding") == b"binary/null" or value.data in (b"", b"null"):
        fields.pop(key, None)
    else:
        fields[key].CopyFrom(value)


def _modify(source: WorkflowCommand, out: Output) -> None:
    memo = source.modify_workflow_properties.upserted_memo
    validate.memo(memo.fields)
    out.commands.append(
        Command(
            EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
            "workflow_properties_modified_event_attributes",
            WorkflowPropertiesModifiedEventAttributes(upserted_memo=memo),
            Announcement("ModifyWorkflowPropertiesMachine", UpsertMemo(memo)),
        )
    )


def _metadata(source: WorkflowCommand) -> UserMetadata | None:
    return source.user_metadata if source.HasField("user_metadata") else None
