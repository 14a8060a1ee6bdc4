"""Updates where no code could be rebuilt to what it did, and changed code."""

from __future__ import annotations

import pytest

from dbosify._core.commands import Command, Output
from dbosify._core.fsm import Nondeterminism
from dbosify._core.machines.update import UpdateMachine
from dbosify._model.effects import CompleteUpdate, TaskFailed
from dbosify._model.failures import abandoned_update
from dbosify._model.protos import HistoryEvent
from tests.unit.core.traces.commands import accept, complete, finish
from tests.unit.core.traces.news import signal
from tests.unit.core.traces.script import (
    Does,
    Given,
    Player,
    Sees,
    Then,
    Trace,
    replay,
)
from tests.unit.core.traces.updates import REJECTED_WITH_COMMAND, UNPROCESSED, sent


def test_raw_update_rejected_with_command() -> None:
    """The rejection leaves nothing, the command its task and itself."""
    Player(REJECTED_WITH_COMMAND).play()


def test_a_flag_used_in_a_dropped_task_is_written_with_the_next() -> None:
    played = Player(
        Trace(
            "flags",
            Given(),
            Sees(3, "init"),
            Does(),
            Then(),
            Given(updates=[sent("u1")]),
            Sees(6, "update u1 u"),
            Does(flags=[3]),
        )
    )
    for step in played.trace.steps:
        played.take(step)
    played.take(Then("reject u1: " + UNPROCESSED))
    played.take(Given(signal("s")))
    played.take(Sees(7, "signal s @5"))
    played.take(Does(complete()))
    played.take(Then(closed="COMPLETED"))
    [*_, completed, _] = played.journal
    metadata = completed.workflow_task_completed_event_attributes.sdk_metadata
    assert list(metadata.lang_used_flags) == [3]


def _updated() -> list[HistoryEvent]:
    """The journal of a run that completed update u1 in its first task."""
    return (
        Player(
            Trace(
                "updated",
                Given(updates=[sent("u1", "u", 1)]),
                Sees(3, "init", "update u1 u 1"),
                Does(accept("u1"), finish("u1", 2)),
                Then("accept u1", "complete u1 2"),
                history="RunStarted Task UpdateAccepted UpdateCompleted",
            )
        )
        .play()
        .journal
    )


def test_events_of_an_update_say_what_temporals_say() -> None:
    [*_, task, accepted, completed] = _updated()
    acceptance = accepted.workflow_execution_update_accepted_event_attributes
    assert acceptance.protocol_instance_id == "u1"
    assert acceptance.accepted_request_message_id == "u1/request"
    assert acceptance.accepted_request_sequencing_event_id == task.event_id - 2
    assert acceptance.accepted_request == sent("u1", "u", 1)
    completion = completed.workflow_execution_update_completed_event_attributes
    assert completion.accepted_event_id == accepted.event_id
    assert completion.meta == sent("u1").meta


def test_an_accepted_update_is_linked_to_whoever_sent_it() -> None:
    request = sent("u1")
    request.links.add().workflow_event.workflow_id = "sender"
    request.completion_callbacks.add().nexus.url = "temporal://system"
    machine = UpdateMachine(request, "u1", 2)
    out = Output()
    machine.answer(accept("u1").update_response, out)
    [command] = out.commands
    event = HistoryEvent(event_type=command.event_type)
    for _ in ("first", "again, on replay"):
        machine.recorded(command, event, out)
        assert list(event.links) == list(request.links)
    machine.answer(finish("u1", 2).update_response, out)
    ended = HistoryEvent(event_type=out.commands[-1].event_type)
    machine.recorded(out.commands[-1], ended, out)
    assert out.effects[-1] == CompleteUpdate(
        "u1", machine._completed.outcome, calls_back=True
    )


def test_code_that_no_longer_answers_an_update_has_changed() -> None:
    jobs, outcome = replay(_updated(), Does())
    assert jobs == [["init", "update u1 u 1 again"]]
    assert isinstance(outcome, TaskFailed)
    assert outcome.failure.message == (
        "[TMPRL1100] Nondeterminism error: No command scheduled for event"
        " HistoryEvent(id: 5, WorkflowExecutionUpdateAccepted)"
    )


def test_the_answer_of_another_update_is_not_taken() -> None:
    machine = UpdateMachine(sent("u1"), "u1", 2)
    out = Output()
    machine.answer(accept("u1").update_response, out)
    [command] = out.commands
    event = HistoryEvent(event_type=command.event_type)
    event.workflow_execution_update_accepted_event_attributes.protocol_instance_id = (
        "u2"
    )
    with pytest.raises(Nondeterminism, match="Update id u2 does not match expected"):
        machine.check(command, event)
    assert isinstance(command, Command)


def test_an_update_whose_run_has_ended_has_failed_for_good() -> None:
    failure = abandoned_update()
    assert failure.source == "Server"
    assert failure.application_failure_info.type == "AcceptedUpdateCompletedWorkflow"
    assert failure.application_failure_info.non_retryable
