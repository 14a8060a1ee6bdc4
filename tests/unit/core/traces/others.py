"""Traces of children, and of signals and cancel requests to other workflows."""

from __future__ import annotations

from dbosify._model.protos import HistoryEvent, WorkflowCommand
from tests.unit.core.spelling import boom
from tests.unit.core.traces.commands import complete, timer
from tests.unit.core.traces.news import fired, signal
from tests.unit.core.traces.others_said import (
    CHILD_RUN,
    asked_to_end,
    cancel_child,
    cancel_other,
    cancel_signal,
    child,
    child_canceled,
    child_completed,
    child_failed,
    child_refused,
    child_started,
    child_terminated,
    child_timed_out,
    not_asked_to_end,
    not_signaled,
    signal_child,
    signal_other,
    signaled,
)
from tests.unit.core.traces.script import Does, Given, Refused, Sees, Step, Then, Trace

TRY = "TRY_CANCEL"
WAIT = "WAIT_CANCELLATION_COMPLETED"
WAIT_REQUESTED = "WAIT_CANCELLATION_REQUESTED"
ABANDON = "ABANDON"

_BEGUN = "RunStarted Task StartChildRunInitiated"
_RUNNING = f"{_BEGUN} ChildRunStarted Task"
_ASKED = f"{_RUNNING} RunSignaled Task RequestCancelExternalRunInitiated"
_END = "Task RunCompleted"


def _who(initiated: int, started: int, state: str, run_id: str = CHILD_RUN) -> str:
    return f"(Child/orders/1-c/{run_id} of default {initiated}-{started} {state})"


def _cancelled(initiated: int = 5, started: int = 6, run_id: str = CHILD_RUN) -> str:
    who = _who(initiated, started, "NON_RETRYABLE_FAILURE", run_id)
    return f"child 1 cancelled: Child Workflow execution cancelled {who} <- canceled"


_NEVER_SENT = (
    "child start 1 cancelled: Child Workflow Execution cancelled before scheduled: "
    f"{{}} {_who(0, 0, 'NON_RETRYABLE_FAILURE', '-')} <- canceled"
)


def _started(*command: WorkflowCommand) -> tuple[Step, ...]:
    """The child runs, and the workflow waits for it."""
    return (
        Given(),
        Sees(3, "init"),
        Does(*(command or (child(1),))),
        Then("child orders/1-c of 5"),
        Given(child_started(5)),
        Sees(8, f"child start 1 succeeded {CHILD_RUN}"),
        Does(),
        Then(),
    )


def _outcome(name: str, news: list[HistoryEvent], job: str, event: str) -> Trace:
    return Trace(
        name,
        *_started(),
        Given(news),
        Sees(12, job),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_RUNNING} {event} {_END}",
    )


