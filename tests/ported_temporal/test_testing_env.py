"""In a test environment a failed assertion fails the run, not only its task."""

from typing import Any

import pytest

import dbosify.client
from dbosify import workflow
from dbosify.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowFailureError,
    WorkflowHandle,
)
from dbosify.exceptions import (
    ApplicationError,
)
from dbosify.testing import WorkflowEnvironment
from tests.fix_backend import Connect
from tests.ported_temporal.scaffold import (
    new_worker,
    random_id,
)


class CountsStarts(Interceptor):
    """An interceptor of the caller's own, which the environment must leave in."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def intercept_client(self, following: OutboundInterceptor) -> OutboundInterceptor:
        return _CountingStarts(following, self.started)


class _CountingStarts(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, started: list[str]) -> None:
        super().__init__(following)
        self._started = started

    async def start_workflow(
        self, start: StartWorkflowInput
    ) -> WorkflowHandle[Any, Any]:
        self._started.append(start.id)
        return await super().start_workflow(start)


@workflow.defn
class AssertingWorkflow:
    """Makes a wrong claim, in the place it is told to."""

    def __init__(self) -> None:
        self._asserted = False

    @workflow.run
    async def run(self, in_signal: bool) -> None:
        if not in_signal:
            claim("foo", "bar")
        await workflow.wait_condition(lambda: self._asserted)

    @workflow.signal
    def claim_it(self) -> None:
        claim("foo", "bar")


def claim(one: str, other: str) -> None:
    assert one == other


@pytest.mark.parametrize("in_signal", [False, True], ids=["run", "signal"])
async def test_workflow_env_assert(client: Client, in_signal: bool) -> None:
    counts = CountsStarts()
    config: Any = {**client.config(), "interceptors": [counts]}
    env = WorkflowEnvironment.from_client(Client(**config))
    async with new_worker(env.client, AssertingWorkflow) as worker:
        handle = await env.client.start_workflow(
            AssertingWorkflow.run,
            in_signal,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        if in_signal:
            await handle.signal(AssertingWorkflow.claim_it)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.message.startswith("assert 'foo' == 'bar'")
    assert counts.started == [handle.id]


@pytest.mark.parametrize("lazy", [False, True])
async def test_workflow_environment_connect_client_inherits_connection_options(
    connect: Connect, lazy: bool
) -> None:
    first = await connect(rpc_metadata={"tenant": "one"}, identity="the first")
    env = WorkflowEnvironment.from_client(first)
    another = await env.connect_client(lazy=lazy, identity="another")
    mine, its = first.service_client.config, another.service_client.config
    for name in ("target_host", "api_key", "tls", "rpc_metadata", "runtime"):
        assert getattr(its, name) == getattr(mine, name)
    assert another.namespace == first.namespace
    assert another.identity == "another"
    if isinstance(another, dbosify.client.Client):
        await another.close()
