"""Slots: how many tasks of one kind a worker takes on at the same time.

A fixed number of them is a counter. Any other supplier, resource-based or a user's own,
is asked as Temporal's core asks it: reserved ahead of the tasks, as many as there are
pollers, marked used when a task comes, released when it is over or never came.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from temporalio.common import WorkerDeploymentVersion

logger = logging.getLogger(__name__)

_RETRY = 0.5
"""Seconds before a supplier that raised is asked again."""


@dataclass(frozen=True, slots=True)
class ReserveContext:
    """What a supplier is told when it is asked for a slot; the SDK documents it."""

    slot_type: str
    task_queue: str
    worker_identity: str
    worker_build_id: str
    worker_deployment_version: WorkerDeploymentVersion | None
    is_sticky: bool


@dataclass(frozen=True, slots=True)
class UsedContext:
    """What a supplier is told when a task takes a slot."""

    slot_info: object
    permit: object


@dataclass(frozen=True, slots=True)
class ReleaseContext:
    """What a supplier is told when a slot is free again."""

    slot_info: object | None
    permit: object


@dataclass(frozen=True, slots=True)
class WorkflowSlotInfo:
    """The workflow task on a slot."""

    workflow_type: str
    is_sticky: bool


@dataclass(frozen=True, slots=True)
class ActivitySlotInfo:
    """The activity task on a slot, local or not."""

    activity_type: str


@dataclass(frozen=True, slots=True)
class NexusSlotInfo:
    """The call of a Nexus handler on a slot."""

    service: str
    operation: str


class Supplier(Protocol):
    """A slot supplier as the SDK's own wrapper around a user's shows it."""

    async def reserve_slot(
        self, ctx: ReserveContext, reserve_cb: Callable[[Any], None]
    ) -> object:
        """Wait for a slot."""

    def try_reserve_slot(self, ctx: ReserveContext) -> object | None:
        """A slot, or None, at once."""

    def mark_slot_used(self, ctx: UsedContext) -> None:
        """A task is on the slot."""

    def release_slot(self, ctx: ReleaseContext) -> None:
        """The slot is free."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for slots, for what, and how many ahead."""

    slot_type: str
    task_queue: str
    identity: str
    build_id: str
    deployment: WorkerDeploymentVersion | None = None
    ahead: int = 1
    """Slots kept reserved for tasks that have not come, as pollers do."""
    ahead_sticky: int = 0
    """The same for tasks of cached runs."""

    def context(self, *, is_sticky: bool) -> ReserveContext:
        """What a supplier is told."""
        return ReserveContext(
            self.slot_type,
            self.task_queue,
            self.identity,
            self.build_id if self.deployment is None else self.deployment.build_id,
            self.deployment,
            is_sticky,
        )


class Permit:
    """The right to one slot; made by `Slots`."""

    __slots__ = ("_info", "_over", "_slots", "value")

    def __init__(self, slots: Slots, value: object = None) -> None:
        self._slots = slots
        self._info: object | None = None
        self._over = False
        self.value = value

    @property
    def is_used(self) -> bool:
        """Whether a task is on the slot."""
        return self._info is not None

    def use(self, info: object) -> None:
        """A task is on the slot; a second word about it is ignored."""
        if self._info is None and not self._over:
            self._info = info
            self._slots.now_used(self, info)

    def release(self) -> None:
        """The slot is free again; twice is harmless."""
        if not self._over:
            self._over = True
            self._slots.now_free(self, self._info)


class Slots(Protocol):
    """The slots of one kind of task."""

    used: int
    """By tasks, at the moment."""
    on_change: Callable[[], None]
    """Called whenever `used` and with it `available` has changed."""
    on_ready: Callable[[], None]
    """Called when there is a slot again after there was none."""
    hands_over: bool
    """Whether a run may be handed to a free slot without being queued."""

    @property
    def available(self) -> int | None:
        """Slots that no task uses, if that is known; as in core, reserved ones too."""

    def start(self) -> None:
        """Begin to reserve ahead; on the worker's loop."""

    def close(self) -> None:
        """Reserve nothing more and give back what no task uses."""

    def ready(self) -> int:
        """Tasks that may be claimed now."""

    def try_take(self) -> Permit | None:
        """A slot for an eager task, or None."""

    def take_ready(self) -> Permit:
        """A slot for a task that was claimed; `ready` said that there is one."""

    async def take(self, *, is_sticky: bool) -> Permit:
        """Wait for a slot for a task that is there."""

    def now_used(self, permit: Permit, info: object) -> None:
        """For `Permit` alone."""

    def now_free(self, permit: Permit, info: object | None) -> None:
        """For `Permit` alone."""


def _ignore() -> None:
    """Nobody is interested."""


