"""What operators set for task queues: rates of activities, weights of fairness keys.

The whole is kept as the protobuf that is shown; beside it stands, in columns, what the
statements of workers read of it.
"""

from __future__ import annotations

import json
import math

from temporalio.api.taskqueue.v1 import TaskQueueConfig

from .engine import Connection, Database
from .fairness import usual


async def find(
    database: Database, task_queue: str, kind: int
) -> TaskQueueConfig | None:
    """What is set for the tasks of a kind in a queue; None if nothing ever was."""
    params = {"task_queue": task_queue, "kind": kind}
    for row in await database.fetch("find_queue_config", params):
        return TaskQueueConfig.FromString(row["config"])
    return None


async def hold(
    connection: Connection, database: Database, task_queue: str, *, kind: int
) -> TaskQueueConfig:
    """The same, in a transaction that may change it."""
    params = {"task_queue": task_queue, "kind": kind}
    [row] = await database.run(connection, "hold_queue_config", params)
    return TaskQueueConfig.FromString(row["config"])


async def save(
    connection: Connection,
    database: Database,
    task_queue: str,
    *,
    kind: int,
    config: TaskQueueConfig,
) -> None:
    """Change what is held."""
    weights = {
        key.replace("\0", " "): usual(weight)
        for key, weight in config.fairness_weight_overrides.items()
    }
    await database.run(
        connection,
        "save_queue_config",
        {
            "task_queue": task_queue,
            "kind": kind,
            "config": config.SerializeToString(),
            "rate": rate_of(config),
            "weights": json.dumps(weights) if weights else None,
        },
    )


def rate_of(config: TaskQueueConfig) -> float | None:
    """Tasks in a second; None if they have no limit."""
    limit = config.queue_rate_limit
    if not limit.HasField("rate_limit"):
        return None
    rate: float = limit.rate_limit.requests_per_second
    return rate if math.isfinite(rate) else None


async def rates(database: Database, task_queue: str) -> dict[str, float]:
    """The rate of a queue's activities by its name, if there is one."""
    rows = await database.fetch("activity_rate", {"task_queue": task_queue})
    return {task_queue: rows[0]["rate"]} if rows else {}
