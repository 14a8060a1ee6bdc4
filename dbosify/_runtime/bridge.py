"""The core's seat: the object that the SDK's worker takes for the Rust core.

`temporalio.bridge.worker.Worker.create` is wrapped once per process and looks at the
client it is given: ours gets this, any other the real thing, so both kinds of workers
can run side by side. The methods and their errors are the core's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import temporalio.bridge.worker
import temporalio.service
from temporalio.bridge.temporal_sdk_bridge import PollShutdownError
from temporalio.common import WorkerDeploymentVersion

from dbosify._model import ids, limits, protos
from dbosify._model.protos import (
    ActivityHeartbeat,
    ActivityTask,
    ActivityTaskCompletion,
    HistoryEvent,
    NamespaceInfo,
    NexusTask,
    NexusTaskCompletion,
    QueryResult,
    WorkflowActivation,
    WorkflowActivationCompletion,
)
from dbosify._store import queue_configs
from dbosify._store.claims import Claim
from dbosify._store.engine import LOST_CONNECTION
from dbosify._store.errors import StoreError

from . import tuner
from .activity_feed import ActivityFeed
from .activity_worker import ActivityOptions, ActivityWorker
from .deployed import Deployed, membership
from .host import Host
from .local_activity_worker import LocalActivityWorker
from .lookout import Lookout
from .metrics import Metrics
from .nexus_worker import NexusWorker
from .slots import Asker, Slots
from .tuner import Tuner
from .worker_config import check, pollers
from .worker_instance import WorkerInstance
from .workflow_worker import WorkflowOptions, WorkflowWorker

if TYPE_CHECKING:
    from dbos import DBOSConfig

logger = logging.getLogger(__name__)

_SLOT_TYPES = {
    "workflow": "workflow",
    "activity": "activity",
    "local_activity": "local-activity",
    "nexus": "nexus",
}
"""What suppliers are told of each kind of slots."""
_WORKER_TYPES = {
    "workflow": "WorkflowWorker",
    "activity": "ActivityWorker",
    "local_activity": "LocalActivityWorker",
    "nexus": "NexusWorker",
}
"""What the metrics say of each kind of slots."""


class BridgeWorker:
    """One worker of the SDK, on Postgres.

    Args:
        client: our stand-in for the bridge's client.
        config: the bridge's own worker configuration.
    """

    loop: asyncio.AbstractEventLoop
    """The loop it runs on, once it runs."""

    def __init__(
        self, client: BridgeClient, config: temporalio.bridge.worker.WorkerConfig
    ) -> None:
        check(config)
        client.assert_same_process("create worker")
        self._tuner = Tuner(config.tuner)
        self.config = config
        self.task_queue = self.queue = config.task_queue
        self.version: protos.WorkerDeploymentVersion | None = None
        self.activities: ActivityWorker | None = None
        self._feed: ActivityFeed | None = None
        self._locals: LocalActivityWorker | None = None
        self._stopping_locals: asyncio.Task[None] | None = None
        self.begun = asyncio.Event()
        self._client = client
        self._identity = config.identity_override or client.identity
        self._metrics = client.metrics.labelled(
            namespace=config.namespace, task_queue=config.task_queue
        )
        self._instance = WorkerInstance(
            config, self._identity, _build_id(config.versioning_strategy)
        )
        self._workflows: WorkflowWorker | None = None
        self._nexus: NexusWorker | None = None
        self._lookout: Lookout | None = None
        self._host: Host | None = None
        self._deployed: Deployed | None = None
        self._began = False
        self._entered = False

    # The core's methods, in the order they are called.

    async def validate(self) -> NamespaceInfo:
        """Check the namespace and begin to work.

        Raises:
            RuntimeError: the namespace or the database is not there.
        """
        self._client.assert_same_process("use worker")
        try:
            self._host = await self._client.host(self.config.namespace)
            await self._deploy(self._host)
        except (StoreError, temporalio.service.RPCError) as error:
            raise RuntimeError(f"Worker validation failed: {error}") from None
        info = NamespaceInfo()
        info.limits.blob_size_limit_error = limits.current.blob_bytes
        info.limits.memo_size_limit_error = limits.current.memo_bytes
        # The SDK refuses to run a worker twice, but only after it has asked for this.
        if not self._began:
            self._began = True
            await self._enter(self._host)
            self._begin(self._host)
        return info

    async def _deploy(self, host: Host) -> None:
        member = membership(self.config)
        if member is not None and self._deployed is None:
            self._deployed = Deployed(host, member)
            await self._deployed.enter()
            self.queue = ids.version_queue(self.task_queue, self._deployed.version_id)
            self.version = self._deployed.version

    async def _enter(self, host: Host) -> None:
        """All that may fail, since nobody ends what a worker that failed has begun."""
        self.loop = asyncio.get_running_loop()
        try:
            await host.enter(self, self._client.dbos_config)
            self._entered = True
            await self._instance.enter(host)
            if self.config.task_types.enable_remote_activities:
                queue = self.config.task_queue
                host.queue_rates.update(await queue_configs.rates(host.database, queue))
        except LOST_CONNECTION as error:
            if self._entered:
                self._entered = False
                await host.leave(self)
            raise RuntimeError(f"Worker validation failed: {error}") from None

    def _begin(self, host: Host) -> None:
        config, types = self.config, self.config.task_types
        sources = types.enable_remote_activities + types.enable_local_activities
        feed = ActivityFeed(sources)
        if sources:
            self._feed = feed
        if types.enable_local_activities:
            self._locals = LocalActivityWorker(
                host.clock, self._slots("local_activity", None), feed, self._metrics
            )
        if types.enable_remote_activities:
            self.activities = ActivityWorker(
                host,
                self._activity_options(),
                self._slots("activity", config.activity_task_poller_behavior),
                self._metrics,
                feed,
            )
            self.activities.start_claiming()
        if types.enable_workflows:
            self._workflows = WorkflowWorker(
                host,
                self._workflow_options(),
                self._slots("workflow", config.workflow_task_poller_behavior),
                self._metrics,
                self._locals,
            )
            self._workflows.start_claiming()
        if types.enable_nexus:
            self._nexus = NexusWorker(
                host,
                config.task_queue,
                self.version,
                self._slots("nexus", config.nexus_task_poller_behavior),
                grace=config.graceful_shutdown_period_millis / 1000,
                metrics=self._metrics,
            )
            self._nexus.start()
        self._lookout = host.lookouts.here()
        self._lookout.join(self)
        self._metrics.count("worker_start")
        self._show_pollers()
        self.begun.set()

    def _show_pollers(self) -> None:
        config, types = self.config, self.config.task_types
        if types.enable_workflows:
            self._pollers("workflow_task", config.workflow_task_poller_behavior)
            if config.max_cached_workflows:
                behavior = config.workflow_task_poller_behavior
                self._pollers("sticky_workflow_task", behavior)
        if types.enable_remote_activities:
            self._pollers("activity_task", config.activity_task_poller_behavior)
        if types.enable_nexus:
            self._pollers("nexus_task", config.nexus_task_poller_behavior)

    def _pollers(self, kind: str, behavior: Any) -> None:
        """Show the pollers a core would have; ours is one loop, whatever it is told."""
        self._metrics.level("num_pollers", pollers(behavior), poller_type=kind)

    async def poll_workflow_activation(self) -> WorkflowActivation:
        """The next activation."""
        if self._workflows is None:
            raise PollShutdownError
        activation = await self._workflows.next_activation()
        if activation is None:
            raise PollShutdownError
        return activation

    async def complete_workflow_activation(
        self, completion: WorkflowActivationCompletion
    ) -> None:
        """The SDK's answer to an activation."""
        if completion.WhichOneof("status") is None:
            raise RuntimeError(
                "Completion failure: Lang SDK sent us a malformed workflow completion"
                f" for run ({completion.run_id}): Workflow completion had empty status"
                " field"
            )
        assert self._workflows is not None
        self._workflows.complete(completion)

    async def poll_activity_task(self) -> ActivityTask:
        """The next activity task."""
        while self._feed is not None:
            task = await self._feed.next()
            if task is None:
                break
            if self._locals is not None and self._locals.is_late(task):
                continue
            if not task.HasField("start") or task.start.is_local:
                return task
            assert self.activities is not None, "it has tasks"
            if await self.activities.still_ours(task):
                return task
        raise PollShutdownError

    async def complete_activity_task(self, completion: ActivityTaskCompletion) -> None:
        """What became of an activity attempt."""
        if self._locals is not None and self._locals.knows(completion.task_token):
            self._locals.complete(completion)
            return
        assert self.activities is not None
        await self.activities.complete(completion)

    def record_activity_heartbeat(self, heartbeat: ActivityHeartbeat) -> None:
        """A sign of life, with details; nobody waits for one of a local activity."""
        if LocalActivityWorker.knows(heartbeat.task_token):
            return
        assert self.activities is not None
        self.activities.heartbeat(heartbeat)

    async def poll_nexus_task(self) -> NexusTask:
        """The next call of a Nexus handler."""
        if self._nexus is None:
            raise PollShutdownError
        task = await self._nexus.next_task()
        if task is None:
            raise PollShutdownError
        return task

    async def complete_nexus_task(self, completion: NexusTaskCompletion) -> None:
        """What a Nexus handler answers."""
        assert self._nexus is not None
        await self._nexus.complete(completion)

    def request_workflow_eviction(self, run_id: str) -> None:
        """Forget a run's instance; it is rebuilt when needed."""
        if self._workflows is not None:
            self._workflows.request_eviction(run_id)

    def replace_client(self, client: BridgeClient) -> None:
        """Use another client from now on; it must reach the same database."""
        if client.url != self._client.url:
            raise ValueError("the new client must use the same database")
        self._client = client

    def initiate_shutdown(self) -> None:
        """Take nothing new; the polls end when all is given up."""
        if self._workflows is not None:
            self._workflows.stop()
        if self.activities is not None:
            self.activities.stop()
        if self._locals is not None and self._stopping_locals is None:
            self._stopping_locals = self.loop.create_task(self._stop_locals())
        if self._nexus is not None:
            self._nexus.stop()

    async def finalize_shutdown(self) -> None:
        """Give up what is left: lease and roles."""
        if self._workflows is not None:
            await self._workflows.stopped()
        if self.activities is not None:
            await self.activities.stopped()
        if self._stopping_locals is not None:
            await self._stopping_locals
        if self._nexus is not None:
            await self._nexus.stopped()
        if self._lookout is not None:
            await self._lookout.leave(self)
            self._lookout = None
        if self._deployed is not None:
            await self._deployed.leave()
        if self._host is not None and self._entered:
            self._entered = False
            await self._instance.leave(self._host)
            await self._host.leave(self)

    async def _stop_locals(self) -> None:
        """Runs that are given up wait for their local activities first."""
        assert self._locals is not None, "it runs some"
        if self._workflows is not None:
            await self._workflows.stopped()
        await self._locals.stop()

    # What the host asks of it.

    def takes_runs(self) -> bool:
        """See `LocalWorker.takes_runs`."""
        return self._workflows is not None and self._workflows.takes_runs()

    def adopt(self, claim: Claim, events: Sequence[HistoryEvent]) -> None:
        """See `LocalWorker.adopt`."""
        assert self._workflows is not None
        self._workflows.adopt(claim, events)

    def on_hint(self, kind: str, key: str) -> None:
        """See `LocalWorker.on_hint`."""
        if self._workflows is not None:
            self._workflows.hint(kind, key)
        queues = map(ids.activity_queue, (self.task_queue, self.queue))
        if self.activities is not None and key in queues:
            self.activities.hint()
        if self._nexus is not None and kind == "nexus" and key == self.task_queue:
            self._nexus.hint()
        if self._lookout is not None:
            self._lookout.on_hint(kind)

    def look_at(self, moment: float) -> None:
        """See `LocalWorker.look_at`."""
        if self._lookout is not None:
            self._lookout.look_at(moment)

    def on_lease_lost(self) -> None:
        """See `LocalWorker.on_lease_lost`."""
        if self._workflows is not None:
            self._workflows.lease_lost()
        if self.activities is not None:
            self.activities.hint()
        if self._host is not None:
            self._instance.enter_again(self._host)

    def owned(self) -> list[str]:
        """See `LocalWorker.owned`."""
        return [] if self._workflows is None else self._workflows.owned()

    def owns(self, workflow_uuid: str) -> bool:
        """See `LocalWorker.owns`."""
        return self._workflows is not None and self._workflows.owns(workflow_uuid)

    async def query(
        self, workflow_uuid: str, request: bytes, min_inbox: int
    ) -> QueryResult | None:
        """See `LocalWorker.query`."""
        if self._workflows is None:
            return None
        return await self._workflows.query(workflow_uuid, request, min_inbox)

    # Options.

    def _slots(self, kind: str, behavior: Any) -> Slots:
        config = self.config
        ahead, sticky = 1 if behavior is None else pollers(behavior), 0
        if kind == "workflow" and config.max_cached_workflows:
            sticky = max(1, round(ahead * (1 - config.nonsticky_to_sticky_poll_ratio)))
            ahead = max(1, ahead - sticky)
        asker = Asker(
            _SLOT_TYPES[kind],
            config.task_queue,
            self._identity,
            _build_id(config.versioning_strategy),
            _deployment(config.versioning_strategy),
            ahead,
            sticky,
        )
        slots = self._tuner.slots(kind, asker)
        if self._metrics.is_on:
            labels = {"worker_type": _WORKER_TYPES[kind]}
            slots.on_change = lambda: _show(self._metrics, slots, labels)
            slots.on_change()
        return slots

    def _activity_options(self) -> ActivityOptions:
        config = self.config
        return ActivityOptions(
            namespace=config.namespace,
            task_queue=config.task_queue,
            queue=ids.activity_queue(self.queue),
            identity=self._identity,
            max_throttle=config.max_heartbeat_throttle_interval_millis / 1000,
            default_throttle=config.default_heartbeat_throttle_interval_millis / 1000,
            grace=config.graceful_shutdown_period_millis / 1000,
            rate=config.max_activities_per_second,
            queue_rate=config.max_task_queue_activities_per_second,
        )

    def _workflow_options(self) -> WorkflowOptions:
        config = self.config
        return WorkflowOptions(
            namespace=config.namespace,
            task_queue=config.task_queue,
            queue=self.queue,
            version=self.version,
            default_behavior=_default_behavior(config.versioning_strategy),
            identity=self._identity,
            build_id=_build_id(config.versioning_strategy),
            sdk_version=temporalio.service.__version__,
            max_cached=config.max_cached_workflows,
            nondeterminism_fails=config.nondeterminism_as_workflow_fail,
            nondeterminism_fails_types=frozenset(
                config.nondeterminism_as_workflow_fail_for_types
            ),
        )


