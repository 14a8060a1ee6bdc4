"""A worker without the SDK: it gives whatever commands it is told to.

It sits where the SDK's worker sits, above the core, so all that follows from a command
is real: the core's answer, the turn, the database, what comes of it there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from temporalio.bridge.proto import ActivityTaskCompletion
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.bridge.temporal_sdk_bridge import PollShutdownError

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import UnsandboxedWorkflowRunner, Worker

END = "end"
"""The signal that ends a run."""


@workflow.defn
class NeverRun:
    """Without one there would be no worker."""

    @workflow.run
    async def run(self) -> None:
        """Never called."""


@activity.defn
async def never_run() -> None:
    """Never called either."""


class BareWorker:
    """See the module's text.

    Args:
        core: what the SDK's worker would talk to.
        task_queue: that it serves.
        commands: what the first task of a run gives, by its workflow's id.
    """

    def __init__(
        self,
        core: Any,
        task_queue: str,
        commands: Mapping[str, tuple[WorkflowCommand, ...]],
    ) -> None:
        self.core = core
        self.task_queue = task_queue
        self._commands = commands
        self._tried: set[str] = set()

    async def work(self) -> None:
        """Answer activations until there are no more."""
        while True:
            try:
                activation = await self.core.poll_workflow_activation()
            except PollShutdownError:
                return
            completion = WorkflowActivationCompletion(run_id=activation.run_id)
            completion.successful.SetInParent()
            completion.successful.commands.extend(self._answer(activation))
            await self.core.complete_workflow_activation(completion)

    async def work_on_activities(self) -> None:
        """Let each activity succeed."""
        while True:
            try:
                task = await self.core.poll_activity_task()
            except PollShutdownError:
                return
            if not task.HasField("start"):
                continue
            completion = ActivityTaskCompletion(task_token=task.task_token)
            completion.result.completed.result.SetInParent()
            await self.core.complete_activity_task(completion)

    def _answer(self, activation: WorkflowActivation) -> Iterator[WorkflowCommand]:
        """The bad commands at first; a second try, and all other runs, just end."""
        for job in activation.jobs:
            if job.HasField("initialize_workflow"):
                workflow_id = job.initialize_workflow.workflow_id
                fresh = workflow_id not in self._tried or activation.is_replaying
                if workflow_id in self._commands and fresh:
                    self._tried.add(workflow_id)
                    yield from self._commands[workflow_id]
                    return
            elif not (
                job.HasField("signal_workflow")
                and job.signal_workflow.signal_name == END
            ):
                continue
            yield _ending()
            return


def _ending() -> WorkflowCommand:
    command = WorkflowCommand()
    command.complete_workflow_execution.SetInParent()
    return command


@asynccontextmanager
async def bare_worker(
    client: Client, task_queue: str, commands: Mapping[str, tuple[WorkflowCommand, ...]]
) -> AsyncIterator[BareWorker]:
    """Run one."""
    sdk = Worker(
        client,
        task_queue=task_queue,
        workflows=[NeverRun],
        activities=[never_run],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=5_000,
        max_concurrent_workflow_tasks=100,
    )
    bare = BareWorker(sdk._bridge_worker, task_queue, commands)
    await bare.core.validate()
    working = asyncio.gather(bare.work(), bare.work_on_activities())
    try:
        yield bare
    finally:
        bare.core.initiate_shutdown()
        await working
        await bare.core.finalize_shutdown()
