"""Runs that begin as another one did: rebuilt up to the reset, then on their own."""

from __future__ import annotations

from dbosify._core.outcomes import Replayed
from dbosify._model import ids
from dbosify._model.effects import Turn
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    UpdateRequest,
    WorkflowActivation,
)
from dbosify._model.reset import Reset, fork
from tests.unit.core.spelling import (
    NEXT_RUN_ID,
    RUN_ID,
    at,
    beginning,
    copies,
    driver_of,
)
from tests.unit.core.traces.commands import completion, timer

NEW_RUN_ID = "33333333-3333-3333-3333-333333333333"


def timer_run() -> list[HistoryEvent]:
    """A run whose timer has fired; its second task is the eighth event."""
    driver = driver_of(beginning())
    journal = beginning()
    begun = driver.begin([], now=at(0), next_run_id=NEXT_RUN_ID, request_id="r")
    assert isinstance(begun, WorkflowActivation)
    turn = driver.complete(completion([timer(1, 0.1)]))
    assert isinstance(turn, Turn)
    journal.extend(copies(list(turn.events)))
    fired = HistoryEvent(event_type=EventType.EVENT_TYPE_TIMER_FIRED)
    fired.timer_fired_event_attributes.started_event_id = 5
    fired.timer_fired_event_attributes.timer_id = "1"
    begun = driver.begin([fired], now=at(1), next_run_id=NEXT_RUN_ID, request_id="r")
    assert isinstance(begun, WorkflowActivation)
    turn = driver.complete(completion([]))
    assert isinstance(turn, Turn)
    journal.extend(copies(list(turn.events)))
    return journal


def reset_run(events: list[HistoryEvent], number: int) -> list[HistoryEvent]:
    """The journal of the run that a reset makes of them."""
    made = fork(events, Reset(number, "why", RUN_ID, NEW_RUN_ID), now=at(2))
    return [*made.kept, *made.added]


def shown(activation: object) -> list[str]:
    """The jobs of an activation, by kind."""
    assert isinstance(activation, WorkflowActivation)
    return [job.WhichOneof("variant") or "" for job in activation.jobs]


def test_random_numbers_differ_from_the_reset_on() -> None:
    driver = driver_of(reset_run(timer_run(), 9))
    first = driver.next_replay()
    assert shown(first) == ["initialize_workflow"]
    assert isinstance(first, WorkflowActivation)
    seed = first.jobs[0].initialize_workflow.randomness_seed
    assert seed == ids.random_seed(RUN_ID)
    assert isinstance(driver.complete(completion([timer(1, 0.1)])), Replayed)
    assert driver.next_replay() is None
    assert driver.has_backlog
    assert driver.attempt == 1

    live = driver.begin([], now=at(3), next_run_id=NEXT_RUN_ID, request_id="r")

    assert shown(live) == ["update_random_seed", "fire_timer"]
    assert isinstance(live, WorkflowActivation)
    assert live.history_length == 11
    changed = live.jobs[0].update_random_seed.randomness_seed
    assert changed == ids.random_seed(NEW_RUN_ID)


def test_a_run_may_be_reset_to_its_very_beginning() -> None:
    driver = driver_of(reset_run(timer_run(), 3))
    assert driver.next_replay() is None
    live = driver.begin([], now=at(3), next_run_id=NEXT_RUN_ID, request_id="r")
    assert shown(live) == ["initialize_workflow", "update_random_seed"]


def test_an_update_that_is_sent_again_comes_with_its_task_and_not_with_its_event() -> (
    None
):
    request = UpdateRequest()
    request.meta.update_id = "u"
    request.input.name = "change"
    accepted = HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    )
    attributes = accepted.workflow_execution_update_accepted_event_attributes
    attributes.accepted_request.CopyFrom(request)
    events = timer_run()
    accepted.event_id = len(events) + 1
    driver = driver_of(reset_run([*events, accepted], 3))
    live = driver.begin(
        [], now=at(3), next_run_id=NEXT_RUN_ID, request_id="r", sent_updates=[request]
    )
    assert shown(live) == ["initialize_workflow", "update_random_seed", "do_update"]
