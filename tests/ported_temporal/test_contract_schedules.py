"""The service's contract of schedules: what is refused, what describe shows, tokens."""

from datetime import timedelta
from typing import Any

import pytest

from dbosify.api.common.v1 import Memo, Payload, Payloads, WorkflowType
from dbosify.api.enums.v1 import TaskQueueKind, WorkflowIdReusePolicy
from dbosify.api.errordetails.v1 import (
    QueryFailedFailure,
    WorkflowExecutionAlreadyStartedFailure,
)
from dbosify.api.schedule.v1 import (
    Schedule,
    SchedulePatch,
    SchedulePolicies,
    ScheduleSpec,
    ScheduleState,
)
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import (
    ALREADY_COMPLETED,
    MAX_BLOB_SIZE,
    TOO_LONG,
    Refusal,
    invalid,
    not_found,
    refusal_of,
)
from tests.ported_temporal.scaffold import assert_eventually, random_id
from tests.ported_temporal.schedule_calls import utc
from tests.ported_temporal.schedule_requests import (
    ALLOW_ALL,
    a_schedule,
    an_action,
    backfill,
    create,
    created,
    delete,
    describe,
    matching,
    patch,
    trigger,
    update,
)

pytestmark = pytest.mark.needs("schedules")

NO_ID = invalid("Can't load workflow execution.  WorkflowId not set.")

BIG = Payload(data=b"x" * (MAX_BLOB_SIZE + 1))


def unknown(schedule_id: str) -> Refusal:
    """How every request about a schedule that never was is refused."""
    return not_found(f"workflow not found for ID: temporal-sys-scheduler:{schedule_id}")


def negative(**timeout: int) -> dict[str, Any]:
    """A timeout of minus one second."""
    return {name: timedelta(seconds=value) for name, value in timeout.items()}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"schedule_id": "x" * 1000},
            "WorkflowId exceeds maximum allowed length (1023/1000)",
        ),
        ({"request_id": ""}, "RequestId is not set on request."),
        ({"request_id": TOO_LONG}, "RequestId length exceeds limit."),
        ({"schedule_id": ""}, NO_ID.message),
        ({"schedule_id": "", "request_id": ""}, "RequestId is not set on request."),
        ({"memo": Memo(fields={"a": BIG})}, "Memo size exceeds limit."),
    ],
)
async def test_a_creation_is_refused(
    client: Client, fields: dict[str, Any], message: str
) -> None:
    assert await refusal_of(create(client, **fields)) == invalid(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"workflow_id": "x" * 980},
            "WorkflowId exceeds maximum allowed length (1001/1000)",
        ),
        ({"workflow_type": None}, "WorkflowType is not set on request."),
        (
            {"workflow_type": WorkflowType(name=TOO_LONG)},
            "WorkflowType length exceeds limit.",
        ),
        ({"task_queue": None}, "taskQueue is not set"),
        ({"task_queue": TaskQueue()}, "missing task queue name"),
        (
            {"cron_schedule": "* * * * *"},
            "Scheduled workflow must not contain CronSchedule",
        ),
        (
            {
                "workflow_id_reuse_policy": (
                    WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
                )
            },
            "Scheduled workflow must not contain WorkflowIDReusePolicy",
        ),
        (
            negative(workflow_execution_timeout=-1),
            "An invalid WorkflowExecutionTimeoutSeconds is set on request. cause:"
            " negative duration",
        ),
        (
            negative(workflow_run_timeout=-1),
            "An invalid WorkflowRunTimeoutSeconds is set on request. cause: negative"
            " duration",
        ),
        (
            negative(workflow_task_timeout=-1),
            "An invalid WorkflowTaskTimeoutSeconds is set on request. cause: negative"
            " duration",
        ),
        ({"input": Payloads(payloads=[BIG])}, "Blob data size exceeds limit."),
    ],
)
async def test_an_action_is_refused_by_creations_and_updates(
    client: Client, fields: dict[str, Any], message: str
) -> None:
    schedule = a_schedule(action=an_action(**fields))
    assert await refusal_of(create(client, schedule)) == invalid(message)
    schedule_id = await created(client, a_schedule())
    assert await refusal_of(update(client, schedule_id, schedule)) == invalid(message)
    await delete(client, schedule_id)


async def test_creations_look_at_the_spec_first_and_updates_at_the_action(
    client: Client,
) -> None:
    schedule = a_schedule(
        spec=ScheduleSpec(cron_string=["x"]), action=an_action(workflow_type=None)
    )
    assert await refusal_of(create(client, schedule)) == invalid(
        "Invalid schedule spec: CronString does not have 5-7 fields"
    )
    assert await refusal_of(update(client, "", schedule)) == invalid(
        "WorkflowType is not set on request."
    )


