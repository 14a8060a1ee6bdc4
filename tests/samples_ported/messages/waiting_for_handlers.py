"""A workflow ends, in whatever way, only when its update has been answered.

With compensation, the update learns that the workflow ends and takes back what it did.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from dbosify import activity, workflow
from dbosify.exceptions import ApplicationError, FailureError, is_cancelled_exception

TASK_QUEUE = "messages-waiting"


class Exit(str, Enum):
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLATION = "cancellation"


@dataclass
class Input:
    exit: Exit


@activity.defn
async def take_a_while() -> None:
    await asyncio.sleep(0.3)


@activity.defn
async def compensate(what: str) -> None:
    activity.logger.info("Taking back what the %s did", what)


async def work() -> None:
    """What an update does."""
    await workflow.execute_activity(
        take_a_while, start_to_close_timeout=timedelta(seconds=10)
    )


def fails_workflow(error: BaseException) -> bool:
    """Whether an error ends the run, rather than only its task."""
    return isinstance(error, FailureError) or is_cancelled_exception(error)


async def leave(wanted: Exit) -> None:
    """End as told, or wait to be cancelled."""
    if wanted == Exit.FAILURE:
        raise ApplicationError("deliberately failing the workflow")
    if wanted == Exit.CANCELLATION:
        await asyncio.Future()


@workflow.defn
class WaitingWorkflow:
    def __init__(self) -> None:
        self._updating = False

    @workflow.run
    async def run(self, wanted: Input) -> str:
        try:
            await workflow.wait_condition(lambda: self._updating)
            await leave(wanted.exit)
        except BaseException as error:
            if fails_workflow(error):
                await workflow.wait_condition(workflow.all_handlers_finished)
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return "workflow-result"

    @workflow.update
    async def update(self) -> str:
        self._updating = True
        await work()
        return "update-result"


@workflow.defn
class CompensatingWorkflow:
    def __init__(self) -> None:
        self._updating = False
        self._exiting: asyncio.Future[None] = asyncio.Future()
        self._update_compensated = False
        self._workflow_compensated = False

    @workflow.run
    async def run(self, wanted: Input) -> str:
        try:
            await workflow.wait_condition(lambda: self._updating)
            await leave(wanted.exit)
            await workflow.wait_condition(workflow.all_handlers_finished)
        except BaseException as error:
            if fails_workflow(error):
                self._exiting.set_exception(ApplicationError("the workflow ends"))
                await workflow.wait_condition(workflow.all_handlers_finished)
                await asyncio.shield(self._take_back("workflow"))
                self._workflow_compensated = True
            raise
        return "workflow-result"

    @workflow.update
    async def update(self) -> str:
        self._updating = True
        working = asyncio.create_task(work())
        await workflow.wait(
            [working, self._exiting], return_when=asyncio.FIRST_COMPLETED
        )
        try:
            if self._exiting.done():
                self._exiting.result()
            await working
        except ApplicationError:
            await self._take_back("update")
            self._update_compensated = True
            raise
        return "update-result"

    async def _take_back(self, what: str) -> None:
        await workflow.execute_activity(
            compensate, what, start_to_close_timeout=timedelta(seconds=10)
        )

    @workflow.query
    def update_compensated(self) -> bool:
        return self._update_compensated

    @workflow.query
    def workflow_compensated(self) -> bool:
        return self._workflow_compensated
