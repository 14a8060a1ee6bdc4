"""The service's contract of schedules at work: what they start, end and remember."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from dbosify.api.common.v1 import Payload, Payloads, WorkflowType
from dbosify.api.enums.v1 import WorkflowExecutionStatus
from dbosify.api.schedule.v1 import (
    Schedule,
    ScheduleAction,
    ScheduleInfo,
    SchedulePatch,
    SchedulePolicies,
    ScheduleState,
)
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.client import Client, ScheduleOverlapPolicy, WorkflowHandle
from dbosify.worker import Worker
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    ContinueAsNew,
    Fail,
    Result,
    Script,
)
from tests.ported_temporal.scaffold import assert_eventually, events_of
from tests.ported_temporal.schedule_calls import utc
from tests.ported_temporal.schedule_requests import (
    ALLOW_ALL,
    BUFFER_ALL,
    BUFFER_ONE,
    CANCEL_OTHER,
    PAUSED,
    SKIP,
    TERMINATE_OTHER,
    a_schedule,
    an_action,
    backfill,
    created,
    delete,
    describe,
    each_second,
    patch,
    trigger,
    update,
)

pytestmark = pytest.mark.needs("schedules")

BUFFERING = SchedulePolicies(overlap_policy=BUFFER_ALL.value)  # type: ignore[arg-type]

UNTIL_SIGNALLED = Script([Action(await_signal=AwaitSignal("end"))])

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
TERMINATED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED
CANCELED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED


def kitchen_sink(worker: Worker, script: Script, **fields: Any) -> ScheduleAction:
    """An action that starts a kitchen sink."""
    convert = worker.client.data_converter.payload_converter
    return an_action(
        workflow_type=WorkflowType(name="kitchen_sink"),
        task_queue=TaskQueue(name=worker.task_queue),
        input=Payloads(payloads=convert.to_payloads([script])),
        **fields,
    )


class Triggered:
    """A schedule that is triggered again and again, each time for another moment."""

    def __init__(self, client: Client, schedule_id: str) -> None:
        """Trigger nothing yet."""
        self.client = client
        self.id = schedule_id
        self._moments = (utc(2026, 1, 1) + timedelta(hours=n) for n in count())

    async def trigger(self, policy: ScheduleOverlapPolicy | None = None) -> datetime:
        """Trigger the action; give the moment that it is for."""
        moment = next(self._moments)
        await patch(self.client, self.id, trigger(policy, moment))
        return moment

    async def info(self) -> ScheduleInfo:
        """What there is to tell about it."""
        return (await describe(self.client, self.id)).info

    async def until(self, check: Callable[[ScheduleInfo], bool]) -> ScheduleInfo:
        """Wait until something is true of it."""

        async def true() -> ScheduleInfo:
            info = await self.info()
            assert check(info), info
            return info

        return await assert_eventually(true)

    async def acted(self, count: int) -> ScheduleInfo:
        """Wait until it has acted so many times."""
        return await self.until(lambda info: info.action_count == count)

    async def waiting(self, count: int) -> ScheduleInfo:
        """Wait until so many starts wait."""
        return await self.until(lambda info: info.buffer_size == count)

    async def updated(self, schedule: Schedule) -> None:
        """Update it and wait until that has happened."""
        before = (await self.info()).update_time
        await update(self.client, self.id, schedule)
        await self.until(lambda info: info.update_time != before)

    async def handle(self, number: int) -> WorkflowHandle[Any, Any]:
        """The workflow of one of the recent actions."""
        recent = (await self.info()).recent_actions[number].start_workflow_result
        return self.client.get_workflow_handle(recent.workflow_id, run_id=recent.run_id)

    async def end(self) -> None:
        """Delete it and terminate what it started."""
        info = await self.info()
        await delete(self.client, self.id)
        for recent in info.recent_actions:
            started = recent.start_workflow_result
            handle = self.client.get_workflow_handle(started.workflow_id)
            if (await handle.describe()).close_time is None:
                await handle.terminate()


async def triggered(
    client: Client, worker: Worker, script: Script = UNTIL_SIGNALLED, **fields: Any
) -> Triggered:
    """A schedule of kitchen sinks that has no times."""
    schedule = a_schedule(action=kitchen_sink(worker, script), **fields)
    return Triggered(client, await created(client, schedule))


def statuses(info: ScheduleInfo) -> list[int]:
    """How the recent actions stand, as far as the schedule has noticed."""
    return [recent.start_workflow_status for recent in info.recent_actions]


async def test_a_schedule_acts_each_time_until_its_limit(
    client: Client, worker: Worker
) -> None:
    done = Script([Action(result=Result("done"))])
    action = kitchen_sink(worker, done)
    action.start_workflow.user_metadata.summary.CopyFrom(Payload(data=b"summary"))
    action.start_workflow.memo.fields["a"].data = b"memo"
    state = ScheduleState(limited_actions=True, remaining_actions=2)
    schedule = each_second(ALLOW_ALL, action=action, state=state)
    acting = Triggered(client, await created(client, schedule))
    info = await acting.acted(2)

    described = await describe(client, acting.id)
    assert described.schedule.state == ScheduleState(limited_actions=True)
    assert described.conflict_token == bytes(7) + b"\3"
    assert not described.info.future_action_times
    first, second = info.recent_actions
    moments = [each.schedule_time.ToDatetime() for each in (first, second)]
    assert moments[1] - moments[0] == timedelta(seconds=1)
    for recent, moment in zip((first, second), moments, strict=True):
        name = f"{action.start_workflow.workflow_id}-{moment:%Y-%m-%dT%H:%M:%SZ}"
        assert recent.start_workflow_result.workflow_id == name
        assert recent.actual_time.ToDatetime() >= moment
        assert recent.start_workflow_status == RUNNING

    handle = await acting.handle(0)
    assert await handle.result() == "done"
    event = (await events_of(handle))[0]
    assert event.user_metadata.summary.data == b"summary"
    started = event.workflow_execution_started_event_attributes
    assert started.identity == f"temporal-scheduler-{client.namespace}-{acting.id}"
    assert started.memo.fields["a"].data == b"memo"
    assert {
        name: (payload.metadata["type"], payload.data)
        for name, payload in started.search_attributes.indexed_fields.items()
    } == {
        "TemporalScheduledById": (b"Keyword", f'"{acting.id}"'.encode()),
        "TemporalScheduledStartTime": (
            b"Datetime",
            f'"{moments[0]:%Y-%m-%dT%H:%M:%SZ}"'.encode(),
        ),
    }
    assert not started.HasField("last_completion_result")
    await acting.end()


async def test_one_time_after_another_is_skipped_while_an_action_runs(
    client: Client, worker: Worker
) -> None:
    schedule = each_second(SKIP, action=kitchen_sink(worker, UNTIL_SIGNALLED))
    acting = Triggered(client, await created(client, schedule))
    info = await acting.until(lambda info: info.overlap_skipped >= 2)
    assert info.action_count == 1
    assert len(info.running_workflows) == 1
    await acting.end()


async def test_times_that_pass_in_a_pause_are_not_made_up(client: Client) -> None:
    schedule_id = await created(client, each_second(ALLOW_ALL, state=PAUSED))

    async def a_second_has_passed() -> None:
        described = await describe(client, schedule_id)
        now = described.info.future_action_times[0].ToDatetime()
        made = described.info.create_time.ToDatetime()
        assert now - made > timedelta(seconds=0)

    await assert_eventually(a_second_has_passed)
    info = (await describe(client, schedule_id)).info
    assert info.action_count == info.missed_catchup_window == 0
    await delete(client, schedule_id)


async def test_starts_that_are_skipped_are_counted(
    client: Client, worker: Worker
) -> None:
    acting = await triggered(client, worker)
    await acting.trigger()
    await acting.acted(1)
    await acting.trigger()
    info = await acting.until(lambda info: info.overlap_skipped == 1)
    assert info.action_count == 1
    assert len(info.running_workflows) == 1
    await acting.end()


async def test_one_start_waits(client: Client, worker: Worker) -> None:
    acting = await triggered(client, worker)
    await acting.trigger()
    await acting.acted(1)
    await acting.trigger(BUFFER_ONE)
    await acting.waiting(1)
    await acting.trigger(BUFFER_ONE)
    await acting.until(lambda info: info.overlap_skipped == 1)
    await (await acting.handle(0)).signal("end")
    info = await acting.acted(2)
    assert info.buffer_size == 0
    assert statuses(info) == [COMPLETED, RUNNING]
    assert list(info.running_workflows) == [
        info.recent_actions[1].start_workflow_result
    ]
    await acting.end()


async def test_all_starts_wait_and_come_in_order(
    client: Client, worker: Worker
) -> None:
    acting = await triggered(client, worker)
    await acting.trigger()
    await acting.acted(1)
    for waiting in (1, 2, 3):
        await acting.trigger(BUFFER_ALL)
        await acting.waiting(waiting)
    for number in range(3):
        await (await acting.handle(number)).signal("end")
        await acting.acted(number + 2)
    info = await acting.info()
    hours = [recent.schedule_time.ToDatetime().hour for recent in info.recent_actions]
    assert hours == [0, 1, 2, 3]
    assert statuses(info) == [COMPLETED, COMPLETED, COMPLETED, RUNNING]
    await acting.end()


async def test_what_runs_is_terminated_for_the_next(
    client: Client, worker: Worker
) -> None:
    acting = await triggered(client, worker)
    await acting.trigger()
    await acting.acted(1)
    await acting.trigger(TERMINATE_OTHER)
    info = await acting.acted(2)
    assert statuses(info) == [TERMINATED, RUNNING]
    last = (await events_of(await acting.handle(0)))[-1]
    attributes = last.workflow_execution_terminated_event_attributes
    assert attributes.reason == "terminated by schedule overlap policy"
    assert attributes.identity == f"temporal-scheduler-{client.namespace}-{acting.id}"
    await acting.end()


async def test_what_runs_is_asked_to_end_for_the_next(
    client: Client, worker: Worker
) -> None:
    acting = await triggered(client, worker)
    await acting.trigger()
    await acting.acted(1)
    await acting.trigger(CANCEL_OTHER)
    info = await acting.acted(2)
    assert statuses(info) == [CANCELED, RUNNING]
    (asked,) = [
        event.workflow_execution_cancel_requested_event_attributes
        for event in await events_of(await acting.handle(0))
        if event.HasField("workflow_execution_cancel_requested_event_attributes")
    ]
    assert asked.cause == "cancelled by schedule overlap policy"
    assert asked.identity == f"temporal-scheduler-{client.namespace}-{acting.id}"
    await acting.end()


async def test_starts_that_may_overlap_do_not_count_as_running(
    client: Client, worker: Worker
) -> None:
    acting = await triggered(client, worker)
    for number in (1, 2):
        await acting.trigger(ALLOW_ALL)
        await acting.acted(number)
    await acting.trigger()
    info = await acting.acted(3)
    assert list(info.running_workflows) == [
        info.recent_actions[2].start_workflow_result
    ]
    await acting.end()


async def test_a_workflow_that_continues_as_new_still_runs(
    client: Client, worker: Worker
) -> None:
    script = Script(
        [
            Action(continue_as_new=ContinueAsNew(1)),
            Action(await_signal=AwaitSignal("end")),
        ]
    )
    acting = await triggered(client, worker, script)
    await acting.trigger()
    await acting.acted(1)
    first = await acting.handle(0)
    latest = client.get_workflow_handle(first.id)

    async def continued() -> None:
        description = await latest.describe()
        assert description.run_id != first.run_id

    await assert_eventually(continued)
    await acting.trigger(BUFFER_ONE)
    info = await acting.waiting(1)
    assert len(info.running_workflows) == 1
    await latest.signal("end")
    await acting.acted(2)
    await acting.end()


async def test_a_start_is_dropped_while_its_id_runs(
    client: Client, worker: Worker
) -> None:
    acting = await triggered(client, worker)
    moment = utc(2026, 5, 5)
    await patch(client, acting.id, trigger(ALLOW_ALL, moment))
    await acting.acted(1)
    await patch(client, acting.id, trigger(ALLOW_ALL, moment))
    await acting.trigger(ALLOW_ALL)
    info = await acting.acted(2)
    assert len(info.recent_actions) == 2
    await acting.end()


async def test_what_the_last_action_came_to_is_handed_to_the_next(
    client: Client, worker: Worker
) -> None:
    endings = (
        Script([Action(result=Result("a result"))]),
        Script([Action(fail=Fail("a failure"))]),
        UNTIL_SIGNALLED,
        UNTIL_SIGNALLED,
    )
    acting = await triggered(client, worker, endings[0])
    handed: list[tuple[bool, str]] = []
    for number, script in enumerate(endings):
        schedule = a_schedule(action=kitchen_sink(worker, script))
        await acting.updated(schedule)
        await acting.trigger(ALLOW_ALL if number == 3 else SKIP)
        await acting.acted(number + 1)
        handle = await acting.handle(number)
        if number < 2:
            await ended(handle)
        event = (await events_of(handle))[0]
        started = event.workflow_execution_started_event_attributes
        handed.append(
            (
                started.HasField("last_completion_result"),
                started.continued_failure.message,
            )
        )
    assert handed == [(False, ""), (True, ""), (True, "a failure"), (False, "")]
    await acting.end()


async def ended(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until a workflow has ended, however it does."""

    async def closed() -> None:
        assert (await handle.describe()).close_time is not None

    await assert_eventually(closed)


