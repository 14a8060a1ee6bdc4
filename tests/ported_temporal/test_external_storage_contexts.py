"""For whom payloads are stored elsewhere: what a driver is told."""

from datetime import timedelta
from typing import NoReturn, TypeAlias

import pytest

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.converter import StorageDriverActivityInfo, StorageDriverWorkflowInfo
from tests.ported_temporal.scaffold import new_worker, random_id

with workflow.unsafe.imports_passed_through():
    from tests.ported_temporal.storing import InMemoryDriver, with_storage

Target: TypeAlias = StorageDriverWorkflowInfo


@activity.defn
async def echo(value: str) -> str:
    """Give it back."""
    return value


@workflow.defn
class EchoWorkflow:
    """Gives back what it is given, by an activity if it is told to."""

    @workflow.run
    async def run(self, value: str) -> str:
        if value != "by activity":
            return value
        return await workflow.execute_activity(
            echo, value, schedule_to_close_timeout=timedelta(seconds=10)
        )


@workflow.defn
class SignaledWorkflow:
    """Gives back what it is signaled."""

    def __init__(self) -> None:
        self.received: str | None = None

    @workflow.run
    async def run(self, value: str) -> str:
        await workflow.wait_condition(lambda: self.received is not None)
        return f"{value} {self.received}"

    @workflow.signal
    def signal(self, value: str) -> None:
        self.received = value


@workflow.defn
class ParentWorkflow:
    """Gives back what its child does."""

    @workflow.run
    async def run(self, value: str) -> str:
        return await workflow.execute_child_workflow(
            EchoWorkflow.run, value, id=f"{workflow.info().workflow_id}-child"
        )


@workflow.defn
class SenderWorkflow:
    """Signals another workflow."""

    @workflow.run
    async def run(self, target_id: str) -> str:
        target: workflow.ExternalWorkflowHandle[SignaledWorkflow] = (
            workflow.get_external_workflow_handle_for(SignaledWorkflow.run, target_id)
        )
        await target.signal(SignaledWorkflow.signal, "from the sender")
        return "sent"


@workflow.defn
class ContinuingWorkflow:
    """Continues as new when it is signaled, and is then done."""

    def __init__(self) -> None:
        self.go_on = False

    @workflow.run
    async def run(self, value: str) -> str:
        if value == "first":
            await workflow.wait_condition(lambda: self.go_on)
            self._continue()
        return value

    @workflow.signal
    def proceed(self) -> None:
        self.go_on = True

    def _continue(self) -> NoReturn:
        workflow.continue_as_new("second")


ALL = (
    ContinuingWorkflow,
    EchoWorkflow,
    ParentWorkflow,
    SenderWorkflow,
    SignaledWorkflow,
)


def targets(driver: InMemoryDriver) -> list[Target]:
    """For whom it stored, call by call."""
    found = []
    for context in driver.contexts:
        assert isinstance(context.target, StorageDriverWorkflowInfo)
        found.append(context.target)
    return found


def target(
    workflow_id: str, run_id: str | None = None, kind: str | None = None
) -> Target:
    return Target(namespace="default", id=workflow_id, run_id=run_id, type=kind)


async def test_store_metadata_start_workflow(client: Client) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver, threshold=0)
    async with new_worker(storing, *ALL) as worker:
        handle = await storing.start_workflow(
            EchoWorkflow.run, "in", id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == "in"
    run_id, kind = handle.result_run_id, "EchoWorkflow"
    assert targets(driver) == [
        target(handle.id, kind=kind),
        target(handle.id, run_id, kind),
    ]


async def test_store_metadata_signal_with_start(client: Client) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver, threshold=0)
    async with new_worker(storing, *ALL) as worker:
        handle = await storing.start_workflow(
            SignaledWorkflow.run,
            "in",
            id=random_id(),
            task_queue=worker.task_queue,
            start_signal="signal",
            start_signal_args=["signaled"],
        )
        assert await handle.result() == "in signaled"
        run_id, kind = (await handle.describe()).run_id, "SignaledWorkflow"
    assert targets(driver) == [
        target(handle.id, kind=kind),
        target(handle.id, kind=kind),
        target(handle.id, run_id, kind),
    ]


