"""Looking at a run: its description, and its history page by page.

Following a history is how every client waits for a result, so when a call answers at
once, when it waits, and what its token stands for are promises like any other.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from dbosify.api.common.v1 import Memo, Priority, WorkflowExecution, WorkflowType
from dbosify.api.enums.v1 import (
    EventType,
    HistoryEventFilterType,
    PendingWorkflowTaskState,
    TaskQueueKind,
)
from dbosify.api.history.v1 import HistoryEvent
from dbosify.api.sdk.v1 import UserMetadata
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)
from dbosify.client import Client, WorkflowExecutionStatus
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    BAD_RUN_ID,
    CLOSED,
    NO_WORKFLOW_ID,
    UNKNOWN_RUN_ID,
    describe,
    duration,
    execution,
    history_of,
    invalid,
    names_of,
    payloads,
    refusal_of,
    signal,
    start,
    start_and_close,
    start_script,
    status_of,
    terminate,
    unknown_run,
    unknown_workflow,
)
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    ContinueAsNew,
    Script,
)
from tests.ported_temporal.scaffold import assert_eventually, random_id

COMPLETED = WorkflowExecutionStatus.COMPLETED
RUNNING = WorkflowExecutionStatus.RUNNING

CLOSE_EVENT = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT

LARGEST_PAGE = 256

SHORTLY = timedelta(seconds=2)
"""A deadline for calls that wait: the service answers a little before it is over."""

Look: TypeAlias = Callable[[Client, WorkflowExecution], Awaitable[object]]


async def page_of(
    client: Client,
    target: WorkflowExecution,
    *,
    timeout: timedelta | None = None,
    **fields: Any,
) -> GetWorkflowExecutionHistoryResponse:
    """One page of a history."""
    return await client.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(
            namespace=client.namespace, execution=target, **fields
        ),
        timeout=timeout,
    )


async def pages_of(
    client: Client, target: WorkflowExecution, **fields: Any
) -> AsyncIterator[list[HistoryEvent]]:
    """Every page until there is no token for another one."""
    token = b""
    while True:
        page = await page_of(client, target, next_page_token=token, **fields)
        yield list(page.history.events)
        token = page.next_page_token
        if not token:
            return


async def newest_first(
    client: Client, target: WorkflowExecution, **fields: Any
) -> GetWorkflowExecutionHistoryResponse:
    """One page of a history, read from its end."""
    answer = await client.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace, execution=target, **fields
        )
    )
    return GetWorkflowExecutionHistoryResponse(
        history=answer.history, next_page_token=answer.next_page_token
    )


@pytest.mark.parametrize(
    "look",
    [describe, page_of, newest_first],
    ids=["describe", "history", "reverse history"],
)
async def test_what_is_looked_at_has_to_be_named_and_be_there(
    client: Client, look: Look
) -> None:
    assert await refusal_of(look(client, WorkflowExecution())) == NO_WORKFLOW_ID
    assert (
        await refusal_of(look(client, execution(random_id(), "not a uuid")))
        == BAD_RUN_ID
    )
    nobody = random_id()
    assert await refusal_of(look(client, execution(nobody))) == unknown_workflow(nobody)
    assert await refusal_of(
        look(client, execution(nobody, UNKNOWN_RUN_ID))
    ) == unknown_run(nobody, UNKNOWN_RUN_ID)


# Describe


def moment(stamp: Timestamp) -> datetime:
    """The moment a timestamp stands for."""
    return stamp.ToDatetime(timezone.utc)


async def test_a_run_that_no_worker_has_seen_is_described_by_its_start(
    client: Client,
) -> None:
    workflow_id = random_id()
    task_queue = random_id("queue")
    request_id = str(uuid.uuid4())
    memo = Memo(fields={"note": payloads("remember").payloads[0]})
    metadata = UserMetadata(summary=payloads("in short").payloads[0])
    answer = await start(
        client,
        workflow_id,
        workflow_type=WorkflowType(name="a type"),
        task_queue=TaskQueue(name=task_queue),
        request_id=request_id,
        memo=memo,
        priority=Priority(priority_key=2),
        user_metadata=metadata,
        workflow_execution_timeout=duration(timedelta(hours=3)),
        workflow_run_timeout=duration(timedelta(hours=2)),
    )
    [started, scheduled] = await history_of(client, execution(workflow_id))
    described = await describe(client, execution(workflow_id))

    config = described.execution_config
    assert config.task_queue.name == task_queue
    assert config.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert config.workflow_execution_timeout.ToTimedelta() == timedelta(hours=3)
    assert config.workflow_run_timeout.ToTimedelta() == timedelta(hours=2)
    assert config.default_workflow_task_timeout.ToTimedelta() == timedelta(seconds=10)
    assert config.user_metadata == metadata

    info = described.workflow_execution_info
    assert info.execution == execution(workflow_id, answer.run_id)
    assert info.root_execution == info.execution
    assert info.first_run_id == answer.run_id
    assert not info.HasField("parent_execution")
    assert info.type.name == "a type"
    assert info.task_queue == task_queue
    assert info.status == int(RUNNING)
    assert info.memo == memo
    assert info.priority.priority_key == 2
    assert info.history_length == 2
    assert info.start_time == started.event_time
    assert info.execution_time == info.start_time
    assert not info.HasField("close_time")
    assert not info.HasField("execution_duration")

    task = described.pending_workflow_task
    assert task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
    assert task.attempt == 1
    assert not task.HasField("started_time")
    assert moment(task.scheduled_time) == moment(scheduled.event_time)
    assert not described.pending_activities
    assert not described.pending_children

    extended = described.workflow_extended_info
    assert not extended.cancel_requested
    assert extended.original_start_time == started.event_time
    [(known, recorded)] = extended.request_id_infos.items()
    assert known == request_id
    assert recorded.event_id == 1
    assert recorded.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    # The service keeps these two to the millisecond or better.
    for expiration, hours in (
        (extended.run_expiration_time, 2),
        (extended.execution_expiration_time, 3),
    ):
        expected = moment(info.start_time) + timedelta(hours=hours)
        assert abs(moment(expiration) - expected) < timedelta(seconds=1)


async def test_a_run_without_timeouts_is_described_without_them(
    client: Client,
) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    config = (await describe(client, execution(workflow_id))).execution_config
    assert not config.HasField("workflow_execution_timeout")
    assert not config.HasField("workflow_run_timeout")


@pytest.mark.parametrize("status", CLOSED, ids=lambda status: status.name)
async def test_a_closed_run_is_described_by_how_and_when_it_ended(
    client: Client, worker: Worker, status: WorkflowExecutionStatus
) -> None:
    workflow_id = random_id()
    over = await start_and_close(client, worker, workflow_id, status=status)
    described = await describe(client, execution(workflow_id))
    info = described.workflow_execution_info
    last = (await history_of(client, execution(workflow_id)))[-1]
    assert info.status == int(status)
    assert info.execution.run_id == over.run_id
    assert info.close_time == last.event_time
    assert info.history_length == last.event_id
    lasted = info.close_time.ToNanoseconds() - info.execution_time.ToNanoseconds()
    assert info.execution_duration.ToNanoseconds() == lasted


async def test_an_idle_run_has_no_pending_task(client: Client, worker: Worker) -> None:
    workflow_id = random_id()
    await start_script(client, worker, workflow_id, Script(action_signal="act"))

    async def idle() -> None:
        described = await describe(client, execution(workflow_id))
        assert not described.HasField("pending_workflow_task")
        assert described.workflow_execution_info.history_length == 4

    await assert_eventually(idle)


async def test_each_run_of_a_chain_is_described_for_itself(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    first = await start_script(
        client,
        worker,
        workflow_id,
        Script(
            [
                Action(continue_as_new=ContinueAsNew(1)),
                Action(await_signal=AwaitSignal("never")),
            ]
        ),
        user_metadata=UserMetadata(summary=payloads("in short").payloads[0]),
    )

    async def in_second_run() -> None:
        described = await describe(client, execution(workflow_id))
        info = described.workflow_execution_info
        assert info.execution.run_id != first.run_id
        assert info.first_run_id == first.run_id
        assert info.root_execution == info.execution
        assert info.status == int(RUNNING)
        assert not described.execution_config.HasField("user_metadata")

    await assert_eventually(in_second_run)
    described = await describe(client, execution(workflow_id, first.run_id))
    info = described.workflow_execution_info
    assert info.status == int(WorkflowExecutionStatus.CONTINUED_AS_NEW)
    assert info.first_run_id == first.run_id
    assert described.execution_config.HasField("user_metadata")


# History


async def test_events_are_numbered_without_gaps(client: Client, worker: Worker) -> None:
    workflow_id = random_id()
    await start_and_close(client, worker, workflow_id, status=COMPLETED)
    events = await history_of(client, execution(workflow_id))
    assert [event.event_id for event in events] == [1, 2, 3, 4, 5]
    tasks = [event.task_id for event in events]
    assert tasks == sorted(set(tasks))
    times = [event.event_time.ToNanoseconds() for event in events]
    assert times == sorted(times)
    assert {event.version for event in events} == {0}


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
async def test_pages_add_up_to_the_history_of_a_closed_run(
    client: Client, worker: Worker, size: int, wait: bool
) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start_and_close(client, worker, workflow_id, status=COMPLETED)
    pages = [
        page
        async for page in pages_of(
            client, target, maximum_page_size=size, wait_new_event=wait
        )
    ]
    assert [event for page in pages for event in page] == await history_of(
        client, target
    )
    assert len(pages) > 1 or size >= 5


@pytest.mark.parametrize("asked", [0, LARGEST_PAGE * 4])
async def test_a_page_holds_so_many_events_at_most(client: Client, asked: int) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start(client, workflow_id)
    for _ in range(LARGEST_PAGE // 16):
        await asyncio.gather(*(signal(client, target) for _ in range(16)))
    pages = [page async for page in pages_of(client, target, maximum_page_size=asked)]
    # Events that were written together are never torn apart, so a page may hold one
    # more than was meant.
    assert len(pages[0]) in (LARGEST_PAGE, LARGEST_PAGE + 1)
    ids = [event.event_id for page in pages for event in page]
    assert ids == list(range(1, LARGEST_PAGE + 3))


async def test_an_open_run_is_read_to_its_present_end(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    page = await page_of(client, execution(workflow_id))
    assert names_of(page.history.events) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    assert not page.next_page_token
    assert not page.archived
    assert not page.raw_history


async def test_an_open_run_is_followed_event_by_event(client: Client) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start(client, workflow_id)
    so_far = await page_of(client, target, wait_new_event=True)
    assert len(so_far.history.events) == 2
    assert so_far.next_page_token

    async def next_page(token: bytes) -> GetWorkflowExecutionHistoryResponse:
        return await page_of(client, target, wait_new_event=True, next_page_token=token)

    following = asyncio.create_task(next_page(so_far.next_page_token))
    await signal(client, target)
    news = await following
    assert names_of(news.history.events) == ["WORKFLOW_EXECUTION_SIGNALED"]
    assert news.next_page_token

    following = asyncio.create_task(next_page(news.next_page_token))
    await terminate(client, target)
    end = await following
    assert names_of(end.history.events) == ["WORKFLOW_EXECUTION_TERMINATED"]
    assert not end.next_page_token


async def test_following_an_idle_run_answers_before_the_deadline(
    client: Client,
) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start(client, workflow_id)
    so_far = await page_of(client, target, wait_new_event=True)
    nothing = await page_of(
        client,
        target,
        wait_new_event=True,
        next_page_token=so_far.next_page_token,
        timeout=SHORTLY,
    )
    assert not nothing.history.events
    await signal(client, target)
    news = await page_of(
        client,
        target,
        wait_new_event=True,
        next_page_token=nothing.next_page_token,
    )
    assert names_of(news.history.events) == ["WORKFLOW_EXECUTION_SIGNALED"]


async def test_a_token_stays_with_its_run(client: Client) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    first = await start(client, workflow_id)
    so_far = await page_of(client, target, wait_new_event=True)
    await terminate(client, target)
    second = await start(client, workflow_id)

    rest = await page_of(
        client, target, wait_new_event=True, next_page_token=so_far.next_page_token
    )
    assert names_of(rest.history.events) == ["WORKFLOW_EXECUTION_TERMINATED"]
    assert await refusal_of(
        page_of(
            client,
            execution(workflow_id, second.run_id),
            next_page_token=so_far.next_page_token,
        )
    ) == invalid("RunId in the request does not match the NextPageToken.")
    assert first.run_id != second.run_id


async def test_a_token_has_to_come_from_the_service(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    assert await refusal_of(
        page_of(client, execution(workflow_id), next_page_token=b"made up")
    ) == invalid("Invalid NextPageToken.")


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("status", CLOSED, ids=lambda status: status.name)
async def test_the_close_event_of_a_closed_run_comes_alone(
    client: Client, worker: Worker, status: WorkflowExecutionStatus, wait: bool
) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start_and_close(client, worker, workflow_id, status=status)
    page = await page_of(
        client, target, history_event_filter_type=CLOSE_EVENT, wait_new_event=wait
    )
    assert list(page.history.events) == (await history_of(client, target))[-1:]
    assert not page.next_page_token


async def test_an_open_run_has_no_close_event(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    page = await page_of(
        client,
        execution(workflow_id),
        history_event_filter_type=CLOSE_EVENT,
        timeout=SHORTLY,
    )
    assert not page.history.events
    assert not page.next_page_token


async def test_the_close_event_of_an_open_run_can_be_waited_for(
    client: Client,
) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start(client, workflow_id)

    async def close_event(**options: Any) -> GetWorkflowExecutionHistoryResponse:
        return await page_of(
            client,
            target,
            history_event_filter_type=CLOSE_EVENT,
            wait_new_event=True,
            **options,
        )

    not_yet = await close_event(timeout=SHORTLY)
    assert not not_yet.history.events
    assert not_yet.next_page_token

    waiting = asyncio.create_task(close_event(next_page_token=not_yet.next_page_token))
    # What isn't the end doesn't end the wait.
    await signal(client, target)
    await terminate(client, target)
    page = await waiting
    assert names_of(page.history.events) == ["WORKFLOW_EXECUTION_TERMINATED"]
    assert not page.next_page_token


async def test_the_end_that_is_waited_for_is_the_current_runs(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    over = await start_and_close(client, worker, workflow_id, status=COMPLETED)
    await start(client, workflow_id)
    waiting = asyncio.create_task(
        page_of(
            client,
            execution(workflow_id),
            history_event_filter_type=CLOSE_EVENT,
            wait_new_event=True,
        )
    )
    await terminate(client, execution(workflow_id))
    page = await waiting
    assert names_of(page.history.events) == ["WORKFLOW_EXECUTION_TERMINATED"]
    assert await status_of(client, execution(workflow_id, over.run_id)) == COMPLETED


async def test_a_history_can_be_read_from_its_end(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start_and_close(client, worker, workflow_id, status=COMPLETED)
    forwards = await history_of(client, target)
    whole = await newest_first(client, target)
    assert list(whole.history.events) == forwards[::-1]

    backwards: list[HistoryEvent] = []
    token = b""
    for _ in forwards:
        page = await newest_first(
            client, target, maximum_page_size=2, next_page_token=token
        )
        backwards += page.history.events
        token = page.next_page_token
        if not token:
            break
    assert backwards == forwards[::-1]
