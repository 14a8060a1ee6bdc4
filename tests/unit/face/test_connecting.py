"""Every way to a client, and that each of them leads to one that works."""

# ruff: noqa: A002 - the SDK names these parameters

import dataclasses
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import dbos
import temporalio.client
import temporalio.converter
from temporalio.service import ConnectConfig, ServiceClient

import dbosify.client
import dbosify.worker
from dbosify.client import Client
from dbosify.common import HeaderCodecBehavior, QueryRejectCondition
from dbosify.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
)
from dbosify.runtime import Runtime, TelemetryConfig
from dbosify.service import (
    DnsLoadBalancingConfig,
    GrpcCompression,
    KeepAliveConfig,
    PayloadLimitsConfig,
    RetryConfig,
)
from tests.unit.face.greeting import greeted, greets, random_name, served, started
from tests.unit.face.workflows import Greeting

CONVERTER = dataclasses.replace(
    DataConverter.default,
    failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
)


class Counting(dbosify.client.Interceptor):
    """Notes the ids of the workflows that its client starts."""

    def __init__(self) -> None:
        """Nothing was started yet."""
        self.ids: list[str] = []

    def intercept_client(
        self, next: temporalio.client.OutboundInterceptor
    ) -> temporalio.client.OutboundInterceptor:
        """Stand before what would be called."""
        ids = self.ids

        class Noting(temporalio.client.OutboundInterceptor):
            async def start_workflow(
                self, input: temporalio.client.StartWorkflowInput
            ) -> temporalio.client.WorkflowHandle[Any, Any]:
                ids.append(input.id)
                return await super().start_workflow(input)

        return Noting(next)


class Renaming(dbosify.client.Plugin):
    """Sees both of a client's hooks, and uses them."""

    def __init__(self, namespace: str | None = None) -> None:
        """Move the client to `namespace`, if given."""
        self.namespace = namespace
        self.targets: list[str] = []

    def configure_client(
        self, config: temporalio.client.ClientConfig
    ) -> temporalio.client.ClientConfig:
        """Change the namespace."""
        if self.namespace is not None:
            config["namespace"] = self.namespace
        return config

    async def connect_service_client(
        self,
        config: ConnectConfig,
        next: Callable[[ConnectConfig], Awaitable[ServiceClient]],
    ) -> ServiceClient:
        """Change the identity."""
        self.targets.append(config.target_host)
        return await next(dataclasses.replace(config, identity="renamed"))


def every_option(**others: Any) -> dict[str, Any]:
    return {
        "namespace": "default",
        "api_key": None,
        "data_converter": CONVERTER,
        "plugins": [],
        "interceptors": [],
        "default_workflow_query_reject_condition": QueryRejectCondition.NOT_OPEN,
        "tls": False,
        "retry_config": RetryConfig(max_retries=1),
        "keep_alive_config": KeepAliveConfig(),
        "connect_timeout": timedelta(seconds=5),
        "rpc_metadata": {"answer": "42"},
        "identity": "somebody",
        "lazy": False,
        "runtime": Runtime(telemetry=TelemetryConfig()),
        "http_connect_proxy_config": None,
        "dns_load_balancing_config": DnsLoadBalancingConfig(),
        "grpc_compression": GrpcCompression.NONE,
        "payload_limits": PayloadLimitsConfig(),
        "header_codec_behavior": HeaderCodecBehavior.CODEC,
    } | others


async def identity_of_start(client: temporalio.client.Client) -> str:
    history = await (await started(client)).fetch_history()
    event = history.events[0]
    return event.workflow_execution_started_event_attributes.identity


def test_every_option_is_every_option_of_temporals() -> None:
    parameters = inspect.signature(temporalio.client.Client.connect).parameters
    assert set(parameters) - {"target_host"} == set(every_option())


async def test_a_client_connects_with_every_option(postgres_url: str) -> None:
    counting = Counting()
    async with await Client.connect(
        postgres_url, **every_option(interceptors=[counting])
    ) as client:
        assert client.data_converter is CONVERTER
        assert client.namespace == "default"
        assert await identity_of_start(client) == "somebody"
        assert await greets(client)
    assert len(counting.ids) == 2


