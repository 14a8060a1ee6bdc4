"""Traces of runs that are rebuilt on their way, and of workers that take their time."""

from __future__ import annotations

from tests.unit.core.spelling import beginning, boom, start
from tests.unit.core.traces.commands import (
    accept,
    activity,
    cancel_timer,
    complete,
    fail,
    finish,
    timer,
)
from tests.unit.core.traces.news import completed, fired, signal
from tests.unit.core.traces.script import (
    Asks,
    Breaks,
    Does,
    Dropped,
    Given,
    Refused,
    Sees,
    Then,
    Trace,
)
from tests.unit.core.traces.updates import sent

_UNHANDLED = "WORKFLOW_WORKER_UNHANDLED_FAILURE"
_STUCK = (
    "[TMPRL1101] Potential deadlock detected: workflow didn't yield within 2 second(s)."
)
_UNKNOWN = (
    "Workflow class NoSuchWf is not registered on this worker, available workflows:"
    " FailTask"
)
_METADATA = {"definition": {"type": "Flag2Wf"}}

BROKEN = (
    Trace(
        "deadlock",
        Given(),
        Sees(3, "init"),
        Breaks(_STUCK),
        Refused(_UNHANDLED, _STUCK, "LANG_FAIL"),
        Given(),
        Sees(6, "init"),
        Does(complete("ok")),
        Then(closed="COMPLETED"),
        history="RunStarted TaskScheduled TaskStarted TaskFailed Task RunCompleted",
    ),
    Trace(
        "wf_not_registered",
        Given(),
        Sees(3, "init"),
        Breaks(_UNKNOWN),
        Refused(_UNHANDLED, _UNKNOWN, "LANG_FAIL"),
        Given(),
        Sees(6, "init"),
        Breaks(_UNKNOWN),
        Refused(_UNHANDLED, _UNKNOWN, "LANG_FAIL", reported=False),
        history="RunStarted TaskScheduled TaskStarted TaskFailed",
    ),
    Trace(
        "wf_failure_exception_types",
        Given(),
        Sees(3, "init"),
        Does(fail(boom("v", kind="ValueError"))),
        Then(closed="FAILED"),
        history="RunStarted Task RunFailed",
    ),
)


TOO_BIG = (
    Trace(
        "raw_large_payload",
        Given(),
        Sees(3, "init"),
        Does(complete("x" * 3 * 1024 * 1024)),
        Refused(
            "PAYLOADS_TOO_LARGE",
            "[TMPRL1103] Attempted to upload payloads with size that exceeded the error"
            " limit.",
            "FATAL",
        ),
        Given(),
        Sees(6, "init"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted TaskScheduled TaskStarted TaskFailed Task RunCompleted",
    ),
)


def _evicted(name: str, *before: Given | Sees | Does | Then | Dropped) -> Trace:
    """A run that is forgotten between its tasks, and then told to finish."""
    signaled = " RunSignaled Task" if before else ""
    first = 9 if before else 5
    return Trace(
        name,
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Dropped(),
        *before,
        Given(signal("fin")),
        Sees(first + 2, f"signal fin @{first}"),
        Does(complete("run")),
        Then(closed="COMPLETED"),
        history=f"RunStarted Task{signaled} RunSignaled Task RunCompleted",
    )


EVICTED = (
    _evicted("eviction_on_lang_request"),
    _evicted(
        "cache_eviction",
        Given(signal("a", "1")),
        Sees(7, 'signal a "1" @5'),
        Does(),
        Then(),
        Dropped(),
    ),
    # Core shows the update together with the start: it is not given a task that
    # brought nothing. Replaying, it shows what is shown here.
    Trace(
        "query_uncached",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Dropped(),
        Given(updates=[sent("u1", "sync", "a")]),
        Sees(6, 'update u1 sync "a"'),
        Does(accept("u1"), finish("u1", "Sa")),
        Then("accept u1", 'complete u1 "Sa"'),
        Dropped(),
        Asks(6, ["run-start", "sync-a"]),
        Dropped(),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(complete("run-start,sync-a")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Task UpdateAccepted UpdateCompleted RunSignaled Task"
        " RunCompleted",
    ),
    Trace(
        "query_many_pending",
        Given(signal("sig", "a")),
        Sees(4, "init", 'signal sig "a" @3'),
        Does(timer(1, 5)),
        Then("timer 1 of 6 at 6"),
        Asks(4, _METADATA),
        Asks(4, _METADATA),
        Asks(4, _METADATA),
        Given(signal("sig", "b")),
        Sees(9, 'signal sig "b" @7'),
        Does(cancel_timer(1), complete(["siga", "SIGa", "run", "sigb", "SIGb"])),
        Then("cancel timer 1", closed="COMPLETED"),
        history="RunStarted TaskScheduled RunSignaled TaskStarted TaskCompleted"
        " TimerStarted RunSignaled Task TimerCanceled RunCompleted",
    ),
    Trace(
        "shutdown_during_wft",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.01)),
        Then("timer 1 of 5 at 1.01"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(timer(2, 0.05)),
        Then("timer 2 of 10 at 2.05"),
        Dropped(),
        Given(fired(2, started=10)),
        Sees(13, "timer 2"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired Task TimerStarted TimerFired"
        " Task RunCompleted",
    ),
    Trace(
        "eager_workflow_start",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.1)),
        Then("timer 1 of 5 at 1.1"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Does(complete("x")),
        Then(closed="COMPLETED"),
        first=beginning(start(eager_execution_accepted=True)),
        history="RunStarted Task TimerStarted TimerFired Task RunCompleted",
    ),
    # Whoever closes the run tells the sender of the update that it came too late.
    Trace(
        "raw_update_during_completing_task",
        Given(),
        Sees(3, "init"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task RunCompleted",
    ),
)


def _one_by_one(name: str, order: list[int]) -> Trace:
    """Activities that are all wanted at once, and come back one after the other."""
    total = len(order)
    steps: list[Given | Sees | Does | Then] = [
        Given(),
        Sees(3, "init"),
        Does(*(activity(seq, "slow", 0.05) for seq in range(1, total + 1))),
        Then(*(f"activity {4 + seq}" for seq in range(1, total + 1))),
    ]
    for number, seq in enumerate(order, start=1):
        steps += [
            Given(completed(4 + seq, "slow-done")),
            Sees(4 + total + 5 * number - 1, f'activity {seq} completed "slow-done"'),
        ]
        last = number == total
        steps += [
            Does(*([complete(total)] if last else [])),
            Then(closed="COMPLETED" if last else ""),
        ]
    scheduled = " ActivityScheduled" * total
    ended = " ActivityStarted ActivityCompleted Task" * total
    return Trace(
        name, *steps, history=f"RunStarted Task{scheduled}{ended} RunCompleted"
    )


UNHURRIED = (
    _one_by_one("act_rate_limit", [4, 3, 2, 1]),
    _one_by_one("act_slots", [1, 2, 3]),
)

TRACES = (*BROKEN, *TOO_BIG, *EVICTED, *UNHURRIED)
