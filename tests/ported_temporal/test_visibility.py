"""Lists and counts of runs as clients use them; what happened shows at once."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dbosify import workflow
from dbosify.api.enums.v1 import WorkflowExecutionStatus as Status
from dbosify.api.filter.v1 import (
    StartTimeFilter,
    StatusFilter,
    WorkflowExecutionFilter,
    WorkflowTypeFilter,
)
from dbosify.api.workflowservice.v1 import (
    ListClosedWorkflowExecutionsRequest,
    ListOpenWorkflowExecutionsRequest,
)
from dbosify.client import (
    Client,
    WorkflowExecutionCount,
    WorkflowExecutionCountAggregationGroup,
    WorkflowHandle,
)
from dbosify.service import RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.attribute_keys import KEYWORD, ensure_keys
from tests.ported_temporal.contract import Refusal, refusal_of
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    KitchenSinkWorkflow,
    Result,
    Script,
)
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_eventually,
    new_worker,
    random_id,
)


@workflow.defn
class GreetingWorkflow:
    """Greets."""

    @workflow.run
    async def run(self, name: str) -> str:
        """Give the greeting."""
        return f"Hello, {name}!"


async def test_list_workflows_and_fetch_history(client: Client) -> None:
    workflow_id = random_id()
    names = [f"number {number}" for number in range(5)]
    async with new_worker(client, GreetingWorkflow) as worker:
        for name in names:
            await client.execute_workflow(
                GreetingWorkflow.run,
                name,
                id=workflow_id,
                task_queue=worker.task_queue,
            )
    query = f"WorkflowId = '{workflow_id}'"

    async def inputs() -> list[str]:
        found = []
        async for history in client.list_workflows(query).map_histories():
            assert history.workflow_id == workflow_id
            started = history.events[0].workflow_execution_started_event_attributes
            (name,) = await client.data_converter.decode(started.input.payloads)
            found.append(name)
        return sorted(found)

    await assert_eq_eventually(names, inputs)
    for page_size in (1000, 2):
        limited = client.list_workflows(query, limit=3, page_size=page_size)
        assert len([history async for history in limited.map_histories()]) == 3


async def test_count_workflows(client: Client) -> None:
    waits = Script([Action(await_signal=AwaitSignal("never"))])
    ends = Script([Action(result=Result("done"))])
    async with new_worker(client, KitchenSinkWorkflow) as worker:
        handles: list[WorkflowHandle[Any, Any]] = [
            await client.start_workflow(
                KitchenSinkWorkflow.run,
                script,
                id=random_id(),
                task_queue=worker.task_queue,
            )
            for script in (ends, ends, ends, waits, waits)
        ]
        for handle in handles[:3]:
            await handle.result()
        query = f"TaskQueue = '{worker.task_queue}' GROUP BY ExecutionStatus"
        group = WorkflowExecutionCountAggregationGroup
        await assert_eq_eventually(
            WorkflowExecutionCount(
                count=5,
                groups=[
                    group(count=2, group_values=["Running"]),
                    group(count=3, group_values=["Completed"]),
                ],
            ),
            lambda: client.count_workflows(query),
        )
        for handle in handles[3:]:
            await handle.terminate()


@workflow.defn
class MarksItselfWorkflow:
    """Upserts what it is told, and tells when it has."""

    def __init__(self) -> None:
        """Nothing is marked."""
        self._over = False

    @workflow.run
    async def run(self) -> None:
        """Wait for the end."""
        await workflow.wait_condition(lambda: self._over)

    @workflow.update
    def mark(self, value: str) -> None:
        """Set the attribute and the memo."""
        workflow.upsert_search_attributes([KEYWORD.value_set(value)])
        workflow.upsert_memo({"mark": value})

    @workflow.signal
    def end(self) -> None:
        """Let it end."""
        self._over = True


@pytest.mark.only_against("dbosify", "a server's lists come a moment later")
async def test_what_a_workflow_upserts_is_listed_at_once(client: Client) -> None:
    await ensure_keys(client)
    mark, changed = random_id("mark"), random_id("changed")

    async def marked(value: str) -> list[tuple[str, Any]]:
        found = client.list_workflows(f"{KEYWORD.name} = '{value}'")
        return [(run.id, await run.memo_value("mark")) async for run in found]

    async with new_worker(client, MarksItselfWorkflow) as worker:
        handle = await client.start_workflow(
            MarksItselfWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.execute_update(MarksItselfWorkflow.mark, mark)
        assert await marked(mark) == [(handle.id, mark)]
        await handle.execute_update(MarksItselfWorkflow.mark, changed)
        assert await marked(mark) == []
        assert await marked(changed) == [(handle.id, changed)]
        await handle.signal(MarksItselfWorkflow.end)
        await handle.result()
        closed = f"{KEYWORD.name} = '{changed}' AND CloseTime IS NOT NULL"
        assert (await client.count_workflows(closed)).count == 1


# The lists that came before filters.


async def open_ids(client: Client, **filters: Any) -> list[str]:
    """The workflows that a list of open runs shows."""
    answer = await client.workflow_service.list_open_workflow_executions(
        ListOpenWorkflowExecutionsRequest(namespace=client.namespace, **filters)
    )
    return [info.execution.workflow_id for info in answer.executions]


async def closed_ids(client: Client, **filters: Any) -> list[str]:
    """The workflows that a list of closed runs shows."""
    answer = await client.workflow_service.list_closed_workflow_executions(
        ListClosedWorkflowExecutionsRequest(namespace=client.namespace, **filters)
    )
    return [info.execution.workflow_id for info in answer.executions]


def between(earliest: datetime, latest: datetime) -> StartTimeFilter:
    """Started in that time."""
    result = StartTimeFilter()
    result.earliest_time.FromDatetime(earliest)
    result.latest_time.FromDatetime(latest)
    return result


async def test_open_and_closed_runs_have_lists_of_their_own(
    client: Client, worker: Worker
) -> None:
    handles = [
        await client.start_workflow(
            KitchenSinkWorkflow.run,
            Script([Action(await_signal=AwaitSignal("never"))]),
            id=random_id(),
            task_queue=worker.task_queue,
        )
        for _ in range(2)
    ]
    first, second = handles
    this = WorkflowExecutionFilter(workflow_id=first.id)
    other = WorkflowExecutionFilter(workflow_id=second.id)
    await second.terminate()

    async def listed() -> None:
        assert await open_ids(client, execution_filter=this) == [first.id]
        assert await open_ids(client, execution_filter=other) == []
        assert await closed_ids(client, execution_filter=other) == [second.id]
        assert await closed_ids(client, execution_filter=this) == []

    await assert_eventually(listed)
    kind = WorkflowTypeFilter(name="kitchen_sink")
    assert first.id in await open_ids(client, type_filter=kind)
    assert second.id in await closed_ids(client, type_filter=kind)
    ended = StatusFilter(status=Status.WORKFLOW_EXECUTION_STATUS_TERMINATED)
    assert second.id in await closed_ids(client, status_filter=ended)
    failed = StatusFilter(status=Status.WORKFLOW_EXECUTION_STATUS_FAILED)
    assert second.id not in await closed_ids(client, status_filter=failed)
    now = datetime.now(timezone.utc)
    recently = between(now - timedelta(hours=1), now + timedelta(hours=1))
    long_ago = between(now - timedelta(hours=3), now - timedelta(hours=2))
    assert first.id in await open_ids(client, start_time_filter=recently)
    assert await open_ids(client, start_time_filter=long_ago) == []
    await first.terminate()


async def test_a_span_of_time_does_not_end_before_it_begins(client: Client) -> None:
    now = datetime.now(timezone.utc)
    backwards = between(now, now - timedelta(hours=1))
    refusal = Refusal(
        RPCStatusCode.INVALID_ARGUMENT,
        "EarliestTime in StartTimeFilter should not be larger than LatestTime.",
    )
    assert await refusal_of(open_ids(client, start_time_filter=backwards)) == refusal
    assert await refusal_of(closed_ids(client, start_time_filter=backwards)) == refusal


@pytest.mark.parametrize(
    "status",
    [
        Status.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED,
        Status.WORKFLOW_EXECUTION_STATUS_RUNNING,
    ],
)
async def test_closed_runs_have_a_status_of_closed_runs(
    client: Client, status: "Status.ValueType"
) -> None:
    wanted = StatusFilter(status=status)
    assert await refusal_of(closed_ids(client, status_filter=wanted)) == Refusal(
        RPCStatusCode.INVALID_ARGUMENT,
        "StatusFilter must be specified and must be not Running.",
    )
