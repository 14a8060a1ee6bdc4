"""Traces of workflow tasks: their failures, evictions, queries, patches and ends."""

from __future__ import annotations

from tests.unit.core.spelling import at, beginning, boom, retry_policy, start
from tests.unit.core.traces.commands import (
    activity,
    cancel_activity,
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

_LANG = ("WORKFLOW_WORKER_UNHANDLED_FAILURE", "bug in code", "LANG_FAIL")
_FAILED_ONCE = (
    "RunStarted TaskScheduled TaskStarted TaskFailed TaskScheduled TaskStarted"
)

FAILURES = (
    Trace(
        "wft_failure_first",
        Given(),
        Sees(3, "init"),
        Breaks("bug in code"),
        Refused(*_LANG),
        Given(),
        Sees(6, "init"),
        Breaks("bug in code"),
        Refused(*_LANG, reported=False),
        Given(attempt=3),
        Sees(6, "init"),
        Does(complete("recovered")),
        Then(closed="COMPLETED"),
        history=f"{_FAILED_ONCE} TaskCompleted RunCompleted".replace(
            "TaskScheduled TaskStarted TaskCompleted", "Task"
        ),
    ),
    Trace(
        "wft_failure_later_then_signalless",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.1)),
        Then("timer 1 of 5 at 1.1"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Breaks("bug in code"),
        Refused(*_LANG),
        Given(),
        Sees(11, "timer 1"),
        Does(complete("recovered")),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired TaskScheduled TaskStarted"
        " TaskFailed Task RunCompleted",
    ),
    Trace(
        "a_task_that_failed_knows_more_the_next_time",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.1)),
        Then("timer 1 of 5 at 1.1"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1"),
        Breaks("bug in code"),
        Refused(*_LANG),
        Given(signal("s")),
        Sees(12, "signal s @10", "timer 1"),
        Does(complete("recovered")),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired TaskScheduled TaskStarted"
        " TaskFailed RunSignaled Task RunCompleted",
    ),
    Trace(
        "raw_force_cause",
        Given(),
        Sees(3, "init"),
        Breaks("forced", "NON_DETERMINISTIC_ERROR"),
        Refused("NON_DETERMINISTIC_ERROR", "forced", "LANG_FAIL"),
        Given(),
        Sees(6, "init"),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted TaskScheduled TaskStarted TaskFailed Task RunCompleted",
    ),
    *(
        Trace(
            name,
            Given(),
            Sees(3, "init"),
            Does(*commands),
            Refused(cause, text, eviction),
            Given(),
            Sees(6, "init"),
            Does(),
            Then(),
            history="RunStarted TaskScheduled TaskStarted TaskFailed Task",
        )
        for name, commands, cause, text, eviction in (
            (
                "raw_same_timer_seq",
                [timer(1, 0.1), timer(1, 100)],
                "START_TIMER_DUPLICATE_ID",
                "StartTimerDuplicateId: invalid history builder state for action:"
                " add-timer-started-event, TimerID: 1",
                "FATAL",
            ),
            (
                "raw_duplicate_activity_id",
                [activity(1, activity_id="same"), activity(2, activity_id="same")],
                "SCHEDULE_ACTIVITY_DUPLICATE_ID",
                "ScheduleActivityDuplicateId: invalid history builder state for action:"
                " add-activitytask-scheduled-event, ActivityID: same",
                "FATAL",
            ),
            (
                "raw_activity_no_timeout",
                [activity(1, "x", start_to_close=0)],
                "BAD_SCHEDULE_ACTIVITY_ATTRIBUTES",
                "BadScheduleActivityAttributes: a valid StartToCloseTimeout or"
                " ScheduleToCloseTimeout must be set on the activity. ActivityId=1"
                " ActivityType=x",
                "FATAL",
            ),
            (
                "raw_cancel_unknown_timer",
                [cancel_timer(5)],
                "NON_DETERMINISTIC_ERROR",
                "[TMPRL1100] Nondeterminism error: Missing associated machine for"
                " Timer(5)",
                "NONDETERMINISM",
            ),
            (
                "raw_cancel_unknown_activity",
                [cancel_activity(5)],
                "NON_DETERMINISTIC_ERROR",
                "[TMPRL1100] Nondeterminism error: Missing associated machine for"
                " Activity(5)",
                "NONDETERMINISM",
            ),
        )
    ),
)

