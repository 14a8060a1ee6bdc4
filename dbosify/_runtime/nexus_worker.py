"""The Nexus side of a worker: calls of its handlers, and what they answer.

Operations wait in the database; while a slot is free, those that are due are taken and
handed to the SDK. A call that nobody answers is made again once its time is over, so a
worker that dies needs no successor of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dbosify._core import nexus_requests
from dbosify._model import nexus
from dbosify._model.nexus import NexusOperation
from dbosify._model.protos import (
    Failure,
    NexusResponse,
    NexusTask,
    NexusTaskCancelReason,
    NexusTaskCompletion,
    WorkerDeploymentVersion,
)
from dbosify._model.routes import NEXUS, gets_any
from dbosify._service import nexus as operations
from dbosify._service.context import Context, NexusCalls
from dbosify._store import nexus as store
from dbosify._store.engine import LOST_CONNECTION

from .metrics import Metrics
from .slots import NexusSlotInfo, Permit, Slots

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)

_TIMED_OUT = NexusTaskCancelReason.TIMED_OUT
_SHUTDOWN = NexusTaskCancelReason.WORKER_SHUTDOWN


@dataclass(slots=True, eq=False)
class _Call:
    """A call that the SDK works on."""

    operation: NexusOperation
    secret: str
    permit: Permit
    timer: asyncio.TimerHandle | None = None
    told: bool = False
    """Whether the SDK was told to give up."""


class NexusWorker:
    """See the module's text.

    Args:
        host: of the namespace.
        task_queue: of the handlers.
        version: of the worker, if it is part of a worker deployment.
        slots: for calls.
        grace: seconds that calls get after a shutdown began.
        metrics: of this worker.
    """

    def __init__(
        self,
        host: Host,
        task_queue: str,
        version: WorkerDeploymentVersion | None,
        slots: Slots,
        *,
        grace: float,
        metrics: Metrics,
    ) -> None:
        self._host = host
        self._task_queue = task_queue
        self._version = version
        self._slots = slots
        self._grace = grace
        self._metrics = metrics
        self._slots.on_ready = self.hint
        self._context = Context(host.database, host.namespace, host, None)
        self._loop = asyncio.get_running_loop()
        self._tasks: asyncio.Queue[NexusTask] = asyncio.Queue()
        self._calls: dict[bytes, _Call] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._drained = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None
        self._shutdown: asyncio.TimerHandle | None = None

    # Coming and going.

    def start(self) -> None:
        """Begin to take calls."""
        self._slots.start()
        self._taking = self._loop.create_task(self._take_all())

    def stop(self) -> None:
        """Take nothing more; tell running calls after the grace period."""
        if self._stopping:
            return
        self._stopping = True
        self._slots.close()
        self._wake.set()
        self._shutdown = self._loop.call_later(self._grace, self._give_up_all)
        self._check_drained()

    async def stopped(self) -> None:
        """Wait until no call is left."""
        await self._drained.wait()
        if self._taking is not None:
            await self._taking
        if self._shutdown is not None:
            self._shutdown.cancel()

    def hint(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def _check_drained(self) -> None:
        if self._stopping and not self._calls:
            self._drained.set()

    # Calls to the SDK.

    async def next_task(self) -> NexusTask | None:
        """The next task for the SDK, or None when all is over."""
        getting = asyncio.ensure_future(self._tasks.get())
        drained = asyncio.ensure_future(self._drained.wait())
        try:
            await asyncio.wait({getting, drained}, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            getting.cancel()
            drained.cancel()

    async def _take_all(self) -> None:
        while not self._stopping:
            taken = 0
            try:
                if (limit := self._slots.ready()) and self._gets_calls():
                    taken = await self._take(limit)
            except LOST_CONNECTION as error:
                logger.warning("Nexus operations not taken: %s", error)
            except Exception:
                # A right or a table that is missing may be back at the next look.
                logger.exception("Nexus operations not taken")
            if not taken:
                await self._wake.wait()
                self._wake.clear()

    def _gets_calls(self) -> bool:
        """Whether they are for this worker's version."""
        routes = self._host.routes
        return gets_any(routes, self._task_queue, NEXUS, self._version)

    async def _take(self, limit: int) -> int:
        secret = str(uuid.uuid4())
        permits = [self._slots.take_ready() for _ in range(limit)]
        found: list[tuple[NexusOperation, bool]] = []
        try:
            found = await store.call(
                self._host.database,
                self._task_queue,
                secret,
                seconds=nexus.CALL_SECONDS,
                limit=limit,
            )
        finally:
            for permit in permits[len(found) :]:
                permit.release()
        for (operation, unanswered), permit in zip(found, permits, strict=False):
            if unanswered:
                permit.release()
                await operations.change(
                    self._context, operation.key, _unanswered, call=secret
                )
            else:
                self._begin(_Call(operation, secret, permit))
        return len(found)

    def _begin(self, call: _Call) -> None:
        wanted = call.operation.wanted
        token = json.dumps([call.operation.key, call.secret]).encode()
        now = self._host.clock.seconds()
        task = nexus_requests.task(
            call.operation, token, namespace=self._host.namespace, now=now
        )
        call.permit.use(NexusSlotInfo(wanted.service, wanted.operation))
        self._calls[token] = call
        left = task.request_deadline.ToNanoseconds() / 1e9 - now
        call.timer = self._loop.call_later(left, self._give_up, token, _TIMED_OUT)
        self._tasks.put_nowait(task)

    def _give_up(self, token: bytes, reason: NexusTaskCancelReason.ValueType) -> None:
        call = self._calls.get(token)
        if call is None or call.told:
            return
        call.told = True
        task = NexusTask()
        task.cancel_task.task_token = token
        task.cancel_task.reason = reason
        self._tasks.put_nowait(task)

    def _give_up_all(self) -> None:
        for token in list(self._calls):
            self._give_up(token, _SHUTDOWN)

    # Answers.

    async def complete(self, completion: NexusTaskCompletion) -> None:
        """Take what the SDK answers.

        Raises:
            RuntimeError: no handler can answer so.
        """
        status = completion.WhichOneof("status")
        if status is None:
            raise _malformed("Nexus completion had empty status field")
        call = self._calls.pop(completion.task_token, None)
        if call is None:
            logger.warning("completion of a Nexus task that is not running here")
            return
        try:
            answer = _answer(completion, status, started=call.operation.started)
            if answer is not None:
                change = partial(_answered, answer=answer)
                await operations.change(
                    self._context, call.operation.key, change, call=call.secret
                )
        except LOST_CONNECTION as error:
            logger.warning("answer of a Nexus handler not stored: %s", error)
        finally:
            if call.timer is not None:
                call.timer.cancel()
            call.permit.release()
            self._check_drained()


