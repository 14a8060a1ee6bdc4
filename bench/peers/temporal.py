"""The peers that speak Temporal's SDK: Temporal itself, and dbosify.

One module serves both. Only the package that `Client` and `Worker` come from and the
address differ, which is the promise dbosify makes to its users.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from bench.peers import workflows
from bench.peers.activities import echo_activity
from bench.peers.face import Engine, Run, Shape

_TASK_QUEUE = "bench"
# Without one the worker hashes the code of every loaded module as it starts: a cost of
# the machine's disk that would drown the recovery rows.
_BUILD_ID = "bench"

_WORKFLOWS: dict[Shape, Callable[[Any, int], Awaitable[int]]] = {
    Shape.NOOP: workflows.Noop.run,
    Shape.SEQUENCE: workflows.Sequence.run,
    Shape.PARALLEL: workflows.Parallel.run,
    Shape.WAITING: workflows.Waiting.run,
    Shape.WATCHED: workflows.Waiting.run,
}


@dataclass(frozen=True, slots=True)
class _TemporalRun:
    handle: WorkflowHandle[Any, int]

    async def signal(self) -> None:
        await self.handle.signal(workflows.Waiting.release)

    async def query(self) -> int:
        return await self.handle.query(workflows.Waiting.done)

    async def result(self) -> int:
        return await self.handle.result()


@dataclass(frozen=True, slots=True)
class _TemporalEngine:
    client: Client

    async def start(self, shape: Shape, size: int, *, run_id: str) -> Run:
        return _TemporalRun(
            await self.client.start_workflow(
                _WORKFLOWS[shape], size, id=run_id, task_queue=_TASK_QUEUE
            )
        )

    async def attach(self, run_id: str) -> Run:
        return _TemporalRun(
            self.client.get_workflow_handle_for(workflows.Waiting.run, run_id)
        )


def load(package: str) -> tuple[type[Client], type[Worker]]:
    """Import the client and worker classes of `temporalio` or of its namesake."""
    client = importlib.import_module(f"{package}.client")
    worker = importlib.import_module(f"{package}.worker")
    return client.Client, worker.Worker


@asynccontextmanager
async def open_engine(
    address: str, *, package: str, sandboxed: bool
) -> AsyncIterator[Engine]:
    """Run a client and a worker, both with their defaults, until the block ends."""
    client_class, worker_class = load(package)
    runner: WorkflowRunner = (
        SandboxedWorkflowRunner() if sandboxed else UnsandboxedWorkflowRunner()
    )
    async with AsyncExitStack() as stack:
        client = await client_class.connect(address)
        # Temporal's client has nothing to close; dbosify's owns connections.
        if isinstance(client, AbstractAsyncContextManager):
            await stack.enter_async_context(client)
        await stack.enter_async_context(
            worker_class(
                client,
                task_queue=_TASK_QUEUE,
                workflows=[
                    workflows.Noop,
                    workflows.Sequence,
                    workflows.Parallel,
                    workflows.Waiting,
                ],
                activities=[echo_activity],
                workflow_runner=runner,
                build_id=_BUILD_ID,
            )
        )
        yield _TemporalEngine(client)
