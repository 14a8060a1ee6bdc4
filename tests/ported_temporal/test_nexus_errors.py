"""Nexus operations that fail: what errors their callers see, and retries."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import nexusrpc
import nexusrpc.handler
import pytest

from dbosify import workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import (
    ApplicationError,
    CancelledError,
    NexusOperationError,
    TimeoutType,
)
from dbosify.exceptions import TimeoutError as TemporalTimeoutError
from dbosify.service import RPCError, RPCStatusCode
from tests.ported_temporal.nexus_calls import served
from tests.ported_temporal.scaffold import assert_eventually, random_id

pytestmark = pytest.mark.needs("nexus operations")

Kind = nexusrpc.HandlerErrorType


class CustomError(Exception):
    """An exception of the handler's own."""


@nexusrpc.service
class Trouble:
    """Fails as told."""

    fail: nexusrpc.Operation[str, str]
    wait: nexusrpc.Operation[None, None]


def _raise_handler_error(kind: Kind, cause: BaseException) -> None:
    raise nexusrpc.HandlerError("the message", type=kind) from cause


def _raise_operation_error(state: nexusrpc.OperationErrorState) -> None:
    try:
        raise ApplicationError("inner", type="inner type") from CustomError("innermost")
    except ApplicationError as error:
        raise nexusrpc.OperationError("outer", state=state) from error


def _raise_from(error: BaseException, cause: BaseException) -> None:
    raise error from cause


def _final(kind: str = "a type") -> ApplicationError:
    return ApplicationError("app", type=kind, non_retryable=True)


def _raise(error: BaseException) -> None:
    raise error


WAYS: dict[str, Callable[[], None]] = {
    "final": lambda: _raise(_final()),
    "final from custom": lambda: _raise_from(_final(), CustomError("custom")),
    "not found": lambda: _raise_handler_error(Kind.NOT_FOUND, RuntimeError("runtime")),
    "not found from custom": lambda: _raise_handler_error(
        Kind.NOT_FOUND, CustomError("custom")
    ),
    "failed": lambda: _raise_operation_error(nexusrpc.OperationErrorState.FAILED),
    "canceled": lambda: _raise_operation_error(nexusrpc.OperationErrorState.CANCELED),
    "plain": lambda: _raise(RuntimeError("plain")),
    "retryable": lambda: _raise(ApplicationError("again")),
    "exhausted": lambda: _raise(
        nexusrpc.HandlerError("full", type=Kind.RESOURCE_EXHAUSTED)
    ),
    "internal": lambda: _raise(nexusrpc.HandlerError("oh", type=Kind.INTERNAL)),
}


@dataclass
class Counted:
    """How often the handler was called."""

    calls: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


@nexusrpc.handler.service_handler(service=Trouble)
class TroubleHandler:
    """Its handler."""

    def __init__(self, counted: Counted | None = None) -> None:
        """Count nothing yet."""
        self.counted = counted or Counted()

    @nexusrpc.handler.sync_operation
    async def fail(self, ctx: nexusrpc.handler.StartOperationContext, way: str) -> str:
        """Fail, or not any more."""
        self.counted.calls.append(way)
        status, _, times = way.partition(" ")
        if status.isdecimal():
            if len(self.counted.calls) <= int(times or 1000):
                raise RPCError("rpc", RPCStatusCode(int(status)), b"")
            return "at last"
        if len(self.counted.calls) > 1:
            return "at last"
        WAYS[way]()
        return "never"

    @nexusrpc.handler.sync_operation
    async def wait(self, ctx: nexusrpc.handler.StartOperationContext, _: None) -> None:
        """Wait to be cancelled."""
        try:
            await ctx.task_cancellation.wait_until_cancelled()
            self.counted.told.append(str(ctx.task_cancellation.cancellation_reason()))
        except BaseException:
            self.counted.told.append("cancelled")
            raise