async def test_a_client_connects_with_the_url_alone(postgres_url: str) -> None:
    async with await Client.connect(postgres_url) as client:
        assert isinstance(client, temporalio.client.Client)
        assert await greets(client)


async def test_a_dbos_client_is_connection_enough(
    postgres_url: str, client: Client
) -> None:
    with_dbos = dbos.DBOSClient(system_database_url=postgres_url)
    try:
        async with Client(with_dbos) as ours:
            assert await greets(ours)
    finally:
        with_dbos.destroy()


async def test_the_official_client_takes_the_url(postgres_url: str) -> None:
    official = await temporalio.client.Client.connect(postgres_url)
    assert type(official) is temporalio.client.Client
    assert await greets(official)


async def test_an_official_service_client_takes_the_url(postgres_url: str) -> None:
    service = await ServiceClient.connect(ConnectConfig(postgres_url))
    assert await service.check_health()
    assert await greets(Client(service))


async def test_a_lazy_client_connects_at_its_first_call(postgres_url: str) -> None:
    async with await Client.connect(postgres_url, lazy=True) as client:
        handle = await started(client)
        assert (await handle.describe()).id == handle.id


async def test_a_closed_client_connects_again_when_it_is_used(
    postgres_url: str,
) -> None:
    client = await Client.connect(postgres_url)
    await client.close()
    await client.close()
    assert await greets(client)
    await client.close()


async def test_closing_a_client_leaves_the_others_their_connections(
    postgres_url: str, client: Client
) -> None:
    another = await Client.connect(postgres_url)
    async with served(client) as worker:
        handle = await started(client, worker.task_queue)
        await another.close()
        assert await greeted(client, worker.task_queue) == "Hello, Ada!"
        await handle.signal("say", "done")
        assert await handle.result() == "done"


async def test_a_client_can_be_made_of_anothers_config(postgres_url: str) -> None:
    counting = Counting()
    async with await Client.connect(
        postgres_url, interceptors=[counting], data_converter=CONVERTER
    ) as client:
        twin = Client(**client.config())
        assert twin.config() == client.config()
        assert twin.service_client is client.service_client
        assert await greets(twin)
        official = temporalio.client.Client(**client.config())
        assert await greets(official)
    assert len(counting.ids) == 2


async def test_a_dbos_clients_config_makes_a_client_too(
    postgres_url: str, client: Client
) -> None:
    with_dbos = dbos.DBOSClient(system_database_url=postgres_url)
    first = Client(with_dbos)
    with_dbos.destroy()
    async with Client(**first.config()) as second:
        assert await greets(second)


async def test_plugins_see_both_of_a_clients_hooks(postgres_url: str) -> None:
    plugin = Renaming()
    async with await Client.connect(postgres_url, plugins=[plugin]) as client:
        assert plugin.targets == [postgres_url]
        assert await identity_of_start(client) == "renamed"
        assert await greets(client)


async def test_a_plugin_may_choose_the_namespace(postgres_url: str) -> None:
    namespace = f"plugged_{random_name()[-8:]}"
    async with await Client.connect(
        postgres_url, plugins=[Renaming(namespace)]
    ) as client:
        assert client.namespace == namespace
        handle = await started(client)
        assert (await handle.describe()).workflow_type == "Patient"


async def test_interceptors_also_reach_the_worker(postgres_url: str) -> None:
    async with await Client.connect(postgres_url) as client:
        seen: list[str] = []

        class Listening(dbosify.worker.Interceptor):
            def intercept_activity(
                self, next: dbosify.worker.ActivityInboundInterceptor
            ) -> dbosify.worker.ActivityInboundInterceptor:
                class Noting(dbosify.worker.ActivityInboundInterceptor):
                    async def execute_activity(
                        self, input: dbosify.worker.ExecuteActivityInput
                    ) -> Any:
                        seen.append(input.args[0])
                        return await super().execute_activity(input)

                return Noting(next)

        async with served(client, interceptors=[Listening()]) as worker:
            await client.execute_workflow(
                Greeting.run,
                "Grace",
                id=random_name(),
                task_queue=worker.task_queue,
            )
        assert seen == ["Grace"]
