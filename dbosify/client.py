"""Namesake of `temporalio.client`, whose client also connects to Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import dbos
import temporalio.client
import temporalio.common
import temporalio.converter
import temporalio.runtime
import temporalio.service
from typing_extensions import Self

from dbosify._face.client import *  # noqa: F403
from dbosify._face.client import (
    DnsLoadBalancingConfig,
    GrpcCompression,
    HeaderCodecBehavior,
    HttpConnectProxyConfig,
    KeepAliveConfig,
    PayloadLimitsConfig,
    RetryConfig,
    ServiceClient,
    TLSConfig,
)
from dbosify._runtime.transport import PostgresServiceClient, connecting_to
from dbosify._runtime.transport import service_client as _service_client
from dbosify._store._dbos import dbos_client_schema, dbos_client_url
from dbosify._store.url import schema_of_namespace


class Client(temporalio.client.Client):
    """Temporal's client, on a Postgres database.

    - `await Client.connect("postgresql://…")` connects by URL;
    - `Client(DBOSClient(…))` uses the database of a DBOS client;
    - `async with` closes it at the end, as does `close`.

    Everything else is `temporalio.client.Client`, which it is a subclass of.
    """

    @classmethod
    async def connect(
        cls,
        target_host: str,
        *,
        namespace: str = "default",
        api_key: str | None = None,
        data_converter: temporalio.converter.DataConverter = (
            temporalio.converter.DataConverter.default
        ),
        plugins: Sequence[temporalio.client.Plugin] = [],
        interceptors: Sequence[temporalio.client.Interceptor] = [],
        default_workflow_query_reject_condition: (
            temporalio.common.QueryRejectCondition | None
        ) = None,
        tls: bool | TLSConfig | None = None,
        retry_config: RetryConfig | None = None,
        keep_alive_config: KeepAliveConfig | None = KeepAliveConfig.default,
        connect_timeout: timedelta | None = None,
        rpc_metadata: Mapping[str, str | bytes] = {},
        identity: str | None = None,
        lazy: bool = False,
        runtime: temporalio.runtime.Runtime | None = None,
        http_connect_proxy_config: HttpConnectProxyConfig | None = None,
        dns_load_balancing_config: DnsLoadBalancingConfig | None = None,
        grpc_compression: GrpcCompression = GrpcCompression.GZIP,
        payload_limits: PayloadLimitsConfig = PayloadLimitsConfig(),  # noqa: B008
        header_codec_behavior: HeaderCodecBehavior = HeaderCodecBehavior.NO_CODEC,
    ) -> Self:
        """Connect to a Postgres database, or to a Temporal server by `host:port`.

        Args:
            target_host: the database's URL. Its schema for `namespace` is created and
                migrated, unless `DBOSIFY_MIGRATE=0` is in the environment.
            namespace: a schema of its own in the database.
            api_key: refused for a database: its credentials stand in the URL.
            data_converter: as Temporal's.
            plugins: as Temporal's.
            interceptors: as Temporal's.
            default_workflow_query_reject_condition: as Temporal's.
            tls: refused for a database: `sslmode` stands in the URL.
            retry_config: without effect on a database.
            keep_alive_config: without effect on a database.
            connect_timeout: without effect on a database; see libpq's.
            rpc_metadata: without effect on a database.
            identity: as Temporal's.
            lazy: connect at the first call.
            runtime: whose metrics workers use.
            http_connect_proxy_config: refused for a database.
            dns_load_balancing_config: without effect on a database.
            grpc_compression: without effect on a database.
            payload_limits: as Temporal's.
            header_codec_behavior: as Temporal's.

        Raises:
            ValueError: the URL, or an option that has no meaning for it.
            RuntimeError: the database cannot be used; one sentence says why.
        """
        with connecting_to(namespace):
            client = await super().connect(
                target_host,
                namespace=namespace,
                api_key=api_key,
                data_converter=data_converter,
                plugins=plugins,
                interceptors=interceptors,
                default_workflow_query_reject_condition=(
                    default_workflow_query_reject_condition
                ),
                tls=tls,
                retry_config=retry_config,
                keep_alive_config=keep_alive_config,
                connect_timeout=connect_timeout,
                rpc_metadata=rpc_metadata,
                identity=identity,
                lazy=lazy,
                runtime=runtime,
                http_connect_proxy_config=http_connect_proxy_config,
                dns_load_balancing_config=dns_load_balancing_config,
                grpc_compression=grpc_compression,
                payload_limits=payload_limits,
                header_codec_behavior=header_codec_behavior,
            )
        service = client.service_client
        if isinstance(service, PostgresServiceClient):
            # Not the argument: a plugin may have chosen another one.
            service.created_namespace = client.namespace
            if not lazy:
                await service.open(client.namespace)
        return client

    def __init__(
        self,
        service_client: ServiceClient | dbos.DBOSClient,
        *,
        namespace: str = "default",
        data_converter: temporalio.converter.DataConverter = (
            temporalio.converter.DataConverter.default
        ),
        plugins: Sequence[temporalio.client.Plugin] = [],
        interceptors: Sequence[temporalio.client.Interceptor] = [],
        default_workflow_query_reject_condition: (
            temporalio.common.QueryRejectCondition | None
        ) = None,
        header_codec_behavior: HeaderCodecBehavior = HeaderCodecBehavior.NO_CODEC,
    ) -> None:
        """Create a client from a service client, or from a DBOS client's database.

        Args:
            service_client: of another client, or a `dbos.DBOSClient`.
            namespace: as `connect`'s.
            data_converter: as Temporal's.
            plugins: as Temporal's.
            interceptors: as Temporal's.
            default_workflow_query_reject_condition: as Temporal's.
            header_codec_behavior: as Temporal's.
        """
        if isinstance(service_client, dbos.DBOSClient):
            _check_schema(dbos_client_schema(service_client), namespace)
            service_client = _service_client(dbos_client_url(service_client), namespace)
        super().__init__(
            service_client,
            namespace=namespace,
            data_converter=data_converter,
            plugins=plugins,
            interceptors=interceptors,
            default_workflow_query_reject_condition=(
                default_workflow_query_reject_condition
            ),
            header_codec_behavior=header_codec_behavior,
        )

    async def close(self) -> None:
        """Close the connections of the running event loop; a later call opens new ones.

        A client of a Temporal server has nothing to close.
        """
        if isinstance(self.service_client, PostgresServiceClient):
            await self.service_client.close()

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close it."""
        await self.close()


def _check_schema(schema: str, namespace: str) -> None:
    """Refuse a DBOS client of a schema where the namespace is not.

    Raises:
        ValueError: it has chosen another schema; DBOS's default is no choice.
    """
    ours = schema_of_namespace(namespace)
    if schema not in ("dbos", ours):
        raise ValueError(
            f'namespace "{namespace}" lives in schema "{ours}",'
            f' but the DBOSClient has dbos_system_schema="{schema}"'
        )
