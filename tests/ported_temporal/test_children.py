"""Child workflows: what a parent learns of them, and they of their parent."""

from dataclasses import dataclass

import pytest

from dbosify import workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import ApplicationError, WorkflowAlreadyStartedError
from tests.ported_temporal.scaffold import (
    assert_workflow_exists_eventually,
    new_worker,
    random_id,
)

pytestmark = pytest.mark.needs("child workflows")


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"Hello, {name}!"


@workflow.defn
class GreetingParentWorkflow:
    """Leaves the greeting to a child, whose id is up to the SDK."""

    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_child_workflow(GreetingWorkflow.run, name)


async def test_workflow_simple_child(client: Client) -> None:
    async with new_worker(client, GreetingWorkflow, GreetingParentWorkflow) as worker:
        result = await client.execute_workflow(
            GreetingParentWorkflow.run,
            "Temporal",
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "Hello, Temporal!"


@workflow.defn
class MailboxWorkflow:
    """Returns the first thing that it is sent."""

    def __init__(self) -> None:
        self._mail: list[str] = []

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self._mail))
        return self._mail[0]

    @workflow.signal
    def send(self, text: str) -> None:
        self._mail.append(text)


@workflow.defn
class SendingParentWorkflow:
    """Signals its child, and returns what the child makes of it."""

    @workflow.run
    async def run(self, text: str) -> str:
        child = await workflow.start_child_workflow(
            MailboxWorkflow.run, id=f"{workflow.info().workflow_id}_child"
        )
        await child.signal(MailboxWorkflow.send, text)
        return await child


async def test_workflow_signal_child(client: Client) -> None:
    async with new_worker(client, MailboxWorkflow, SendingParentWorkflow) as worker:
        result = await client.execute_workflow(
            SendingParentWorkflow.run,
            "from the parent",
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "from the parent"


@workflow.defn
class TwinParentWorkflow:
    """Starts a child with an id that is in use by the first one."""

    @workflow.run
    async def run(self) -> None:
        child_id = f"{workflow.info().workflow_id}_child"
        await workflow.start_child_workflow(MailboxWorkflow.run, id=child_id)
        try:
            await workflow.start_child_workflow(MailboxWorkflow.run, id=child_id)
        except WorkflowAlreadyStartedError as error:
            same = error.workflow_id == child_id
            raise ApplicationError("Already started", same) from error


async def test_workflow_child_already_started(client: Client) -> None:
    async with new_worker(client, MailboxWorkflow, TwinParentWorkflow) as worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(
                TwinParentWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.message == "Already started"
    assert list(failed.value.cause.details) == [True]


@dataclass
class Root:
    workflow_id: str
    run_id: str


@workflow.defn
class RootTellingWorkflow:
    """Tells, once it may, whom it takes for the root."""

    def __init__(self) -> None:
        self._may_end = False

    @workflow.run
    async def run(self) -> Root | None:
        await workflow.wait_condition(lambda: self._may_end)
        root = workflow.info().root
        return Root(root.workflow_id, root.run_id) if root else None

    @workflow.signal
    def end(self) -> None:
        self._may_end = True


@workflow.defn
class RootParentWorkflow:
    @workflow.run
    async def run(self, child_id: str) -> Root | None:
        return await workflow.execute_child_workflow(
            RootTellingWorkflow.run, id=child_id
        )


async def test_expose_root_execution(client: Client) -> None:
    async with new_worker(client, RootTellingWorkflow, RootParentWorkflow) as worker:
        child_id = random_id("child")
        parent = await client.start_workflow(
            RootParentWorkflow.run,
            child_id,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        child = await assert_workflow_exists_eventually(
            client, RootTellingWorkflow.run, child_id
        )
        description = await child.describe()
        assert description.root_id == parent.id
        assert description.root_run_id == parent.first_execution_run_id

        await child.signal(RootTellingWorkflow.end)
        assert await parent.result() == Root(
            parent.id, parent.first_execution_run_id or ""
        )
