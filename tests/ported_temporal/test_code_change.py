"""A workflow whose code no longer fits its history waits for code that does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowExecutionStatus
from tests.ported_temporal.scaffold import (
    assert_eventually,
    assert_task_fail_eventually,
    new_worker,
    random_id,
)


@activity.defn
async def charge_card() -> str:
    return "charged"


@workflow.defn(name="Order")
class OrderWorkflow:
    """Charges the card, then waits for a go."""

    def __init__(self) -> None:
        self.go = False
        self.charged = ""

    @workflow.run
    async def run(self) -> str:
        self.charged = await workflow.execute_activity(
            charge_card, start_to_close_timeout=timedelta(seconds=10)
        )
        await workflow.wait_condition(lambda: self.go)
        return self.charged

    @workflow.signal
    def proceed(self) -> None:
        self.go = True

    @workflow.query
    def is_charged(self) -> bool:
        return bool(self.charged)


@workflow.defn(name="Order")
class ChangedOrderWorkflow(OrderWorkflow):
    """The same order, but somebody put a pause in front of the charge."""

    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(1)
        return await super().run()


@pytest.mark.oracle_exempt("two workers of one queue run different code on purpose")
async def test_a_changed_workflow_waits_until_its_old_code_is_back(
    client: Client,
) -> None:
    task_queue = random_id("queue")
    async with new_worker(
        client, OrderWorkflow, activities=[charge_card], task_queue=task_queue
    ):
        handle = await client.start_workflow(
            OrderWorkflow.run,
            id=random_id(),
            task_queue=task_queue,
            task_timeout=timedelta(seconds=1),
        )

        async def charged() -> None:
            assert await handle.query(OrderWorkflow.is_charged)

        await assert_eventually(charged)

    async with new_worker(
        client, ChangedOrderWorkflow, activities=[charge_card], task_queue=task_queue
    ):
        await handle.signal(OrderWorkflow.proceed)
        await assert_task_fail_eventually(
            handle,
            message_contains="[TMPRL1100] Nondeterminism error: Timer machine does not"
            " handle this event: HistoryEvent(id: 5, ActivityTaskScheduled)",
        )
        described = await handle.describe()
        assert described.status == WorkflowExecutionStatus.RUNNING

    async with new_worker(
        client, OrderWorkflow, activities=[charge_card], task_queue=task_queue
    ):
        assert await handle.result() == "charged"