@workflow.defn
class Fails:
    """Calls an operation that fails."""

    @workflow.run
    async def run(self, endpoint: str, way: str) -> str:
        """Call it."""
        client = workflow.create_nexus_client(service=Trouble, endpoint=endpoint)
        return await client.execute_operation(Trouble.fail, way)


@workflow.defn
class Hurries:
    """Calls an operation that takes too long."""

    @workflow.run
    async def run(self, endpoint: str, limit: str, seconds: float) -> None:
        """Call it."""
        client = workflow.create_nexus_client(service=Trouble, endpoint=endpoint)
        options: dict[str, Any] = {limit: timedelta(seconds=seconds)}
        await client.execute_operation(Trouble.wait, None, **options)


@workflow.defn
class Misses:
    """Calls what is not there."""

    @workflow.run
    async def run(self, endpoint: str, service: str, operation: str) -> None:
        """Call it."""
        client = workflow.create_nexus_client(service=service, endpoint=endpoint)
        await client.execute_operation(operation, None)


async def _error_of(client: Client, run: Any, *args: Any, **options: Any) -> Any:
    """The error by which a run failed that calls an operation."""
    with pytest.raises(WorkflowFailureError) as failed:
        await client.execute_workflow(run, args=args, id=random_id(), **options)
    assert isinstance(failed.value.cause, NexusOperationError)
    assert failed.value.cause.message == "nexus operation completed unsuccessfully"
    return failed.value.cause


def _chain(error: BaseException) -> list[str]:
    """The causes of an error, each in a few words."""
    words: list[str] = []
    cause = error.__cause__
    while cause is not None:
        match cause:
            case nexusrpc.HandlerError():
                word = f"handler {cause.type.name}"
                if cause.retryable:
                    word += " retryable"
            case ApplicationError():
                word = f"{cause.type} '{cause.message}'"
                if cause.non_retryable:
                    word += " final"
            case CancelledError():
                word = f"cancelled '{cause.message}'"
            case _:
                word = type(cause).__name__
        if not words or word != words[-1] or not word.startswith("handler"):
            words.append(word)
        cause = cause.__cause__
    return words


@pytest.mark.parametrize(
    ("way", "chain"),
    [
        ("final", ["handler INTERNAL", "a type 'app' final"]),
        (
            "final from custom",
            ["handler INTERNAL", "a type 'app' final", "CustomError 'custom'"],
        ),
        ("not found", ["handler NOT_FOUND", "RuntimeError 'runtime'"]),
        ("not found from custom", ["handler NOT_FOUND", "CustomError 'custom'"]),
        (
            "failed",
            [
                "OperationError 'outer' final",
                "inner type 'inner'",
                "CustomError 'innermost'",
            ],
        ),
        (
            "canceled",
            ["cancelled 'outer'", "inner type 'inner'", "CustomError 'innermost'"],
        ),
    ],
)
async def test_errors_raised_by_nexus_operation(
    client: Client, way: str, chain: list[str]
) -> None:
    handler = TroubleHandler()
    async with served(client, handler, workflows=(Fails,)) as (worker, endpoint):
        queue = worker.task_queue
        error = await _error_of(client, Fails.run, endpoint, way, task_queue=queue)
    assert _chain(error) == chain
    assert (error.endpoint, error.service) == (endpoint, "Trouble")
    assert error.operation == "fail"
    assert error.scheduled_event_id == 5
    assert len(handler.counted.calls) == 1


