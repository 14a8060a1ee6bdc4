"""Traces of activities: their outcomes, and what cancelling them does by type."""

from __future__ import annotations

from dbosify._model import failures
from dbosify._model.protos import TimeoutType
from tests.unit.core.spelling import boom, payloads
from tests.unit.core.traces.commands import (
    ABANDON,
    TRY,
    WAIT,
    activity,
    cancel_activity,
    complete,
    timer,
)
from tests.unit.core.traces.news import (
    canceled,
    completed,
    failed,
    fired,
    signal,
    timed_out,
)
from tests.unit.core.traces.script import Does, Given, Sees, Then, Trace

_ONE_ACTIVITY = (
    "RunStarted Task ActivityScheduled ActivityStarted ActivityCompleted Task"
    " RunCompleted"
)
_CANCELED_AT_ONCE = (
    "activity 1 cancelled: Activity cancelled (poll/1 0-0 CANCEL_REQUESTED) <- canceled"
)
_NOT_STARTED = failures.activity_timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START)
_TOO_SLOW = failures.activity_timeout(
    TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE, heartbeat=payloads("half")
)


OUTCOMES = (
    Trace(
        "activity_simple",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "echo", "a")),
        Then("activity 5"),
        Given(completed(5, "echo-a")),
        Sees(9, 'activity 1 completed "echo-a"'),
        Does(complete("echo-a")),
        Then(closed="COMPLETED"),
        history=_ONE_ACTIVITY,
    ),
    Trace(
        "activity_without_a_result",
        Given(),
        Sees(3, "init"),
        Does(activity(1)),
        Then("activity 5"),
        Given(completed(5)),
        Sees(9, "activity 1 completed"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history=_ONE_ACTIVITY,
    ),
    Trace(
        "activity_noeager",
        Given(),
        Sees(3, "init"),
        Does(activity(1, do_not_eagerly_execute=True)),
        Then("activity 5 by queue"),
        Given(completed(5, "echo-a")),
        Sees(9, 'activity 1 completed "echo-a"'),
        Does(complete("echo-a")),
        Then(closed="COMPLETED"),
        history=_ONE_ACTIVITY,
    ),
    Trace(
        "activity_fail_nonretry",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "failing")),
        Then("activity 5"),
        Given(failed(5, boom("nope", kind="Nope", final=True))),
        Sees(
            9,
            "activity 1 failed: Activity task failed"
            " (failing/1 5-6 NON_RETRYABLE_FAILURE worker@here)"
            " <- Nope 'nope' for good",
        ),
        Does(complete("handled")),
        Then(closed="COMPLETED"),
        history="RunStarted Task ActivityScheduled ActivityStarted ActivityFailed Task"
        " RunCompleted",
    ),
    Trace(
        "activity_timeout_s2s",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "nobody")),
        Then("activity 5"),
        Given(timed_out(5, _NOT_STARTED, ran=False)),
        Sees(
            8,
            "activity 1 failed: Activity task timed out (nobody/1 5-0 TIMEOUT)"
            " <- SCHEDULE_TO_START 'activity ScheduleToStart timeout' of Server",
        ),
        Does(complete("handled")),
        Then(closed="COMPLETED"),
        history="RunStarted Task ActivityScheduled ActivityTimedOut Task RunCompleted",
    ),
    Trace(
        "activity_timeout_stc",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "slow", 8.0, start_to_close=1)),
        Then("activity 5"),
        Given(timed_out(5, _TOO_SLOW, "MAXIMUM_ATTEMPTS_REACHED")),
        Sees(
            9,
            "activity 1 failed: Activity task timed out"
            " (slow/1 5-6 MAXIMUM_ATTEMPTS_REACHED)"
            " <- START_TO_CLOSE 'activity StartToClose timeout' of Server",
        ),
        Does(complete("handled")),
        Then(closed="COMPLETED"),
        history="RunStarted Task ActivityScheduled ActivityStarted ActivityTimedOut"
        " Task RunCompleted",
    ),
    Trace(
        "activity_parallel",
        Given(),
        Sees(3, "init"),
        Does(activity(1), activity(2), activity(3)),
        Then("activity 5", "activity 6", "activity 7"),
        Given(completed(5, "a"), completed(7, "c"), completed(6, "b")),
        Sees(
            15,
            'activity 1 completed "a"',
            'activity 3 completed "c"',
            'activity 2 completed "b"',
        ),
        Does(complete("abc")),
        Then(closed="COMPLETED"),
        history="RunStarted Task ActivityScheduled ActivityScheduled ActivityScheduled"
        " ActivityStarted ActivityCompleted ActivityStarted ActivityCompleted"
        " ActivityStarted ActivityCompleted Task RunCompleted",
    ),
)


