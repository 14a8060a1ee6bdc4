"""Replays with other code than the journal was written by: what may change, what not.

The texts are those of the official replayer, which was given the same histories.
"""

from __future__ import annotations

import pytest

from dbosify._core.outcomes import Outcome, Replayed
from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.protos import (
    EvictionReason,
    HistoryEvent,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)
from tests.unit.core.spelling import (
    NEXT_RUN_ID,
    at,
    beginning,
    boom,
    driver_of,
    retry_policy,
    span,
    start,
)
from tests.unit.core.traces import showing
from tests.unit.core.traces.commands import (
    activity,
    cancel,
    cancel_timer,
    complete,
    continue_as_new,
    deprecated,
    fail,
    memo,
    patched,
    timer,
    upsert,
)
from tests.unit.core.traces.news import (
    cancel_request,
    canceled,
    completed,
    fired,
    signal,
)
from tests.unit.core.traces.script import (
    Does,
    Given,
    Player,
    Sees,
    Then,
    Trace,
    replay,
)
from tests.unit.core.traces.tasks import DEPRECATED, PATCHED

PREFIX = "[TMPRL1100] Nondeterminism error: "


def journal_of(*steps: Given | Sees | Does | Then, history: str) -> list[HistoryEvent]:
    """What a run wrote when it was first played."""
    return Player(Trace("recorded", *steps, history=history)).play().journal


def recorded(*commands: WorkflowCommand) -> list[HistoryEvent]:
    """A journal with one workflow task, which ended in these commands."""
    player = Player(Trace("recorded", history=""))
    for step in (Given(), Sees(3, "init"), Does(*commands)):
        player.take(step)
    assert isinstance(player.outcome, Turn)
    return [*player.journal, *player.outcome.events]


def refusal(outcome: Outcome) -> str:
    """Why a replay was given up as nondeterministic."""
    assert isinstance(outcome, TaskFailed), outcome
    causes = WorkflowTaskFailedCause
    cause = causes.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
    assert outcome.cause == cause
    assert outcome.eviction == EvictionReason.NONDETERMINISM
    text = outcome.failure.message
    assert outcome.failure.HasField("application_failure_info")
    assert outcome.message == f"Workflow activation completion failed: {text}"
    assert text.startswith(PREFIX)
    return text.removeprefix(PREFIX)


# Patches.


def test_a_patch_may_be_deprecated_later() -> None:
    jobs, outcome = replay(
        Player(PATCHED).play().journal,
        Does(deprecated("p1"), timer(1, 0.1)),
        Does(deprecated("p2"), timer(2, 0.1)),
        Does(complete("v3")),
    )
    assert jobs == [["init", "patch p1"], ["patch p2", "timer 1"], ["timer 2"]]
    assert outcome == Replayed()


def test_a_deprecated_patch_may_be_removed() -> None:
    jobs, outcome = replay(
        Player(DEPRECATED).play().journal,
        Does(timer(1, 0.1)),
        Does(timer(2, 0.1)),
        Does(complete("v4")),
    )
    assert jobs == [["init", "patch p1"], ["patch p2", "timer 1"], ["timer 2"]]
    assert outcome == Replayed()


def test_a_deprecated_patch_may_be_removed_before_one_that_stays() -> None:
    journal = recorded(deprecated("p1"), patched("p2"), timer(1, 1))
    _, outcome = replay(journal, Does(patched("p2"), timer(1, 1)))
    assert outcome == Replayed()


def test_a_patch_that_is_not_deprecated_may_not_be_removed() -> None:
    _, outcome = replay(Player(PATCHED).play().journal, Does(timer(1, 0.1)))
    assert refusal(outcome) == (
        "Non-deprecated patch marker encountered for change p1, but there is no"
        " corresponding change command!"
    )


def test_a_patch_may_not_be_removed_at_the_end_of_a_task_either() -> None:
    _, outcome = replay(recorded(timer(1, 1), patched("p1")), Does(timer(1, 1)))
    assert refusal(outcome) == (
        "Non-deprecated patch marker encountered for change p1, but there is no"
        " corresponding change command!"
    )


