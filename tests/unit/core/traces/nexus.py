"""Traces of Nexus operations that workflows ask for."""

from __future__ import annotations

from dbosify._model.protos import Failure, HistoryEvent
from tests.unit.core.spelling import boom, span
from tests.unit.core.traces.commands import complete, timer
from tests.unit.core.traces.news import fired, signal
from tests.unit.core.traces.nexus_said import (
    begun,
    cancel_operation,
    cancel_passed_on,
    cancel_refused,
    canceled,
    completed,
    failed,
    operation,
    timed_out,
)
from tests.unit.core.traces.script import Does, Given, Refused, Sees, Step, Then, Trace

TRY = "TRY_CANCEL"
ABANDON = "ABANDON"
REQUESTED = "WAIT_CANCELLATION_REQUESTED"
COMPLETED = "WAIT_CANCELLATION_COMPLETED"

_ASKED = "RunStarted Task NexusScheduled"
_BEGUN = f"{_ASKED} NexusStarted Task"
_STOPPED = f"{_BEGUN} RunSignaled Task"
_END = "Task RunCompleted"
_LATE = "SCHEDULE_TO_CLOSE 'operation timed out' of "
_NEVER_SENT = (
    "nexus start 1 failed: Nexus Operation cancelled before scheduled"
    " (EP/Svc/hello 0 -) <- canceled"
)
_LET_GO = (
    "nexus 1 cancelled: Nexus operation cancelled after starting"
    " (EP/Svc/hello 5 {}) <- canceled"
)


def _unlucky(begin: str, cause: str, token: str = "-") -> str:
    return (
        f"{begin}nexus operation completed unsuccessfully"
        f" (EP/Svc/hello 5 {token}) <- {cause}"
    )


def _handler_error() -> Failure:
    error = Failure(message="bad req")
    error.nexus_handler_failure_info.type = "BAD_REQUEST"
    return error


def _ask(kind: str = COMPLETED) -> tuple[Step, ...]:
    return (
        Given(),
        Sees(3, "init"),
        Does(operation(1, cancellation=kind)),
        Then("nexus 5"),
    )


def _begin(kind: str = COMPLETED) -> tuple[Step, ...]:
    return (
        *_ask(kind),
        Given(begun(5)),
        Sees(8, "nexus start 1 t"),
        Does(),
        Then(),
    )


def _at_once(name: str, news: list[HistoryEvent], event: str, *jobs: str) -> Trace:
    """The operation is over before anybody heard of a beginning."""
    return Trace(
        name,
        *_ask(),
        Given(news),
        Sees(8, *jobs),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_ASKED} {event} {_END}",
    )


def _later(name: str, news: list[HistoryEvent], event: str, job: str) -> Trace:
    """The operation ends some time after it began."""
    return Trace(
        name,
        *_begin(),
        Given(news),
        Sees(12, job),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_BEGUN} {event} {_END}",
    )


def _dropped(name: str, kind: str) -> Trace:
    """The operation is cancelled before anybody heard of it."""
    cancel = cancel_operation(1)
    return Trace(
        name,
        Given(),
        Sees(3, "init"),
        Does(operation(1, cancellation=kind), cancel, cancel),
        Sees(3, _NEVER_SENT),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history="RunStarted Task RunCompleted",
    )


OUTCOMES = (
    _at_once(
        "nexus_sync",
        completed(5, "hello x"),
        "NexusCompleted",
        "nexus start 1 at once",
        'nexus 1 completed "hello x"',
    ),
    _at_once(
        "nexus_op_error",
        failed(5, boom("op failed", kind="OperationError")),
        "NexusFailed",
        _unlucky("nexus start 1 failed: ", "OperationError 'op failed'"),
    ),
    _at_once(
        "nexus_handler_error",
        failed(5, _handler_error()),
        "NexusFailed",
        _unlucky("nexus start 1 failed: ", "BAD_REQUEST 'bad req'"),
    ),
    _at_once(
        "nexus_timeout",
        timed_out(5),
        "NexusTimedOut",
        _unlucky("nexus start 1 failed: ", _LATE),
    ),
    _at_once(
        "nexus_canceled_at_once",
        canceled(5),
        "NexusCanceled",
        _unlucky("nexus start 1 failed: ", "canceled 'operation canceled'"),
    ),
    _later(
        "nexus_async_wf",
        completed(5, "wf-ok"),
        "NexusCompleted",
        'nexus 1 completed "wf-ok"',
    ),
    _later(
        "nexus_async_wf_fail",
        failed(5, boom("opwf failed", kind="OF"), "t"),
        "NexusFailed",
        _unlucky("nexus 1 failed: ", "OF 'opwf failed'", "t"),
    ),
    _later(
        "nexus_async_timeout",
        timed_out(5, "t"),
        "NexusTimedOut",
        _unlucky("nexus 1 timed_out: ", _LATE, "t"),
    ),
    Trace(
        "nexus_begun_and_over_in_one_task",
        *_ask(),
        Given(begun(5), completed(5, 1)),
        Sees(9, "nexus start 1 t", "nexus 1 completed 1"),
        Does(complete("done"), cancel_operation(1)),
        Then(closed="COMPLETED"),
        history=f"{_ASKED} NexusStarted NexusCompleted {_END}",
    ),
)