def _unanswered(calls: NexusCalls, now: float) -> None:
    calls.unanswered(now)


def _answered(
    calls: NexusCalls, now: float, *, answer: NexusResponse | Failure
) -> None:
    calls.answer(now, answer)


def _answer(
    completion: NexusTaskCompletion, status: str, *, started: bool
) -> NexusResponse | Failure | None:
    """What a completion says; None if it leaves the call unanswered.

    Raises:
        RuntimeError: no handler can answer so.
    """
    match status:
        case "completed":
            return _response(completion.completed, started=started)
        case "failure":
            if not completion.failure.HasField("nexus_handler_failure_info"):
                raise _malformed(
                    "Nexus completions with a failure must contain a"
                    " NexusHandlerFailureInfo"
                )
            return completion.failure
        case "error":
            error = completion.error
            failure = Failure(message=error.failure.message)
            failure.nexus_handler_failure_info.type = error.error_type
            failure.nexus_handler_failure_info.retry_behavior = error.retry_behavior
            return failure
        case _:
            return None


def _response(response: NexusResponse, *, started: bool) -> NexusResponse:
    variant = response.WhichOneof("variant")
    if variant is None:
        raise _malformed("Nexus completion must contain a status variant ")
    if variant == "start_operation" and started:
        raise _malformed("Nexus response was StartOperation but request was not")
    if variant == "cancel_operation" and not started:
        raise _malformed("Nexus response was CancelOperation but request was not")
    start: Any = response.start_operation
    if start.WhichOneof("variant") == "failure" and start.failure.WhichOneof(
        "failure_info"
    ) not in ("application_failure_info", "canceled_failure_info"):
        raise _malformed(
            "Nexus StartOperationResponse with a failure must contain"
            " ApplicationFailureInfo or CanceledFailureInfo"
        )
    return response


def _malformed(reason: str) -> RuntimeError:
    return RuntimeError(
        "Completion failure: Lang SDK sent us a malformed nexus completion"
        f" (Malformed nexus completion: {reason})"
    )