def test_a_patch_may_not_take_the_place_of_another() -> None:
    journal = recorded(patched("p1"), patched("p2"), timer(1, 1))
    _, outcome = replay(journal, Does(patched("p2"), timer(1, 1)))
    assert refusal(outcome) == "Change id p1 does not match expected id p2"


def test_patch_replay_without_marker() -> None:
    """A patch that history lacks is not announced, so the code takes the old way."""
    journal = journal_of(
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.1)),
        Then("timer 1 of 5 at 1.1"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(complete("old")),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired Task RunCompleted",
    )
    jobs, outcome = replay(journal, Does(timer(1, 0.1)), Does(complete("old:False")))
    assert jobs == [["init"], ["timer 1"]]
    assert outcome == Replayed()


def test_a_deprecated_patch_too_long_to_be_listed_may_be_removed() -> None:
    long = "p" * 2100
    journal = recorded(deprecated(long), timer(1, 0.1))
    assert showing.history(journal) == "RunStarted Task Marker TimerStarted"
    _, outcome = replay(journal, Does(timer(1, 0.1)))
    assert outcome == Replayed()


def test_new_patches_are_listed_with_those_that_the_code_has_forgotten() -> None:
    journal = journal_of(
        Given(),
        Sees(3, "init", patches=["old"]),
        Does(deprecated("old")),
        Then('attributes TemporalChangeVersion=["old"]'),
        history="RunStarted Task Marker Upserted",
    )
    driver = driver_of(journal)
    driver.next_replay()
    assert driver.complete(Does().completion) == Replayed()
    driver.begin(signal("s"), now=at(2), next_run_id="", request_id="")
    turn = driver.complete(Does(patched("new")).completion)
    assert isinstance(turn, Turn)
    assert [showing.effect(effect) for effect in turn.effects] == [
        'attributes TemporalChangeVersion=["new","old"]'
    ]


# What is compared.


@pytest.mark.parametrize(
    ("was", "is_now", "text"),
    [
        pytest.param(
            [activity(1, "echo")],
            [activity(1, "echo2")],
            "Activity type of scheduled event 'echo' does not match activity type of"
            " activity command 'echo2'",
            id="another activity type",
        ),
        pytest.param(
            [activity(1, activity_id="1")],
            [activity(1, activity_id="other")],
            "Activity id of scheduled event '1' does not match activity id of activity"
            " command 'other'",
            id="another activity id",
        ),
        *(
            pytest.param(
                [activity(1)],
                [command],
                f"{words} HistoryEvent(id: 5, ActivityTaskScheduled)",
                id=words,
            )
            for command, words in (
                (timer(1, 1), "Timer machine does not handle this event:"),
                (complete(), "Complete workflow machine does not handle this event:"),
                (fail(boom()), "Fail workflow machine does not handle this event:"),
                (cancel(), "Cancel workflow machine does not handle this event:"),
                (
                    continue_as_new(),
                    "Continue as new workflow machine does not handle this event:",
                ),
                (memo(a=1), "ModifyWorkflowPropertiesMachine does not handle"),
                (upsert(a=1), "UpsertWorkflowSearchAttributesMachine does not handle"),
            )
        ),
        pytest.param(
            [timer(1, 1)],
            [activity(1)],
            "Activity machine does not handle this event:"
            " HistoryEvent(id: 5, TimerStarted)",
            id="an activity instead of a timer",
        ),
        pytest.param(
            [activity(1)],
            [],
            "No command scheduled for event HistoryEvent(id: 5, ActivityTaskScheduled)",
            id="nothing instead of an activity",
        ),
        pytest.param(
            [activity(1)],
            [activity(1), cancel_timer(5)],
            "Missing associated machine for Timer(5)",
            id="a timer that was never started",
        ),
        pytest.param(
            [complete()],
            [timer(1, 1), cancel_timer(1)],
            "No command scheduled for event HistoryEvent(id: 5,"
            " WorkflowExecutionCompleted)",
            id="a timer that cancels itself out instead of the end",
        ),
        pytest.param(
            [complete(), fail(boom())],
            [fail(boom()), complete()],
            "Fail workflow machine does not handle this event:"
            " HistoryEvent(id: 5, WorkflowExecutionCompleted)",
            id="another end first",
        ),
    ],
)
def test_commands_that_history_contradicts_are_refused(
    was: list[WorkflowCommand], is_now: list[WorkflowCommand], text: str
) -> None:
    _, outcome = replay(recorded(*was), Does(*is_now))
    assert refusal(outcome) == text


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        pytest.param([timer(1, 1)], [timer(1, 2, summary="longer")], id="durations"),
        pytest.param(
            [activity(1, "echo", "a")],
            [
                activity(
                    1,
                    "echo",
                    "b",
                    start_to_close=99,
                    heartbeat_timeout=span(1),
                    do_not_eagerly_execute=True,
                )
            ],
            id="arguments and options",
        ),
        pytest.param([upsert(a=1)], [upsert(b=2)], id="search attributes"),
        pytest.param([memo(a=1)], [memo(b=2)], id="memo"),
        pytest.param([complete("a")], [complete("b")], id="results"),
        pytest.param([fail(boom("a"))], [fail(boom("b"))], id="failures"),
        pytest.param([complete()], [complete(), fail(boom())], id="a second end"),
        pytest.param([timer(1, 1)], [timer(1, 1), timer(2, 1)], id="one more command"),
    ],
)
def test_what_history_does_not_tell_apart_is_let_through(
    was: list[WorkflowCommand], is_now: list[WorkflowCommand]
) -> None:
    _, outcome = replay(recorded(*was), Does(*is_now))
    assert outcome == Replayed()


