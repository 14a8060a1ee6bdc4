"""A schedule's life, moment by moment: it is made at zero and fires each minute."""

from collections.abc import Callable
from datetime import timedelta, timezone
from itertools import pairwise

import pytest
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import (
    BackfillRequest,
    Schedule,
    ScheduleInfo,
    SchedulePatch,
    ScheduleSpec,
    TriggerImmediatelyRequest,
)

from dbosify._model import clock
from dbosify._model.protos import (
    Failure,
    Payload,
    Payloads,
    WorkflowExecution,
    WorkflowExecutionStatus,
)
from dbosify._model.schedules.overlap import ALLOW_ALL, BUFFER_ALL, SKIP, Start
from dbosify._model.schedules.scheduler import Ended, Record, Scheduler, resolve
from dbosify._model.schedules.times import SECOND, Times, times_of
from tests.unit.model.schedules.test_spec import every

MINUTE = 60 * SECOND
WEEK = 7 * 86400 * SECOND

FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
TIMED_OUT = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT
COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED


def each_minute() -> Schedule:
    """A schedule that starts a workflow each minute."""
    schedule = Schedule(spec=ScheduleSpec(interval=[every(60)]))
    schedule.action.start_workflow.workflow_id = "action"
    resolve(schedule)
    return schedule


def times(schedule: Schedule) -> Times:
    """When it fires."""
    return times_of(schedule.spec, timezone.utc, "seed")


def record(change: Callable[[Schedule], object] = lambda _: None) -> Record:
    """A schedule that was made at zero."""
    schedule = each_minute()
    change(schedule)
    return Record("schedule", schedule, ScheduleInfo(create_time=clock.timestamp(0)))


def at(record: Record, now: int) -> Scheduler:
    """The schedule at some moment, its time taken."""
    scheduler = Scheduler(record, times(record.schedule), now)
    scheduler.pass_time()
    return scheduler


def run_alone(scheduler: Scheduler, run_id: str = "run") -> Start:
    """Take a round, start its one action that counts."""
    start = scheduler.next_round().alone
    assert start is not None
    assert scheduler.take(start)
    execution = WorkflowExecution(workflow_id=f"action-{start.nominal}", run_id=run_id)
    scheduler.started(start, execution, counts=True)
    return start


def minutes(starts: list[Start]) -> list[int]:
    """When starts were due."""
    return [start.at // MINUTE for start in starts]


def paused(schedule: Schedule) -> None:
    schedule.state.paused = True


def limited(schedule: Schedule) -> None:
    schedule.state.limited_actions = True
    schedule.state.remaining_actions = 2


def forgetful(schedule: Schedule) -> None:
    schedule.policies.catchup_window.FromTimedelta(timedelta(minutes=2))


def easily_scared(schedule: Schedule) -> None:
    schedule.policies.pause_on_failure = True


def without_action(schedule: Schedule) -> None:
    schedule.action.Clear()


def without_times(schedule: Schedule) -> None:
    schedule.spec.Clear()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(None, 365 * 86400), (-5, 10), (3, 10), (11, 11)]
)
def test_defaults_are_written_out(seconds: int | None, expected: int) -> None:
    schedule = Schedule()
    if seconds is not None:
        schedule.policies.catchup_window.seconds = seconds
    resolve(schedule)
    assert schedule.policies.catchup_window.seconds == expected
    assert schedule.policies.overlap_policy == SKIP
    assert schedule.HasField("spec")


def test_each_time_is_taken_once() -> None:
    schedule = record()
    assert minutes(at(schedule, 2 * MINUTE + 1).record.waiting) == [1, 2]
    assert schedule.processed == 2 * MINUTE
    at(schedule, 3 * MINUTE - 1)
    assert minutes(schedule.waiting) == [1, 2]


def test_time_never_runs_backwards() -> None:
    schedule = record()
    at(schedule, 3 * MINUTE)
    assert at(schedule, MINUTE).now == 3 * MINUTE


def test_times_that_pass_in_a_pause_are_gone() -> None:
    schedule = record(paused)
    at(schedule, 5 * MINUTE).patch(SchedulePatch(unpause="go on"))
    assert not schedule.schedule.state.paused
    assert schedule.schedule.state.notes == "go on"
    assert minutes(at(schedule, 6 * MINUTE).record.waiting) == [6]


def test_old_times_are_missed() -> None:
    schedule = record(forgetful)
    at(schedule, 10 * MINUTE)
    assert minutes(schedule.waiting) == [8, 9, 10]
    assert schedule.info.missed_catchup_window == 7


