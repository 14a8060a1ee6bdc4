"""Plugins of clients, workers and replayers."""

# ruff: noqa: A002 - the SDK names these parameters

import dataclasses
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

import dbosify.client
import dbosify.worker
from dbosify import activity, workflow
from dbosify.client import (
    Client,
    ClientConfig,
    OutboundInterceptor,
    WorkflowHistory,
)
from dbosify.contrib.pydantic import pydantic_data_converter
from dbosify.converter import DataConverter
from dbosify.plugin import SimplePlugin
from dbosify.service import ConnectConfig, ServiceClient
from dbosify.worker import (
    ExecuteWorkflowInput,
    Replayer,
    ReplayerConfig,
    Worker,
    WorkerConfig,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowReplayResult,
)
from dbosify.worker.workflow_sandbox import SandboxedWorkflowRunner
from tests.fix_backend import Connect
from tests.ported_temporal.scaffold import new_worker, random_id


@workflow.defn
class GreetingWorkflow:
    """Greets."""

    @workflow.run
    async def run(self, name: str) -> str:
        return f"Hello, {name}!"


@workflow.defn
class OtherWorkflow:
    """Another one."""

    @workflow.run
    async def run(self) -> None:
        return


@activity.defn
async def an_activity() -> None:
    """A worker needs something to serve."""


class Noticing(dbosify.client.Interceptor):
    """Knows whether it was asked to intercept a client."""

    def __init__(self) -> None:
        self.intercepted = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        self.intercepted += 1
        return super().intercept_client(next)


class ClientPlugin(dbosify.client.Plugin):
    """Changes where a client goes, who it is, and what sees its calls."""

    def __init__(self) -> None:
        self.interceptor = Noticing()

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        config["namespace"] = "replaced_namespace"
        config["interceptors"] = [*config.get("interceptors", []), self.interceptor]
        return config

    async def connect_service_client(
        self,
        config: ConnectConfig,
        next: Callable[[ConnectConfig], Awaitable[ServiceClient]],
    ) -> ServiceClient:
        config.identity = "replaced identity"
        return await next(config)


async def test_client_plugin(client: Client, connect: Connect) -> None:
    config = client.config()
    config["plugins"] = [ClientPlugin()]
    assert Client(**config).namespace == "replaced_namespace"

    plugin = ClientPlugin()
    assert plugin.name() == f"{__name__}.ClientPlugin"
    replaced = await connect(plugins=[plugin], identity="mine", lazy=True)
    assert replaced.service_client.config.identity == "replaced identity"
    assert plugin.interceptor.intercepted == 1


class QueuePlugin(dbosify.client.Plugin, dbosify.worker.Plugin):
    """Puts workers on another queue, its clients' workers too."""

    def __init__(self, task_queue: str) -> None:
        self.task_queue = task_queue

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        return config

    async def connect_service_client(
        self,
        config: ConnectConfig,
        next: Callable[[ConnectConfig], Awaitable[ServiceClient]],
    ) -> ServiceClient:
        return await next(config)

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        config["task_queue"] = self.task_queue
        return config

    async def run_worker(
        self, worker: Any, next: Callable[[Any], Awaitable[None]]
    ) -> None:
        await next(worker)

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        return config

    def run_replayer(
        self,
        replayer: Replayer,
        histories: AsyncIterator[WorkflowHistory],
        next: Callable[
            [Replayer, AsyncIterator[WorkflowHistory]],
            AbstractAsyncContextManager[AsyncIterator[WorkflowReplayResult]],
        ],
    ) -> AbstractAsyncContextManager[AsyncIterator[WorkflowReplayResult]]:
        return next(replayer, histories)


def with_plugins(client: Client, *plugins: dbosify.client.Plugin) -> Client:
    """The same client with these plugins."""
    config = client.config()
    config["plugins"] = list(plugins)
    return Client(**config)


def active(worker: Worker) -> WorkerConfig:
    """How the worker really is, after its plugins."""
    return worker.config(active_config=True)


class OtherQueuePlugin(QueuePlugin):
    """The same, but of another type."""


async def test_worker_plugin_basic_config(client: Client) -> None:
    worker = new_worker(client, GreetingWorkflow, plugins=[QueuePlugin("replaced")])
    assert active(worker)["task_queue"] == "replaced"

    of_client = with_plugins(client, QueuePlugin("of the client"))
    assert active(new_worker(of_client, GreetingWorkflow))["task_queue"] == (
        "of the client"
    )
    worker = new_worker(
        of_client, GreetingWorkflow, plugins=[OtherQueuePlugin("of the worker")]
    )
    assert active(worker)["task_queue"] == "of the worker"


