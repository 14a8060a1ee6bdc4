"""What a worker process of this suite does when it is told to.

Orders come in on stdin, one JSON object a line, and each is answered by one on stdout;
before them all, an answer says that the process is connected.

- ``{"do": "serve", "queue": …, "activities": …, "nexus": …, …worker options}`` starts a
  worker;
- ``{"do": "leave", "queue": …}`` shuts it down gracefully;
- ``{"do": "start", "workflow": …, "id": …, "queue": …, "args": …}`` starts a run from
  within the process, whose own worker gets it (eager start);
- ``{"do": "bow out", "ids": …, …}`` starts several while the queue is left;
- ``{"do": "race", …, "times": …, "use_existing": …}`` starts the same run many times;
- ``{"do": "census"}`` tells how often each fault point was passed;
- ``{"do": "colleagues"}`` tells how many processes serve each queue, as far as this one
  knows.

When stdin ends, the process leaves all its queues and ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

from dbosify._runtime import faults
from dbosify._runtime.host import Host, host_of
from dbosify._store.url import DatabaseUrl
from dbosify.client import Client
from dbosify.common import RetryPolicy, WorkflowIDConflictPolicy
from dbosify.exceptions import WorkflowAlreadyStartedError
from dbosify.worker import Worker
from tests.kill_recover.scenarios import WORKFLOWS, Activities, Desk

NAMESPACE = "kill_recover"
"""Apart from other suites, whose workers would take part in recovery."""

NAMESPACE_VARIABLE = "KILL_RECOVER_NAMESPACE"
"""Names another one, for a test whose runs and schedules nobody else may touch."""

STORE_VARIABLE = "KILL_RECOVER_STORE"
"""Names the database of runs where it is not the one of effects."""

HEARTBEAT_INTERVAL = timedelta(milliseconds=20)
"""So short that each heartbeat of the scenarios is stored before the next one."""

OPTIONS = frozenset({"max_cached_workflows", "disable_eager_activity_execution"})
"""What an order may say of a worker, by the name of the worker's own option."""

RACERS = 4
"""Starts that a process has under way at once: more would only wait for connections,
of which a database has few."""


def start_options(
    *,
    cron_schedule: str = "",
    retry_seconds: float | None = None,
    run_seconds: float | None = None,
    task_seconds: float | None = None,
) -> dict[str, Any]:
    """Options of a start, from what can be said in JSON."""
    options: dict[str, Any] = {"cron_schedule": cron_schedule}
    if retry_seconds is not None:
        options["retry_policy"] = RetryPolicy(
            initial_interval=timedelta(seconds=retry_seconds), backoff_coefficient=1
        )
    if run_seconds is not None:
        options["run_timeout"] = timedelta(seconds=run_seconds)
    if task_seconds is not None:
        options["task_timeout"] = timedelta(seconds=task_seconds)
    return options


class Program:
    """The process's workers.

    Args:
        client: Of the namespace.
        host: Of the namespace in this process.
        url: Of the database with the table of effects.
    """

    def __init__(self, client: Client, host: Host, url: str) -> None:
        """Serve nothing yet."""
        self._client = client
        self._host = host
        self._activities = Activities(url)
        self._workers: dict[str, Worker] = {}
        self._census: Counter[str] = Counter()
        self._count_points()

    def _count_points(self) -> None:
        reach = faults.reach

        def counted(point: faults.Point) -> None:
            self._census[point.name] += 1
            reach(point)

        faults.reach = counted

    async def obey(self, order: dict[str, Any]) -> dict[str, int]:
        """Carry out an order."""
        match order.pop("do"):
            case "serve":
                await self._serve(**order)
            case "leave":
                await self._leave(**order)
            case "start":
                await self._start(**order)
            case "bow out":
                await self._bow_out(**order)
            case "race":
                return await self._race(**order)
            case "census":
                return dict(self._census)
            case "colleagues":
                return dict(self._host.servers)
            case unknown:
                raise ValueError(f"no such order: {unknown}")
        return {}

    async def _serve(
        self,
        queue: str,
        *,
        activities: bool = True,
        nexus: bool = False,
        **options: int | bool,
    ) -> None:
        unknown = options.keys() - OPTIONS
        if unknown:
            raise ValueError(f"not for an order to say: {sorted(unknown)}")
        chosen: dict[str, Any] = options
        worker = Worker(
            self._client,
            task_queue=queue,
            workflows=WORKFLOWS,
            activities=self._activities.all if activities else (),
            nexus_service_handlers=[Desk()] if nexus else (),
            build_id="kill-recover",
            max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
            **chosen,
        )
        await worker.__aenter__()
        self._workers[queue] = worker

    async def _leave(self, queue: str) -> None:
        await self._workers.pop(queue).shutdown()

    async def _start(
        self,
        workflow: str,
        *,
        workflow_id: str,
        queue: str,
        args: list[Any],
        use_existing: bool = False,
        options: dict[str, Any] | None = None,
    ) -> str:
        policy = (
            WorkflowIDConflictPolicy.USE_EXISTING
            if use_existing
            else WorkflowIDConflictPolicy.FAIL
        )
        handle = await self._client.start_workflow(
            workflow,
            args=args,
            id=workflow_id,
            task_queue=queue,
            id_conflict_policy=policy,
            request_eager_start=True,
            **start_options(**(options or {})),
        )
        assert handle.first_execution_run_id is not None
        return handle.first_execution_run_id

    async def _bow_out(self, ids: list[str], *, queue: str, **start: Any) -> None:
        starts = [
            self._start(workflow_id=workflow_id, queue=queue, **start)
            for workflow_id in ids
        ]
        await asyncio.gather(*starts, self._leave(queue))

    async def _race(self, times: int, **start: Any) -> dict[str, int]:
        """Start a run many times; counts the run ids that came back, and refusals."""
        answers: Counter[str] = Counter()
        places = asyncio.Semaphore(RACERS)

        async def once() -> None:
            async with places:
                try:
                    answers[await self._start(**start)] += 1
                except WorkflowAlreadyStartedError:
                    answers["refused"] += 1

        await asyncio.gather(*(once() for _ in range(times)))
        return dict(answers)

    async def leave_all(self) -> None:
        """Shut all workers down."""
        await asyncio.gather(*(self._leave(queue) for queue in list(self._workers)))


async def take_orders(url: str) -> None:
    """Obey until stdin ends.

    Args:
        url: Of the database, unless the environment names another; effects are
            written here in any case.
    """
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    store = os.environ.get(STORE_VARIABLE, url)
    namespace = os.environ.get(NAMESPACE_VARIABLE, NAMESPACE)
    async with await Client.connect(store, namespace=namespace) as client:
        host = host_of(DatabaseUrl.parse(store), namespace)
        program = Program(client, host, url)
        _answer({})
        async for line in orders:
            _answer(await program.obey(json.loads(line)))
        await program.leave_all()


def _answer(content: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()
