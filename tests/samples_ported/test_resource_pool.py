"""Nobody shares a resource that is handed out, and all come back."""

import asyncio
from collections import defaultdict

import pytest

from dbosify import activity
from dbosify.client import Client, WorkflowFailureError
from dbosify.worker import Worker
from tests.samples_ported.resource_pool import (
    POOL,
    TASK_QUEUE,
    PoolInput,
    ResourcePoolWorkflow,
    Use,
    UserInput,
    UserWorkflow,
)
from tests.waiting import eventually

USERS = 8
FREE: dict[str, str | None] = {f"resource-{number}": None for number in range(3)}


@pytest.mark.needs("external signals")
async def test_resource_pool(client: Client) -> None:
    users: dict[str, set[str]] = defaultdict(set)
    resources: dict[str, set[str]] = defaultdict(set)
    in_use: set[str] = set()
    shared: list[str] = []

    @activity.defn(name="use_resource")
    async def watched(use: Use) -> None:
        if use.resource in in_use:
            shared.append(use.resource)
        in_use.add(use.resource)
        users[use.resource].add(use.workflow_id)
        resources[use.workflow_id].add(use.resource)
        await asyncio.sleep(0.05)
        in_use.remove(use.resource)

    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[ResourcePoolWorkflow, UserWorkflow],
        activities=[watched],
    ):
        pool = await client.start_workflow(
            ResourcePoolWorkflow.run, PoolInput(FREE), id=POOL, task_queue=TASK_QUEUE
        )
        wanted = {0: UserInput(continues_after=1), 1: UserInput(fails_after=1)}
        handles = [
            await client.start_workflow(
                UserWorkflow.run,
                wanted.get(number, UserInput()),
                id=f"resource-user-{number}",
                task_queue=TASK_QUEUE,
            )
            for number in range(USERS)
        ]
        for number, handle in enumerate(handles):
            if number == 1:
                with pytest.raises(WorkflowFailureError):
                    await handle.result()
            else:
                await handle.result()
        current = client.get_workflow_handle(POOL)
        assert len(resources) == USERS
        assert all(len(each) == 1 for each in resources.values())
        assert shared == []

        async def all_free() -> None:
            assert await current.query(ResourcePoolWorkflow.holders) == FREE

        await eventually(all_free)
        await current.terminate()
        await all_free()
    assert pool.id == POOL
