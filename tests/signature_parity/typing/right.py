"""A program in which no type checker may find a mistake."""

from dataclasses import dataclass
from datetime import timedelta

from typing_extensions import assert_type

import dbosify.nexus
import dbosify.worker
from dbosify import activity, workflow
from dbosify.api.common.v1 import Payload
from dbosify.api.enums.v1 import EventType
from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowHandle,
)
from dbosify.common import (
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from dbosify.converter import DataConverter
from dbosify.exceptions import ApplicationError
from dbosify.testing import WorkflowEnvironment
from dbosify.worker import Worker
from dbosify.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

SHIPPED_BY = SearchAttributeKey.for_keyword("ShippedBy")


@dataclass
class Order:
    item: str
    count: int


@activity.defn
async def pack(order: Order) -> int:
    if not order.count:
        raise ApplicationError("nothing to pack", non_retryable=True)
    return activity.info().attempt


@activity.defn
def weigh(item: str, count: int) -> float:
    return count * len(item)


@workflow.defn
class Shipping:
    def __init__(self) -> None:
        self.released = False

    @workflow.run
    async def run(self, order: Order) -> int:
        await workflow.wait_condition(lambda: self.released)
        weight = await workflow.execute_activity(
            weigh,
            args=[order.item, order.count],
            start_to_close_timeout=timedelta(seconds=5),
        )
        assert_type(weight, float)
        packed = await workflow.execute_activity(
            pack,
            order,
            start_to_close_timeout=timedelta(seconds=5),
            retry_policy=RetryPolicy(maximum_attempts=2),
        )
        assert_type(packed, int)
        child = await workflow.execute_child_workflow(Shipping.run, order)
        assert_type(child, int)
        return packed + child

    @workflow.signal
    def release(self, count: int) -> None:
        self.released = count > 0

    @workflow.query
    def is_released(self) -> bool:
        return self.released

    @workflow.update
    async def rename(self, name: str) -> str:
        return name

    @rename.validator
    def _refuse_empty(self, name: str) -> None:
        if not name:
            raise ValueError("a name is needed")


async def ship(client: Client) -> None:
    handle = await client.start_workflow(
        Shipping.run,
        Order("bulb", 2),
        id="shipping",
        task_queue="shipping",
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(SHIPPED_BY, "bike")]
        ),
    )
    assert_type(handle, WorkflowHandle[Shipping, int])
    await handle.signal(Shipping.release, 1)
    assert_type(await handle.query(Shipping.is_released), bool)
    assert_type(await handle.execute_update(Shipping.rename, "new"), str)
    assert_type(await handle.result(), int)
    await client.create_schedule(
        "nightly",
        Schedule(
            action=ScheduleActionStartWorkflow(
                Shipping.run, Order("bulb", 2), id="night", task_queue="shipping"
            ),
            spec=ScheduleSpec(cron_expressions=["0 0 * * *"]),
        ),
    )


async def serve() -> None:
    client = await Client.connect(
        "localhost:7233", namespace="default", data_converter=DataConverter.default
    )
    async with Worker(
        client,
        task_queue="shipping",
        workflows=[Shipping],
        activities=[pack, weigh],
        workflow_runner=SandboxedWorkflowRunner(),
    ):
        await ship(client)
    async with await WorkflowEnvironment.start_local() as environment:
        await ship(environment.client)


def by_their_full_names(kind: EventType.ValueType) -> Payload:
    assert_type(
        dbosify.worker.workflow_sandbox.SandboxRestrictions.default, SandboxRestrictions
    )
    return Payload(data=EventType.Name(kind).encode())