def test_one_command_more_is_noticed_when_history_goes_on() -> None:
    journal = journal_of(
        Given(),
        Sees(3, "init"),
        Does(timer(1, 10)),
        Then("timer 1 of 5 at 11"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(timer(2, 10)),
        Then("timer 2 of 10 at 12"),
        history="RunStarted Task TimerStarted TimerFired Task TimerStarted",
    )
    _, outcome = replay(journal, Does(timer(1, 10), activity(1)), Does(timer(2, 10)))
    assert refusal(outcome) == (
        "Activity machine does not handle this event: HistoryEvent(id: 10,"
        " TimerStarted)"
    )


def test_a_timer_that_is_cancelled_now_but_fired_then_breaks_the_run() -> None:
    journal = journal_of(
        Given(),
        Sees(3, "init"),
        Does(timer(1, 10)),
        Then("timer 1 of 5 at 11"),
        Given(signal("s")),
        Sees(8, "signal s @6"),
        Does(),
        Then(),
        Given(fired(1, started=5)),
        Sees(12, "timer 1"),
        Does(),
        Then(),
        history="RunStarted Task TimerStarted RunSignaled Task TimerFired Task",
    )
    _, outcome = replay(journal, Does(timer(1, 10)), Does(cancel_timer(1)))
    assert isinstance(outcome, TaskFailed)
    assert outcome.eviction == EvictionReason.FATAL
    causes = WorkflowTaskFailedCause
    assert outcome.cause == (
        causes.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
    )
    assert outcome.failure.message == (
        "Fatal error in workflow machines: TimerMachine in state CANCELING says the"
        " transition is invalid during FIRED"
    )


# Journals that no driver wrote.


def test_a_fired_event_with_another_timers_id_is_refused() -> None:
    journal = journal_of(
        Given(),
        Sees(3, "init"),
        Does(timer(1, 1)),
        Then("timer 1 of 5 at 2"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(),
        Then(),
        history="RunStarted Task TimerStarted TimerFired Task",
    )
    journal[5].timer_fired_event_attributes.timer_id = "7"
    _, outcome = replay(journal, Does(timer(1, 1)))
    assert refusal(outcome) == (
        "Timer fired event did not have expected timer id 1, it was 7!"
    )


@pytest.mark.parametrize(
    ("news", "named"),
    [
        (fired(1, started=99), "TimerFired"),
        (completed(99)[:1], "ActivityTaskStarted"),
        (completed(99)[1:], "ActivityTaskCompleted"),
        (canceled(99)[1:], "ActivityTaskCanceled"),
    ],
)
def test_an_outcome_of_nothing_that_was_asked_for_is_refused(
    news: list[HistoryEvent], named: str
) -> None:
    journal = recorded()
    event = HistoryEvent()
    event.CopyFrom(news[0])
    driver = driver_of(journal)
    driver.next_replay()
    driver.complete(Does().completion)
    outcome = driver.begin([event], now=at(2), next_run_id="", request_id="")
    assert isinstance(outcome, TaskFailed)
    assert refusal(outcome) == (
        "During event handling, this event had an initial command ID but we could not"
        f" find a matching command for it: HistoryEvent(id: 5, {named})"
    )


# What a failed replay leaves.


def changed(*, close_run: bool) -> list[HistoryEvent]:
    """A run whose code changed while it waited, and what is journaled of that."""
    journal = journal_of(
        Given(),
        Sees(3, "init"),
        Does(activity(1, "echo")),
        Then("activity 5"),
        Given(completed(5, "echo-1")),
        Sees(9, 'activity 1 completed "echo-1"'),
        Does(),
        Then(),
        history="RunStarted Task ActivityScheduled ActivityStarted ActivityCompleted"
        " Task",
    )
    _, failed = replay(journal, Does(activity(1, "echo2")))
    assert isinstance(failed, TaskFailed)
    fresh = driver_of(journal)
    turn = fresh.fail_task(
        signal("s"), failed, now=at(3), request_id="r", close_run=close_run
    )
    assert (turn.close is not None) == close_run
    return [*journal, *turn.events]


def test_nde_live() -> None:
    """The task fails, and may be tried again."""
    journal = changed(close_run=False)
    assert showing.history(journal).endswith(
        " RunSignaled TaskScheduled TaskStarted TaskFailed"
    )
    failed = journal[13].workflow_task_failed_event_attributes
    assert (failed.scheduled_event_id, failed.started_event_id) == (12, 13)
    assert failed.identity == "worker@here"
    assert failed.failure.message.startswith(PREFIX)
    again = driver_of(journal)
    assert again.has_backlog
    assert again.attempt == 2


def test_nde_as_workflow_failure() -> None:
    """The run fails instead of the task, if its worker wants that."""
    journal = changed(close_run=True)
    assert showing.history(journal).endswith(" RunSignaled Task RunFailed")
    failed = journal[14].workflow_execution_failed_event_attributes
    assert failed.failure.message.startswith(PREFIX)
    assert failed.workflow_task_completed_event_id == 14
    assert driver_of(journal).closed


def test_a_run_that_is_failed_so_may_be_tried_again_as_a_whole() -> None:
    journal = beginning(start(retry_policy=retry_policy()))
    failed = TaskFailed(
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR,
        boom("changed"),
        EvictionReason.NONDETERMINISM,
    )
    turn = driver_of(journal).fail_task(
        [],
        failed,
        now=at(1),
        request_id="r",
        close_run=True,
        next_run_id=NEXT_RUN_ID,
    )
    assert turn.close is not None
    assert turn.close.next is not None
    assert turn.close.next.run_id == NEXT_RUN_ID
    assert turn.close.next.started.continued_failure == boom("changed")


def test_a_run_cancelled_by_code_that_did_not_see_the_request_is_refused() -> None:
    journal = journal_of(
        Given(),
        Sees(3, "init"),
        Does(activity(1)),
        Then("activity 5"),
        Given(cancel_request("x")),
        Sees(8, "cancel x"),
        Does(activity(2)),
        Then("activity 10"),
        history="RunStarted Task ActivityScheduled RunCancelRequested Task"
        " ActivityScheduled",
    )
    _, outcome = replay(journal, Does(activity(1)), Does(cancel()))
    assert refusal(outcome) == (
        "Cancel workflow machine does not handle this event: HistoryEvent(id: 10,"
        " ActivityTaskScheduled)"
    )
