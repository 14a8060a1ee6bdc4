"""A shopping cart comes into being with the first thing that is put into it."""

from dataclasses import dataclass
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from dbosify.common import WorkflowIDConflictPolicy
from dbosify.exceptions import ApplicationError

TASK_QUEUE = "messages-cart"

PRICES = {"sku-123": 599}


@dataclass(frozen=True)
class CartItem:
    sku: str
    quantity: int


@dataclass
class FinalOrder:
    items: list[tuple[CartItem, int]]
    total: int


@activity.defn
async def price_of(item: CartItem) -> int | None:
    price = PRICES.get(item.sku)
    return None if price is None else price * item.quantity


@workflow.defn
class CartWorkflow:
    def __init__(self) -> None:
        self._items: list[tuple[CartItem, int]] = []
        self._order_submitted = False

    @workflow.run
    async def run(self) -> FinalOrder:
        await workflow.wait_condition(
            lambda: workflow.all_handlers_finished() and self._order_submitted
        )
        return FinalOrder(self._items, self._total())

    @workflow.update
    async def add_item(self, item: CartItem) -> int:
        price = await workflow.execute_activity(
            price_of, item, start_to_close_timeout=timedelta(seconds=10)
        )
        if price is None:
            raise ApplicationError(
                f"{item.sku} is not for sale", type="ItemUnavailableError"
            )
        self._items.append((item, price))
        return self._total()

    def _total(self) -> int:
        return sum(price for _, price in self._items)

    @workflow.signal
    def checkout(self) -> None:
        self._order_submitted = True


async def put_into_cart(client: Client, session: str, item: CartItem) -> int | None:
    """Add an item to the session's cart; the price of all, None if it can't be had."""
    start = WithStartWorkflowOperation(
        CartWorkflow.run,
        id=f"cart-{session}",
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        task_queue=TASK_QUEUE,
    )
    try:
        total = await client.execute_update_with_start_workflow(
            CartWorkflow.add_item, item, start_workflow_operation=start
        )
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == "ItemUnavailableError":
            total = None
        else:
            raise
    # There is a cart by now, whatever became of the item.
    await start.workflow_handle()
    return total
