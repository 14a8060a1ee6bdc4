"""Workflows that are talked to answer as they should."""

import asyncio
from typing import Any

import pytest

from dbosify.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from dbosify.exceptions import ApplicationError
from dbosify.worker import Worker
from tests.samples_ported.messages import (
    cluster,
    introduction,
    lazy_initialization,
    waiting_for_handlers,
)
from tests.samples_ported.messages.introduction import Language, LanguagesInput
from tests.samples_ported.messages.waiting_for_handlers import Exit, Input

needs_updates = pytest.mark.needs("updates")


def greeting_worker(client: Client) -> Worker:
    """A worker of the introduction."""
    return Worker(
        client,
        task_queue=introduction.TASK_QUEUE,
        workflows=[introduction.GreetingWorkflow],
        activities=[introduction.call_greeting_service],
    )


async def test_introduction_queries(client: Client) -> None:
    workflow = introduction.GreetingWorkflow
    async with greeting_worker(client):
        handle = await client.start_workflow(
            workflow.run, id="introduction-1", task_queue=introduction.TASK_QUEUE
        )
        assert await handle.query(workflow.language) == Language.ENGLISH
        supported = await handle.query(workflow.languages, LanguagesInput(False))
        assert supported == [Language.CHINESE, Language.ENGLISH]
        every = await handle.query(workflow.languages, LanguagesInput(True))
        assert every == sorted(Language)
        await handle.signal(workflow.approve, introduction.Approval("somebody"))
        assert await handle.result() == "Hello, world"


@needs_updates
async def test_introduction_updates(client: Client) -> None:
    workflow = introduction.GreetingWorkflow
    async with greeting_worker(client):
        handle = await client.start_workflow(
            workflow.run, id="introduction-2", task_queue=introduction.TASK_QUEUE
        )
        previous = await handle.execute_update(workflow.set_language, Language.CHINESE)
        assert previous == Language.ENGLISH
        assert await handle.query(workflow.language) == Language.CHINESE
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(workflow.set_language, Language.ARABIC)
        previous = await handle.execute_update(
            workflow.set_language_anyhow, Language.ARABIC
        )
        assert previous == Language.CHINESE
        assert await handle.query(workflow.language) == Language.ARABIC
        await handle.signal(workflow.approve, introduction.Approval("somebody"))
        assert await handle.result() == introduction.GREETINGS[Language.ARABIC]


def waiting_worker(client: Client) -> Worker:
    """A worker of those that wait for their handlers."""
    return Worker(
        client,
        task_queue=waiting_for_handlers.TASK_QUEUE,
        workflows=[
            waiting_for_handlers.WaitingWorkflow,
            waiting_for_handlers.CompensatingWorkflow,
        ],
        activities=[
            waiting_for_handlers.take_a_while,
            waiting_for_handlers.compensate,
        ],
    )


@needs_updates
@pytest.mark.parametrize("wanted", Exit)
@pytest.mark.parametrize("compensating", [False, True])
async def test_waiting_for_handlers(
    client: Client, wanted: Exit, compensating: bool
) -> None:
    workflow: Any = (
        waiting_for_handlers.CompensatingWorkflow
        if compensating
        else waiting_for_handlers.WaitingWorkflow
    )
    async with waiting_worker(client):
        handle = await client.start_workflow(
            workflow.run,
            Input(wanted),
            id=f"waiting-{compensating}-{wanted.value}",
            task_queue=waiting_for_handlers.TASK_QUEUE,
        )
        updating = await handle.start_update(
            workflow.update, wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        if wanted == Exit.CANCELLATION:
            await handle.cancel()
        fails = wanted != Exit.SUCCESS
        if fails and compensating:
            with pytest.raises(WorkflowUpdateFailedError):
                await updating.result()
        else:
            assert await updating.result() == "update-result"
        if fails:
            with pytest.raises(WorkflowFailureError):
                await handle.result()
        else:
            assert await handle.result() == "workflow-result"
        if compensating:
            assert await handle.query(workflow.update_compensated) == fails
            assert await handle.query(workflow.workflow_compensated) == fails


@needs_updates
async def test_lazy_initialization(client: Client) -> None:
    async with Worker(
        client,
        task_queue=lazy_initialization.TASK_QUEUE,
        workflows=[lazy_initialization.CartWorkflow],
        activities=[lazy_initialization.price_of],
    ):

        async def put(sku: str, quantity: int) -> int | None:
            item = lazy_initialization.CartItem(sku, quantity)
            return await lazy_initialization.put_into_cart(client, "session", item)

        assert await put("sku-123", 2) == 1198
        assert await put("sku-456", 1) is None
        assert await put("sku-123", 1) == 1797
        handle: WorkflowHandle[
            lazy_initialization.CartWorkflow, lazy_initialization.FinalOrder
        ] = client.get_workflow_handle_for(
            lazy_initialization.CartWorkflow.run, "cart-session"
        )
        await handle.signal(lazy_initialization.CartWorkflow.checkout)
        order = await handle.result()
    bought = lazy_initialization.CartItem
    assert [tuple(item) for item in order.items] == [
        (bought("sku-123", 2), 1198),
        (bought("sku-123", 1), 599),
    ]
    assert order.total == 1797


def cluster_worker(client: Client) -> Worker:
    """A worker of clusters."""
    return Worker(
        client,
        task_queue=cluster.TASK_QUEUE,
        workflows=[cluster.ClusterWorkflow],
        activities=[cluster.assign, cluster.unassign, cluster.find_bad],
    )


@needs_updates
async def test_safe_message_handlers(client: Client) -> None:
    workflow = cluster.ClusterWorkflow
    async with cluster_worker(client):
        await client.start_workflow(
            workflow.run,
            cluster.ClusterInput(test_continue_as_new=True),
            id="cluster-1",
            task_queue=cluster.TASK_QUEUE,
        )
        # Not the handle of the first run: the cluster goes on in others.
        handle: WorkflowHandle[cluster.ClusterWorkflow, cluster.Result] = (
            client.get_workflow_handle_for(workflow.run, "cluster-1")
        )
        await handle.signal(workflow.start_cluster)
        requests = [cluster.Request(job=f"job-{n}", nodes=2) for n in range(6)]
        assigned = await asyncio.gather(
            *(
                handle.execute_update(workflow.assign_nodes, request)
                for request in requests
            )
        )
        assert [len(each.nodes) for each in assigned] == [2] * 6
        assert len(set.union(*(each.nodes for each in assigned))) == 12
        again = await handle.execute_update(workflow.assign_nodes, requests[0])
        assert again.nodes == assigned[0].nodes
        await asyncio.gather(
            *(
                handle.execute_update(workflow.delete_job, request.job)
                for request in requests
            )
        )
        await handle.signal(workflow.shut_down)
        result = await handle.result()
    assert result.assigned == 0


@needs_updates
async def test_safe_message_handlers_refuse_what_there_is_not(client: Client) -> None:
    workflow = cluster.ClusterWorkflow
    async with cluster_worker(client):
        handle = await client.start_workflow(
            workflow.run,
            cluster.ClusterInput(),
            id="cluster-2",
            task_queue=cluster.TASK_QUEUE,
        )
        await handle.signal(workflow.start_cluster)
        await handle.execute_update(
            workflow.assign_nodes, cluster.Request(job="big", nodes=24)
        )
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(
                workflow.assign_nodes, cluster.Request(job="little", nodes=3)
            )
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.message == (
            "Cannot assign 3 nodes; have only 1 available"
        )
        await handle.signal(workflow.shut_down)
        result = await handle.result()
    assert result.assigned + result.bad == 24