class FixedSlots:
    """A number of slots that never changes.

    Args:
        size: how many.
    """

    hands_over = True

    def __init__(self, size: int) -> None:
        self.used = 0
        self.on_change: Callable[[], None] = _ignore
        self.on_ready: Callable[[], None] = _ignore
        self._size = self._free = size
        self._waiting: deque[asyncio.Future[Permit]] = deque()

    @property
    def available(self) -> int | None:
        """See `Slots`."""
        return self._size - self.used

    def start(self) -> None:
        """See `Slots`."""

    def close(self) -> None:
        """See `Slots`."""

    def ready(self) -> int:
        """See `Slots`."""
        return self._free

    def try_take(self) -> Permit | None:
        """See `Slots`."""
        if self._free <= 0:
            return None
        self._free -= 1
        return Permit(self)

    def take_ready(self) -> Permit:
        """See `Slots`."""
        self._free -= 1
        return Permit(self)

    async def take(self, *, is_sticky: bool) -> Permit:
        """See `Slots`."""
        del is_sticky
        if self._free > 0:
            return self.take_ready()
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return await _granted(waiter)

    def now_used(self, permit: Permit, info: object) -> None:
        """See `Slots`."""
        del permit, info
        self.used += 1
        self.on_change()

    def now_free(self, permit: Permit, info: object | None) -> None:
        """See `Slots`."""
        del permit
        waiter = _next(self._waiting)
        if waiter is not None:
            waiter.set_result(Permit(self))
        else:
            self._free += 1
            if self._free == 1:
                self.on_ready()
        if info is not None:
            self.used -= 1
            self.on_change()


class SuppliedSlots:
    """Slots of a supplier that decides each time.

    Args:
        supplier: asked for each slot.
        asker: on whose behalf.
    """

    hands_over = False

    def __init__(self, supplier: Supplier, asker: Asker) -> None:
        self.used = 0
        self.on_change: Callable[[], None] = _ignore
        self.on_ready: Callable[[], None] = _ignore
        self._supplier = supplier
        self._asker = asker
        self._held: dict[bool, deque[Permit]] = {False: deque(), True: deque()}
        self._taken = asyncio.Event()
        self._waiting: deque[asyncio.Future[Permit]] = deque()
        self._keepers: list[asyncio.Task[None]] = []
        self._closed = False

    @property
    def available(self) -> int | None:
        """See `Slots`: nobody knows how many a supplier would still give."""
        return None

    def start(self) -> None:
        """See `Slots`."""
        loop = asyncio.get_running_loop()
        for is_sticky, count in (
            (False, self._asker.ahead),
            (True, self._asker.ahead_sticky),
        ):
            for _ in range(count):
                self._keepers.append(loop.create_task(self._keep(is_sticky)))

    def close(self) -> None:
        """See `Slots`."""
        self._closed = True
        for keeper in self._keepers:
            keeper.cancel()
        for held in self._held.values():
            while held:
                held.popleft().release()
        # A task that is there already must not wait for a supplier that nobody asks.
        while (waiter := _next(self._waiting)) is not None:
            waiter.set_result(Permit(FixedSlots(0)))

    def ready(self) -> int:
        """See `Slots`."""
        return sum(len(held) for held in self._held.values())

    def try_take(self) -> Permit | None:
        """See `Slots`."""
        value = self._supplier.try_reserve_slot(self._asker.context(is_sticky=False))
        return None if value is None else Permit(self, value)

    def take_ready(self) -> Permit:
        """See `Slots`."""
        return self._take_held(False)

    async def take(self, *, is_sticky: bool) -> Permit:
        """See `Slots`."""
        if self._closed:
            return Permit(FixedSlots(0))
        if self.ready():
            return self._take_held(is_sticky)
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return await _granted(waiter)

    def now_used(self, permit: Permit, info: object) -> None:
        """See `Slots`."""
        self.used += 1
        self._supplier.mark_slot_used(UsedContext(info, permit.value))
        self.on_change()

    def now_free(self, permit: Permit, info: object | None) -> None:
        """See `Slots`."""
        self._supplier.release_slot(ReleaseContext(info, permit.value))
        if info is not None:
            self.used -= 1
            self.on_change()

    def _take_held(self, is_sticky: bool) -> Permit:
        # A supplier with few slots may have given them all for the other kind.
        permit = (self._held[is_sticky] or self._held[not is_sticky]).popleft()
        self._taken.set()
        return permit

    async def _keep(self, is_sticky: bool) -> None:
        """Hold one slot ready at a time, until the end."""
        context = self._asker.context(is_sticky=is_sticky)
        while True:
            permit = await self._reserve(context)
            waiter = _next(self._waiting)
            if waiter is not None:
                waiter.set_result(permit)
                continue
            held = self._held[is_sticky]
            held.append(permit)
            self.on_ready()
            while permit in held:
                self._taken.clear()
                await self._taken.wait()

    async def _reserve(self, context: ReserveContext) -> Permit:
        while True:
            try:
                value = await self._supplier.reserve_slot(context, lambda _: None)
            except Exception:  # the SDK's wrapper has logged it
                logger.debug("slot supplier raised", exc_info=True)
                await asyncio.sleep(_RETRY)
            else:
                return Permit(self, value)


async def _granted(waiter: asyncio.Future[Permit]) -> Permit:
    try:
        return await waiter
    except asyncio.CancelledError:
        if waiter.done() and not waiter.cancelled():
            waiter.result().release()
        raise


def _next(waiting: deque[asyncio.Future[Permit]]) -> asyncio.Future[Permit] | None:
    while waiting:
        waiter = waiting.popleft()
        if not waiter.done():
            return waiter
    return None
