"""Namesake of `temporalio.worker`, whose worker also runs on Postgres."""

from __future__ import annotations

import concurrent.futures
import inspect
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import dbos
import temporalio.client
import temporalio.worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from typing_extensions import Self

from dbosify._face.worker import *  # noqa: F403
from dbosify._face.worker import (
    Interceptor,
    PatchActivationInput,
    Plugin,
    PollerBehavior,
    PollerBehaviorSimpleMaximum,
    SharedStateManager,
    WorkerDeploymentConfig,
    WorkerTuner,
    WorkflowRunner,
)
from dbosify._runtime.transport import service_client
from dbosify._store.url import schema_of_namespace
from dbosify.client import Client
from dbosify.worker import workflow_sandbox as workflow_sandbox

_DEFAULT_EXTERNAL_STORAGE_CONCURRENCY = 3
# Upstream's own default, not one like it: it is compared by identity.
_UNSANDBOXED: WorkflowRunner = (
    inspect.signature(temporalio.worker.Worker)
    .parameters["unsandboxed_workflow_runner"]
    .default
)


class Worker(temporalio.worker.Worker):
    """Temporal's worker, on a Postgres database.

    The first argument is a client, a database's URL, or a `dbos.DBOSConfig` whose
    system database is used. With the latter two, `namespace` picks the schema and the
    worker closes its connections itself when it has shut down.

    Everything else is `temporalio.worker.Worker`, which it is a subclass of.
    """

    def __init__(
        self,
        client: temporalio.client.Client | str | dbos.DBOSConfig,
        *,
        task_queue: str,
        namespace: str | None = None,
        activities: Sequence[Callable] = [],  # type: ignore[type-arg]
        nexus_service_handlers: Sequence[Any] = [],
        workflows: Sequence[type] = [],
        activity_executor: concurrent.futures.Executor | None = None,
        workflow_task_executor: concurrent.futures.ThreadPoolExecutor | None = None,
        nexus_task_executor: concurrent.futures.ThreadPoolExecutor | None = None,
        workflow_runner: WorkflowRunner = SandboxedWorkflowRunner(),  # noqa: B008
        unsandboxed_workflow_runner: WorkflowRunner = _UNSANDBOXED,
        plugins: Sequence[Plugin] = [],
        interceptors: Sequence[Interceptor] = [],
        build_id: str | None = None,
        identity: str | None = None,
        max_cached_workflows: int = 1000,
        max_concurrent_workflow_tasks: int | None = None,
        max_concurrent_activities: int | None = None,
        max_concurrent_local_activities: int | None = None,
        max_concurrent_nexus_tasks: int | None = None,
        tuner: WorkerTuner | None = None,
        max_concurrent_workflow_task_polls: int | None = None,
        nonsticky_to_sticky_poll_ratio: float = 0.2,
        max_concurrent_activity_task_polls: int | None = None,
        no_remote_activities: bool = False,
        sticky_queue_schedule_to_start_timeout: timedelta = timedelta(seconds=10),
        max_heartbeat_throttle_interval: timedelta = timedelta(seconds=60),
        default_heartbeat_throttle_interval: timedelta = timedelta(seconds=30),
        max_activities_per_second: float | None = None,
        max_task_queue_activities_per_second: float | None = None,
        max_eager_activity_reservations_per_workflow_task: int = 3,
        graceful_shutdown_timeout: timedelta = timedelta(),
        plugin_shutdown_timeout: timedelta | None = timedelta(seconds=60),
        workflow_failure_exception_types: Sequence[type[BaseException]] = [],
        shared_state_manager: SharedStateManager | None = None,
        debug_mode: bool = False,
        disable_eager_activity_execution: bool = False,
        on_fatal_error: Callable[[BaseException], Awaitable[None]] | None = None,
        use_worker_versioning: bool = False,
        disable_safe_workflow_eviction: bool = False,
        deployment_config: WorkerDeploymentConfig | None = None,
        patch_activation_callback: (
            Callable[[PatchActivationInput], bool] | None
        ) = None,
        workflow_task_poller_behavior: PollerBehavior = (
            PollerBehaviorSimpleMaximum(maximum=5)  # noqa: B008
        ),
        activity_task_poller_behavior: PollerBehavior = (
            PollerBehaviorSimpleMaximum(maximum=5)  # noqa: B008
        ),
        nexus_task_poller_behavior: PollerBehavior = (
            PollerBehaviorSimpleMaximum(maximum=5)  # noqa: B008
        ),
        disable_payload_error_limit: bool = False,
        max_workflow_task_external_storage_concurrency: int = (
            _DEFAULT_EXTERNAL_STORAGE_CONCURRENCY
        ),
    ) -> None:
        """Create a worker; see Temporal's worker for what the options mean.

        Raises:
            ValueError: the URL, or an option.
        """
        # Every option goes on as it came, so naming fifty of them twice says nothing.
        options = dict(locals())
        for name in ("self", "client", "namespace", "__class__"):
            options.pop(name, None)
        self._owned_client: Client | None = None
        if not isinstance(client, temporalio.client.Client):
            client = self._owned_client = _client_of(client, namespace or "default")
        elif namespace is not None and namespace != client.namespace:
            raise ValueError("namespace is the client's when a client is given")
        super().__init__(client, **options)

    async def __aenter__(self) -> Self:
        """Start the worker; see Temporal's method."""
        await super().__aenter__()
        return self

    async def run(self) -> None:
        """Run the worker until it is shut down; see Temporal's method."""
        try:
            await super().run()
        finally:
            if self._owned_client is not None:
                await self._owned_client.close()


def _client_of(target: str | dbos.DBOSConfig, namespace: str) -> Client:
    if isinstance(target, str):
        return Client(service_client(target, namespace), namespace=namespace)
    url = target.get("system_database_url")
    if not url:
        raise ValueError("the DBOSConfig has no system_database_url")
    schema, ours = target.get("dbos_system_schema"), schema_of_namespace(namespace)
    if schema not in (None, ours):
        raise ValueError(
            f'namespace "{namespace}" lives in schema "{ours}",'
            f' but the DBOSConfig has dbos_system_schema="{schema}"'
        )
    service = service_client(url, namespace)
    service.dbos_config = target
    return Client(service, namespace=namespace)
