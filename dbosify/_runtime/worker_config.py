"""What the core refuses of a worker's configuration, with its texts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .tuner import WorkerConfig, same_targets


def check(config: WorkerConfig) -> None:
    """Refuse what the core refuses.

    Raises:
        ValueError: with the core's text.
    """
    if not same_targets(config.tuner):
        raise ValueError(
            "All resource-based slot suppliers must have the same"
            " ResourceBasedTunerOptions"
        )
    for wrong in _mistakes(config):
        raise ValueError(f"Invalid worker config: {wrong}")


def _mistakes(config: WorkerConfig) -> Iterator[str]:
    yield from _of_types(config.task_types)
    yield from _of_rates(config)
    yield from _of_cache(config)
    for behavior in (
        config.workflow_task_poller_behavior,
        config.activity_task_poller_behavior,
        config.nexus_task_poller_behavior,
    ):
        yield from _of_poller(behavior)
    yield from _of_versioning(config.versioning_strategy)


def _of_types(types: Any) -> Iterator[str]:
    remote = types.enable_remote_activities or types.enable_nexus
    if not (types.enable_workflows or types.enable_local_activities or remote):
        yield "At least one task type must be enabled in `task_types`"
    if types.enable_local_activities and not types.enable_workflows:
        yield "`task_types` cannot enable local activities without workflows"


def _of_rates(config: WorkerConfig) -> Iterator[str]:
    rate = config.max_activities_per_second
    # A rate that is not a number is no rate.
    if rate is not None and (rate <= 0 or math.isnan(rate)):
        yield "`max_worker_activities_per_second` must be positive and nonzero"


def _of_cache(config: WorkerConfig) -> Iterator[str]:
    most = getattr(config.workflow_task_poller_behavior, "simple_maximum", 2)
    if config.max_cached_workflows > 0 and most < 2:
        yield (
            "`max_cached_workflows` > 0 requires `workflow_task_poller_behavior` to be"
            " at least 2"
        )


def _of_poller(behavior: Any) -> Iterator[str]:
    if hasattr(behavior, "simple_maximum"):
        if behavior.simple_maximum < 1:
            yield "SimpleMaximum poller behavior must be at least 1"
        return
    if behavior.minimum < 1:
        yield "Autoscaling minimum poller behavior must be at least 1"
    if behavior.maximum < behavior.minimum:
        yield "Autoscaling maximum must be greater than or equal to minimum"
    if not behavior.minimum <= behavior.initial <= behavior.maximum:
        yield "Autoscaling initial must be between minimum and maximum"


def _of_versioning(strategy: Any) -> Iterator[str]:
    if getattr(strategy, "build_id_with_versioning", "x") == "":
        yield "Legacy build id-based versioning must have a non-empty build_id"
    if not hasattr(strategy, "version"):
        return
    version = strategy.version
    if not strategy.use_worker_versioning:
        if strategy.default_versioning_behavior:
            yield (
                "default_versioning_behavior must be None when use_worker_versioning is"
                " false"
            )
    elif not (version.build_id and version.deployment_name):
        yield (
            "WorkerDeploymentVersion must have a non-empty build_id and"
            " deployment_name when deployment-based versioning is enabled"
        )


def pollers(behavior: Any) -> int:
    """How many loops a poller behaviour begins with."""
    return int(getattr(behavior, "simple_maximum", 0) or behavior.initial)
