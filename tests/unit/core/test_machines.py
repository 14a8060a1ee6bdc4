"""Machines on their own, where the driver cannot lead them."""

from __future__ import annotations

import pytest

from dbosify._core.commands import Command, Output, match
from dbosify._core.fsm import FatalMachineError, Nondeterminism
from dbosify._core.machines import message, patch
from dbosify._core.machines.activity import ActivityMachine
from dbosify._core.machines.announcement import Announcement
from dbosify._core.machines.timer import TimerMachine
from dbosify._model.effects import UpsertMemo
from dbosify._model.protos import EventType, HistoryEvent, Memo, ScheduleActivity
from tests.unit.core.spelling import payload, span
from tests.unit.core.traces.news import cancel_request, completed, signal


def marker(name: str, patch_id: str = "p") -> HistoryEvent:
    """A marker event."""
    command, *_ = patch.commands(patch_id, False, {patch_id})
    event = recorded(command)
    event.marker_recorded_event_attributes.marker_name = name
    return event


def recorded(command: Command) -> HistoryEvent:
    """The event that a command becomes."""
    event = HistoryEvent(event_type=command.event_type)
    getattr(event, command.attributes_field).MergeFrom(command.attributes)
    return event


# Messages.


def test_a_signal_brings_its_header_and_its_sender() -> None:
    event = signal("s", 1)[0]
    event.event_id = 7
    fields = event.workflow_execution_signaled_event_attributes.header.fields
    fields["trace"].CopyFrom(payload("t"))
    out = Output()
    assert message.on_event(event, out)
    told = out.jobs[0].signal_workflow
    assert dict(told.headers) == {"trace": payload("t")}
    assert told.identity == "client@there"
    assert told.originating_event_id == 7
    assert list(told.input) == [payload(1)]


def test_a_cancel_request_brings_its_reason() -> None:
    out = Output()
    assert message.on_event(cancel_request("why")[0], out)
    assert out.jobs[0].cancel_workflow.reason == "why"


def test_other_events_are_no_messages() -> None:
    out = Output()
    assert not message.on_event(completed(5)[0], out)
    assert out.jobs == []


# Patches.


def test_a_marker_tells_its_patch() -> None:
    assert patch.patch_of(marker("core_patch", "p1")) == ("p1", False)


def test_other_markers_are_no_patches() -> None:
    assert patch.patch_of(marker("core_local_activity")) is None
    assert patch.patch_of(HistoryEvent()) is None


def test_only_the_attribute_of_patches_is_theirs() -> None:
    _, upsert = patch.commands("p", False, {"p"})
    assert patch.is_change_version(recorded(upsert))
    assert not patch.is_change_version(HistoryEvent(event_type=upsert.event_type))
    assert not patch.is_change_version(marker("core_patch"))


@pytest.mark.parametrize(("length", "listed"), [(2043, True), (2044, False)])
def test_the_list_of_patches_is_left_out_when_it_is_too_long(
    length: int, listed: bool
) -> None:
    long = "p" * length
    commands = patch.commands(long, False, {long})
    assert len(commands) == (2 if listed else 1)


def test_a_marker_of_another_patch_does_not_fit() -> None:
    command, *_ = patch.commands("p1", False, {"p1"})
    match(command, marker("core_patch", "p1"))
    with pytest.raises(
        Nondeterminism, match="Change id p2 does not match expected id p1"
    ):
        match(command, marker("core_patch", "p2"))


# Machines that are asked for what they cannot do.


def test_an_activity_that_is_not_scheduled_cannot_end() -> None:
    machine = ActivityMachine(ScheduleActivity(seq=1))
    with pytest.raises(FatalMachineError, match="ActivityMachine in state CREATED"):
        machine.on_event(completed(5)[1], Output())


def test_a_timer_cannot_start_twice() -> None:
    machine = TimerMachine(1, span(1))
    command = machine.start(None)
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_TIMER_STARTED, event_id=5)
    machine.recorded(command, event, Output())
    with pytest.raises(FatalMachineError, match="TimerMachine in state STARTED"):
        machine.recorded(command, event, Output())


def test_an_announcement_is_made_once() -> None:
    effect = UpsertMemo(Memo())
    machine = Announcement("Complete workflow", effect)
    command = Command(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, "", Memo(), machine
    )
    out = Output()
    machine.recorded(command, HistoryEvent(), out)
    assert out.effects == [effect]
    with pytest.raises(FatalMachineError, match="Announcement in state RECORDED"):
        machine.recorded(command, HistoryEvent(), out)


def test_a_cancel_command_is_not_compared_with_the_activity() -> None:
    machine = ActivityMachine(ScheduleActivity(seq=1, activity_id="a"))
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED)
    command = Command(event.event_type, "", Memo(), machine)
    match(command, event)