async def test_store_metadata_signal_workflow(client: Client) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver, threshold=0)
    async with new_worker(storing, *ALL) as worker:
        handle = await storing.start_workflow(
            SignaledWorkflow.run, "in", id=random_id(), task_queue=worker.task_queue
        )
        await handle.signal(SignaledWorkflow.signal, "signal-data")
        assert await handle.result() == "in signal-data"
    kind = "SignaledWorkflow"
    assert targets(driver) == [
        target(handle.id, kind=kind),
        target(handle.id),
        target(handle.id, handle.result_run_id, kind),
    ]


async def test_store_metadata_activity_scheduling(client: Client) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver, threshold=0)
    async with new_worker(storing, *ALL, activities=[echo]) as worker:
        handle = await storing.start_workflow(
            EchoWorkflow.run,
            "by activity",
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await handle.result() == "by activity"
    of_run = target(handle.id, handle.result_run_id, "EchoWorkflow")
    first, *rest = targets(driver)
    assert first == target(handle.id, kind="EchoWorkflow")
    assert rest == [of_run] * 3


@pytest.mark.needs("child workflows")
async def test_store_metadata_child_workflow(client: Client) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver, threshold=0)
    async with new_worker(storing, *ALL) as worker:
        handle = await storing.start_workflow(
            ParentWorkflow.run, "in", id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == "in"
    run_id, kind = handle.result_run_id, "ParentWorkflow"
    start, child_start, child_result, result = targets(driver)
    assert start == target(handle.id, kind=kind)
    assert child_start == target(f"{handle.id}-child", kind="EchoWorkflow")
    assert child_result.id == handle.id
    assert child_result.type is None
    assert child_result.run_id is not None
    assert result == target(handle.id, run_id, kind)


@pytest.mark.needs("external signals")
async def test_store_metadata_signal_external_workflow(client: Client) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver, threshold=0)
    async with new_worker(storing, *ALL) as worker:
        waiting = await storing.start_workflow(
            SignaledWorkflow.run, "in", id=random_id(), task_queue=worker.task_queue
        )
        sender = await storing.start_workflow(
            SenderWorkflow.run,
            waiting.id,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await sender.result() == "sent"
        assert await waiting.result() == "in from the sender"
    first, second, signal, *results = targets(driver)
    assert first == target(waiting.id, kind="SignaledWorkflow")
    assert second == target(sender.id, kind="SenderWorkflow")
    assert signal == target(waiting.id)
    assert {result.id: result for result in results} == {
        waiting.id: target(waiting.id, waiting.result_run_id, "SignaledWorkflow"),
        sender.id: target(sender.id, sender.result_run_id, "SenderWorkflow"),
    }


async def test_extstore_continue_as_new_result_stored_under_current_run(
    client: Client,
) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver, threshold=0)
    async with new_worker(storing, *ALL) as worker:
        handle = await storing.start_workflow(
            ContinuingWorkflow.run,
            "first",
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await handle.signal(ContinuingWorkflow.proceed)
        assert await handle.result() == "second"
        last = await storing.get_workflow_handle(handle.id).describe()
    kind = "ContinuingWorkflow"
    assert last.run_id != handle.first_execution_run_id
    assert targets(driver) == [
        target(handle.id, kind=kind),
        target(handle.id, handle.first_execution_run_id, kind),
        target(handle.id, last.run_id, kind),
    ]


@pytest.mark.needs("standalone activities")
async def test_store_metadata_standalone_activity(client: Client) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver, threshold=0)
    async with new_worker(storing, activities=[echo]) as worker:
        handle = await storing.start_activity(
            echo,
            "in",
            id=random_id(),
            task_queue=worker.task_queue,
            schedule_to_close_timeout=timedelta(seconds=10),
        )
        assert await handle.result() == "in"
    assert [context.target for context in driver.contexts] == [
        StorageDriverActivityInfo(
            namespace="default", id=handle.id, run_id=run_id, type="echo"
        )
        for run_id in (None, handle.run_id)
    ]