def test_times_before_an_update_are_left_out() -> None:
    schedule = record()
    scheduler = Scheduler(schedule, times(schedule.schedule), 3 * MINUTE + 1)
    replacement = each_minute()
    scheduler.update(replacement, times(replacement))
    assert schedule.conflict_token == 2
    assert scheduler.future(2) == [4 * MINUTE, 5 * MINUTE]
    assert minutes(at(schedule, 5 * MINUTE).record.waiting) == [4, 5]


def test_a_limit_counts_down_with_what_the_clock_starts_only() -> None:
    schedule = record(limited)
    scheduler = at(schedule, 5 * MINUTE)
    taken = [scheduler.take(start) for start in schedule.waiting]
    assert taken == [True, True, False, False, False]
    assert scheduler.take(Start(0, 0, 0, manual=True))
    assert schedule.schedule.state.remaining_actions == 0
    assert schedule.conflict_token == 3
    assert scheduler.future(10) == []


def test_a_limit_bounds_the_future() -> None:
    assert len(at(record(limited), 0).future(10)) == 2
    assert len(at(record(), 0).future(10)) == 10
    assert at(record(without_times), 0).future(10) == []


def test_the_future_of_a_paused_schedule_begins_now() -> None:
    assert at(record(paused), 5 * MINUTE).future(1) == [6 * MINUTE]


def test_a_trigger_acts_now_or_when_it_says() -> None:
    schedule = record(paused)
    scheduler = at(schedule, 7)
    assert not scheduler.is_fresh
    trigger = TriggerImmediatelyRequest()
    scheduler.patch(SchedulePatch(trigger_immediately=trigger))
    trigger.scheduled_time.CopyFrom(clock.timestamp(MINUTE))
    trigger.overlap_policy = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
    scheduler.patch(SchedulePatch(trigger_immediately=trigger))
    assert scheduler.is_fresh
    assert schedule.waiting == [
        Start(7, 7, 0, manual=True),
        Start(MINUTE, MINUTE, ALLOW_ALL, manual=True),
    ]


def test_pausing_leaves_a_note() -> None:
    schedule = record()
    at(schedule, 1).patch(SchedulePatch(pause="stop"))
    assert (schedule.schedule.state.paused, schedule.schedule.state.notes) == (
        True,
        "stop",
    )
    assert schedule.conflict_token == 2


def backfill(first: int, last: int, policy: int = ALLOW_ALL) -> SchedulePatch:
    """A request for the times of some minutes, both ends included."""
    return SchedulePatch(
        backfill_request=[
            BackfillRequest(
                start_time=clock.timestamp(first * MINUTE),
                end_time=clock.timestamp(last * MINUTE),
                overlap_policy=policy,  # type: ignore[arg-type]
            )
        ]
    )


def test_a_backfill_takes_ten_times_at_once() -> None:
    schedule = record(paused)
    now = 100 * MINUTE
    scheduler = at(schedule, now)
    scheduler.patch(backfill(1, 3))
    scheduler.patch(backfill(1, 12))
    scheduler.backfill()
    assert minutes(schedule.waiting) == [1, 2, 3, 1, 2, 3, 4, 5, 6, 7]
    assert scheduler.next_look() == now + SECOND
    assert scheduler.expiry() is None

    schedule.waiting.clear()
    scheduler.backfill()
    assert minutes(schedule.waiting) == [8, 9, 10, 11, 12]
    assert not schedule.backfills
    scheduler.backfill()
    assert len(schedule.waiting) == 5


def test_backfills_leave_half_of_the_room_to_others() -> None:
    schedule = record(paused)
    schedule.waiting = [Start(0, 0, BUFFER_ALL, manual=True)] * 500
    scheduler = at(schedule, MINUTE)
    scheduler.patch(backfill(1, 3))
    scheduler.backfill()
    assert len(schedule.waiting) == 500
    assert scheduler.next_look() is None


def test_what_finds_no_room_is_dropped() -> None:
    schedule = record()
    at(schedule, 1002 * MINUTE)
    assert len(schedule.waiting) == 1000
    assert schedule.info.buffer_dropped == 2

    schedule.backfills = [BackfillRequest()] * 1000
    at(schedule, 1002 * MINUTE).patch(backfill(1, 2))
    assert schedule.info.buffer_dropped == 3


