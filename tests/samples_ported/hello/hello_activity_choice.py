"""A workflow chooses, item by item, which activity is the right one."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


class Fruit(IntEnum):
    APPLE = 1
    BANANA = 2
    CHERRY = 3
    ORANGE = 4


@dataclass
class Item:
    fruit: Fruit
    amount: int


@dataclass
class ShoppingList:
    items: list[Item]


@activity.defn
def order_apples(amount: int) -> str:
    return f"Ordered {amount} Apples..."


@activity.defn
def order_bananas(amount: int) -> str:
    return f"Ordered {amount} Bananas..."


@activity.defn
def order_cherries(amount: int) -> str:
    return f"Ordered {amount} Cherries..."


@activity.defn
def order_oranges(amount: int) -> str:
    return f"Ordered {amount} Oranges..."


ORDERS = {
    Fruit.APPLE: order_apples,
    Fruit.BANANA: order_bananas,
    Fruit.CHERRY: order_cherries,
    Fruit.ORANGE: order_oranges,
}


@workflow.defn
class PurchaseFruitsWorkflow:
    @workflow.run
    async def run(self, shopping: ShoppingList) -> str:
        ordered = [
            await workflow.execute_activity(
                ORDERS[item.fruit],
                item.amount,
                start_to_close_timeout=timedelta(seconds=5),
            )
            for item in shopping.items
        ]
        return "".join(ordered)


async def main() -> None:
    wanted = ShoppingList(
        [Item(Fruit.APPLE, 8), Item(Fruit.BANANA, 5), Item(Fruit.CHERRY, 1)]
    )
    async with await connect() as client:
        with ThreadPoolExecutor(5) as threads:
            async with Worker(
                client,
                task_queue="hello-activity-choice",
                workflows=[PurchaseFruitsWorkflow],
                activities=list(ORDERS.values()),
                activity_executor=threads,
            ):
                result = await client.execute_workflow(
                    PurchaseFruitsWorkflow.run,
                    wanted,
                    id="hello-activity-choice",
                    task_queue="hello-activity-choice",
                )
    print(f"Result: {result}")


if __name__ == "__main__":
    asyncio.run(main())
