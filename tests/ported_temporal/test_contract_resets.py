"""What a reset makes of a workflow: a new run that begins as an old one did."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dbosify.api.common.v1 import WorkflowExecution
from dbosify.api.enums.v1 import ResetReapplyExcludeType, ResetReapplyType
from dbosify.api.workflow.v1 import PostResetOperation
from dbosify.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from dbosify.service import RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    ALREADY_COMPLETED,
    BAD_RUN_ID,
    NO_NAMESPACE,
    NO_WORKFLOW_ID,
    TOO_LONG,
    UNKNOWN_RUN_ID,
    Refusal,
    cancel,
    describe,
    execution,
    history_of,
    invalid,
    names_of,
    payloads,
    refusal_of,
    status_of,
    unknown_namespace,
    unknown_run,
    unknown_workflow,
)
from tests.ported_temporal.reset_calls import (
    UNHEARD,
    Diary,
    Mother,
    Waits,
    after_reset,
    finishes,
    reset,
    run_of,
    stamp,
)
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_eventually,
    new_worker,
    pending_activity,
    random_id,
)

pytestmark = pytest.mark.needs("resets")

EXCLUDE = ResetReapplyExcludeType
INCLUDE = ResetReapplyType

SPLICE = ["WORKFLOW_TASK_FAILED", "WORKFLOW_TASK_SCHEDULED"]

Handle = WorkflowHandle[Any, list[str]]


@pytest_asyncio.fixture(loop_scope="session")
async def diaries(client: Client) -> AsyncIterator[Worker]:
    """A worker of the workflow that is reset here."""
    async with new_worker(client, Diary, Mother, Waits, activities=[stamp]) as worker:
        yield worker


async def start(client: Client, worker: Worker) -> Handle:
    """Start a run, and wait until its first entry is there."""
    handle = await client.start_workflow(
        Diary.run, "one", id=random_id(), task_queue=worker.task_queue
    )

    async def stamped() -> None:
        assert await handle.query(Diary.entries) == ["one stamped"]

    await assert_eventually(stamped)
    return handle


def new_run(client: Client, handle: Handle, run_id: str) -> Handle:
    """A handle of the run that a reset has made."""
    return client.get_workflow_handle_for(Diary.run, handle.id, run_id=run_id)


async def test_a_closed_run_is_gone_back_in_and_stays_as_it_is(
    client: Client, diaries: Worker
) -> None:
    handle = await start(client, diaries)
    await handle.signal(Diary.close)
    assert await handle.result() == ["one stamped"]
    base = run_of(handle)
    before = await history_of(client, base)
    last = (await finishes(client, base))[-1]

    run_id = await reset(
        client,
        base,
        workflow_task_finish_event_id=last,
        reset_reapply_exclude_types=[EXCLUDE.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL],
    )

    again = new_run(client, handle, run_id)
    assert await again.result() == ["one stamped"], "the signal came before"
    assert await history_of(client, base) == before
    events = await history_of(client, execution(handle.id, run_id))
    assert [event.attributes for event in map(Same, events[: last - 1])] == [
        event.attributes for event in map(Same, before[: last - 1])
    ]
    assert after_reset(events)[:2] == SPLICE
    shown = await describe(client, base)
    assert shown.workflow_extended_info.reset_run_id == run_id
    info = (await describe(client, execution(handle.id))).workflow_execution_info
    assert info.execution.run_id == run_id
    assert info.first_run_id == base.run_id
    assert info.start_time.ToNanoseconds() > before[-1].event_time.ToNanoseconds()


class Same:
    """An event without what may differ between a run and its copy."""

    def __init__(self, event: Any) -> None:
        """Take it apart."""
        name = event.WhichOneof("attributes")
        self.attributes = event.event_id, name, getattr(event, name)


async def test_an_open_run_is_terminated(client: Client, diaries: Worker) -> None:
    handle = await start(client, diaries)
    base = run_of(handle)
    run_id = await reset(
        client,
        execution(handle.id),
        workflow_task_finish_event_id=(await finishes(client, base))[0],
    )
    assert await status_of(client, base) == WorkflowExecutionStatus.TERMINATED
    end = (await history_of(client, base))[-1]
    terminated = end.workflow_execution_terminated_event_attributes
    assert terminated.reason == "a second try"
    assert terminated.identity == "history-resetter"
    again = new_run(client, handle, run_id)
    await again.signal(Diary.close)
    assert await again.result() == ["one stamped"]


async def test_the_failed_task_tells_of_the_reset(
    client: Client, diaries: Worker
) -> None:
    handle = await start(client, diaries)
    base = run_of(handle)
    first = (await finishes(client, base))[0]
    run_id = await reset(client, base, workflow_task_finish_event_id=first)
    events = await history_of(client, execution(handle.id, run_id))
    failed = events[first - 1].workflow_task_failed_event_attributes
    assert failed.started_event_id == first - 1
    assert failed.scheduled_event_id == first - 2
    assert failed.failure.message == "a second try"
    assert failed.failure.HasField("reset_workflow_failure_info")
    assert failed.identity == "history-service"
    assert (failed.base_run_id, failed.new_run_id) == (base.run_id, run_id)


async def test_a_task_that_only_began_is_failed_as_well(
    client: Client, diaries: Worker
) -> None:
    handle = await start(client, diaries)
    base = run_of(handle)
    began = (await finishes(client, base))[-1] - 1
    run_id = await reset(client, base, workflow_task_finish_event_id=began)
    events = await history_of(client, execution(handle.id, run_id))
    started = events[began - 1].workflow_task_started_event_attributes
    assert started.scheduled_event_id == began - 1
    assert started.identity == "history-service"
    assert started.request_id == "emptyUuid"
    assert after_reset(events)[0] == "WORKFLOW_TASK_FAILED"
    again = new_run(client, handle, run_id)
    await again.signal(Diary.close)
    assert await again.result() == ["one stamped"]


@pytest.mark.parametrize(
    ("options", "entries"),
    [
        ({}, ["two", "three"]),
        (
            {"reset_reapply_type": INCLUDE.RESET_REAPPLY_TYPE_ALL_ELIGIBLE},
            ["two", "three"],
        ),
        ({"reset_reapply_type": INCLUDE.RESET_REAPPLY_TYPE_SIGNAL}, ["two"]),
        ({"reset_reapply_type": INCLUDE.RESET_REAPPLY_TYPE_NONE}, []),
        (
            {
                "reset_reapply_exclude_types": [
                    EXCLUDE.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL
                ]
            },
            ["three"],
        ),
        (
            {
                "reset_reapply_exclude_types": [
                    EXCLUDE.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE
                ]
            },
            ["two"],
        ),
        (
            {
                "reset_reapply_exclude_types": [
                    EXCLUDE.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
                    EXCLUDE.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
                ]
            },
            [],
        ),
    ],
    ids=["usual", "all", "signals", "none", "no signals", "no updates", "neither"],
)
async def test_later_signals_and_updates_are_sent_again(
    client: Client, diaries: Worker, options: dict[str, Any], entries: list[str]
) -> None:
    handle = await start(client, diaries)
    base = run_of(handle)
    last = (await finishes(client, base))[-1]
    await handle.signal(Diary.write, "two")
    assert await handle.execute_update(Diary.paste, "three", id="pasted") == 3
    run_id = await reset(client, base, workflow_task_finish_event_id=last, **options)
    again = new_run(client, handle, run_id)

    async def there() -> list[str]:
        return sorted(await again.query(Diary.entries))

    # They come with the activity's outcome now, and before it.
    await assert_eq_eventually(sorted([*entries, "one stamped"]), there)
    if "three" in entries:
        update = again.get_update_handle_for(Diary.paste, "pasted")
        assert await update.result() == len(entries)
    events = await history_of(client, execution(handle.id, run_id))
    sent = [
        name
        for name in after_reset(events)
        if name in ("WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_EXECUTION_UPDATE_ADMITTED")
    ]
    assert len(sent) == len(entries)
    await again.signal(Diary.close)
    assert sorted(await again.result()) == sorted([*entries, "one stamped"])


async def test_a_cancel_request_is_not_sent_again(
    client: Client, diaries: Worker
) -> None:
    handle = await start(client, diaries)
    base = run_of(handle)
    last = (await finishes(client, base))[-1]
    await cancel(client, base)
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    run_id = await reset(client, base, workflow_task_finish_event_id=last)
    again = new_run(client, handle, run_id)
    assert await again.query(Diary.entries) == ["one stamped"]
    await again.signal(Diary.close)
    assert await again.result() == ["one stamped"]


async def test_an_activity_that_was_under_way_begins_anew(
    client: Client, diaries: Worker
) -> None:
    handle = await client.start_workflow(
        Waits.run, id=random_id(), task_queue=diaries.task_queue
    )
    base = run_of(handle)

    async def waiting() -> None:
        assert len(await finishes(client, base)) == 1
        assert await pending_activity(handle, "unheard")

    await assert_eventually(waiting)
    await handle.signal(Waits.poke)

    async def poked() -> None:
        assert len(await finishes(client, base)) == 2

    await assert_eventually(poked)
    point = (await finishes(client, base))[1]
    run_id = await reset(client, base, workflow_task_finish_event_id=point)
    again = client.get_workflow_handle(handle.id, run_id=run_id)
    shown = await pending_activity(again, "unheard")
    assert shown is not None
    assert shown.attempt == 1
    async with Worker(client, task_queue=UNHEARD + handle.id, activities=[stamp]):
        assert await again.result() == "hello stamped"
    names = names_of(await history_of(client, execution(handle.id, run_id)))
    assert names.count("ACTIVITY_TASK_SCHEDULED") == 1


async def test_the_memo_is_that_of_the_point(client: Client, diaries: Worker) -> None:
    handle = await start(client, diaries)
    base = run_of(handle)
    assert await (await handle.describe()).memo() == {"pages": 2}
    last = (await finishes(client, base))[1]
    run_id = await reset(
        client, base, workflow_task_finish_event_id=last, namespace=client.namespace
    )
    again = new_run(client, handle, run_id)
    memo = await (await again.describe()).memo()
    assert memo in ({"pages": 1}, {"pages": 2}), "the task may be done again already"
    await again.signal(Diary.close)
    await again.result()


async def test_a_request_that_is_repeated_makes_one_more_run(
    client: Client, diaries: Worker
) -> None:
    handle = await start(client, diaries)
    base = run_of(handle)
    first = (await finishes(client, base))[0]
    same = {"workflow_task_finish_event_id": first, "request_id": random_id()}
    one = await reset(client, base, **same)
    other = await reset(client, base, **same)
    assert one != other
    target = execution(handle.id, one)
    assert await status_of(client, target) == WorkflowExecutionStatus.TERMINATED
    again = new_run(client, handle, other)
    await again.signal(Diary.close)
    assert await again.result() == ["one stamped"]


async def test_a_reset_run_can_be_reset(client: Client, diaries: Worker) -> None:
    handle = await start(client, diaries)
    last = (await finishes(client, run_of(handle)))[-1]
    one = await reset(client, run_of(handle), workflow_task_finish_event_id=last)
    again = new_run(client, handle, one)
    # Sent together, the signal would be shown before the activity's outcome.
    await assert_eq_eventually(["one stamped"], lambda: again.query(Diary.entries))
    await again.signal(Diary.write, "two")

    async def written() -> None:
        assert await again.query(Diary.entries) == ["one stamped", "two"]

    await assert_eventually(written)
    target = execution(handle.id, one)
    point = (await finishes(client, target))[-1]
    other = await reset(client, target, workflow_task_finish_event_id=point)
    again = new_run(client, handle, other)
    assert await again.query(Diary.entries) == ["one stamped", "two"]
    await again.signal(Diary.close)
    assert await again.result() == ["one stamped", "two"]


async def test_a_child_that_was_there_before_stays_the_workflow_s_child(
    client: Client, diaries: Worker
) -> None:
    handle = await client.start_workflow(
        Mother.run, id=random_id(), task_queue=diaries.task_queue
    )
    base = run_of(handle)
    child = client.get_workflow_handle(f"child of {handle.id}")

    async def two_tasks() -> None:
        assert len(await finishes(client, base)) == 2

    await assert_eventually(two_tasks)
    await handle.signal(Mother.poke)

    async def three_tasks() -> None:
        assert len(await finishes(client, base)) == 3

    await assert_eventually(three_tasks)
    point = (await finishes(client, base))[2]
    run_id = await reset(client, base, workflow_task_finish_event_id=point)
    status = await status_of(client, execution(child.id))
    assert status == WorkflowExecutionStatus.RUNNING
    again = client.get_workflow_handle(handle.id, run_id=run_id)
    await child.signal(Diary.close)
    assert await again.result() == ["milk stamped"]


BOUNDARY = (
    "StateRebuilder unable to Rebuild mutable state to event ID: {}, version: 0,"
    " this event must be at the boundary"
)
OUTSIDE = "Workflow task finish ID must be > 1 && <= workflow last event ID."


@pytest.mark.parametrize(
    ("point", "text"),
    [
        (-1, OUTSIDE),
        (0, OUTSIDE),
        (1, OUTSIDE),
        (2, BOUNDARY.format(1)),
        (5, BOUNDARY.format(4)),
        (6, BOUNDARY.format(5)),
        (1000, OUTSIDE),
    ],
)
async def test_a_run_is_reset_only_to_a_workflow_task(
    client: Client, diaries: Worker, point: int, text: str
) -> None:
    handle = await start(client, diaries)
    target = execution(handle.id)
    refused = await refusal_of(
        reset(client, target, workflow_task_finish_event_id=point)
    )
    assert refused == invalid(text)
    assert await status_of(client, target) == WorkflowExecutionStatus.RUNNING
    await handle.terminate()


@pytest.mark.parametrize("seen", [True, False])
async def test_an_event_of_its_own_is_no_workflow_task(
    client: Client, seen: bool
) -> None:
    async with new_worker(client, Diary, activities=[stamp]) as worker:
        handle = await start(client, worker)
        if seen:
            await handle.signal(Diary.write, "two")
    if not seen:
        await handle.signal(Diary.write, "two")
    target = execution(handle.id)
    events = names_of(await history_of(client, target))
    point = events.index("WORKFLOW_EXECUTION_SIGNALED") + 1
    refused = await refusal_of(
        reset(client, target, workflow_task_finish_event_id=point)
    )
    assert refused == invalid(
        "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1,"
        f" WorkflowTaskStarted + 1]: {point}"
    )
    await handle.terminate()


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"namespace": ""}, NO_NAMESPACE),
        ({"namespace": "nowhere"}, unknown_namespace("nowhere")),
        ({"workflow_execution": WorkflowExecution()}, NO_WORKFLOW_ID),
        (
            {"workflow_execution": WorkflowExecution(workflow_id="x", run_id="y")},
            BAD_RUN_ID,
        ),
        ({"request_id": ""}, invalid("RequestId is not set on request.")),
        ({"request_id": TOO_LONG}, invalid("RequestId length exceeds limit.")),
        (
            {
                "post_reset_operations": [
                    PostResetOperation(
                        signal_workflow=PostResetOperation.SignalWorkflow(
                            signal_name="x", input=payloads(1)
                        )
                    )
                ]
            },
            invalid(
                "unsupported post reset operation:"
                " *workflow.PostResetOperation_SignalWorkflow_"
            ),
        ),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
async def test_a_request_that_is_wrong_is_refused(
    client: Client, diaries: Worker, fields: dict[str, Any], refusal: Refusal
) -> None:
    handle = await start(client, diaries)
    target = execution(handle.id)
    asked = {"workflow_task_finish_event_id": 4, **fields}
    target = asked.pop("workflow_execution", target)
    assert await refusal_of(reset(client, target, **asked)) == refusal
    status = await status_of(client, execution(handle.id))
    assert status == WorkflowExecutionStatus.RUNNING
    await handle.terminate()


async def test_the_server_stumbles_over_what_is_no_way_to_send_again(
    client: Client, diaries: Worker
) -> None:
    handle = await start(client, diaries)
    refused = await refusal_of(
        reset(
            client,
            run_of(handle),
            workflow_task_finish_event_id=4,
            reset_reapply_type=99,
        )
    )
    assert refused.status == RPCStatusCode.INTERNAL
    assert refused.message.startswith("something went wrong, please retry (")
    await handle.terminate()


async def test_what_is_not_there_cannot_be_reset(
    client: Client, diaries: Worker
) -> None:
    handle = await start(client, diaries)
    name = random_id()
    asked = {"workflow_task_finish_event_id": 4}
    refused = await refusal_of(reset(client, execution(name), **asked))
    assert refused == unknown_workflow(name)
    elsewhere = execution(handle.id, UNKNOWN_RUN_ID)
    refused = await refusal_of(reset(client, elsewhere, **asked))
    assert refused == unknown_run(handle.id, UNKNOWN_RUN_ID)
    await handle.terminate()


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE runs; --", "%s {schema}", "\0", "ü" * 300]
)
async def test_hostile_text_is_only_text(
    client: Client, diaries: Worker, text: str
) -> None:
    handle = await start(client, diaries)
    base = run_of(handle)
    run_id = await reset(client, base, workflow_task_finish_event_id=4, reason=text)
    end = (await history_of(client, base))[-1]
    assert end.workflow_execution_terminated_event_attributes.reason == text
    again = new_run(client, handle, run_id)
    await again.signal(Diary.close)
    assert await again.result() == ["one stamped"]


async def test_a_run_that_was_reset_takes_no_more_signals(
    client: Client, diaries: Worker
) -> None:
    handle = await start(client, diaries)
    base = run_of(handle)
    await reset(client, base, workflow_task_finish_event_id=4)
    old = client.get_workflow_handle(handle.id, run_id=base.run_id)
    assert await refusal_of(old.signal("write", "late")) == ALREADY_COMPLETED
    await client.get_workflow_handle(handle.id).terminate()
