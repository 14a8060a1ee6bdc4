"""The workers that run, and what waits for them, as operators see it.

A worker's row says nothing about its being alive: its process's lease does.
"""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.worker.v1 import WorkerHeartbeat

from dbosify._model import ids
from dbosify._model.clock import of_seconds

from .engine import Database


@dataclass(frozen=True, slots=True)
class Backlog:
    """Tasks of one priority that wait in a task queue."""

    priority: int
    """As activities are ordered by it; 0 for tasks that have none."""
    tasks: int
    since: float
    """Of the oldest, seconds since 1970."""


async def enter(
    database: Database, executor_id: str, instance: WorkerHeartbeat
) -> None:
    """Note what a worker of a process says of itself."""
    await database.fetch(
        "enter_instance",
        {
            "instance_key": instance.worker_instance_key,
            "executor_id": executor_id,
            "task_queue": instance.task_queue,
            "info": instance.SerializeToString(),
        },
    )


async def drop(database: Database, instance_key: str) -> None:
    """Forget a worker that has ended."""
    await database.fetch("drop_instance", {"instance_key": instance_key})


async def alive(
    database: Database, task_queue: str | None = None
) -> list[WorkerHeartbeat]:
    """The workers that are alive, perhaps of one task queue, in a steady order."""
    rows = await database.fetch("list_instances", {"task_queue": task_queue})
    found = []
    for row in rows:
        instance = WorkerHeartbeat.FromString(row["info"])
        # The lease of its process says so.
        instance.heartbeat_time.CopyFrom(of_seconds(row["seen_s"]))
        found.append(instance)
    return found


async def backlog_of_runs(database: Database, task_queue: str) -> list[Backlog]:
    """The runs that wait for a worker."""
    rows = await database.fetch("queue_backlog", {"queue": task_queue})
    return [Backlog(0, row["tasks"], row["since"]) for row in rows]


async def backlog_of_activities(database: Database, task_queue: str) -> list[Backlog]:
    """The activities that wait for a worker, by priority."""
    queue = ids.activity_queue(task_queue)
    rows = await database.fetch("queue_backlog", {"queue": queue})
    return [Backlog(row["priority"], row["tasks"], row["since"]) for row in rows]


async def backlog_of_nexus(database: Database, task_queue: str) -> list[Backlog]:
    """The calls of Nexus handlers that wait for a worker."""
    rows = await database.fetch("nexus_backlog", {"queue": task_queue})
    return [Backlog(0, row["tasks"], row["since"]) for row in rows if row["tasks"]]
