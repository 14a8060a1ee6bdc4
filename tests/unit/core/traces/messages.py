"""Traces of timers, signals and cancel requests, alone and against each other."""

from __future__ import annotations

from dbosify._model.start import first_events
from tests.unit.core.spelling import at, boom, start
from tests.unit.core.traces.commands import (
    activity,
    cancel,
    cancel_activity,
    cancel_timer,
    complete,
    continue_as_new,
    fail,
    timer,
)
from tests.unit.core.traces.news import (
    cancel_request,
    completed,
    fired,
    options_updated,
    signal,
)
from tests.unit.core.traces.script import (
    Does,
    Dropped,
    Given,
    Overtaken,
    Sees,
    Then,
    Trace,
)


def _signal_with_start() -> Trace:
    [opening] = signal("a", "0")
    opening.event_time.CopyFrom(at(0))
    return Trace(
        "signal_before_start",
        Given(signal("a", "1"), signal("unknown", "z"), signal("a", "2")),
        Sees(
            7,
            "init",
            'signal a "0" @2',
            'signal a "1" @4',
            'signal unknown "z" @5',
            'signal a "2" @6',
        ),
        Does(),
        Then(),
        Given(signal("fin")),
        Sees(11, "signal fin @9"),
        Does(complete(["a0", "run"])),
        Then(closed="COMPLETED"),
        first=first_events(start(), at(0), delayed=False, signal=opening),
        history="RunStarted RunSignaled TaskScheduled RunSignaled RunSignaled"
        " RunSignaled TaskStarted TaskCompleted RunSignaled Task RunCompleted",
    )


TIMERS = (
    Trace(
        "a_request_that_joins_the_run_is_nothing_to_the_workflow",
        Given(options_updated("r1")),
        Sees(4, "init"),
        Does(),
        Then(),
        Given(options_updated("r2"), signal("s")),
        Sees(9, "signal s @7"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted TaskScheduled RunOptionsUpdated TaskStarted TaskCompleted"
        " RunOptionsUpdated RunSignaled Task RunCompleted",
    ),
    Trace(
        "timer",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.5)),
        Then("timer 1 of 5 at 1.5"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(timer(2, 0.3, summary="a nap")),
        Then("timer 2 of 10 at 2.3"),
        Given(fired(2, started=10)),
        Sees(13, "timer 2"),
        Does(complete("ok")),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired Task TimerStarted TimerFired"
        " Task RunCompleted",
    ),
    Trace(
        "timer_cancel",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 100), timer(2, 50), timer(3, 0.2), cancel_timer(2)),
        Then("timer 1 of 5 at 101", "timer 3 of 6 at 1.2"),
        Given(fired(3, started=6)),
        Sees(9, "timer 3"),
        Does(cancel_timer(1), timer(4, 0.1)),
        Then("cancel timer 1", "timer 4 of 12 at 2.1"),
        Given(fired(4, started=12)),
        Sees(15, "timer 4"),
        Does(timer(5, 5), cancel_timer(5), complete("ok")),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerStarted TimerFired Task"
        " TimerCanceled TimerStarted TimerFired Task RunCompleted",
    ),
    Trace(
        "raw_timer_zero",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0)),
        Then("timer 1 of 5 at 1"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired Task RunCompleted",
    ),
    Trace(
        "raw_timer_cancel_race",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 1)),
        Then("timer 1 of 5 at 2"),
        Given(signal("s")),
        Sees(8, "signal s @6"),
        # It is due by now; the effect tells the runtime to forget that.
        Does(cancel_timer(1)),
        Then("cancel timer 1"),
        Given(signal("s2")),
        Sees(13, "signal s2 @11"),
        Does(),
        Then(),
        history="RunStarted Task TimerStarted RunSignaled Task TimerCanceled"
        " RunSignaled Task",
    ),
    Trace(
        "cancel_of_a_timer_that_has_fired_is_ignored",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 1), timer(2, 5), cancel_timer(2), cancel_timer(2)),
        Then("timer 1 of 5 at 2"),
        Given(fired(1, started=5), signal("s")),
        Sees(9, "signal s @7", "timer 1"),
        Does(cancel_timer(1)),
        Then(),
        Given(signal("s")),
        Sees(13, "signal s @11"),
        Does(cancel_timer(1), complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired RunSignaled Task RunSignaled"
        " Task RunCompleted",
    ),
)

SIGNALS = (
    _signal_with_start(),
    Trace(
        "signal_during_task",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.01)),
        Then("timer 1 of 5 at 1.01"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(timer(2, 0.05)),
        Then("timer 2 of 10 at 2.05"),
        Given(signal("s", "during")),
        Sees(13, 'signal s "during" @11'),
        Does(),
        Then(),
        Given(fired(2, started=10)),
        Sees(17, "timer 2"),
        Does(complete(["during"])),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired Task TimerStarted RunSignaled"
        " Task TimerFired Task RunCompleted",
    ),
    Trace(
        "signal_handler_fails_workflow",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(signal("bad")),
        Sees(7, "signal bad @5"),
        Does(fail(boom("from signal"))),
        Then(closed="FAILED"),
        history="RunStarted Task RunSignaled Task RunFailed",
    ),
    Trace(
        "flag2_single_batch",
        Given(signal("sig", "a"), signal("sig", "b")),
        Sees(5, "init", 'signal sig "a" @3', 'signal sig "b" @4'),
        Does(timer(1, 5), cancel_timer(1), complete(), flags=[2]),
        Then(closed="COMPLETED"),
        history="RunStarted TaskScheduled RunSignaled RunSignaled TaskStarted"
        " TaskCompleted RunCompleted",
    ),
)

