"""Traces of updates: accepted, rejected, failed, in all company they come in."""

from __future__ import annotations

from dbosify._model.protos import UpdateRequest
from tests.unit.core.spelling import boom, payload
from tests.unit.core.traces.commands import (
    accept,
    activity,
    complete,
    finish,
    reject,
    timer,
    unanswering,
)
from tests.unit.core.traces.news import completed, fired, signal
from tests.unit.core.traces.script import (
    Breaks,
    Does,
    Given,
    Refused,
    Sees,
    Then,
    Trace,
)


def sent(update_id: str, name: str = "u", *args: object) -> UpdateRequest:
    """An update as its sender put it."""
    request = UpdateRequest()
    request.meta.update_id = update_id
    request.meta.identity = "client@there"
    request.input.name = name
    request.input.header.fields["trace"].CopyFrom(payload("t"))
    request.input.args.payloads.extend(payload(arg) for arg in args)
    return request


UNPROCESSED = (
    "UnprocessedUpdate 'Workflow Update is rejected because it wasn't processed by"
    " worker. Probably, Workflow Update is not supported by the worker.' for good"
)

TRACES = (
    Trace(
        "update_sync_and_activity",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1", "sync", "a")]),
        Sees(6, 'update u1 sync "a"'),
        Does(accept("u1"), finish("u1", "Sa")),
        Then("accept u1", 'complete u1 "Sa"'),
        Given(updates=[sent("u2", "act", "b")]),
        Sees(11, 'update u2 act "b"'),
        Does(accept("u2"), activity(1, "echo", "b")),
        Then("accept u2", "activity 14"),
        Given(completed(14, "echo-b")),
        Sees(18, 'activity 1 completed "echo-b"'),
        Does(finish("u2", "echo-b")),
        Then('complete u2 "echo-b"'),
        Given(signal("stop")),
        Sees(23, "signal stop @21"),
        Does(complete("ok")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Task UpdateAccepted UpdateCompleted Task"
        " UpdateAccepted ActivityScheduled ActivityStarted ActivityCompleted Task"
        " UpdateCompleted RunSignaled Task RunCompleted",
    ),
    Trace(
        "update_rejected",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1", "val", "bad")]),
        Sees(6, 'update u1 val "bad"'),
        Does(reject("u1", boom("bad value", kind="ValueError"))),
        Then("reject u1: ValueError 'bad value'"),
        Given(updates=[sent("u2", "val", "good")]),
        Sees(6, 'update u2 val "good"'),
        Does(accept("u2"), finish("u2", "good")),
        Then("accept u2", 'complete u2 "good"'),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(complete("ok")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Task UpdateAccepted UpdateCompleted RunSignaled Task"
        " RunCompleted",
    ),
    Trace(
        "update_failed",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1", "failing")]),
        Sees(6, "update u1 failing"),
        Does(accept("u1"), reject("u1", boom("upd failed", kind="UF"))),
        Then("accept u1", "fail u1: UF 'upd failed'"),
        Given(updates=[sent("u2", "unknown")]),
        Sees(11, "update u2 unknown"),
        Does(reject("u2", boom("not found", kind="RuntimeError"))),
        Then("reject u2: RuntimeError 'not found'"),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task Task UpdateAccepted UpdateCompleted RunSignaled Task"
        " RunCompleted",
    ),
    Trace(
        "update_with_start",
        Given(updates=[sent("u1", "sync", "a")]),
        Sees(3, "init", 'update u1 sync "a"'),
        Does(accept("u1"), finish("u1", "Sa")),
        Then("accept u1", 'complete u1 "Sa"'),
        Given(updates=[sent("u2", "sync", "b")]),
        Sees(8, 'update u2 sync "b"'),
        Does(accept("u2"), finish("u2", "Sb")),
        Then("accept u2", 'complete u2 "Sb"'),
        Given(signal("stop")),
        Sees(14, "signal stop @12"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task UpdateAccepted UpdateCompleted Task UpdateAccepted"
        " UpdateCompleted RunSignaled Task RunCompleted",
    ),
    Trace(
        "update_in_first_task",
        Given(signal("sig", "1"), updates=[sent("u1", "sync", "a")]),
        Sees(4, "init", 'signal sig "1" @3', 'update u1 sync "a"'),
        Does(accept("u1"), finish("u1", "Sa")),
        Then("accept u1", 'complete u1 "Sa"'),
        Given(signal("stop")),
        Sees(10, "signal stop @8"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted TaskScheduled RunSignaled TaskStarted TaskCompleted"
        " UpdateAccepted UpdateCompleted RunSignaled Task RunCompleted",
    ),
    Trace(
        "update_concurrent",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(signal("sig", "x"), updates=[sent("u2", "act", "2")]),
        Sees(7, 'signal sig "x" @5', 'update u2 act "2"'),
        Does(accept("u2"), activity(1, "echo", "2")),
        Then("accept u2", "activity 10"),
        Given(updates=[sent("u1", "act", "1"), sent("u3", "sync", "3")]),
        Sees(12, 'update u1 act "1"', 'update u3 sync "3"'),
        Does(accept("u1"), activity(2, "echo", "1"), accept("u3"), finish("u3", "S3")),
        Then("accept u1", "activity 15", "accept u3", 'complete u3 "S3"'),
        Given(completed(10, "echo-2")),
        Sees(21, 'activity 1 completed "echo-2"'),
        Does(finish("u2", "echo-2")),
        Then('complete u2 "echo-2"'),
        Given(completed(15, "echo-1")),
        Sees(27, 'activity 2 completed "echo-1"'),
        Does(finish("u1", "echo-1")),
        Then('complete u1 "echo-1"'),
        history="RunStarted Task RunSignaled Task UpdateAccepted ActivityScheduled Task"
        " UpdateAccepted ActivityScheduled UpdateAccepted UpdateCompleted"
        " ActivityStarted ActivityCompleted Task UpdateCompleted ActivityStarted"
        " ActivityCompleted Task UpdateCompleted",
    ),
    Trace(
        "update_completes_workflow",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1", "finish")]),
        Sees(6, "update u1 finish"),
        Does(accept("u1"), finish("u1", "fin"), complete("ok")),
        Then("accept u1", 'complete u1 "fin"', closed="COMPLETED"),
        history="RunStarted Task Task UpdateAccepted UpdateCompleted RunCompleted",
    ),
    Trace(
        "update_answered_after_the_run_has_returned",
        Given(updates=[sent("u1")]),
        Sees(3, "init", "update u1 u"),
        Does(accept("u1"), complete("ok"), finish("u1", "late")),
        Then("accept u1", 'complete u1 "late"', closed="COMPLETED"),
        history="RunStarted Task UpdateAccepted UpdateCompleted RunCompleted",
    ),
    Trace(
        "update_unfinished_at_completion",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1", "never")]),
        Sees(6, "update u1 never"),
        Does(accept("u1"), timer(1, 10000)),
        Then("accept u1", "timer 1 of 9 at 10002"),
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(complete("ok")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Task UpdateAccepted TimerStarted RunSignaled Task"
        " RunCompleted",
    ),
    Trace(
        "update_same_id_twice",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1", "sync", "a")]),
        Sees(6, 'update u1 sync "a"'),
        Does(accept("u1"), finish("u1", "Sa")),
        Then("accept u1", 'complete u1 "Sa"'),
        # The service knows the answer of the second.
        Given(signal("stop")),
        Sees(12, "signal stop @10"),
        Does(complete("run-start,sync-a")),
        Then(closed="COMPLETED"),
        history="RunStarted Task Task UpdateAccepted UpdateCompleted RunSignaled Task"
        " RunCompleted",
    ),
    Trace(
        "raw_update_ignored",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1")]),
        Sees(6, "update u1 u"),
        Does(),
        Then(f"reject u1: {UNPROCESSED}"),
        Given(signal("stop")),
        Sees(7, "signal stop @5"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task RunSignaled Task RunCompleted",
    ),
    Trace(
        "raw_update_complete_without_accept",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1")]),
        Sees(6, "update u1 u"),
        Does(finish("u1", 1)),
        Refused(
            "NON_DETERMINISTIC_ERROR",
            "[TMPRL1100] Nondeterminism error: Invalid transition while handling update"
            " response (id u1) in state RequestInitiated",
            "NONDETERMINISM",
        ),
        Given(updates=[sent("u1")]),
        Sees(9, "update u1 u"),
        Does(accept("u1"), finish("u1", 1)),
        Then("accept u1", "complete u1 1"),
        history="RunStarted Task TaskScheduled TaskStarted TaskFailed Task"
        " UpdateAccepted UpdateCompleted",
    ),
    Trace(
        "raw_update_response_unknown",
        Given(),
        Sees(3, "init"),
        Does(accept("nope")),
        Refused(
            "WORKFLOW_WORKER_UNHANDLED_FAILURE",
            "Fatal error in workflow machines: Missing associated machine for protocol"
            " message nope",
            "FATAL",
        ),
        Given(),
        Sees(6, "init"),
        Does(),
        Then(),
        history="RunStarted TaskScheduled TaskStarted TaskFailed Task",
    ),
    Trace(
        "an_empty_answer_to_an_update_is_fatal",
        Given(updates=[sent("u1")]),
        Sees(3, "init", "update u1 u"),
        Does(unanswering("u1")),
        Refused(
            "WORKFLOW_WORKER_UNHANDLED_FAILURE",
            "Fatal error in workflow machines: Update response for update u1 had an"
            " empty result, this is a lang layer bug.",
            "FATAL",
        ),
        history="RunStarted TaskScheduled TaskStarted TaskFailed",
    ),
    Trace(
        "an_update_is_sent_again_after_a_failed_task",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(updates=[sent("u1")]),
        Sees(6, "update u1 u"),
        Breaks("oops"),
        Refused("WORKFLOW_WORKER_UNHANDLED_FAILURE", "oops", "LANG_FAIL"),
        Given(updates=[sent("u1")]),
        Sees(9, "update u1 u"),
        Does(reject("u1", boom("no"))),
        Then("reject u1: error 'no'"),
        Given(updates=[sent("u1")]),
        Sees(9, "update u1 u"),
        Does(accept("u1"), finish("u1", "yes")),
        Then("accept u1", 'complete u1 "yes"'),
        history="RunStarted Task TaskScheduled TaskStarted TaskFailed Task"
        " UpdateAccepted UpdateCompleted",
    ),
    Trace(
        "a_rejection_beside_news_leaves_only_the_task",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(signal("s"), updates=[sent("u1"), sent("u2")]),
        Sees(7, "signal s @5", "update u1 u", "update u2 u"),
        Does(reject("u1", boom("no")), accept("u2"), finish("u2", 2)),
        Then("accept u2", "complete u2 2", "reject u1: error 'no'"),
        history="RunStarted Task RunSignaled Task UpdateAccepted UpdateCompleted",
    ),
)

REJECTED_WITH_COMMAND = Trace(
    "raw_update_rejected_with_command",
    Given(),
    Sees(3, "init"),
    Does(),
    Then(),
    Given(updates=[sent("u1")]),
    Sees(6, "update u1 u"),
    Does(reject("u1", boom("no")), timer(1, 1)),
    Then("timer 1 of 8 at 3", "reject u1: error 'no'"),
    Given(fired(1, started=8)),
    Sees(11, "timer 1"),
    Does(),
    Then(),
    history="RunStarted Task Task TimerStarted TimerFired Task",
)
"""No code could be rebuilt to this: what gave the command is not shown again."""