OUTCOMES = (
    _outcome(
        "child_ok",
        child_completed(5, "child-ok"),
        'child 1 completed "child-ok"',
        "ChildRunCompleted",
    ),
    _outcome(
        "child_without_a_result",
        child_completed(5),
        "child 1 completed",
        "ChildRunCompleted",
    ),
    _outcome(
        "child_fail",
        child_failed(5, boom("child failed", kind="CF")),
        "child 1 failed: Child Workflow execution failed"
        f" {_who(5, 6, 'RETRY_POLICY_NOT_SET')} <- CF 'child failed'",
        "ChildRunFailed",
    ),
    _outcome(
        "child_timeout",
        child_timed_out(5),
        "child 1 failed: Child Workflow execution timed out"
        f" {_who(5, 6, 'RETRY_POLICY_NOT_SET')} <- START_TO_CLOSE 'Timed out' of ",
        "ChildRunTimedOut",
    ),
    _outcome(
        "child_terminated",
        child_terminated(5),
        "child 1 failed: Child Workflow execution terminated"
        f" {_who(5, 6, 'NON_RETRYABLE_FAILURE')} <- terminated 'Terminated'",
        "ChildRunTerminated",
    ),
    _outcome("child_canceled", child_canceled(5), _cancelled(), "ChildRunCanceled"),
    Trace(
        "child_started_and_over_in_one_task",
        Given(),
        Sees(3, "init"),
        Does(child(1, "ok")),
        Then("child orders/1-c of 5"),
        Given(child_started(5), child_completed(5, "child-ok")),
        Sees(
            9,
            f"child start 1 succeeded {CHILD_RUN}",
            'child 1 completed "child-ok"',
        ),
        Does(complete("child-ok")),
        Then(closed="COMPLETED"),
        history=f"{_BEGUN} ChildRunStarted ChildRunCompleted {_END}",
    ),
    Trace(
        "child_already_exists",
        Given(),
        Sees(3, "init"),
        Does(child(1)),
        Then("child orders/1-c of 5"),
        Given(child_refused(5)),
        Sees(8, "child start 1 failed WORKFLOW_ALREADY_EXISTS Child/orders/1-c"),
        Does(complete("taken")),
        Then(closed="COMPLETED"),
        history=f"{_BEGUN} StartChildRunFailed {_END}",
    ),
    Trace(
        "child_signal",
        *_started(),
        Given(signal("go")),
        Sees(12, "signal go @10"),
        Does(signal_child(1, "s", "hello")),
        Then("signal of 14"),
        Given(signaled(14)),
        Sees(17, "signalled 1"),
        Does(),
        Then(),
        Given(child_completed(5, "went:hello")),
        Sees(21, 'child 1 completed "went:hello"'),
        Does(complete("went:hello")),
        Then(closed="COMPLETED"),
        history=f"{_RUNNING} RunSignaled Task SignalExternalRunInitiated"
        f" ExternalRunSignaled Task ChildRunCompleted {_END}",
    ),
)


def _awaited(
    name: str, kind: str, end: list[HistoryEvent], job: str, word: str
) -> Trace:
    """The child's true outcome is awaited after its cancellation."""
    return Trace(
        name,
        *_started(child(1, cancellation=kind)),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_child(1, "enough")),
        Then("cancel of 14"),
        Given(asked_to_end(14)),
        Then(),
        Given(end),
        Sees(21, job),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_ASKED} ExternalRunCancelRequested Task {word} {_END}",
    )


def _dropped(name: str, kind: str) -> Trace:
    """The child is cancelled before anybody heard of it."""
    return Trace(
        name,
        Given(),
        Sees(3, "init"),
        Does(child(1, cancellation=kind), cancel_child(1, "no"), cancel_child(1, "no")),
        Sees(3, _NEVER_SENT.format("no")),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history="RunStarted Task RunCompleted",
    )


