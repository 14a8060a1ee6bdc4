"""Traces of local activities: outcomes, retries by timer, cancellation, long tasks."""

from __future__ import annotations

from dbosify._model import failures
from dbosify._model.local import End, LocalOutcome
from dbosify._model.protos import Failure, TimeoutType
from tests.unit.core.spelling import at, boom, payload, span
from tests.unit.core.traces.commands import (
    ABANDON,
    TRY,
    WAIT,
    accept,
    activity,
    cancel_local,
    complete,
    finish,
    local,
    timer,
)
from tests.unit.core.traces.news import completed, fired, signal
from tests.unit.core.traces.script import (
    Beats,
    Does,
    Given,
    LocalEnds,
    Refused,
    Sees,
    Then,
    Trace,
    Waits,
)
from tests.unit.core.traces.updates import sent


def done(value: object, *, attempt: int = 1, runtime: float = 0.0) -> LocalOutcome:
    """It returned."""
    return LocalOutcome(End.COMPLETED, attempt, runtime, result=payload(value))


def failed(
    failure: Failure, *, attempt: int = 1, backoff: float | None = None
) -> LocalOutcome:
    """It raised."""
    return LocalOutcome(End.FAILED, attempt, failure=failure, backoff=backoff)


_TIMED_OUT = LocalOutcome(
    End.TIMED_OUT,
    1,
    0.3,
    failure=failures.local_timeout(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE),
)
_WRAPPED = "local 1 cancelled: Local Activity cancelled (poll/1 0-0 CANCEL_REQUESTED)"
_CANCELLED = f"{_WRAPPED} <- canceled 'Activity cancelled'"
_ONE = "RunStarted Task Marker RunCompleted"


def _reported() -> LocalOutcome:
    cancelled = failures.canceled()
    cancelled.message = "Cancelled"
    return LocalOutcome(End.CANCELLED, 1, failure=cancelled)