def _asked_to_end(
    name: str, kind: str, *rest: Given | Sees | Does | Then, history: str
) -> Trace:
    """A trace that begins with an activity and a timer, after which it is cancelled."""
    return Trace(
        name,
        Given(),
        Sees(3, "init"),
        Does(activity(1, "poll", cancellation=kind), timer(1, 0.8)),
        Then("activity 5", "timer 1 of 6 at 1.8"),
        Given(fired(1, started=6)),
        Sees(9, "timer 1"),
        Does(cancel_activity(1)),
        *rest,
        history="RunStarted Task ActivityScheduled TimerStarted TimerFired Task "
        + history,
    )


def _tried(name: str, *outcome: Given) -> tuple[Given | Sees | Does | Then, ...]:
    """Cancelled at once; what becomes of the activity later is nobody's business."""
    return (
        Sees(9, _CANCELED_AT_ONCE),
        Does(timer(2, 3)),
        Then("cancel activity 5", "timer 2 of 12 at 5"),
        *outcome,
        Then(),
        Given(fired(2, started=12)),
        Sees(20, "timer 2"),
        Does(complete(name)),
        Then(closed="COMPLETED"),
    )


def _abandoned(name: str, outcome: Given) -> tuple[Given | Sees | Does | Then, ...]:
    """Cancelled at once, and the activity does not even hear of it."""
    return (
        Sees(9, _CANCELED_AT_ONCE),
        Does(timer(2, 3)),
        Then("timer 2 of 11 at 5"),
        outcome,
        Then(),
        Given(fired(2, started=11)),
        Sees(19, "timer 2"),
        Does(complete(name)),
        Then(closed="COMPLETED"),
    )


def _awaited(outcome: Given, job: str) -> tuple[Given | Sees | Does | Then, ...]:
    """The workflow hears how the activity really ended."""
    return (
        Then("cancel activity 5"),
        outcome,
        Sees(15, job),
        Does(complete("heard")),
        Then(closed="COMPLETED"),
    )


CANCELLATIONS = (
    _asked_to_end(
        "cancel_act_try",
        TRY,
        *_tried("cancelled", Given(canceled(5))),
        history="ActivityCancelRequested TimerStarted ActivityStarted ActivityCanceled"
        " Task TimerFired Task RunCompleted",
    ),
    _asked_to_end(
        "cancel_act_try_ignored",
        TRY,
        *_tried("cancelled", Given(completed(5, "finished anyway"))),
        history="ActivityCancelRequested TimerStarted ActivityStarted"
        " ActivityCompleted Task TimerFired Task RunCompleted",
    ),
    _asked_to_end(
        "cancel_act_try_then_fails",
        TRY,
        *_tried("cancelled", Given(failed(5, boom("late failure", final=True)))),
        history="ActivityCancelRequested TimerStarted ActivityStarted ActivityFailed"
        " Task TimerFired Task RunCompleted",
    ),
    _asked_to_end(
        "cancel_act_wait",
        WAIT,
        *_awaited(
            Given(canceled(5, "tidied")),
            "activity 1 cancelled: Activity cancelled"
            ' (poll/1 5-12 CANCEL_REQUESTED worker@here) <- canceled "tidied"',
        ),
        history="ActivityCancelRequested ActivityStarted ActivityCanceled Task"
        " RunCompleted",
    ),
    _asked_to_end(
        "cancel_act_wait_ignored",
        WAIT,
        *_awaited(
            Given(completed(5, "finished anyway")),
            'activity 1 completed "finished anyway"',
        ),
        history="ActivityCancelRequested ActivityStarted ActivityCompleted Task"
        " RunCompleted",
    ),
    _asked_to_end(
        "cancel_act_wait_then_fails",
        WAIT,
        *_awaited(
            Given(failed(5, boom(), "CANCEL_REQUESTED")),
            "activity 1 failed: Activity task failed"
            " (poll/1 5-12 CANCEL_REQUESTED worker@here) <- error 'boom'",
        ),
        history="ActivityCancelRequested ActivityStarted ActivityFailed Task"
        " RunCompleted",
    ),
    _asked_to_end(
        "cancel_act_abandon",
        ABANDON,
        Sees(9, _CANCELED_AT_ONCE),
        Does(complete("cancelled")),
        Then(closed="COMPLETED"),
        history="RunCompleted",
    ),
    _asked_to_end(
        "cancel_act_abandon_completes",
        ABANDON,
        *_abandoned("cancelled", Given(completed(5, "finished anyway"))),
        history="TimerStarted ActivityStarted ActivityCompleted Task TimerFired Task"
        " RunCompleted",
    ),
    # Temporal's core breaks such a run for ever.
    _asked_to_end(
        "cancel_act_abandon_then_fails",
        ABANDON,
        *_abandoned("cancelled", Given(failed(5, boom("late failure")))),
        history="TimerStarted ActivityStarted ActivityFailed Task TimerFired Task"
        " RunCompleted",
    ),
    *(
        Trace(
            f"cancel_act_same_task_{number}",
            Given(),
            Sees(3, "init"),
            Does(activity(1, "poll", cancellation=kind), cancel_activity(1)),
            Sees(3, _CANCELED_AT_ONCE),
            Does(complete("cancelled")),
            Then(closed="COMPLETED"),
            history="RunStarted Task RunCompleted",
        )
        for number, kind in enumerate((TRY, WAIT, ABANDON))
    ),
)


