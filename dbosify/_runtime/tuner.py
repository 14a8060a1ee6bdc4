"""From the SDK's tuner, as it reaches the core, to our slots.

A user's own supplier comes in an object of the core's that shows nothing of itself. So
ours takes that object's place (`install`), and is changed into it for a worker that
runs on the real core.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import temporalio.bridge.worker
import temporalio.worker._tuning

from .machine import Usage
from .resources import Controller, ResourceSupplier
from .slots import Asker, FixedSlots, Slots, SuppliedSlots, Supplier

_TUNING: Any = temporalio.worker._tuning
_CoreSupplier = _TUNING.BridgeCustomSlotSupplier
WorkerConfig = temporalio.bridge.worker.WorkerConfig

KINDS = ("workflow", "activity", "local_activity", "nexus")


class CustomSupplier:
    """A user's supplier on its way to a worker.

    Args:
        wrapper: the SDK's own, around the user's: it logs what that raises.
    """

    def __init__(self, wrapper: Supplier) -> None:
        self.wrapper = wrapper


def install() -> None:
    """Learn of users' slot suppliers; again is harmless."""
    _TUNING.BridgeCustomSlotSupplier = CustomSupplier


def for_core(config: WorkerConfig) -> WorkerConfig:
    """The configuration as the real core takes it."""
    suppliers: dict[str, Any] = {}
    for kind in KINDS:
        supplier = _supplier(config.tuner, kind)
        if isinstance(supplier, CustomSupplier):
            suppliers[f"{kind}_slot_supplier"] = _CoreSupplier(supplier.wrapper)
    if not suppliers:
        return config
    tuner = dataclasses.replace(config.tuner, **suppliers)
    return dataclasses.replace(config, tuner=tuner)


def fixed_size(tuner: Any, kind: str) -> int | None:
    """The number of slots of a kind, if it never changes."""
    return getattr(_supplier(tuner, kind), "num_slots", None)


class Tuner:
    """Makes the slots of one worker.

    Args:
        tuner: the core's.
    """

    def __init__(self, tuner: Any) -> None:
        self._tuner = tuner
        self._controllers: dict[tuple[float, float], Controller] = {}

    def slots(self, kind: str, asker: Asker) -> Slots:
        """The slots of a kind of task."""
        supplier = _supplier(self._tuner, kind)
        if isinstance(supplier, CustomSupplier):
            return SuppliedSlots(supplier.wrapper, asker)
        size = fixed_size(self._tuner, kind)
        if size is not None:
            return FixedSlots(size)
        target = supplier.tuner_config
        key = (target.target_memory_usage, target.target_cpu_usage)
        controller = self._controllers.setdefault(key, Controller(Usage(*key)))
        resources = ResourceSupplier(
            controller,
            minimum=supplier.minimum_slots,
            maximum=supplier.maximum_slots,
            ramp=supplier.ramp_throttle_ms / 1000,
        )
        return SuppliedSlots(resources, asker)


def _supplier(tuner: Any, kind: str) -> Any:
    return getattr(tuner, f"{kind}_slot_supplier")


def same_targets(tuner: Any) -> bool:
    """Whether all resource-based suppliers of a tuner aim at the same use."""
    targets = [
        supplier.tuner_config
        for supplier in (_supplier(tuner, kind) for kind in KINDS)
        if hasattr(supplier, "tuner_config")
    ]
    return all(target == targets[0] for target in targets)
