"""Debuggers and loggers in sandboxed workflows, and how to let them through."""

import logging
import pdb
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any

import pytest

from dbosify import workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.common import RetryPolicy
from dbosify.worker.workflow_sandbox import RestrictedWorkflowAccessError
from tests.ported_temporal.sandboxed import BreakpointWorkflow
from tests.ported_temporal.scaffold import new_worker, random_id

Stop = tuple[str, str, bool]


def stopped_at(frame: FrameType) -> Stop:
    """Where a debugger was called: function, its local variable, on which thread."""
    return (
        frame.f_code.co_name,
        frame.f_locals["greeting"],
        threading.current_thread() is threading.main_thread(),
    )


EXPECTED_STOP: Stop = ("run", "Hello, world", True)


async def greeted(client: Client, **options: Any) -> str:
    """Run the workflow with the breakpoint."""
    async with new_worker(client, BreakpointWorkflow, **options) as worker:
        return await client.execute_workflow(
            BreakpointWorkflow.run,
            "world",
            id=random_id(),
            task_queue=worker.task_queue,
        )


async def test_breakpoint_works_in_sandboxed_workflow_in_debug_mode(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[Stop] = []

    def set_trace(_debugger: pdb.Pdb, frame: FrameType) -> None:
        stops.append(stopped_at(frame))

    monkeypatch.setattr(pdb.Pdb, "set_trace", set_trace)
    assert await greeted(client, debug_mode=True) == "Hello, world"
    # The replay that judges the history stops there as well.
    assert stops[:1] == [EXPECTED_STOP]


async def test_breakpoint_quit_continues_workflow_in_debug_mode(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[Stop] = []

    class QuittingPdb(pdb.Pdb):
        """Is told to quit before anybody could type."""

        def set_trace(self, frame: FrameType | None = None) -> None:
            assert frame is not None
            stops.append(stopped_at(frame))
            self.cmdqueue.append("q")
            super().set_trace(frame)

    monkeypatch.setattr(pdb, "Pdb", QuittingPdb)
    assert await greeted(client, debug_mode=True) == "Hello, world"
    assert stops[:1] == [EXPECTED_STOP]


@pytest.mark.oracle_exempt("the oracle replays in debug mode, where it may stop")
async def test_sandboxed_breakpoint_points_at_debug_mode(client: Client) -> None:
    with pytest.raises(WorkflowFailureError) as failed:
        await greeted(
            client, workflow_failure_exception_types=[RestrictedWorkflowAccessError]
        )
    assert "debug_mode=True" in str(failed.value.cause)


@workflow.defn
class LoggingWorkflow:
    """Logs."""

    @workflow.run
    async def run(self) -> str:
        workflow.logger.info("logged")
        return "done"


class ImportingHandler(logging.Handler):
    """Imports something that the sandbox does not let through."""

    def emit(self, record: logging.LogRecord) -> None:
        import http.client

        http.client.HTTPConnection("localhost")


@contextmanager
def importing_handler() -> Iterator[None]:
    """Every record of workflows goes to that handler."""
    handler = ImportingHandler()
    logger = workflow.logger.base_logger
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        workflow.logger.unsafe_disable_sandbox(False)
        logger.setLevel(before)
        logger.removeHandler(handler)


@pytest.mark.oracle_exempt("the handler decides what becomes of a run, and is gone")
async def test_disable_logger_sandbox(client: Client) -> None:
    async with new_worker(
        client,
        LoggingWorkflow,
        workflow_failure_exception_types=[RestrictedWorkflowAccessError],
    ) as worker:

        async def log() -> str:
            return await client.execute_workflow(
                LoggingWorkflow.run,
                id=random_id(),
                task_queue=worker.task_queue,
                run_timeout=timedelta(seconds=5),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )

        with importing_handler():
            with pytest.raises(WorkflowFailureError):
                await log()
            workflow.logger.unsafe_disable_sandbox(True)
            assert await log() == "done"
            workflow.logger.unsafe_disable_sandbox(False)
            with pytest.raises(WorkflowFailureError):
                await log()