RACES = (
    Trace(
        "raw_activity_cancel_race",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "x", cancellation=WAIT)),
        Then("activity 5"),
        Given(signal("s")),
        Sees(8, "signal s @6"),
        Does(cancel_activity(1)),
        Then("cancel activity 5"),
        Given(completed(5, "r")),
        Sees(14, 'activity 1 completed "r"'),
        Does(),
        Then(),
        history="RunStarted Task ActivityScheduled RunSignaled Task"
        " ActivityCancelRequested ActivityStarted ActivityCompleted Task",
    ),
    Trace(
        "cancel_of_a_resolved_activity_is_ignored",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "quick")),
        Then("activity 5"),
        Given(completed(5, "x")),
        Sees(9, 'activity 1 completed "x"'),
        Does(cancel_activity(1)),
        Then(),
        Given(signal("s")),
        Sees(13, "signal s @11"),
        Does(cancel_activity(1), complete("not cancelled: x")),
        Then(closed="COMPLETED"),
        history="RunStarted Task ActivityScheduled ActivityStarted ActivityCompleted"
        " Task RunSignaled Task RunCompleted",
    ),
    # Core refuses to be asked twice; the SDK never does it.
    Trace(
        "raw_activity_cancelled_twice",
        Given(),
        Sees(3, "init"),
        Does(
            activity(1, "poll", cancellation=TRY),
            activity(2, "poll", cancellation=WAIT),
            activity(3, "poll", cancellation=WAIT),
            cancel_activity(3),
            cancel_activity(3),
        ),
        Sees(
            3,
            "activity 3 cancelled: Activity cancelled (poll/3 0-0 CANCEL_REQUESTED)"
            " <- canceled",
        ),
        Does(),
        Then("activity 5", "activity 6"),
        Given(signal("s")),
        Sees(9, "signal s @7"),
        Does(
            cancel_activity(1),
            cancel_activity(1),
            cancel_activity(2),
            cancel_activity(2),
        ),
        Sees(9, _CANCELED_AT_ONCE),
        Does(),
        Then("cancel activity 5", "cancel activity 6"),
        Given(canceled(5), canceled(6)),
        Sees(
            18,
            "activity 2 cancelled: Activity cancelled"
            " (poll/2 6-15 CANCEL_REQUESTED worker@here) <- canceled",
        ),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task ActivityScheduled ActivityScheduled RunSignaled Task"
        " ActivityCancelRequested ActivityCancelRequested ActivityStarted"
        " ActivityCanceled ActivityStarted ActivityCanceled Task RunCompleted",
    ),
    Trace(
        "a_swallowed_activity_id_is_free_again",
        Given(),
        Sees(3, "init"),
        Does(activity(1, activity_id="only"), cancel_activity(1)),
        Sees(
            3,
            "activity 1 cancelled: Activity cancelled (echo/only 0-0 CANCEL_REQUESTED)"
            " <- canceled",
        ),
        Does(activity(2, activity_id="only")),
        Then("activity 5"),
        Given(completed(5, "a")),
        Sees(9, 'activity 2 completed "a"'),
        Does(activity(3, activity_id="only")),
        Then("activity 11"),
        history="RunStarted Task ActivityScheduled ActivityStarted ActivityCompleted"
        " Task ActivityScheduled",
    ),
)

TRACES = (*OUTCOMES, *CANCELLATIONS, *RACES)