async def test_worker_duplicated_plugin(client: Client) -> None:
    of_client = with_plugins(client, QueuePlugin("first"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        new_worker(of_client, GreetingWorkflow, plugins=[QueuePlugin("second")])
    [warning] = [each for each in caught if "plugin" in str(each.message)]
    assert "The same plugin type" in str(warning.message)


class PassthroughPlugin(QueuePlugin):
    """Lets a module more into the sandbox."""

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        runner = config.get("workflow_runner")
        assert isinstance(runner, SandboxedWorkflowRunner)
        config["workflow_runner"] = dataclasses.replace(
            runner,
            restrictions=runner.restrictions.with_passthrough_modules("my_module"),
        )
        return config


async def test_worker_sandbox_restrictions(client: Client) -> None:
    worker = new_worker(client, GreetingWorkflow, plugins=[PassthroughPlugin("")])
    runner = active(worker)["workflow_runner"]
    assert isinstance(runner, SandboxedWorkflowRunner)
    assert "my_module" in runner.restrictions.passthrough_modules


class WorkflowPlugin(QueuePlugin):
    """Brings a workflow and a converter."""

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        config["data_converter"] = pydantic_data_converter
        return config

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        config["workflows"] = [*config.get("workflows", []), GreetingWorkflow]
        return config

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        config["data_converter"] = pydantic_data_converter
        config["workflows"] = [*config.get("workflows", []), GreetingWorkflow]
        return config


async def test_replay(client: Client) -> None:
    plugin = WorkflowPlugin("")
    bringing = with_plugins(client, plugin)
    async with new_worker(bringing) as worker:
        handle = await bringing.start_workflow(
            GreetingWorkflow.run, "test", id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == "Hello, test!"
    replayer = Replayer(workflows=[], plugins=[plugin])
    config = replayer.config(active_config=True)
    assert config["workflows"] == [GreetingWorkflow]
    assert config["data_converter"] is pydantic_data_converter
    await replayer.replay_workflow(await handle.fetch_history())


async def test_simple_plugins(client: Client) -> None:
    plugin = SimplePlugin(
        "simple", data_converter=pydantic_data_converter, workflows=[OtherWorkflow]
    )
    configured = with_plugins(client, plugin)
    assert configured.data_converter is pydantic_data_converter
    for worker in (
        new_worker(configured, GreetingWorkflow),
        new_worker(client, GreetingWorkflow, plugins=[plugin]),
    ):
        assert active(worker)["workflows"] == [GreetingWorkflow, OtherWorkflow]
    replayer = Replayer(workflows=[GreetingWorkflow], plugins=[plugin])
    config = replayer.config(active_config=True)
    assert config["workflows"] == [GreetingWorkflow, OtherWorkflow]
    assert config["data_converter"] is pydantic_data_converter


async def test_simple_plugins_callables(client: Client) -> None:
    def convert(old: DataConverter | None) -> DataConverter:
        if old != DataConverter.default:
            raise ValueError("Can't override non-default converter")
        return pydantic_data_converter

    plugin = SimplePlugin("callables", data_converter=convert)
    assert with_plugins(client, plugin).data_converter is pydantic_data_converter
    config = client.config()
    config["plugins"] = [plugin]
    config["data_converter"] = pydantic_data_converter
    with pytest.raises(ValueError, match="Can't override"):
        Client(**config)

    nothing: SimplePlugin = SimplePlugin("nothing", workflows=lambda _workflows: [])
    worker = new_worker(
        client, GreetingWorkflow, activities=[an_activity], plugins=[nothing]
    )
    assert active(worker)["workflows"] == []


class MediumPlugin(SimplePlugin):
    """A simple plugin and a bit more."""

    def __init__(self) -> None:
        super().__init__("medium", data_converter=pydantic_data_converter)

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        config = super().configure_worker(config)
        config["task_queue"] = "override"
        return config


async def test_medium_plugin(client: Client) -> None:
    worker = new_worker(client, GreetingWorkflow, plugins=[MediumPlugin()])
    assert active(worker)["task_queue"].startswith("override")


class OnBothSides(Noticing, dbosify.worker.Interceptor):
    """Counts what it sees, of clients and of workers."""

    def __init__(self) -> None:
        super().__init__()
        self.workflow_classes = 0

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        self.workflow_classes += 1
        return CountingRuns


class CountingRuns(WorkflowInboundInterceptor):
    """Counts the runs, in the greeting."""

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        return f"{await super().execute_workflow(input)} intercepted"


ONCE = "Hello, test! intercepted"


async def greeting_of(client: Client, worker: Worker) -> str:
    """What a run says on that worker."""
    async with worker:
        return await client.execute_workflow(
            GreetingWorkflow.run, "test", id=random_id(), task_queue=worker.task_queue
        )


async def test_simple_plugin_worker_interceptor_only_used_on_worker(
    client: Client,
) -> None:
    interceptor = OnBothSides()
    plugin = SimplePlugin("interceptors", interceptors=[interceptor])
    new_worker(client, GreetingWorkflow, plugins=[plugin])
    assert interceptor.workflow_classes
    assert not interceptor.intercepted


async def test_simple_plugin_interceptor_duplication_when_used_on_client_and_worker(
    client: Client,
) -> None:
    interceptor = OnBothSides()
    plugin = SimplePlugin("interceptors", interceptors=[interceptor])
    intercepted = with_plugins(client, plugin)
    assert interceptor.intercepted
    worker = new_worker(intercepted, GreetingWorkflow, max_cached_workflows=0)
    assert interceptor.workflow_classes
    assert await greeting_of(intercepted, worker) == ONCE


async def test_simple_plugin_no_duplication_when_interceptor_in_both_client_and_worker_params(  # noqa: E501
    client: Client,
) -> None:
    interceptor = OnBothSides()
    plugin = SimplePlugin("interceptors", interceptors=[interceptor])
    worker = new_worker(client, GreetingWorkflow, plugins=[plugin])
    assert interceptor.workflow_classes
    assert await greeting_of(client, worker) == ONCE


async def test_simple_plugin_no_duplication_in_interceptor_chain(
    client: Client,
) -> None:
    plugin = SimplePlugin("interceptors", interceptors=[OnBothSides()])
    intercepted = with_plugins(client, plugin)
    worker = new_worker(intercepted, GreetingWorkflow, max_cached_workflows=0)
    assert await greeting_of(intercepted, worker) == ONCE
