"""From the SDK's commands to machines and queued commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from temporalio.api.history.v1 import (
    UpsertWorkflowSearchAttributesEventAttributes,
    WorkflowPropertiesModifiedEventAttributes,
)

from dbosify._model.effects import UpsertMemo, UpsertSearchAttributes
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    SearchAttributes,
    Timestamp,
    UserMetadata,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)
from dbosify._model.upserts import put

from . import close, schedule, validate
from .chain import Chain
from .commands import Command, Output
from .families import Answered, Family
from .local_activities import LocalActivities
from .machines import patch
from .machines.activity import ActivityMachine
from .machines.announcement import Announcement
from .machines.timer import TimerMachine
from .to_nexus import Operations
from .to_others import Others
from .updates import Updates

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
        self.activities: Family[ActivityMachine] = Family("Activity")
        self.timers: Family[TimerMachine] = Family("Timer")
        self.others = Others()
        self.nexus = Operations()
        self.by_event: dict[int, Answered] = {}
        """All of these that stand in history, by the event that opened them."""
        self.activity_ids: dict[str, ActivityMachine] = {}
        """The last activity of each id; an id may be used again once it is over."""
        self.updates = Updates()
        self.local = LocalActivities()
        self.patches: set[str] = set()
        """Asked for by the code that runs now."""
        self.known_patches: set[str] = set()
        """These, and those that older code asked for."""
        self.carried = SearchAttributes()
        """What a run that continues as new takes along."""

    @property
    def families(self) -> tuple[Family[Any], ...]:
        """The machines that events are about, kind by kind."""
        others = self.others
        return (
            self.activities,
            self.timers,
            others.children,
            others.signals,
            others.cancels,
            self.nexus.family,
        )

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
            if source.HasField("continue_as_new_workflow_execution"):
                started = chain.started.workflow_execution_started_event_attributes
                validate.continue_as_new(
                    source.continue_as_new_workflow_execution, started
                )
            out.commands.append(close.command(source, chain, now))
            return
        to_others = _TO_OTHERS.get(variant or "")
        if to_others is not None:
            to_others(self.others, source, chain, out)
            return
        apply = _COMMANDS.get(variant or "")
        if apply is None:
            raise validate.BadCommand(
                WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNSPECIFIED,
                f"dbosify cannot run the command {variant} yet",
            )
        apply(self, source, chain, out)

    def recorded(self, command: Command, event: HistoryEvent, out: Output) -> None:
        """Tell a command's machine which event it became."""
        machine = command.machine
        machine.recorded(command, event, out)
        if event.event_type == machine.opens:
            self.by_event[event.event_id] = cast("Answered", machine)

    def end_task(self, out: Output) -> None:
        """A workflow task ends: drop machines that nothing can happen to any more."""
        self.updates.end_task(out)
        self.local.end_task()
        for family in self.families:
            for machine in family.forget_finished():
                self.by_event.pop(machine.opened_by, None)


def _schedule_activity(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    wanted = source.schedule_activity
    validate.activity(wanted, known.activity_ids.get(wanted.activity_id))
    started = chain.started.workflow_execution_started_event_attributes
    machine = known.activities.add(wanted.seq, ActivityMachine(wanted))
    known.activity_ids[wanted.activity_id] = machine
    attributes = schedule.attributes(wanted, started)
    out.commands.append(machine.schedule(attributes, _metadata(source)))


def _cancel_activity(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    activity = known.activities.asked(source.request_cancel_activity.seq)
    if activity is not None:
        activity.cancel(out)


def _schedule_local(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    known.local.schedule(source.schedule_local_activity, _metadata(source))


def _cancel_local(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    known.local.cancel(source.request_cancel_local_activity.seq, out)


def _start_timer(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    wanted = source.start_timer
    namesake = known.timers.get(wanted.seq)
    validate.timer(wanted.seq, wanted.start_to_fire_timeout, namesake)
    machine = TimerMachine(wanted.seq, wanted.start_to_fire_timeout)
    known.timers.add(wanted.seq, machine)
    out.commands.append(machine.start(_metadata(source)))


def _cancel_timer(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    timer = known.timers.asked(source.cancel_timer.seq)
    if timer is not None:
        timer.cancel(out)


def _set_patch(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    marker = source.set_patch_marker
    if marker.patch_id in known.patches:
        return
    validate.patch(marker.patch_id)
    known.patches.add(marker.patch_id)
    known.known_patches.add(marker.patch_id)
    out.commands.extend(
        patch.commands(marker.patch_id, marker.deprecated, known.known_patches)
    )


def _upsert(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    attributes = SearchAttributes()
    attributes.CopyFrom(source.upsert_workflow_search_attributes.search_attributes)
    # The attribute is core's own: what users put there is left out.
    attributes.indexed_fields.pop(patch.CHANGE_VERSION, None)
    validate.search_attributes(attributes.indexed_fields)
    attributes = validate.attribute_values(attributes, chain.registered)
    for key, value in attributes.indexed_fields.items():
        put(known.carried.indexed_fields, key, value)
    out.commands.append(
        Command(
            EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
            "upsert_workflow_search_attributes_event_attributes",
            UpsertWorkflowSearchAttributesEventAttributes(search_attributes=attributes),
            Announcement(
                "UpsertWorkflowSearchAttributesMachine",
                UpsertSearchAttributes(attributes),
            ),
        )
    )


def _modify(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
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


def _answer_update(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    known.updates.answer(source.update_response, out)


def _schedule_operation(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    known.nexus.schedule(source, chain, out)


def _cancel_operation(
    known: Translator, source: WorkflowCommand, chain: Chain, out: Output
) -> None:
    known.nexus.cancel(source, chain, out)


def _metadata(source: WorkflowCommand) -> UserMetadata | None:
    return source.user_metadata if source.HasField("user_metadata") else None


_COMMANDS: Mapping[
    str, Callable[[Translator, WorkflowCommand, Chain, Output], None]
] = {
    "schedule_activity": _schedule_activity,
    "request_cancel_activity": _cancel_activity,
    "schedule_local_activity": _schedule_local,
    "request_cancel_local_activity": _cancel_local,
    "start_timer": _start_timer,
    "cancel_timer": _cancel_timer,
    "set_patch_marker": _set_patch,
    "upsert_workflow_search_attributes": _upsert,
    "modify_workflow_properties": _modify,
    "update_response": _answer_update,
    "schedule_nexus_operation": _schedule_operation,
    "request_cancel_nexus_operation": _cancel_operation,
}


_TO_OTHERS: Mapping[str, Callable[[Others, WorkflowCommand, Chain, Output], None]] = {
    "start_child_workflow_execution": Others.start_child,
    "cancel_child_workflow_execution": Others.cancel_child,
    "signal_external_workflow_execution": Others.signal,
    "cancel_signal_workflow": Others.cancel_signal,
    "request_cancel_external_workflow_execution": Others.cancel,
}
