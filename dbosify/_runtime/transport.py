"""The server's seat: a service client whose calls end in this process.

`temporalio.service.ServiceClient.connect` is wrapped once per process: a target that is
a Postgres URL gets this client, anything else the official one. So a library that
connects by itself works too when it is given the URL.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import google.protobuf.message
import temporalio.common
import temporalio.runtime
import temporalio.service
from temporalio.bridge.proto.health.v1 import HealthCheckResponse
from temporalio.service import ConnectConfig, ServiceClient, _BridgeServiceClient

from dbosify._model import limits
from dbosify._model.journal import Damaged
from dbosify._service import errors, registry
from dbosify._service.context import Context
from dbosify._store.engine import LOST_CONNECTION
from dbosify._store.errors import SchemaMissing, StoreError
from dbosify._store.namespaces import DROPPED
from dbosify._store.url import DatabaseUrl, is_postgres_url

from . import bridge, metrics, sandbox
from .call_metrics import measured
from .hints import in_time
from .host import Host, host_of

if TYPE_CHECKING:
    from dbos import DBOSConfig

Response = TypeVar("Response", bound=google.protobuf.message.Message)

_HEALTHY = frozenset(
    {
        "",
        "temporal.api.operatorservice.v1.OperatorService",
        "temporal.api.workflowservice.v1.WorkflowService",
    }
)
"""The services whose health a server tells; the empty name is that of all."""

_LARGEST = 4 * 1024 * 1024
"""Bytes of a request; gRPC's own limit, which the server does not change."""
_ANSWER_EARLY = 1.0
_RETRIED = 3
_RETRY_DELAY = 0.2


class _NoRuntime:
    """Stands where the SDK expects its Rust runtime, which nothing here needs."""

    metric_meter = temporalio.common.MetricMeter.noop


_NO_RUNTIME = _NoRuntime()


class PostgresServiceClient(_BridgeServiceClient):
    """The official service client's stand-in for a database.

    Args:
        config: of the official client; its target is the database's URL.
        namespace: created on connect, if migrations are on.
        migrate: whether schemas may be created and migrated.
    """

    def __init__(
        self,
        config: ConnectConfig,
        *,
        namespace: str | None = None,
        migrate: bool | None = None,
    ) -> None:
        ServiceClient.__init__(self, config)
        _refuse_network_options(config)
        self.url = DatabaseUrl.parse(config.target_host)
        self.migrate = (
            os.environ.get("DBOSIFY_MIGRATE", "1") != "0"
            if migrate is None
            else migrate
        )
        self.dbos_config: DBOSConfig | None = None
        """The user's own configuration of the DBOS runtime, if there is one."""
        self.created_namespace = namespace
        """May be created; any other but `default` must be there already."""
        self._hosts: dict[str, Host] = {}
        self._process = os.getpid()
        self._runtime = config.runtime or _NO_RUNTIME  # type: ignore[assignment]
        self.metrics = metrics.metrics_of(config.runtime)
        """Of calls and of workers, if the runtime collects any."""
        self._bridge_client = _Bridge(self)  # type: ignore[assignment]

    async def host(self, namespace: str) -> Host:
        """The prepared host of a namespace.

        Raises:
            RPCError: the namespace is empty or does not exist.
            StoreError: the database cannot be used.
        """
        if not namespace:
            raise errors.invalid("Namespace is empty.")
        host = self._hosts.get(namespace)
        if host is None:
            host = host_of(self.url, namespace)
            known = namespace in (self.created_namespace, "default")
            try:
                await host.prepare(migrate=self.migrate and known)
            except SchemaMissing:
                if known:
                    raise
                raise errors.namespace_not_found(namespace) from None
            self._hosts[namespace] = host
        return host

    def assert_same_process(self, doing: str) -> None:
        """Refuse to share connections with a forked child, as the core does.

        Raises:
            AssertionError: this is not the process that the client was made in.
        """
        if os.getpid() != self._process:
            raise AssertionError(f"Cannot {doing} across forks")

    async def open(self, namespace: str) -> None:
        """Connect to `namespace`, creating it if migrations are on."""
        self.created_namespace = namespace
        await self.host(namespace)

    async def close(self) -> None:
        """Close the running loop's connections."""
        for host in self._hosts.values():
            await host.close()

    @property
    def worker_service_client(self) -> _BridgeServiceClient:
        """This very client."""
        return self

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """Accepted; no header travels anywhere."""

    def update_api_key(self, api_key: str | None) -> None:
        """Accepted; Postgres has its own credentials."""

    async def _rpc_call(
        self,
        rpc: str,
        req: google.protobuf.message.Message,
        resp_type: type[Response],
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,
    ) -> Response:
        self.assert_same_process("use client")
        if service == "health":
            if getattr(req, "service", "") not in _HEALTHY:
                raise errors.not_found("unknown service")
            await self.host(self.created_namespace or "default")
            serving = HealthCheckResponse.ServingStatus.SERVING
            return HealthCheckResponse(status=serving)  # type: ignore[return-value]
        function = registry.IMPLEMENTED.get(rpc)
        if function is None or service not in ("workflow", "operator", "test"):
            raise errors.unimplemented(_refusal(rpc))
        if req.ByteSize() > _LARGEST:
            raise errors.too_large(_LARGEST)
        deadline = None
        if timeout is not None:
            seconds = timeout.total_seconds()
            # As the server does, answer while the caller still listens.
            seconds -= min(_ANSWER_EARLY, seconds / 4)
            deadline = asyncio.get_running_loop().time() + seconds
        # The caller's request stays as it is: functions fill defaults into their copy.
        request = type(req)()
        request.CopyFrom(req)
        call = self._in_time(rpc, request, timeout, deadline, retry)
        if self.metrics.is_on:
            call = measured(self.metrics, rpc, request, call)
        return await call  # type: ignore[no-any-return]

    async def _in_time(
        self,
        rpc: str,
        request: google.protobuf.message.Message,
        timeout: timedelta | None,
        deadline: float | None,
        retry: bool,
    ) -> Any:
        call = self._answer(rpc, request, deadline)
        patiently = self._patiently(call, rpc, request, deadline, retry)
        if timeout is None:
            return await patiently
        try:
            return await in_time(patiently, timeout.total_seconds())
        except (TimeoutError, asyncio.TimeoutError):
            raise errors.error(
                temporalio.service.RPCStatusCode.CANCELLED, "Timeout expired"
            ) from None

    async def _patiently(
        self,
        call: Any,
        rpc: str,
        request: google.protobuf.message.Message,
        deadline: float | None,
        retry: bool,
    ) -> Any:
        """Make the call; if it may be retried, outlast a short database outage."""
        attempt = 1
        while True:
            try:
                return await call
            except LOST_CONNECTION as error:
                if not retry or attempt >= _RETRIED:
                    raise errors.unavailable(str(error).strip()) from None
            attempt += 1
            await asyncio.sleep(_RETRY_DELAY * attempt)
            call = self._answer(rpc, request, deadline)

    async def _answer(
        self,
        rpc: str,
        request: google.protobuf.message.Message,
        deadline: float | None,
    ) -> Any:
        namespace = getattr(request, "namespace", "") or ""
        if rpc == "register_namespace" or (
            not namespace and rpc in registry.NEEDS_NO_NAMESPACE
        ):
            namespace = self.created_namespace or "default"
        host = await self.host(namespace)
        context = Context(host.database, namespace, host, deadline)
        try:
            return await registry.IMPLEMENTED[rpc](context, request)
        except DROPPED:
            self._hosts.pop(namespace, None)
            host.gone()
            raise errors.namespace_not_found(namespace) from None
        except Damaged as error:
            raise errors.data_loss(str(error)) from None