async def test_an_id_without_an_action_id_is_enough(client: Client) -> None:
    schedule = a_schedule(action=an_action(workflow_id=""))
    schedule_id = await created(
        client, schedule, initial_patch=trigger(at=utc(2026, 1, 1, 10))
    )
    started = await only_action(client, schedule_id)
    assert started.workflow_id == "-2026-01-01T10:00:00Z"
    await client.get_workflow_handle(started.workflow_id).terminate()
    await delete(client, schedule_id)


async def only_action(client: Client, schedule_id: str) -> Any:
    """Wait until a schedule has acted once; tell what it started."""

    async def acted() -> Any:
        (recent,) = (await describe(client, schedule_id)).info.recent_actions
        return recent.start_workflow_result

    async def patiently() -> Any:
        try:
            return await acted()
        except ValueError as error:
            raise AssertionError("not one action") from error

    return await assert_eventually(patiently)


async def test_the_same_request_makes_one_schedule(client: Client) -> None:
    fields: dict[str, Any] = {"schedule_id": random_id(), "request_id": "once"}
    first = await create(client, **fields)
    assert first.conflict_token == bytes(7) + b"\1"
    assert await create(client, **fields) == first
    fields["request_id"] = "twice"
    assert await refusal_of(create(client, **fields)) == Refusal(
        RPCStatusCode.ALREADY_EXISTS,
        f'schedule "{fields["schedule_id"]}" is already registered',
        WorkflowExecutionAlreadyStartedFailure(),
    )
    await delete(client, fields["schedule_id"])


async def test_nobody_knows_a_schedule_that_never_was(client: Client) -> None:
    for schedule_id, expected in (("", NO_ID), ("nobody", unknown("nobody"))):
        for call in (
            describe(client, schedule_id),
            patch(client, schedule_id, SchedulePatch()),
            update(client, schedule_id, a_schedule()),
            delete(client, schedule_id),
            matching(client, schedule_id, None, None),
        ):
            assert await refusal_of(call) == expected


async def test_a_deleted_schedule_can_only_tell_its_times(client: Client) -> None:
    schedule_id = await created(
        client, a_schedule(spec=ScheduleSpec(cron_string=["@daily"]))
    )
    await describe(client, schedule_id)  # on a server it takes a moment to begin
    await delete(client, schedule_id)

    async def gone() -> None:
        expected = not_found("schedule not found")
        assert await refusal_of(describe(client, schedule_id)) == expected

    await assert_eventually(gone)
    for call in (
        patch(client, schedule_id, SchedulePatch()),
        update(client, schedule_id, a_schedule()),
        delete(client, schedule_id),
    ):
        assert await refusal_of(call) == ALREADY_COMPLETED
    times = await matching(client, schedule_id, utc(2026, 1, 1), utc(2026, 1, 3))
    assert [at.day for at in times] == [2, 3]
    await create(client, schedule_id=schedule_id)
    assert not (await describe(client, schedule_id)).schedule.spec.structured_calendar
    await delete(client, schedule_id)


async def test_describe_writes_defaults_out(client: Client) -> None:
    policies = SchedulePolicies(keep_original_workflow_id=True)
    policies.catchup_window.FromTimedelta(timedelta(seconds=-5))
    schedule = a_schedule(
        policies=policies, state=ScheduleState(remaining_actions=5, notes="n" * 2000)
    )
    schedule_id = await created(client, schedule)
    described = await describe(client, schedule_id)

    expected = Schedule()
    expected.CopyFrom(schedule)
    expected.spec.SetInParent()
    expected.policies.overlap_policy = 1  # type: ignore[assignment]
    expected.policies.catchup_window.FromTimedelta(timedelta(seconds=10))
    queue = expected.action.start_workflow.task_queue
    queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert described.schedule == expected
    assert described.info.HasField("create_time")
    assert not described.info.HasField("update_time")
    assert described.conflict_token == bytes(7) + b"\1"
    await delete(client, schedule_id)

    schedule_id = await created(client, a_schedule(policies=None))
    policies = (await describe(client, schedule_id)).schedule.policies
    assert policies.catchup_window.ToTimedelta() == timedelta(days=365)
    await delete(client, schedule_id)


async def test_a_schedule_may_be_made_but_not_updated_without_an_action(
    client: Client,
) -> None:
    schedule_id = await created(client, Schedule(), initial_patch=trigger())
    assert (await describe(client, schedule_id)).info.action_count == 0
    for nothing in (None, Schedule()):
        refusal = await refusal_of(update(client, schedule_id, nothing))
        assert refusal == invalid(
            "Only StartWorkflow action is supported for schedules"
        )
    await delete(client, schedule_id)


async def test_memos_stay_as_they_are(client: Client) -> None:
    memo = Memo(fields={"a": Payload(metadata={"encoding": b"x"}, data=b"1")})
    schedule_id = await created(client, a_schedule(), memo=memo)
    assert (await describe(client, schedule_id)).memo == memo
    refusal = await refusal_of(update(client, schedule_id, a_schedule(), memo=Memo()))
    assert refusal == Refusal(
        RPCStatusCode.FAILED_PRECONDITION,
        "memo updates are not supported on workflow-backed schedules",
    )
    await delete(client, schedule_id)