OVERTAKEN = (
    Trace(
        "unhandled_command",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.01)),
        Then("timer 1 of 5 at 1.01"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(complete([])),
        Overtaken(),
        Given(signal("s", "late")),
        Sees(9, 'signal s "late" @7', "timer 1"),
        Does(complete(["late"])),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired RunSignaled Task RunCompleted",
    ),
    Trace(
        "raw_cancel_during_can_task",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.1)),
        Then("timer 1 of 5 at 1.1"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(continue_as_new()),
        Overtaken(),
        Given(cancel_request()),
        Sees(9, "timer 1", "cancel"),
        Does(cancel()),
        Then(closed="CANCELED"),
        history="RunStarted Task TimerStarted TimerFired RunCancelRequested Task"
        " RunCanceled",
    ),
    Trace(
        "raw_activity_result_during_completing_task",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "x", start_to_close=5)),
        Then("activity 5"),
        Given(signal("s")),
        Sees(8, "signal s @6"),
        Does(complete()),
        Overtaken(),
        Given(completed(5, "r")),
        Sees(10, "signal s @6", 'activity 1 completed "r"'),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task ActivityScheduled RunSignaled ActivityStarted"
        " ActivityCompleted Task RunCompleted",
    ),
)

CANCEL_REQUESTS = (
    Trace(
        "cancel_wf_sleep",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 1000)),
        Then("timer 1 of 5 at 1001"),
        Given(cancel_request("why")),
        Sees(8, "cancel why"),
        Does(cancel_timer(1), cancel()),
        Then("cancel timer 1", closed="CANCELED"),
        history="RunStarted Task TimerStarted RunCancelRequested Task TimerCanceled"
        " RunCanceled",
    ),
    Trace(
        "cancel_wf_act",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "slow", 1000.0, start_to_close=2000)),
        Then("activity 5"),
        Given(cancel_request("why")),
        Sees(8, "cancel why"),
        Does(cancel_activity(1)),
        Sees(
            8,
            "activity 1 cancelled: Activity cancelled (slow/1 0-0 CANCEL_REQUESTED)"
            " <- canceled",
        ),
        Does(cancel()),
        Then("cancel activity 5", closed="CANCELED"),
        history="RunStarted Task ActivityScheduled RunCancelRequested Task"
        " ActivityCancelRequested RunCanceled",
    ),
    Trace(
        "cancel_wf_cleanup",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 1000)),
        Then("timer 1 of 5 at 1001"),
        Given(cancel_request("why")),
        Sees(8, "cancel why"),
        Does(cancel_timer(1), activity(1, "echo", "cleanup")),
        Then("cancel timer 1", "activity 11"),
        Given(completed(11, "echo-cleanup")),
        Sees(15, 'activity 1 completed "echo-cleanup"'),
        Does(cancel()),
        Then(closed="CANCELED"),
        history="RunStarted Task TimerStarted RunCancelRequested Task TimerCanceled"
        " ActivityScheduled ActivityStarted ActivityCompleted Task RunCanceled",
    ),
    Trace(
        "cancel_wf_swallow",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 1000)),
        Then("timer 1 of 5 at 1001"),
        Given(cancel_request("why")),
        Sees(8, "cancel why"),
        Does(cancel_timer(1), complete("swallowed")),
        Then("cancel timer 1", closed="COMPLETED"),
        history="RunStarted Task TimerStarted RunCancelRequested Task TimerCanceled"
        " RunCompleted",
    ),
    Trace(
        "cancel_wf_cond",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(cancel_request("why")),
        Sees(7, "cancel why"),
        Does(cancel()),
        Then(closed="CANCELED"),
        history="RunStarted Task RunCancelRequested Task RunCanceled",
    ),
    Trace(
        "cancel_before_start",
        Given(cancel_request()),
        Sees(4, "init", "cancel"),
        Does(timer(1, 1000), cancel_timer(1), cancel()),
        Then(closed="CANCELED"),
        history="RunStarted TaskScheduled RunCancelRequested TaskStarted TaskCompleted"
        " RunCanceled",
    ),
    Trace(
        "flag1_cancel_with_resolved_activity",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "quick", "x", start_to_close=5)),
        Then("activity 5"),
        Dropped(),
        Given(completed(5, "x"), cancel_request()),
        Sees(10, 'activity 1 completed "x"', "cancel"),
        Does(complete("CancelledError"), flags=[1]),
        Then(closed="COMPLETED"),
        history="RunStarted Task ActivityScheduled ActivityStarted ActivityCompleted"
        " RunCancelRequested Task RunCompleted",
    ),
)

TRACES = (*TIMERS, *SIGNALS, *OVERTAKEN, *CANCEL_REQUESTS)