CANCELLATIONS = (
    Trace(
        "nexus_cancel_try",
        *_begin(TRY),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_operation(1)),
        Sees(12, _LET_GO.format("t")),
        Does(timer(1, 9.0), cancel_operation(1)),
        Then("cancel nexus 14", "timer 1 of 15 at 12"),
        Given(cancel_passed_on(5, 14)),
        Then(),
        Given(canceled(5, "t")),
        Then(),
        Given(fired(1, started=15)),
        Sees(26, "timer 1"),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_STOPPED} NexusCancelRequested TimerStarted"
        f" NexusCancelRequestCompleted Task NexusCanceled Task TimerFired {_END}",
    ),
    Trace(
        "nexus_cancel_wait_requested",
        *_begin(REQUESTED),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_operation(1)),
        Then("cancel nexus 14"),
        Given(cancel_passed_on(5, 14)),
        Sees(
            17,
            "nexus 1 cancelled: Nexus operation cancellation request completed"
            " (EP/Svc/hello 5 t) <- canceled",
        ),
        Does(),
        Then(),
        Given(canceled(5, "t")),
        Then(),
        Given(signal("go")),
        Sees(25, "signal go @23"),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_STOPPED} NexusCancelRequested NexusCancelRequestCompleted Task"
        f" NexusCanceled Task RunSignaled {_END}",
    ),
    Trace(
        "nexus_cancel_wait_requested_and_refused",
        *_begin(REQUESTED),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_operation(1)),
        Then("cancel nexus 14"),
        Given(cancel_refused(5, 14)),
        Sees(
            17,
            "nexus 1 failed: Nexus operation cancellation request failed"
            " (EP/Svc/hello 5 t) <- BAD_REQUEST 'no'",
        ),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_STOPPED} NexusCancelRequested NexusCancelRequestFailed {_END}",
    ),
    Trace(
        "nexus_cancel_wait_completed",
        *_begin(),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_operation(1), cancel_operation(1)),
        Then("cancel nexus 14"),
        Given(cancel_passed_on(5, 14)),
        Then(),
        Given(canceled(5, "t")),
        Sees(21, _unlucky("nexus 1 cancelled: ", "canceled 'operation canceled'", "t")),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_STOPPED} NexusCancelRequested NexusCancelRequestCompleted Task"
        f" NexusCanceled {_END}",
    ),
    Trace(
        "nexus_canceled_and_then_the_answer_to_the_cancellation",
        *_begin(),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_operation(1)),
        Then("cancel nexus 14"),
        Given(canceled(5, "t"), cancel_passed_on(5, 14)),
        Sees(18, _unlucky("nexus 1 cancelled: ", "canceled 'operation canceled'", "t")),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_STOPPED} NexusCancelRequested NexusCanceled"
        f" NexusCancelRequestCompleted {_END}",
    ),
    Trace(
        "nexus_canceled_and_in_a_later_task_the_answer_to_the_cancellation",
        *_begin(),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_operation(1)),
        Then("cancel nexus 14"),
        Given(canceled(5, "t")),
        Sees(17, _unlucky("nexus 1 cancelled: ", "canceled 'operation canceled'", "t")),
        Does(timer(1, 9.0)),
        Then("timer 1 of 19 at 13"),
        Given(cancel_refused(5, 14)),
        Then(),
        Given(fired(1, started=19)),
        Sees(26, "timer 1"),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_STOPPED} NexusCancelRequested NexusCanceled Task TimerStarted"
        f" NexusCancelRequestFailed Task TimerFired {_END}",
    ),
    Trace(
        "nexus_cancel_abandon",
        *_begin(ABANDON),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_operation(1)),
        Sees(12, _LET_GO.format("t")),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_STOPPED} RunCompleted",
    ),
    Trace(
        "nexus_cancel_before_started_wait_completed",
        *_ask(),
        Given(signal("stop")),
        Sees(8, "signal stop @6"),
        Does(cancel_operation(1)),
        Then("cancel nexus 10"),
        Given(begun(5)),
        Sees(13, "nexus start 1 t"),
        Does(),
        Then(),
        Given(cancel_passed_on(5, 10)),
        Then(),
        Given(completed(5, "wf-ok")),
        Sees(21, 'nexus 1 completed "wf-ok"'),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_ASKED} RunSignaled Task NexusCancelRequested NexusStarted Task"
        f" NexusCancelRequestCompleted Task NexusCompleted {_END}",
    ),
    Trace(
        "nexus_cancel_before_started_try",
        *_ask(TRY),
        Given(signal("stop")),
        Sees(8, "signal stop @6"),
        Does(cancel_operation(1)),
        Sees(8, _LET_GO.format("-")),
        Does(),
        Then("cancel nexus 10"),
        Given(begun(5)),
        Then(),
        Given(completed(5, 1)),
        Then(),
        Given(signal("go")),
        Sees(21, "signal go @19"),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_ASKED} RunSignaled Task NexusCancelRequested NexusStarted Task"
        f" NexusCompleted Task RunSignaled {_END}",
    ),
    _dropped("nexus_cancel_same_task_abandon", ABANDON),
    _dropped("nexus_cancel_same_task_try", TRY),
    _dropped("nexus_cancel_same_task_wait", COMPLETED),
)

REFUSALS = (
    Trace(
        "nexus_with_a_negative_timeout",
        Given(),
        Sees(3, "init"),
        Does(operation(1, start_to_close_timeout=span(-1))),
        Refused(
            "BAD_SCHEDULE_NEXUS_OPERATION_ATTRIBUTES",
            "BadScheduleNexusOperationAttributes:"
            " ScheduleNexusOperationCommandAttributes.StartToCloseTimeout is invalid:"
            " negative duration",
            "FATAL",
        ),
        history="RunStarted TaskScheduled TaskStarted TaskFailed",
    ),
)

TRACES = (*OUTCOMES, *CANCELLATIONS, *REFUSALS)
