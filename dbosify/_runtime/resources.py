"""Slots by how busy the machine is: the resource-based supplier of Temporal's core.

A slot beyond the minimum is given while memory and processors are used less than their
targets, and not before the last one has had time to show what it costs. The gains and
thresholds are the core's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .machine import Gauge, Usage
from .slots import ReleaseContext, ReserveContext, UsedContext

_ASK_AGAIN = 0.01
"""Seconds between looks of a task that waits for the machine to calm down."""
_REFRESH = 0.1
"""Seconds for which a measurement is good."""
_PROPORTIONAL = 5.0
_DERIVATIVE = 1.0
_MEMORY_ABOVE = 0.25
_CPU_ABOVE = 0.05


@dataclass(slots=True)
class Controller:
    """Decides for all kinds of tasks of a worker whether there is room for one more.

    Attributes:
        target: of use, above which nothing is given.
        measured: gives the current use.
        clock: seconds that only grow.
    """

    target: Usage
    measured: Callable[[], Usage] = field(default_factory=lambda: Gauge().measure)
    clock: Callable[[], float] = time.monotonic
    _last: Usage | None = field(default=None, init=False)
    _usage: Usage = field(default=Usage(0.0, 0.0), init=False)
    _taken_at: float = field(default=float("-inf"), init=False)

    def has_room(self) -> bool:
        """Whether one more task fits."""
        now = self.clock()
        if now - self._taken_at >= _REFRESH:
            self._taken_at = now
            self._usage, self._last = self.measured(), self._usage
        usage, last = self._usage, self._last or self._usage
        memory = self._output(self.target.memory, usage.memory, last.memory)
        cpu = self._output(self.target.cpu, usage.cpu, last.cpu)
        return (
            memory > _MEMORY_ABOVE
            and cpu > _CPU_ABOVE
            and usage.memory <= self.target.memory
        )

    @staticmethod
    def _output(target: float, now: float, before: float) -> float:
        return _PROPORTIONAL * (target - now) - _DERIVATIVE * (now - before)


class ResourceSupplier:
    """See the module's text.

    Args:
        controller: shared by the suppliers of a worker.
        minimum: slots given whatever the machine does.
        maximum: of slots.
        ramp: seconds between two slots beyond the minimum.
    """

    def __init__(
        self, controller: Controller, *, minimum: int, maximum: int, ramp: float
    ) -> None:
        self._controller = controller
        self._minimum = minimum
        self._maximum = maximum
        self._ramp = ramp
        self._issued = {False: 0, True: 0}
        self._last = float("-inf")

    async def reserve_slot(
        self, ctx: ReserveContext, reserve_cb: Callable[[Any], None]
    ) -> object:
        """See `Supplier`."""
        del reserve_cb
        while (permit := self.try_reserve_slot(ctx)) is None:
            wait = self._ramp - (self._controller.clock() - self._last)
            await asyncio.sleep(max(wait, _ASK_AGAIN))
        return permit

    def try_reserve_slot(self, ctx: ReserveContext) -> object | None:
        """See `Supplier`."""
        now = self._controller.clock()
        issued = sum(self._issued.values())
        # New and cached runs must each have a slot, or one kind waits for ever.
        stuck = ctx.slot_type == "workflow" and self._issued[ctx.is_sticky] == 0
        if not (issued < self._minimum or stuck) and not (
            now - self._last >= self._ramp
            and issued < self._maximum
            and self._controller.has_room()
        ):
            return None
        self._issued[ctx.is_sticky] += 1
        self._last = now
        return ctx

    def mark_slot_used(self, ctx: UsedContext) -> None:
        """See `Supplier`."""

    def release_slot(self, ctx: ReleaseContext) -> None:
        """See `Supplier`."""
        assert isinstance(ctx.permit, ReserveContext)
        self._issued[ctx.permit.is_sticky] -= 1