class _Bridge(bridge.BridgeClient):
    """The bridge client of a service client."""

    def __init__(self, service: PostgresServiceClient) -> None:
        self._service = service
        self.url = service.url
        self.identity = service.config.identity
        self.metrics = service.metrics

    @property
    def dbos_config(self) -> DBOSConfig | None:
        return self._service.dbos_config

    def assert_same_process(self, doing: str) -> None:
        self._service.assert_same_process(doing)

    async def host(self, namespace: str) -> Host:
        return await self._service.host(namespace)


def _refusal(rpc: str) -> str:
    reason = registry.UNIMPLEMENTED.get(rpc, "not a Temporal service")
    ours = f"dbosify does not answer {rpc}: {reason}"
    return registry.REFUSED_BY_TEMPORAL.get(rpc, ours)


def _refuse_network_options(config: ConnectConfig) -> None:
    """Refuse options that promise something about a connection that does not exist.

    Raises:
        ValueError: TLS or an API key, which belong into the URL here.
    """
    if config.tls:
        raise ValueError(
            "tls has no meaning for a Postgres URL; put sslmode=require or"
            " sslmode=verify-full into the URL"
        )
    if config.api_key:
        raise ValueError(
            "api_key has no meaning for a Postgres URL; put user and password into it"
        )
    if config.http_connect_proxy_config is not None:
        raise ValueError("http_connect_proxy_config has no meaning for a Postgres URL")


def service_client(target: str, namespace: str) -> PostgresServiceClient:
    """A service client that connects when it is first used."""
    return PostgresServiceClient(ConnectConfig(target), namespace=namespace)


async def begin_virtual_time(client: ServiceClient, namespace: str) -> None:
    """Make the clock of a client's database one that tests set ahead."""
    assert isinstance(client, PostgresServiceClient), "made for an embedded Postgres"
    host = await client.host(namespace)
    await host.begin_virtual_time()


_official_connect = ServiceClient.connect

_connecting: ContextVar[str | None] = ContextVar("dbosify_connecting", default=None)


@contextmanager
def connecting_to(namespace: str) -> Iterator[None]:
    """Say which namespace is meant: a connection of Temporal's is not made to one."""
    token = _connecting.set(namespace)
    try:
        yield
    finally:
        _connecting.reset(token)


async def _connect(config: ConnectConfig) -> ServiceClient:
    if not is_postgres_url(config.target_host):
        return await _official_connect(config)
    namespace = _connecting.get()
    client = PostgresServiceClient(config, namespace=namespace)
    if not config.lazy:
        try:
            await client.host(namespace or "default")
        except StoreError as error:
            raise error.with_traceback(None) from None
    return client


def install() -> None:
    """Take both seats and pass every sandbox; again is harmless.

    Raises:
        ValueError: the environment sets a limit that there is not.
    """
    limits.current = limits.read(os.environ)
    ServiceClient.connect = staticmethod(_connect)  # type: ignore[method-assign]
    bridge.install()
    metrics.install()
    sandbox.install()
