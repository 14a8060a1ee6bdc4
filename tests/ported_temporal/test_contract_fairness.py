"""Priorities and fairness keys: nobody's backlog keeps others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from dbosify import activity, workflow
from dbosify.api.common.v1 import Priority as ApiPriority
from dbosify.api.common.v1 import WorkflowExecution
from dbosify.api.workflow.v1 import WorkflowExecutionOptions
from dbosify.api.workflowservice.v1 import UpdateWorkflowExecutionOptionsRequest
from dbosify.client import Client, WorkflowHandle
from dbosify.common import Priority
from tests.ported_temporal.scaffold import (
    assert_eventually,
    new_worker,
    random_id,
)

pytestmark = pytest.mark.only_against(
    "dbosify",
    reason="a server spreads a queue over parts, each with an order of its own",
)


@workflow.defn
class Backlog:
    """Queues activities of a fairness key, all at once."""

    @workflow.run
    async def run(self, queue: str, names: list[str], weight: float | None) -> None:
        await asyncio.gather(
            *(
                workflow.execute_activity(
                    "note",
                    name,
                    task_queue=queue,
                    start_to_close_timeout=timedelta(seconds=30),
                    priority=Priority(fairness_key=name[0], fairness_weight=weight)
                    if name[0] != "-"
                    else Priority.default,
                )
                for name in names
            )
        )


async def order_of(
    client: Client,
    *backlogs: tuple[Sequence[str], float | None],
    key_of_runs: str | None = None,
    queue: str | None = None,
) -> list[str]:
    """In which order activities begin that are queued backlog after backlog."""
    begun: list[str] = []

    @activity.defn
    async def note(name: str) -> None:
        begun.append(name)

    queue = queue or random_id("queue")
    async with new_worker(client, Backlog) as worker:
        handles = []
        for names, weight in backlogs:
            handle = await client.start_workflow(
                Backlog.run,
                args=[queue, list(names), weight],
                id=random_id(),
                task_queue=worker.task_queue,
                priority=Priority(fairness_key=key_of_runs),
            )
            handles.append(handle)
            await queued(handle, len(names))
        async with new_worker(
            client, activities=[note], task_queue=queue, max_concurrent_activities=1
        ):
            for handle in handles:
                await handle.result()
    return begun


async def queued(handle: WorkflowHandle[Backlog, None], count: int) -> None:
    """Wait until so many activities of a run wait."""

    async def all_wait() -> None:
        shown = await handle.describe()
        assert len(shown.raw_description.pending_activities) == count

    await assert_eventually(all_wait)


async def test_a_key_that_comes_late_does_not_wait_for_a_backlog(
    client: Client,
) -> None:
    many = [f"a{n}" for n in range(6)]
    begun = await order_of(client, (many, None), (["b0", "b1"], None))
    assert [name for name in begun if name[0] == "a"] == many
    assert begun.index("b0") <= 2
    assert begun.index("b1") <= 4


async def test_an_activity_has_the_key_of_its_run_unless_it_has_one(
    client: Client,
) -> None:
    names = [f"-{n}" for n in range(6)]
    begun = await order_of(client, (names, None), (["b0"], None), key_of_runs="run")
    assert [name for name in begun if name != "b0"] == names
    assert begun.index("b0") <= 2


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 0.0])
async def test_a_key_or_weight_that_is_none_keeps_nobody_waiting(
    client: Client, weight: float
) -> None:
    names = ["\0", "\0'; --"]
    assert await order_of(client, (names, weight)) == names


async def test_keys_share_a_queue_by_their_weights(client: Client) -> None:
    light, heavy = [f"a{n}" for n in range(6)], [f"b{n}" for n in range(6)]
    begun = await order_of(client, (light, 1.0), (heavy, 3.0))
    assert begun.index("b5") <= 8
    assert [name[0] for name in begun].count("b") == 6
    assert begun[-1] == "a5"


async def test_a_key_is_not_charged_for_what_it_had_when_nobody_waited(
    client: Client,
) -> None:
    queue = random_id("queue")
    begun: list[str] = []

    @activity.defn
    async def note(name: str) -> None:
        begun.append(name)

    async with new_worker(client, Backlog) as worker:

        async def start(*names: str) -> WorkflowHandle[Backlog, None]:
            return await client.start_workflow(
                Backlog.run,
                args=[queue, list(names), None],
                id=random_id(),
                task_queue=worker.task_queue,
            )

        async with new_worker(client, activities=[note], task_queue=queue):
            await (await start(*(f"a{n}" for n in range(5)))).result()
        begun.clear()
        others = await start("b0", "b1", "b2")
        await queued(others, 3)
        again = await start("a5")
        await queued(again, 1)
        async with new_worker(
            client, activities=[note], task_queue=queue, max_concurrent_activities=1
        ):
            await others.result()
            await again.result()
    assert begun.index("a5") <= 2


async def test_activities_without_a_key_keep_their_order(client: Client) -> None:
    names = [f"-{n}" for n in range(5)]
    assert await order_of(client, (names, None)) == names


@workflow.defn
class Nothing:
    """Ends at once."""

    @workflow.run
    async def run(self) -> None:
        pass


async def order_of_runs(client: Client, *priorities: tuple[str, Priority]) -> list[str]:
    """In which order runs begin that were started before there was a worker."""
    queue = random_id("queue")
    handles = [
        await client.start_workflow(
            Nothing.run,
            id=f"{name}-{random_id()}",
            task_queue=queue,
            priority=priority,
        )
        for name, priority in priorities
    ]
    async with new_worker(
        client,
        Nothing,
        task_queue=queue,
        max_concurrent_workflow_tasks=1,
        max_cached_workflows=0,
    ):
        for handle in handles:
            await handle.result()
    began = []
    for (name, _), handle in zip(priorities, handles, strict=True):
        third = (await handle.fetch_history()).events[2]
        began.append((third.event_time.ToNanoseconds(), name))
    return [name for _, name in sorted(began)]


async def test_urgent_runs_begin_first(client: Client) -> None:
    begun = await order_of_runs(
        client,
        *(
            (str(key), Priority(priority_key=key) if key else Priority.default)
            for key in (5, 4, None, 2, 1)
        ),
    )
    assert begun == ["1", "2", "None", "4", "5"]


async def test_a_run_of_another_key_does_not_wait_for_a_backlog(client: Client) -> None:
    many = [(f"a{n}", Priority(fairness_key="a")) for n in range(6)]
    begun = await order_of_runs(client, *many, ("b", Priority(fairness_key="b")))
    assert [name for name in begun if name != "b"] == [name for name, _ in many]
    assert begun.index("b") <= 2


async def test_a_run_that_waits_can_be_made_urgent(client: Client) -> None:
    queue = random_id("queue")
    handles = [
        await client.start_workflow(Nothing.run, id=random_id(), task_queue=queue)
        for _ in range(3)
    ]
    await client.workflow_service.update_workflow_execution_options(
        UpdateWorkflowExecutionOptionsRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handles[2].id),
            workflow_execution_options=WorkflowExecutionOptions(
                priority=ApiPriority(priority_key=1)
            ),
            update_mask=FieldMask(paths=["priority"]),
        )
    )
    async with new_worker(
        client,
        Nothing,
        task_queue=queue,
        max_concurrent_workflow_tasks=1,
        max_cached_workflows=0,
    ):
        for handle in handles:
            await handle.result()

    async def began(handle: WorkflowHandle[Nothing, None]) -> int:
        events = (await handle.fetch_history()).events
        return min(
            event.event_time.ToNanoseconds()
            for event in events
            if event.HasField("workflow_task_started_event_attributes")
        )

    times = [await began(handle) for handle in handles]
    assert min(times) == times[2]


async def test_an_activity_without_a_workflow_has_its_key_too(client: Client) -> None:
    begun: list[str] = []

    @activity.defn
    async def note(name: str) -> None:
        begun.append(name)

    queue = random_id("queue")
    handles = [
        await client.start_activity(
            "note",
            name,
            id=random_id(),
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            priority=Priority(fairness_key=name[0]),
        )
        for name in ("a0", "a1", "a2", "a3", "a4", "a5", "b")
    ]
    async with new_worker(
        client, activities=[note], task_queue=queue, max_concurrent_activities=1
    ):
        for handle in handles:
            await handle.result()
    assert begun.index("b") <= 2
