"""An entity hands out nodes, one request at a time, for as long as it is asked to."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.common import RetryPolicy
from dbosify.exceptions import ApplicationError

TASK_QUEUE = "messages-cluster"
NODES = 25
TEN_SECONDS = timedelta(seconds=10)


@dataclass
class State:
    started: bool = False
    shut_down: bool = False
    nodes: dict[str, str | None] = field(default_factory=dict)
    """Whose job each node runs; None for a free one, `BAD!` for one that is broken."""
    jobs: dict[str, set[str]] = field(default_factory=dict)
    """The nodes that each job got."""


@dataclass
class ClusterInput:
    state: State | None = None
    test_continue_as_new: bool = False


@dataclass
class Result:
    assigned: int
    bad: int


@dataclass(kw_only=True)
class Request:
    job: str
    nodes: int


@dataclass
class Assigned:
    nodes: set[str]


@activity.defn
async def assign(nodes: list[str], job: str) -> None:
    await asyncio.sleep(0.02)


@activity.defn
async def unassign(nodes: list[str], job: str) -> None:
    await asyncio.sleep(0.02)


@activity.defn
async def find_bad(nodes: list[str]) -> list[str]:
    return sorted(nodes)[-1:]


@workflow.defn
class ClusterWorkflow:
    @workflow.init
    def __init__(self, given: ClusterInput) -> None:
        self._state = given.state or State()
        self._lock = asyncio.Lock()
        self._limit = 60 if given.test_continue_as_new else None

    @workflow.run
    async def run(self, given: ClusterInput) -> Result:
        await workflow.wait_condition(lambda: self._state.started)
        while True:
            await self._check_health()
            try:
                await workflow.wait_condition(
                    lambda: self._state.shut_down or self._should_continue(),
                    timeout=timedelta(milliseconds=200),
                )
            except asyncio.TimeoutError:
                continue
            await workflow.wait_condition(workflow.all_handlers_finished)
            if self._state.shut_down:
                return Result(len(self._of_jobs()), len(self._bad()))
            workflow.continue_as_new(
                ClusterInput(self._state, given.test_continue_as_new)
            )

    def _should_continue(self) -> bool:
        info = workflow.info()
        if info.is_continue_as_new_suggested():
            return True
        return bool(self._limit and info.get_current_history_length() > self._limit)

    @workflow.signal
    def start_cluster(self) -> None:
        self._state.started = True
        self._state.nodes = {f"node-{number:02}": None for number in range(NODES)}

    @workflow.signal
    async def shut_down(self) -> None:
        await workflow.wait_condition(lambda: self._state.started)
        self._state.shut_down = True

    @workflow.update
    async def assign_nodes(self, request: Request) -> Assigned:
        await workflow.wait_condition(lambda: self._state.started)
        if self._state.shut_down:
            raise ApplicationError("the cluster is down")
        async with self._lock:
            # The same request again is the same request.
            if request.job in self._state.jobs:
                return Assigned(self._state.jobs[request.job])
            free = self._free()
            if len(free) < request.nodes:
                raise ApplicationError(
                    f"Cannot assign {request.nodes} nodes; have only {len(free)}"
                    " available"
                )
            chosen = free[: request.nodes]
            await self._execute(assign, chosen, request.job)
            for node in chosen:
                self._state.nodes[node] = request.job
            self._state.jobs[request.job] = set(chosen)
            return Assigned(set(chosen))

    @workflow.update
    async def delete_job(self, job: str) -> None:
        await workflow.wait_condition(lambda: self._state.started)
        async with self._lock:
            nodes = [node for node, of in self._state.nodes.items() if of == job]
            await self._execute(unassign, nodes, job)
            for node in nodes:
                self._state.nodes[node] = None

    async def _execute(
        self,
        what: Callable[[list[str], str], Awaitable[None]],
        nodes: list[str],
        job: str,
    ) -> None:
        await workflow.execute_activity(
            what,
            args=[nodes, job],
            start_to_close_timeout=TEN_SECONDS,
        )

    async def _check_health(self) -> None:
        async with self._lock:
            nodes = self._of_jobs()
            bad = await workflow.execute_activity(
                find_bad,
                nodes,
                start_to_close_timeout=TEN_SECONDS,
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
            # One is enough for a sample.
            for node in [] if self._bad() else bad:
                self._state.nodes[node] = "BAD!"

    def _free(self) -> list[str]:
        return [node for node, of in self._state.nodes.items() if of is None]

    def _of_jobs(self) -> list[str]:
        return [
            node for node, of in self._state.nodes.items() if of not in (None, "BAD!")
        ]

    def _bad(self) -> list[str]:
        return [node for node, of in self._state.nodes.items() if of == "BAD!"]