async def test_an_update_replaces_the_whole_schedule(client: Client) -> None:
    schedule_id = await created(
        client, a_schedule(state=ScheduleState(notes="before", paused=True))
    )
    await update(client, schedule_id, a_schedule())

    async def updated() -> None:
        described = await describe(client, schedule_id)
        assert described.schedule.state == ScheduleState()
        assert described.info.HasField("update_time")
        assert described.conflict_token == bytes(7) + b"\2"

    await assert_eventually(updated)
    await delete(client, schedule_id)


async def test_an_update_with_an_old_token_is_dropped_without_a_word(
    client: Client,
) -> None:
    schedule_id = await created(client, a_schedule())
    noted = a_schedule(state=ScheduleState(notes="noted"))
    await update(client, schedule_id, noted, conflict_token=bytes(7) + b"\7")
    # What comes later is seen later: by then the first one was dealt with.
    await patch(client, schedule_id, SchedulePatch(pause="paused"))

    async def paused() -> None:
        state = (await describe(client, schedule_id)).schedule.state
        assert state == ScheduleState(notes="paused", paused=True)

    await assert_eventually(paused)
    for number, token in enumerate((bytes(7) + b"\2", b"odd", b""), 3):
        await update(client, schedule_id, noted, conflict_token=token)

        async def updated(number: int = number) -> None:
            described = await describe(client, schedule_id)
            assert described.schedule.state.notes == "noted"
            assert described.conflict_token == number.to_bytes(8, "big")

        await assert_eventually(updated)
    await delete(client, schedule_id)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "Patch is not set on request."),
        (SchedulePatch(pause="x" * 1001), "Schedule notes exceeds limit."),
        (SchedulePatch(unpause="x" * 1001), "Schedule notes exceeds limit."),
    ],
)
async def test_a_patch_is_refused(
    client: Client, wrong: SchedulePatch | None, message: str
) -> None:
    assert await refusal_of(patch(client, "", wrong)) == invalid(message)


async def test_tokens_count_pauses_but_no_triggers(client: Client) -> None:
    schedule_id = await created(client, a_schedule())
    await patch(client, schedule_id, trigger(at=utc(2026, 1, 1)))
    await only_action(client, schedule_id)
    await patch(client, schedule_id, SchedulePatch(pause="a", unpause="b"))

    async def settled() -> None:
        described = await describe(client, schedule_id)
        assert described.info.action_count == 1
        assert described.schedule.state == ScheduleState(notes="b")
        assert described.conflict_token == bytes(7) + b"\3"

    await assert_eventually(settled)
    await terminate_all(client, schedule_id)
    await delete(client, schedule_id)


async def terminate_all(client: Client, schedule_id: str) -> None:
    """End what a schedule started."""
    for recent in (await describe(client, schedule_id)).info.recent_actions:
        started = recent.start_workflow_result
        handle = client.get_workflow_handle(started.workflow_id, run_id=started.run_id)
        await handle.terminate()


async def test_matching_times_need_both_ends(client: Client) -> None:
    schedule_id = await created(
        client,
        a_schedule(
            spec=ScheduleSpec(cron_string=["* * * * *"]),
            state=ScheduleState(paused=True),
        ),
    )
    noon = utc(2026, 1, 1, 12)
    for start, end in ((None, None), (noon, None), (None, noon)):
        refusal = await refusal_of(matching(client, schedule_id, start, end))
        assert refusal.status == RPCStatusCode.INVALID_ARGUMENT
        assert refusal.message == "missing or invalid query"
        assert isinstance(refusal.detail, QueryFailedFailure)
    minute = timedelta(minutes=1)
    times = await matching(client, schedule_id, noon, noon + 2 * minute)
    assert [at.minute for at in times] == [1, 2]
    assert await matching(client, schedule_id, noon, noon - minute) == []
    times = await matching(client, schedule_id, noon, noon + 5000 * minute)
    assert len(times) == 1000
    await delete(client, schedule_id)


async def test_a_backfill_takes_both_ends(client: Client) -> None:
    schedule = a_schedule(spec=ScheduleSpec(cron_string=["@daily"]))
    action = schedule.action.start_workflow.workflow_id
    schedule_id = await created(
        client,
        schedule,
        initial_patch=backfill(utc(2026, 1, 1), utc(2026, 1, 3), ALLOW_ALL),
    )

    async def filled() -> None:
        info = (await describe(client, schedule_id)).info
        assert [
            recent.start_workflow_result.workflow_id for recent in info.recent_actions
        ] == [f"{action}-2026-01-0{day}T00:00:00Z" for day in (1, 2, 3)]
        assert not info.running_workflows

    await assert_eventually(filled)
    await terminate_all(client, schedule_id)
    await delete(client, schedule_id)