async def test_a_failure_pauses_the_schedule_when_the_next_time_comes(
    client: Client, worker: Worker
) -> None:
    failing = Script([Action(fail=Fail("oh no"))])
    schedule = each_second(BUFFER_ALL, action=kitchen_sink(worker, failing))
    schedule.policies.pause_on_failure = True
    acting = Triggered(client, await created(client, schedule))

    async def paused() -> None:
        described = await describe(client, acting.id)
        assert described.schedule.state.paused
        (recent,) = described.info.recent_actions
        workflow_id = recent.start_workflow_result.workflow_id
        assert recent.start_workflow_status == FAILED
        assert described.schedule.state.notes == (
            f"paused due to workflow failure: {workflow_id}: oh no"
        )

    await assert_eventually(paused)
    await acting.end()


async def test_manual_starts_need_neither_a_running_clock_nor_actions(
    client: Client, worker: Worker
) -> None:
    state = ScheduleState(paused=True, limited_actions=True, remaining_actions=0)
    schedule = each_second(
        ALLOW_ALL, action=kitchen_sink(worker, UNTIL_SIGNALLED), state=state
    )
    acting = Triggered(client, await created(client, schedule))
    await acting.trigger()
    await acting.acted(1)
    start = utc(2026, 2, 1)
    await patch(
        client, acting.id, backfill(start, start + timedelta(seconds=1), ALLOW_ALL)
    )
    await acting.acted(3)
    described = await describe(client, acting.id)
    assert described.schedule.state == state
    await acting.end()