@pytest.mark.parametrize("way", ["plain", "retryable", "exhausted", "internal"])
async def test_nexus_operation_is_retried(client: Client, way: str) -> None:
    handler = TroubleHandler()
    async with served(client, handler, workflows=(Fails,)) as (worker, endpoint):
        result = await client.execute_workflow(
            Fails.run,
            args=[endpoint, way],
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "at last"
    assert len(handler.counted.calls) == 2


@pytest.mark.parametrize(
    ("service", "operation", "text"),
    [
        ("Trouble", "nothing", "has no operation"),
        ("Nobody", "fail", "No handler for service"),
    ],
)
async def test_nexus_operation_fails_without_retry_as_handler_error(
    client: Client, service: str, operation: str, text: str
) -> None:
    async with served(client, TroubleHandler(), workflows=(Misses,)) as (
        worker,
        endpoint,
    ):
        error = await _error_of(
            client,
            Misses.run,
            endpoint,
            service,
            operation,
            task_queue=worker.task_queue,
        )
    assert isinstance(error.cause, nexusrpc.HandlerError)
    assert error.cause.type is Kind.NOT_FOUND
    assert not error.cause.retryable
    assert text in str(error.cause)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (RPCStatusCode.INVALID_ARGUMENT, Kind.BAD_REQUEST),
        (RPCStatusCode.ALREADY_EXISTS, Kind.INTERNAL),
        (RPCStatusCode.FAILED_PRECONDITION, Kind.INTERNAL),
        (RPCStatusCode.OUT_OF_RANGE, Kind.INTERNAL),
        (RPCStatusCode.NOT_FOUND, Kind.NOT_FOUND),
        (RPCStatusCode.UNIMPLEMENTED, Kind.NOT_IMPLEMENTED),
    ],
)
async def test_rpc_error_fails_without_retry(
    client: Client, status: RPCStatusCode, kind: Kind
) -> None:
    handler = TroubleHandler()
    async with served(client, handler, workflows=(Fails,)) as (worker, endpoint):
        error = await _error_of(
            client, Fails.run, endpoint, f"{int(status)}", task_queue=worker.task_queue
        )
    assert isinstance(error.cause, nexusrpc.HandlerError)
    assert error.cause.type is kind
    assert len(handler.counted.calls) == 1


@pytest.mark.parametrize(
    "status",
    [
        RPCStatusCode.ABORTED,
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.DATA_LOSS,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.OK,
    ],
)
async def test_rpc_error_is_retried(client: Client, status: RPCStatusCode) -> None:
    handler = TroubleHandler()
    async with served(client, handler, workflows=(Fails,)) as (worker, endpoint):
        result = await client.execute_workflow(
            Fails.run,
            args=[endpoint, f"{int(status)} 1"],
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "at last"
    assert len(handler.counted.calls) == 2


@pytest.mark.parametrize(
    ("limit", "seconds", "kind"),
    [
        ("schedule_to_close_timeout", 2, TimeoutType.SCHEDULE_TO_CLOSE),
        ("schedule_to_start_timeout", 0.1, TimeoutType.SCHEDULE_TO_START),
    ],
)
async def test_error_raised_by_timeout_of_nexus_start_operation(
    client: Client, limit: str, seconds: float, kind: TimeoutType
) -> None:
    handler = TroubleHandler()
    options = {"nexus_task_executor": ThreadPoolExecutor(2)}
    async with served(client, handler, workflows=(Hurries,), **options) as (
        worker,
        endpoint,
    ):
        error = await _error_of(
            client, Hurries.run, endpoint, limit, seconds, task_queue=worker.task_queue
        )
        assert isinstance(error.__cause__, TemporalTimeoutError)
        assert error.__cause__.type is kind

        async def told() -> None:
            assert handler.counted.told

        if limit == "schedule_to_close_timeout":
            await assert_eventually(told)


async def test_a_workflow_that_names_no_endpoint_fails_its_task(client: Client) -> None:
    async with served(client, TroubleHandler(), workflows=(Fails,)) as (worker, _):
        handle = await client.start_workflow(
            Fails.run,
            args=["no-such-endpoint", "plain"],
            id=random_id(),
            task_queue=worker.task_queue,
        )

        async def failed_task() -> str:
            async for event in handle.fetch_history_events():
                if event.HasField("workflow_task_failed_event_attributes"):
                    return event.workflow_task_failed_event_attributes.failure.message
            raise AssertionError

        assert await assert_eventually(failed_task) == (
            'BadScheduleNexusOperationAttributes: endpoint "no-such-endpoint" not found'
        )
        await handle.terminate()