EVICTIONS = (
    Trace(
        "worker_restart",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Given(signal("a", "1")),
        Sees(7, 'signal a "1" @5'),
        Does(),
        Then(),
        Dropped(),
        Given(signal("fin")),
        Sees(11, "signal fin @9"),
        Does(complete(["run", "a1", "A1"])),
        Then(closed="COMPLETED"),
        history="RunStarted Task RunSignaled Task RunSignaled Task RunCompleted",
    ),
    Trace(
        "raw_lang_flags",
        Given(),
        Sees(3, "init"),
        Does(timer(1, 0.1), flags=[1, 7]),
        Then("timer 1 of 5 at 1.1"),
        Given(fired(1, started=5)),
        Sees(8, "timer 1", flags=[1, 7]),
        Does(timer(2, 0.1), flags=[7, 9]),
        Then("timer 2 of 10 at 2.1"),
        Dropped(),
        Given(fired(2, started=10)),
        Sees(13, "timer 2", flags=[1, 7, 9]),
        Does(complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task TimerStarted TimerFired Task TimerStarted TimerFired"
        " Task RunCompleted",
    ),
)

QUERIES = (
    Trace(
        "query_running",
        Given(),
        Sees(3, "init"),
        Does(),
        Then(),
        Asks(3, ["run-start"]),
        Asks(3, ["run-start"]),
        Given(signal("stop")),
        Sees(7, "signal stop @5"),
        Does(complete("run-start")),
        Then(closed="COMPLETED"),
        Dropped(),
        Asks(9, ["run-start"]),
        history="RunStarted Task RunSignaled Task RunCompleted",
    ),
    Trace(
        "query_with_pending_task",
        Given(signal("s")),
        Sees(4, "init", "signal s @3"),
        Does(activity(1, "slow", 0.5)),
        Then("activity 6"),
        Asks(4, 0),
        Given(completed(6, "slow-done")),
        Sees(10, 'activity 1 completed "slow-done"'),
        Does(activity(2, "slow", 0.5)),
        Then("activity 12"),
        Asks(10, 1),
        Asks(10, 1),
        Given(signal("s"), signal("s")),
        Sees(16, "signal s @13", "signal s @14"),
        Does(),
        Then(),
        Asks(16, 1),
        Given(completed(12, "slow-done")),
        Sees(21, 'activity 2 completed "slow-done"'),
        Does(complete(3)),
        Then(closed="COMPLETED"),
        Dropped(),
        Asks(23, 3),
        history="RunStarted TaskScheduled RunSignaled TaskStarted TaskCompleted"
        " ActivityScheduled ActivityStarted ActivityCompleted Task ActivityScheduled"
        " RunSignaled RunSignaled Task ActivityStarted ActivityCompleted Task"
        " RunCompleted",
    ),
)


PATCHED = Trace(
    "patch",
    Given(),
    Sees(3, "init", patches=["p1"]),
    Does(patched("p1"), timer(1, 0.1)),
    Then('attributes TemporalChangeVersion=["p1"]', "timer 1 of 7 at 1.1"),
    Given(fired(1, started=7)),
    Sees(10, "timer 1", patches=["p2"]),
    Does(patched("p2"), timer(2, 0.1)),
    Then('attributes TemporalChangeVersion=["p1","p2"]', "timer 2 of 14 at 2.1"),
    Given(fired(2, started=14)),
    Sees(17, "timer 2"),
    Does(complete("TrueTrueTrue")),
    Then(closed="COMPLETED"),
    history="RunStarted Task Marker Upserted TimerStarted TimerFired Task Marker"
    " Upserted TimerStarted TimerFired Task RunCompleted",
)

DEPRECATED = Trace(
    "patch_deprecated",
    Given(),
    Sees(3, "init", patches=["p1"]),
    Does(deprecated("p1"), timer(1, 0.1)),
    Then('attributes TemporalChangeVersion=["p1"]', "timer 1 of 7 at 1.1"),
    Given(fired(1, started=7)),
    Sees(10, "timer 1", patches=["p2"]),
    Does(deprecated("p2"), timer(2, 0.1)),
    Then('attributes TemporalChangeVersion=["p1","p2"]', "timer 2 of 14 at 2.1"),
    Given(fired(2, started=14)),
    Sees(17, "timer 2"),
    Does(complete("v3")),
    Then(closed="COMPLETED"),
    history="RunStarted Task Marker Upserted TimerStarted TimerFired Task Marker"
    " Upserted TimerStarted TimerFired Task RunCompleted",
)

PATCHES = (
    PATCHED,
    DEPRECATED,
    Trace(
        "raw_patch_twice",
        Given(),
        Sees(3, "init", patches=["p"]),
        Does(patched("p"), deprecated("p"), timer(1, 0.1)),
        Then('attributes TemporalChangeVersion=["p"]', "timer 1 of 7 at 1.1"),
        Given(fired(1, started=7)),
        Sees(10, "timer 1"),
        Does(patched("p"), complete()),
        Then(closed="COMPLETED"),
        history="RunStarted Task Marker Upserted TimerStarted TimerFired Task"
        " RunCompleted",
    ),
    Trace(
        "two_patches_in_one_task",
        Given(signal("s")),
        Sees(4, "init", "signal s @3", patches=["p2", "p1"]),
        Does(patched("p2"), deprecated("p1"), timer(1, 0.1)),
        Then(
            'attributes TemporalChangeVersion=["p2"]',
            'attributes TemporalChangeVersion=["p1","p2"]',
            "timer 1 of 10 at 1.1",
        ),
        history="RunStarted TaskScheduled RunSignaled TaskStarted TaskCompleted Marker"
        " Upserted Marker Upserted TimerStarted",
    ),
    Trace(
        "raw_patch_after_the_end",
        Given(),
        Sees(3, "init", patches=["p"]),
        Does(complete(), patched("p")),
        Then('attributes TemporalChangeVersion=["p"]', closed="COMPLETED"),
        history="RunStarted Task Marker Upserted RunCompleted",
    ),
)

ENDS = (
    Trace(
        "raw_commands_after_terminal",
        Given(),
        Sees(3, "init"),
        Does(complete("first"), timer(1, 10), fail(boom("second")), activity(1, "x")),
        Then("timer 1 of 5 at 11", "activity 6", closed="COMPLETED"),
        history="RunStarted Task TimerStarted ActivityScheduled RunCompleted",
    ),
    Trace(
        "raw_timer_after_the_end_that_takes_itself_back",
        Given(),
        Sees(3, "init"),
        Does(complete(), timer(1, 10), cancel_timer(1)),
        Then(closed="COMPLETED"),
        history="RunStarted Task RunCompleted",
    ),
    Trace(
        "continue_as_new",
        Given(),
        Sees(3, "init"),
        Does(memo(m=1), continue_as_new(1)),
        Then("memo m=1", closed="CONTINUED_AS_NEW"),
        history="RunStarted Task MemoModified RunContinuedAsNew",
    ),
    Trace(
        "attrs_and_can",
        Given(),
        Sees(3, "init"),
        Does(upsert(CustomKw="v1"), memo(k=0, gone=None), timer(1, 0.05)),
        Then('attributes CustomKw="v1"', "memo gone=null k=0", "timer 1 of 7 at 1.05"),
        Given(fired(1, started=7)),
        Sees(10, "timer 1"),
        Does(continue_as_new(0)),
        Then(closed="CONTINUED_AS_NEW"),
        history="RunStarted Task Upserted MemoModified TimerStarted TimerFired Task"
        " RunContinuedAsNew",
    ),
    Trace(
        "wf_retry",
        Given(),
        Sees(3, "init"),
        Does(fail(boom("a1"))),
        Then(closed="FAILED"),
        first=beginning(start(retry_policy=retry_policy(attempts=3))),
        history="RunStarted Task RunFailed",
    ),
    Trace(
        "start_delay",
        Given(),
        Sees(4, "init", "signal s @2"),
        Does(complete()),
        Then(closed="COMPLETED"),
        # The task begins when the delay is over, or when a signal cuts it short.
        first=[
            beginning()[0],
            *(
                type(event)(
                    event_id=2,
                    event_time=at(0.5),
                    event_type=event.event_type,
                    workflow_execution_signaled_event_attributes=(
                        event.workflow_execution_signaled_event_attributes
                    ),
                )
                for event in signal("s")
            ),
        ],
        history="RunStarted RunSignaled Task RunCompleted",
    ),
)

TRACES = (*FAILURES, *EVICTIONS, *QUERIES, *PATCHES, *ENDS)