async def test_a_long_backfill_goes_on_ten_at_a_time(client: Client) -> None:
    schedule = each_second(ALLOW_ALL, state=PAUSED)
    acting = Triggered(client, await created(client, schedule))
    start = utc(2026, 2, 1)
    await patch(
        client, acting.id, backfill(start, start + timedelta(seconds=11), ALLOW_ALL)
    )
    await acting.acted(12)
    info = await acting.info()
    seconds = [
        recent.schedule_time.ToDatetime().second for recent in info.recent_actions
    ]
    assert seconds == list(range(2, 12))
    await acting.end()


async def test_a_backfill_may_wait_for_what_runs(
    client: Client, worker: Worker
) -> None:
    done = Script([Action(result=Result("done"))])
    schedule = each_second(SKIP, action=kitchen_sink(worker, done), state=PAUSED)
    acting = Triggered(client, await created(client, schedule))
    start = utc(2026, 2, 1)
    await patch(
        client, acting.id, backfill(start, start + timedelta(seconds=2), BUFFER_ALL)
    )
    info = await acting.acted(3)
    assert info.overlap_skipped == 0
    assert info.buffer_size == 0
    await acting.end()


async def test_an_action_that_cannot_start_is_dropped(client: Client) -> None:
    action = an_action()
    action.start_workflow.retry_policy.backoff_coefficient = 0.5
    acting = Triggered(client, await created(client, a_schedule(action=action)))
    await acting.trigger()
    await acting.updated(a_schedule())
    await acting.trigger()
    info = await acting.acted(1)
    assert len(info.recent_actions) == 1
    await acting.end()


