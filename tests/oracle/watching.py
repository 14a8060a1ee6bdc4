"""Sees, from the outside, which runs a test made and which workers served them.

The tests know nothing of the oracle, so it looks where every test must pass: the
requests that start runs, the making of workers, and the moment at which a worker
makes a workflow's instance, which also shows the runs nobody asked for by name:
children, successors, those of schedules.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import temporalio.bridge.services_generated
import temporalio.worker
import temporalio.worker._workflow
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    ExecuteMultiOperationResponse,
)
from temporalio.service import ServiceClient


@dataclass(frozen=True, slots=True)
class Run:
    """A run that a test made, and how to ask about it.

    Attributes:
        namespace: Of the run.
        workflow_id: Of the run.
        run_id: Of the run.
        service: Whoever knows its history.
        loop: The event loop on which the test talked to that service.
    """

    namespace: str
    workflow_id: str
    run_id: str
    service: ServiceClient
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True)
class Seen:
    """What a test left behind.

    Attributes:
        runs: In the order of their first appearance; one may appear twice.
        workers: Those that could have served the runs, oldest first.
        performed: The workers that made an instance of the run, by run id.
        services: All of the session that are still alive, latest first.
    """

    runs: Sequence[Run]
    workers: Sequence[temporalio.worker.Worker]
    performed: Mapping[str, Sequence[temporalio.worker.Worker]]
    services: Sequence[ServiceClient]


class Watcher:
    """Wraps the SDK's methods for as long as a session lasts."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._runs: list[Run] = []
        self._workers: list[temporalio.worker.Worker] = []
        self._performed: dict[str, list[temporalio.worker.Worker]] = {}
        self._services: dict[int, weakref.ref[ServiceClient]] = {}
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Begin to watch."""
        service = temporalio.bridge.services_generated.WorkflowService
        for rpc in (
            "start_workflow_execution",
            "signal_with_start_workflow_execution",
            "execute_multi_operation",
            "reset_workflow_execution",
        ):
            self._wrap(service, rpc, self._watch_rpc)
        self._wrap(temporalio.worker.Worker, "__init__", self._watch_new_worker)
        self._wrap(
            temporalio.worker._workflow._WorkflowWorker,
            "_create_workflow_instance",
            self._watch_instance,
        )

    def uninstall(self) -> None:
        """Put the SDK back as it was."""
        while self._undo:
            self._undo.pop()()

    def forget(self) -> None:
        """Begin a test: what happened before it is not its doing.

        Workers that still run stay: a fixture of the module or session made them.
        """
        self._runs = []
        self._performed = {}
        self._workers = [worker for worker in self._workers if worker.is_running]

    def seen(self) -> Seen:
        """What there was since :meth:`forget`."""
        services = [ref() for ref in reversed(self._services.values())]
        return Seen(
            list(self._runs),
            list(self._workers),
            dict(self._performed),
            [service for service in services if service is not None],
        )

    def _note(
        self, namespace: str, workflow_id: str, run_id: str, service: ServiceClient
    ) -> None:
        loop = asyncio.get_running_loop()
        self._runs.append(Run(namespace, workflow_id, run_id, service, loop))
        self._services[id(service)] = weakref.ref(service)

    def _wrap(
        self, owner: type, name: str, watch: Callable[[Callable[..., Any]], Any]
    ) -> None:
        original = owner.__dict__[name]
        setattr(owner, name, functools.wraps(original)(watch(original)))
        self._undo.append(lambda: setattr(owner, name, original))

    def _watch_rpc(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def watched(service: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            response = await original(service, request, *args, **kwargs)
            for workflow_id, run_id in _started(request, response):
                self._note(request.namespace, workflow_id, run_id, service._client)
            return response

        return watched

    def _watch_new_worker(self, original: Callable[..., None]) -> Callable[..., None]:
        def watched(
            worker: temporalio.worker.Worker, *args: Any, **kwargs: Any
        ) -> None:
            original(worker, *args, **kwargs)
            self._workers.append(worker)

        return watched

    def _watch_instance(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def watched(inner: Any, activation: Any, init: Any) -> Any:
            # A Replayer has the same inner part; its runs are not news.
            for worker in self._workers:
                if worker._workflow_worker is inner:
                    self._performed.setdefault(activation.run_id, []).append(worker)
                    self._note(
                        worker.client.namespace,
                        init.workflow_id,
                        activation.run_id,
                        worker.client.service_client,
                    )
            return original(inner, activation, init)

        return watched


def _started(request: Any, response: Any) -> list[tuple[str, str]]:
    """Workflow id and run id of each run that a response tells of."""
    if isinstance(request, ExecuteMultiOperationRequest):
        assert isinstance(response, ExecuteMultiOperationResponse)
        return [
            (asked.start_workflow.workflow_id, told.start_workflow.run_id)
            for asked, told in zip(request.operations, response.responses, strict=False)
            if told.HasField("start_workflow")
        ]
    workflow_id = getattr(request, "workflow_id", None)
    return [(workflow_id or request.workflow_execution.workflow_id, response.run_id)]