CANCELLATIONS = (
    Trace(
        "child_cancel_try",
        *_started(child(1, cancellation=TRY)),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_child(1), cancel_child(1)),
        Sees(12, _cancelled()),
        Does(timer(1, 2.0)),
        Then("cancel of 14", "timer 1 of 15 at 5"),
        Given(asked_to_end(14)),
        Then(),
        Given(child_canceled(5)),
        Then(),
        Given(fired(1, started=15)),
        Sees(26, "timer 1"),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_ASKED} TimerStarted ExternalRunCancelRequested Task"
        f" ChildRunCanceled Task TimerFired {_END}",
    ),
    Trace(
        "child_cancel_abandon",
        *_started(child(1, cancellation=ABANDON)),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(cancel_child(1)),
        Sees(12, _cancelled()),
        Does(timer(1, 2.0)),
        Then("timer 1 of 14 at 5"),
        Given(fired(1, started=14)),
        Sees(17, "timer 1"),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"{_RUNNING} RunSignaled Task TimerStarted TimerFired {_END}",
    ),
    _awaited(
        "child_cancel_wait", WAIT, child_canceled(5), _cancelled(), "ChildRunCanceled"
    ),
    _awaited(
        "child_cancel_waitreq",
        WAIT_REQUESTED,
        child_canceled(5),
        _cancelled(),
        "ChildRunCanceled",
    ),
    _awaited(
        "child_cancel_swallowed_wait",
        WAIT,
        child_completed(5, "swallowed"),
        'child 1 completed "swallowed"',
        "ChildRunCompleted",
    ),
    _dropped("child_cancel_same_task_try", TRY),
    _dropped("child_cancel_same_task_wait", WAIT),
    _dropped("child_cancel_same_task_abandon", ABANDON),
    Trace(
        "child_cancel_before_started_try",
        Given(),
        Sees(3, "init"),
        Does(child(1, cancellation=TRY)),
        Then("child orders/1-c of 5"),
        Given(signal("stop")),
        Sees(8, "signal stop @6"),
        Does(cancel_child(1)),
        Sees(8, _cancelled(5, 0, "-")),
        Does(),
        Then("cancel of 10"),
        Given(child_started(5), asked_to_end(10)),
        Then(),
        Given(child_canceled(5)),
        Then(),
        history=f"{_BEGUN} RunSignaled Task RequestCancelExternalRunInitiated"
        " ChildRunStarted ExternalRunCancelRequested Task ChildRunCanceled Task",
    ),
    Trace(
        "child_cancel_before_refused_abandon",
        Given(),
        Sees(3, "init"),
        Does(child(1, cancellation=ABANDON)),
        Then("child orders/1-c of 5"),
        Given(signal("stop")),
        Sees(8, "signal stop @6"),
        Does(cancel_child(1)),
        Sees(8, _cancelled(5, 0, "-")),
        Does(),
        Then(),
        Given(child_refused(5)),
        Then(),
        history=f"{_BEGUN} RunSignaled Task StartChildRunFailed Task",
    ),
    Trace(
        "child_cancel_before_started_wait",
        Given(),
        Sees(3, "init"),
        Does(child(1)),
        Then("child orders/1-c of 5"),
        Given(signal("stop")),
        Sees(8, "signal stop @6"),
        Does(cancel_child(1)),
        Then("cancel of 10"),
        Given(not_asked_to_end(10)),
        Then(),
        Given(child_started(5)),
        Sees(17, f"child start 1 succeeded {CHILD_RUN}"),
        Does(),
        Then(),
        history=f"{_BEGUN} RunSignaled Task RequestCancelExternalRunInitiated"
        " RequestCancelExternalRunFailed Task ChildRunStarted Task",
    ),
    Trace(
        "child_cancel_after_its_end",
        *_started(),
        Given(child_completed(5, "late")),
        Sees(12, 'child 1 completed "late"'),
        Does(cancel_child(1), complete("late")),
        Then(closed="COMPLETED"),
        history=f"{_RUNNING} ChildRunCompleted {_END}",
    ),
    Trace(
        "child_cancel_long_after_its_end",
        *_started(),
        Given(child_completed(5, "late")),
        Sees(12, 'child 1 completed "late"'),
        Does(timer(1, 1.0)),
        Then("timer 1 of 14 at 4"),
        Given(fired(1, started=14)),
        Sees(17, "timer 1"),
        Does(cancel_child(1), complete("late")),
        Then(closed="COMPLETED"),
        history=f"{_RUNNING} ChildRunCompleted Task TimerStarted TimerFired {_END}",
    ),
)


def _external(
    name: str,
    command: WorkflowCommand,
    answer: list[HistoryEvent],
    job: str,
    words: tuple[str, str, str],
) -> Trace:
    effect, sent, answered = words
    return Trace(
        name,
        Given(),
        Sees(3, "init"),
        Does(command),
        Then(f"{effect} of 5"),
        Given(answer),
        Sees(8, job),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history=f"RunStarted Task {sent} {answered} {_END}",
    )


