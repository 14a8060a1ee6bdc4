"""Workflows that test the walls of the sandbox.

They have a module of their own, because each run loads it again.
"""

import asyncio
import dataclasses
import inspect
import warnings
from collections.abc import Sequence
from datetime import date, timedelta
from enum import IntEnum
from typing import Any

from dbosify import activity, workflow
from dbosify.api.common.v1 import WorkflowExecution
from dbosify.exceptions import ApplicationError
from dbosify.worker.workflow_sandbox import (
    RestrictedWorkflowAccessError,
    UnintentionalPassthroughError,
)
from dbosify.workflow import SandboxImportNotificationPolicy
from tests.ported_temporal import sandbox_state

entries: list[str] = ["orig"]
loaded_in_sandbox = workflow.unsafe.in_sandbox()


@workflow.defn
class GlobalStateWorkflow:
    """Leaves its marks in this module and in another one."""

    def __init__(self) -> None:
        self._mark("inited")
        self.is_done = False

    @workflow.run
    async def run(self) -> list[list[str]]:
        self._mark("started")
        await workflow.wait_condition(lambda: self.is_done)
        return [entries, sandbox_state.entries]

    @workflow.signal
    def mark(self, entry: str) -> None:
        self._mark(entry)

    @workflow.signal
    def finish(self) -> None:
        self._mark("finish")
        self.is_done = True

    def _mark(self, entry: str) -> None:
        entries.append(entry)
        sandbox_state.entries.append(entry)


@workflow.defn
class RunCodeWorkflow:
    """Runs a piece of code; what the sandbox refuses is the run's failure."""

    @workflow.run
    async def run(self, code: str) -> None:
        try:
            exec(code)
        except RestrictedWorkflowAccessError as error:
            raise ApplicationError(
                str(error), type="RestrictedWorkflowAccessError"
            ) from error


@workflow.defn
class DaysBetweenWorkflow:
    """Subtracts dates, whose module is a restricted one."""

    @workflow.run
    async def run(self) -> int:
        return (date(2024, 2, 20) - date(2024, 2, 1)).days


@workflow.defn
class WhereAmIWorkflow:
    """Tells where its parts were run."""

    def __init__(self) -> None:
        self.made_in_sandbox = workflow.unsafe.in_sandbox()

    @workflow.run
    async def run(self) -> list[bool]:
        return [loaded_in_sandbox, self.made_in_sandbox, workflow.unsafe.in_sandbox()]


@workflow.defn
class StackWorkflow:
    """Looks at its own stack."""

    @workflow.run
    async def run(self) -> str:
        return inspect.stack()[0].function


class Color(IntEnum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Painted:
    """Something whose types must be the same everywhere."""

    color: Color

    def check(self) -> None:
        assert isinstance(self, Painted)
        assert isinstance(self.color, Color)
        assert self.color is Color.BLUE


@activity.defn
async def check_painted(painted: Painted) -> Painted:
    """An activity is outside of the sandbox."""
    painted.check()
    return painted


@workflow.defn
class PaintedWorkflow:
    """Hands a typed value on, also to a child if it is told to."""

    @workflow.run
    async def run(self, painted: Painted, with_child: bool) -> Painted:
        painted.check()
        if with_child:
            painted = await workflow.execute_child_workflow(
                PaintedWorkflow.run, args=[painted, False]
            )
            painted.check()
        painted = await workflow.execute_activity(
            check_painted, painted, schedule_to_close_timeout=timedelta(seconds=10)
        )
        painted.check()
        return painted


@workflow.defn
class ProtoWorkflow:
    """Gives a protobuf message back."""

    @workflow.run
    async def run(self, message: WorkflowExecution) -> WorkflowExecution:
        assert isinstance(message, WorkflowExecution)
        return message


@workflow.defn
class KnownIssuesWorkflow:
    """What the SDK's sandbox is known not to manage."""

    @workflow.run
    async def run(self) -> list[str]:
        import os
        import zipfile

        issues = []
        try:
            dict.items(os.__dict__)
        except TypeError as error:
            issues.append(type(error).__name__)

        class Zip(zipfile.ZipFile):
            pass

        try:
            Zip("no.zip")
        except RuntimeError as error:
            issues.append(str(error))
        return issues


@workflow.defn
class BadAsyncioWorkflow:
    """Uses what asyncio has, but workflows should not."""

    @workflow.run
    async def run(self) -> list[str]:
        async def give(value: str) -> str:
            return value

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            first = [
                await done
                for done in asyncio.as_completed([asyncio.create_task(give("a"))])
            ]
            finished, _ = await asyncio.wait([asyncio.create_task(give("b"))])
        assert [*first, *(task.result() for task in finished)] == ["a", "b"]
        return [str(each.message) for each in caught]


@workflow.defn
class LateImportWorkflow:
    """Imports a module while it runs."""

    @workflow.run
    async def run(self) -> None:
        try:
            import tests.ported_temporal.sandbox_late  # noqa: F401
        except UnintentionalPassthroughError as error:
            raise ApplicationError(
                str(error), type="UnintentionalPassthroughError"
            ) from error


@workflow.defn
class SilentImportWorkflow:
    """Imports a module while it runs, and says that it means to."""

    @workflow.run
    async def run(self) -> None:
        with workflow.unsafe.sandbox_import_notification_policy(
            SandboxImportNotificationPolicy.SILENT
        ):
            import tests.ported_temporal.sandbox_late  # noqa: F401


@workflow.defn
class BreakpointWorkflow:
    """Stops for whoever wants to look at it."""

    @workflow.run
    async def run(self, name: str) -> str:
        greeting = f"Hello, {name}"
        breakpoint()
        return greeting


WORKFLOWS: Sequence[Any] = (
    BadAsyncioWorkflow,
    DaysBetweenWorkflow,
    KnownIssuesWorkflow,
    ProtoWorkflow,
    StackWorkflow,
    WhereAmIWorkflow,
)