class BridgeClient:
    """What our service client shows the SDK's worker as its bridge client."""

    url: object
    identity: str
    metrics: Metrics

    @property
    def dbos_config(self) -> DBOSConfig | None:
        """The user's own, for the DBOS runtime that the first worker brings."""
        raise NotImplementedError

    def assert_same_process(self, doing: str) -> None:
        """Refuse to be used in a forked child."""
        raise NotImplementedError

    async def host(self, namespace: str) -> Host:
        """The host of a namespace, prepared."""
        raise NotImplementedError


def _show(metrics: Metrics, slots: Slots, labels: Mapping[str, str]) -> None:
    metrics.level("worker_task_slots_used", slots.used, **labels)
    if slots.available is not None:
        metrics.level("worker_task_slots_available", slots.available, **labels)


def _deployment(strategy: Any) -> WorkerDeploymentVersion | None:
    version = getattr(strategy, "version", None)
    if version is None:
        return None
    return WorkerDeploymentVersion(version.deployment_name, version.build_id)


def _default_behavior(strategy: Any) -> protos.VersioningBehavior.ValueType:
    number = getattr(strategy, "default_versioning_behavior", 0)
    return protos.VersioningBehavior.ValueType(number)


def _build_id(strategy: Any) -> str:
    for name in ("build_id_no_versioning", "build_id_with_versioning"):
        if hasattr(strategy, name):
            return str(getattr(strategy, name))
    return str(strategy.version.build_id)


_core_create = temporalio.bridge.worker.Worker.create


def _create(client: Any, config: temporalio.bridge.worker.WorkerConfig) -> Any:
    if isinstance(client, BridgeClient):
        return BridgeWorker(client, config)
    return _core_create(client, tuner.for_core(config))


def install() -> None:
    """Take the core's seat for workers on our clients; again is harmless."""
    temporalio.bridge.worker.Worker.create = staticmethod(_create)  # type: ignore[method-assign]
    tuner.install()
