"""Workflows share a few resources that another workflow hands out and takes back."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.exceptions import ApplicationError

TASK_QUEUE = "resource-pool"
POOL = "resource-pool"
MINUTE = timedelta(minutes=1)


@dataclass
class Wanted:
    """Who asks for a resource, to be told by a signal that only it knows."""

    workflow_id: str
    signal: str


@dataclass
class Assigned:
    """A resource, and the key with which alone it is given back."""

    resource: str
    key: str


@dataclass
class PoolInput:
    held: dict[str, str | None]
    """The key under which each resource is held; None for a free one."""
    waiting: list[Wanted] = field(default_factory=list)


@workflow.defn
class ResourcePoolWorkflow:
    @workflow.init
    def __init__(self, given: PoolInput) -> None:
        self._held = dict(given.held)
        self._waiting = deque(given.waiting)

    @workflow.run
    async def run(self, given: PoolInput) -> None:
        info = workflow.info()
        while True:
            await workflow.wait_condition(
                lambda: self._can_assign() or info.is_continue_as_new_suggested()
            )
            while self._can_assign():
                await self._assign(self._waiting.popleft())
            if info.is_continue_as_new_suggested():
                workflow.continue_as_new(PoolInput(self._held, list(self._waiting)))

    def _can_assign(self) -> bool:
        return bool(self._waiting) and None in self._held.values()

    async def _assign(self, wanted: Wanted) -> None:
        resource = next(name for name, key in self._held.items() if key is None)
        key = str(workflow.uuid4())
        self._held[resource] = key
        asker = workflow.get_external_workflow_handle(wanted.workflow_id)
        try:
            await asker.signal(wanted.signal, Assigned(resource, key))
        except ApplicationError as error:
            if error.type != "ExternalWorkflowExecutionNotFound":
                raise
            # Whoever asked is gone, and would never give it back.
            self._held[resource] = None

    @workflow.signal
    def acquire(self, wanted: Wanted) -> None:
        self._waiting.append(wanted)

    @workflow.signal
    def release(self, given: Assigned) -> None:
        if self._held.get(given.resource) == given.key:
            self._held[given.resource] = None

    @workflow.query
    def holders(self) -> dict[str, str | None]:
        return self._held


@asynccontextmanager
async def resource(held: Assigned | None = None) -> AsyncIterator[Assigned]:
    """One of the pool's resources; it goes back unless the block continues as new.

    Args:
        held: What the run before this one had and kept.
    """
    pool = workflow.get_external_workflow_handle_for(ResourcePoolWorkflow.run, POOL)
    given = [held] if held is not None else []
    if held is None:
        name = f"assign_resource_{POOL}"
        workflow.set_signal_handler(name, _receiver(given))
        wanted = Wanted(workflow.info().workflow_id, name)
        await pool.signal(ResourcePoolWorkflow.acquire, wanted)
        await workflow.wait_condition(lambda: bool(given), timeout=MINUTE)
    try:
        yield given[0]
    except workflow.ContinueAsNewError:
        raise
    except BaseException:
        await pool.signal(ResourcePoolWorkflow.release, given[0])
        raise
    else:
        await pool.signal(ResourcePoolWorkflow.release, given[0])


def _receiver(given: list[Assigned]) -> Callable[[Assigned], None]:
    def receive(assigned: Assigned) -> None:
        given.append(assigned)

    return receive


@dataclass
class UserInput:
    uses: int = 2
    fails_after: int | None = None
    continues_after: int | None = None
    held: Assigned | None = None


@dataclass
class Use:
    resource: str
    workflow_id: str


@activity.defn
async def use_resource(use: Use) -> None:
    await asyncio.sleep(1)


@workflow.defn(failure_exception_types=[Exception])
class UserWorkflow:
    @workflow.run
    async def run(self, given: UserInput) -> None:
        if workflow.info().run_timeout or workflow.info().execution_timeout:
            workflow.logger.warning("a timeout would keep the resource for ever")
        async with resource(given.held) as mine:
            for number in range(given.uses):
                await workflow.execute_activity(
                    use_resource,
                    Use(mine.resource, workflow.info().workflow_id),
                    start_to_close_timeout=timedelta(seconds=10),
                )
                if number + 1 == given.fails_after:
                    raise ValueError("it was not what it seemed")
                if number + 1 == given.continues_after:
                    workflow.continue_as_new(
                        UserInput(given.uses - number - 1, held=mine)
                    )