async def test_waiting_starts_follow_a_change_of_the_policy(
    client: Client, worker: Worker
) -> None:
    acting = await triggered(client, worker, policies=BUFFERING)
    await acting.trigger()
    await acting.acted(1)
    await acting.trigger()
    await acting.waiting(1)
    schedule = a_schedule(action=kitchen_sink(worker, UNTIL_SIGNALLED))
    await update(client, acting.id, schedule)
    await acting.until(lambda info: info.overlap_skipped == 1)
    await acting.end()


async def test_a_patch_may_do_everything_at_once(client: Client) -> None:
    schedule = each_second(ALLOW_ALL, state=PAUSED)
    both = trigger(ALLOW_ALL, utc(2026, 1, 1))
    both.MergeFrom(backfill(utc(2026, 2, 1), utc(2026, 2, 1), ALLOW_ALL))
    both.MergeFrom(SchedulePatch(pause="still paused"))
    acting = Triggered(client, await created(client, schedule, initial_patch=both))
    info = await acting.acted(2)
    months = [recent.schedule_time.ToDatetime().month for recent in info.recent_actions]
    assert sorted(months) == [1, 2]
    state = (await describe(client, acting.id)).schedule.state
    assert state == ScheduleState(paused=True, notes="still paused")
    await acting.end()
