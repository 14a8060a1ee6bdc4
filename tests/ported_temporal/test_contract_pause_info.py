"""Runs tell of their paused activities by a search attribute, and are found by it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.workflowservice.v1 import PauseActivityRequest, UnpauseActivityRequest
from dbosify.client import Client, WorkflowHandle
from dbosify.common import SearchAttributeKey
from tests.ported_temporal.contract import execution
from tests.ported_temporal.scaffold import assert_eventually, new_worker, random_id

pytestmark = pytest.mark.needs("activity pause")

PAUSE_INFO = SearchAttributeKey.for_keyword_list("TemporalPauseInfo")


@activity.defn(name="first_kind")
async def first_kind() -> str:
    return "first"


@activity.defn(name="second_kind")
async def second_kind() -> str:
    return "second"


@workflow.defn
class WaitsForTwo:
    """Waits for two activities on a queue of their own."""

    @workflow.run
    async def run(self, queue: str) -> list[str]:
        return await asyncio.gather(
            *(
                workflow.execute_activity(
                    kind,
                    task_queue=queue,
                    start_to_close_timeout=timedelta(seconds=30),
                )
                for kind in (first_kind, second_kind)
            )
        )


async def pause(client: Client, handle: WorkflowHandle[Any, Any], kind: str) -> None:
    """Pause the activities of a type."""
    await client.workflow_service.pause_activity(
        PauseActivityRequest(
            namespace=client.namespace, execution=execution(handle.id), type=kind
        )
    )


async def unpause(client: Client, handle: WorkflowHandle[Any, Any], kind: str) -> None:
    """Unpause them."""
    await client.workflow_service.unpause_activity(
        UnpauseActivityRequest(
            namespace=client.namespace, execution=execution(handle.id), type=kind
        )
    )


async def told(handle: WorkflowHandle[Any, Any]) -> list[str] | None:
    """What describe says of paused activities."""
    found = (await handle.describe()).typed_search_attributes.get(PAUSE_INFO)
    return None if found is None else sorted(found)


async def found(
    client: Client, handle: WorkflowHandle[Any, Any], query: str
) -> list[list[str]]:
    """What a list shows of the run's paused activities, if the query finds it."""
    whole = f"WorkflowId = '{handle.id}' AND {query}"
    return [
        sorted(run.typed_search_attributes.get(PAUSE_INFO) or [])
        async for run in client.list_workflows(whole)
    ]


async def test_paused_activities_are_a_search_attribute(client: Client) -> None:
    queue = random_id("queue")
    async with new_worker(client, WaitsForTwo) as worker:
        handle = await client.start_workflow(
            WaitsForTwo.run, queue, id=random_id(), task_queue=worker.task_queue
        )

        async def waiting() -> None:
            shown = await handle.describe()
            assert len(shown.raw_description.pending_activities) == 2

        await assert_eventually(waiting)
        assert await told(handle) is None

        await pause(client, handle, "first_kind")
        first = "property:activityType=first_kind"
        second = "property:activityType=second_kind"
        assert await told(handle) == [first]

        async def listed(query: str, *shown: list[str]) -> None:
            async def is_listed() -> None:
                assert await found(client, handle, query) == list(shown)

            await assert_eventually(is_listed)

        await listed(f"TemporalPauseInfo = '{first}'", [first])
        await listed("TemporalPauseInfo IS NOT NULL", [first])
        await listed("TemporalPauseInfo IS NULL")
        await listed(f"TemporalPauseInfo = '{second}'")
        assert await client.count_workflows(
            f"WorkflowId = '{handle.id}' AND TemporalPauseInfo = '{first}'"
        )

        await pause(client, handle, "second_kind")
        assert await told(handle) == [first, second]
        await listed(f"TemporalPauseInfo = '{second}'", [first, second])

        for kind in ("first_kind", "second_kind"):
            await unpause(client, handle, kind)
        assert not await told(handle)
        await listed(f"TemporalPauseInfo = '{first}'")
        async with new_worker(
            client, activities=[first_kind, second_kind], task_queue=queue
        ):
            assert await handle.result() == ["first", "second"]