def test_an_action_that_counts_is_running_until_it_ends() -> None:
    schedule = record()
    scheduler = at(schedule, MINUTE)
    start = run_alone(scheduler)
    assert not scheduler.is_fresh
    info = schedule.info
    assert info.action_count == 1
    (recent,) = info.recent_actions
    assert recent.schedule_time == clock.timestamp(start.at)
    assert recent.start_workflow_status == (
        WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
    )
    assert list(info.running_workflows) == [recent.start_workflow_result]

    scheduler = at(schedule, 3 * MINUTE)
    assert scheduler.next_round().alone is None
    assert info.overlap_skipped == 2
    scheduler.ended("something else", Ended(COMPLETED))
    assert info.running_workflows
    scheduler.ended(recent.start_workflow_result.workflow_id, Ended(COMPLETED))
    assert not info.running_workflows
    assert info.recent_actions[0].start_workflow_status == COMPLETED


def test_an_action_that_does_not_count_is_only_recorded() -> None:
    schedule = record()
    scheduler = at(schedule, 0)
    for number in range(12):
        start = Start(number, number, ALLOW_ALL, manual=True)
        execution = WorkflowExecution(workflow_id=str(number))
        scheduler.started(start, execution, counts=False)
    assert not schedule.info.running_workflows
    assert [
        recent.start_workflow_result.workflow_id
        for recent in schedule.info.recent_actions
    ] == [str(number) for number in range(2, 12)]


def test_results_and_failures_are_kept_for_the_next_action() -> None:
    schedule = record()
    scheduler = at(schedule, 0)
    result = Payloads(payloads=[Payload(data=b"1")])
    failure = Failure(message="oh no")
    scheduler.ended("x", Ended(FAILED, failure=failure))
    assert (schedule.last_result, schedule.last_failure) == (None, failure)
    scheduler.ended("x", Ended(COMPLETED, result=result))
    assert (schedule.last_result, schedule.last_failure) == (result, None)
    scheduler.ended("x", Ended(FAILED, failure=failure))
    scheduler.ended("x", Ended(TIMED_OUT))
    assert (schedule.last_result, schedule.last_failure) == (result, failure)


@pytest.mark.parametrize(
    ("ended", "notes"),
    [
        (
            Ended(FAILED, failure=Failure(message="oh no")),
            "paused due to workflow failure: x: oh no",
        ),
        (Ended(FAILED), "paused due to workflow failure: x: "),
        (Ended(TIMED_OUT), "paused due to workflow timeout: x"),
        (Ended(COMPLETED), ""),
    ],
)
def test_a_failure_may_pause_the_schedule(ended: Ended, notes: str) -> None:
    schedule = record(easily_scared)
    at(schedule, 0).ended("x", ended)
    assert schedule.schedule.state.paused == bool(notes)
    assert schedule.schedule.state.notes == notes
    assert schedule.conflict_token == 1 + bool(notes)


@pytest.mark.parametrize("change", [lambda _: None, easily_scared])
def test_a_failure_otherwise_changes_no_state(
    change: Callable[[Schedule], None],
) -> None:
    schedule = record(change)
    schedule.schedule.state.paused = change is easily_scared
    at(schedule, 0).ended("x", Ended(FAILED))
    assert schedule.schedule.state.notes == ""


def test_without_an_action_nothing_starts() -> None:
    schedule = record(without_action)
    scheduler = at(schedule, MINUTE)
    assert scheduler.next_round().alone is None
    assert not schedule.waiting


def test_the_next_look_is_at_the_next_time() -> None:
    assert at(record(), MINUTE).next_look() == 2 * MINUTE


def test_an_idle_schedule_is_forgotten_a_week_after_its_last_event() -> None:
    schedule = record(without_times)
    scheduler = at(schedule, MINUTE)
    assert scheduler.next_look() == scheduler.expiry() == WEEK
    scheduler.patch(SchedulePatch(trigger_immediately=TriggerImmediatelyRequest()))
    assert scheduler.expiry() is None
    run_alone(scheduler)
    assert scheduler.expiry() == WEEK + MINUTE
    scheduler.patch(SchedulePatch(pause="keep it"))
    assert scheduler.next_look() is None


def test_a_schedule_with_times_is_idle_only_without_actions_left() -> None:
    assert at(record(), 0).expiry() is None
    schedule = record(limited)
    schedule.schedule.state.remaining_actions = 0
    assert at(schedule, 0).next_look() == WEEK


def test_the_future_is_in_order() -> None:
    future = at(record(), 0).future(5)
    assert all(later - one == MINUTE for one, later in pairwise(future))