_SIGNAL = ("signal", "SignalExternalRunInitiated", "ExternalRunSignaled")
_NO_SIGNAL = ("signal", "SignalExternalRunInitiated", "SignalExternalRunFailed")
_CANCEL = (
    "cancel",
    "RequestCancelExternalRunInitiated",
    "ExternalRunCancelRequested",
)
_NO_CANCEL = (
    "cancel",
    "RequestCancelExternalRunInitiated",
    "RequestCancelExternalRunFailed",
)


EXTERNAL = (
    _external(
        "signal_external_ok",
        signal_other(1, "s", "hi", headers={"h": 1}),
        signaled(5),
        "signalled 1",
        _SIGNAL,
    ),
    _external(
        "signal_external_notfound",
        signal_other(1, "s"),
        not_signaled(5),
        "signalled 1 failed 1: ExternalWorkflowExecutionNotFound"
        " 'Unable to signal external workflow because it was not found'",
        _NO_SIGNAL,
    ),
    _external(
        "signal_external_of_too_many",
        signal_other(1, "s"),
        not_signaled(5, "SIGNAL_COUNT_LIMIT_EXCEEDED"),
        "signalled 1 failed 3: SignalCountLimitExceeded 'Unable to signal external"
        " workflow because The per-workflow signal limit was exceeded'",
        _NO_SIGNAL,
    ),
    _external(
        "cancel_external_ok",
        cancel_other(1, "why"),
        asked_to_end(5),
        "asked to end 1",
        _CANCEL,
    ),
    _external(
        "cancel_external_notfound",
        cancel_other(1),
        not_asked_to_end(5),
        "asked to end 1 failed 1: ExternalWorkflowExecutionNotFound"
        " 'Unable to cancel external workflow because not found'",
        _NO_CANCEL,
    ),
    Trace(
        "signal_external_taken_back",
        Given(),
        Sees(3, "init"),
        Does(signal_other(1, "s"), cancel_signal(1), cancel_signal(1)),
        Sees(
            3, "signalled 1 failed 0: canceled 'Signal was cancelled before being sent'"
        ),
        Does(complete("done")),
        Then(closed="COMPLETED"),
        history="RunStarted Task RunCompleted",
    ),
    Trace(
        "signal_external_taken_back_too_late",
        Given(),
        Sees(3, "init"),
        Does(signal_other(1, "s")),
        Then("signal of 5"),
        Given(signal("stop")),
        Sees(8, "signal stop @6"),
        Does(cancel_signal(1)),
        Then(),
        Given(signaled(5)),
        Sees(12, "signalled 1"),
        Does(timer(1, 1.0)),
        Then("timer 1 of 14 at 4"),
        Given(fired(1, started=14)),
        Sees(17, "timer 1"),
        Does(cancel_signal(1), complete("done")),
        Then(closed="COMPLETED"),
        history="RunStarted Task SignalExternalRunInitiated RunSignaled Task"
        f" ExternalRunSignaled Task TimerStarted TimerFired {_END}",
    ),
)


def _without(command: WorkflowCommand, oneof: str, field: str) -> WorkflowCommand:
    getattr(command, oneof).ClearField(field)
    return command


def _refused(name: str, command: WorkflowCommand, text: str) -> Trace:
    return Trace(
        name,
        Given(),
        Sees(3, "init"),
        Does(command),
        Refused(
            "WORKFLOW_WORKER_UNHANDLED_FAILURE",
            f"Fatal error in workflow machines: {text}",
            "FATAL",
        ),
        history="RunStarted TaskScheduled TaskStarted TaskFailed",
    )


MALFORMED = (
    _refused(
        "raw_signal_no_target",
        _without(
            signal_other(1, "s"),
            "signal_external_workflow_execution",
            "workflow_execution",
        ),
        "Signal external workflow command had empty target field",
    ),
    _refused(
        "raw_cancel_no_target",
        _without(
            cancel_other(1),
            "request_cancel_external_workflow_execution",
            "workflow_execution",
        ),
        "Cancel external workflow command had no workflow_execution field",
    ),
)

TRACES = (*OUTCOMES, *CANCELLATIONS, *EXTERNAL, *MALFORMED)