def _cancelled_at_once(name: str, kind: str) -> Trace:
    return Trace(
        name,
        Given(),
        Sees(3, "init"),
        Does(local(1, "poll", cancellation=kind), local(2, "slow")),
        Waits(1, 2),
        LocalEnds(2, done("slow-done", runtime=0.5)),
        Sees(3, 'local 2 completed "slow-done"', after=0.5),
        Does(cancel_local(1)),
        Sees(3, _CANCELLED, after=0.5),
        Does(complete("cancelled")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Marker Marker RunCompleted",
    )


TRACES = (
    Trace(
        "la_ok",
        Given(),
        Sees(3, "init"),
        Does(local(1, "echo", "x")),
        Waits(1),
        LocalEnds(1, done("echo-x", runtime=0.25)),
        Sees(3, 'local 1 completed "echo-x"', after=0.25),
        Does(complete("echo-x")),
        Then(closed="COMPLETED"),
        history=_ONE,
    ),
    Trace(
        "la_parallel",
        Given(),
        Sees(3, "init"),
        Does(local(1), local(2), local(3)),
        Waits(1, 2, 3),
        LocalEnds(1, done("0")),
        Sees(3, 'local 1 completed "0"'),
        Does(),
        Waits(2, 3),
        LocalEnds(2, done("1")),
        Sees(3, 'local 2 completed "1"'),
        Does(),
        Waits(3),
        LocalEnds(3, done("2")),
        Sees(3, 'local 3 completed "2"'),
        Does(complete("012")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Marker Marker Marker RunCompleted",
    ),
    Trace(
        "la_out_of_order",
        Given(),
        Sees(3, "init"),
        Does(local(1), local(2)),
        Waits(1, 2),
        LocalEnds(2, done("b", runtime=2)),
        Sees(3, 'local 2 completed "b"', after=2),
        Does(local(3)),
        Waits(1, 3),
        LocalEnds(1, done("a", runtime=1)),
        Sees(3, 'local 1 completed "a"', after=2),
        Does(),
        Waits(3),
        LocalEnds(3, done("c", runtime=1)),
        Sees(3, 'local 3 completed "c"', after=3),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task Marker Marker Marker RunCompleted",
    ),
    Trace(
        "la_retry_in_task",
        Given(),
        Sees(3, "init"),
        Does(local(1, "flaky", 3)),
        Waits(1),
        LocalEnds(1, done(3, attempt=3)),
        Sees(3, "local 1 completed 3"),
        Does(complete(3)),
        Then(closed="COMPLETED"),
        history=_ONE,
    ),
    Trace(
        "la_backoff_timer",
        Given(),
        Sees(3, "init"),
        Does(local(1, "flaky", 3)),
        Waits(1),
        LocalEnds(1, failed(boom("boom2", kind="Boom"), attempt=2, backoff=0.2)),
        Sees(3, "local 1 attempt 3 is due in 0.2"),
        Does(timer(1, 0.2)),
        Then("timer 1 of 6 at 1.2"),
        Given(fired(1, started=6)),
        Sees(9, "timer 1"),
        Does(local(2, "flaky", 3, attempt=3, original_schedule_time=at(1))),
        Waits(2),
        LocalEnds(2, done(3, attempt=3)),
        Sees(9, "local 2 completed 3"),
        Does(complete(3)),
        Then(closed="COMPLETED"),
        history="RunStarted Task Marker TimerStarted TimerFired Task Marker"
        " RunCompleted",
    ),
    Trace(
        "la_fail_nonretry",
        Given(),
        Sees(3, "init"),
        Does(local(1, "failing")),
        Waits(1),
        LocalEnds(1, failed(boom("nope", kind="Nope", final=True))),
        Sees(3, "local 1 failed: Nope 'nope' for good"),
        Does(complete("handled")),
        Then(closed="COMPLETED"),
        history=_ONE,
    ),
    Trace(
        "la_timeout_s2c",
        Given(),
        Sees(3, "init"),
        Does(
            local(1, "slow", start_to_close=None, schedule_to_close_timeout=span(0.3))
        ),
        Waits(1),
        LocalEnds(1, _TIMED_OUT),
        Sees(
            3,
            "local 1 failed: Local Activity timed out (slow/1 0-0 CANCEL_REQUESTED)"
            " <- SCHEDULE_TO_CLOSE 'Activity timed out' of ",
            after=0.3,
        ),
        Does(complete("handled")),
        Then(closed="COMPLETED"),
        history=_ONE,
    ),
    _cancelled_at_once("la_cancel_0", TRY),
    Trace(
        "la_cancel_1",
        Given(),
        Sees(3, "init"),
        Does(local(1, "poll", cancellation=WAIT), local(2, "slow")),
        Waits(1, 2),
        LocalEnds(2, done("slow-done")),
        Sees(3, 'local 2 completed "slow-done"'),
        Does(cancel_local(1)),
        Waits(1),
        LocalEnds(1, _reported()),
        Sees(3, f"{_WRAPPED} <- canceled 'Cancelled'"),
        Does(complete("cancelled")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Marker Marker RunCompleted",
    ),
    _cancelled_at_once("la_cancel_2", ABANDON),
    Trace(
        "la_cancel_same_task_0",
        Given(),
        Sees(3, "init"),
        Does(local(1, "poll"), cancel_local(1)),
        Sees(3, _CANCELLED),
        Does(complete("cancelled")),
        Then(closed="COMPLETED"),
        history=_ONE,
    ),
    Trace(
        "la_cancel_same_task_twice",
        Given(),
        Sees(3, "init"),
        Does(local(1, "poll"), cancel_local(1), cancel_local(1)),
        Sees(3, _CANCELLED),
        Does(complete("cancelled")),
        Then(closed="COMPLETED"),
        history=_ONE,
    ),
    Trace(
        "la_abandoned_ends_later",
        Given(),
        Sees(3, "init"),
        Does(local(1, "poll", cancellation=ABANDON), local(2), local(3)),
        Waits(1, 2, 3),
        LocalEnds(2, done("2")),
        Sees(3, 'local 2 completed "2"'),
        Does(cancel_local(1)),
        Sees(3, _CANCELLED),
        Does(cancel_local(1)),
        Waits(1, 3),
        LocalEnds(1, done("nobody cares")),
        Waits(3),
        LocalEnds(3, done("3")),
        Sees(3, 'local 3 completed "3"'),
        Does(timer(1, 1)),
        Then("timer 1 of 8 at 2"),
        Given(fired(1, started=8)),
        Sees(11, "timer 1"),
        Does(cancel_local(1), complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task Marker Marker Marker TimerStarted TimerFired Task"
        " RunCompleted",
    ),
    Trace(
        "la_wft_heartbeat",
        Given(),
        Sees(3, "init"),
        Does(local(1, "slow", 3.0, original_schedule_time=at(1))),
        Waits(1),
        Beats(),
        Then(),
        Given(),
        Waits(1),
        LocalEnds(1, done("slow-done", runtime=3)),
        Sees(6, 'local 1 completed "slow-done"', after=2),
        Does(complete("slow-done")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Task Marker RunCompleted",
    ),
    Trace(
        "la_wft_heartbeat_with_news",
        Given(),
        Sees(3, "init"),
        Does(local(1, "slow", original_schedule_time=at(1)), timer(1, 0.1)),
        Waits(1),
        Beats(),
        Then("timer 1 of 5 at 1.1"),
        Given(fired(1, started=5), signal("more")),
        Sees(9, "signal more @7", "timer 1"),
        Does(),
        Waits(1),
        LocalEnds(1, done("slow-done")),
        Sees(9, 'local 1 completed "slow-done"'),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired RunSignaled Task Marker"
        " RunCompleted",
    ),
    Trace(
        "la_with_remote_activity",
        Given(),
        Sees(3, "init"),
        Does(activity(1, "echo", "r"), local(2, "echo", "x")),
        Waits(2),
        LocalEnds(2, done("echo-x")),
        Sees(3, 'local 2 completed "echo-x"'),
        Does(),
        Then("activity 5"),
        Given(completed(5, "echo-r")),
        Sees(10, 'activity 1 completed "echo-r"'),
        Does(complete("both")),
        Then(closed="COMPLETED"),
        history="RunStarted Task ActivityScheduled Marker ActivityStarted"
        " ActivityCompleted Task RunCompleted",
    ),
    Trace(
        "la_with_timer",
        Given(),
        Sees(3, "init"),
        Does(local(1, "slow", 0.6), timer(1, 0.1)),
        Waits(1),
        LocalEnds(1, done("slow-done", runtime=0.6)),
        Sees(3, 'local 1 completed "slow-done"', after=0.6),
        Does(),
        Then("timer 1 of 5 at 1.1"),
        Given(fired(1, started=5)),
        Sees(9, "timer 1"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted Marker TimerFired Task RunCompleted",
    ),
    Trace(
        "la_given_up_by_the_end_of_the_run",
        Given(),
        Sees(3, "init"),
        Does(local(1, "slow"), complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task RunCompleted",
    ),
    Trace(
        "update_local_activity",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1", "la", "a")]),
        Sees(6, 'update u1 la "a"'),
        Does(accept("u1"), local(1, "echo", "a")),
        Waits(1),
        LocalEnds(1, done("echo-a")),
        Sees(6, 'local 1 completed "echo-a"'),
        Does(finish("u1", "echo-a")),
        Then("accept u1", 'complete u1 "echo-a"'),
        Given(signal("stop")),
        Sees(13, "signal stop @11"),
        Does(complete("run-start")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Task UpdateAccepted Marker UpdateCompleted"
        " RunSignaled Task RunCompleted",
    ),
    Trace(
        "raw_la_no_timeout",
        Given(),
        Sees(3, "init"),
        Does(local(1, "x", start_to_close=None)),
        Refused(
            "WORKFLOW_WORKER_UNHANDLED_FAILURE",
            "Fatal error in workflow machines: Invalid schedule local activity request"
            " (seq 1): One or both of schedule_to_close or start_to_close timeouts must"
            " be set for local activities",
            "FATAL",
        ),
        history="RunStarted TaskScheduled TaskStarted TaskFailed",
    ),
    Trace(
        "la_negative_timeout",
        Given(),
        Sees(3, "init"),
        Does(local(1, "x", schedule_to_start_timeout=span(-1))),
        Refused(
            "WORKFLOW_WORKER_UNHANDLED_FAILURE",
            "Fatal error in workflow machines: Invalid schedule local activity request"
            " (seq 1): Could not convert schedule_to_start_timeout",
            "FATAL",
        ),
        history="RunStarted TaskScheduled TaskStarted TaskFailed",
    ),
)
