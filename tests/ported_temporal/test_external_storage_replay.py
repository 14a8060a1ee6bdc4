"""Histories whose payloads are kept elsewhere, replayed with and without the driver."""

from dbosify import workflow
from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowHistory,
)
from dbosify.converter import (
    DataConverter,
    StorageDriver,
    StorageDriverWorkflowInfo,
)
from dbosify.worker import Replayer, WorkflowReplayResult
from tests.ported_temporal.scaffold import new_worker, random_id
from tests.ported_temporal.storing import InMemoryDriver, with_storage

with workflow.unsafe.imports_passed_through():
    from tests.ported_temporal.test_external_storage import (
        SizedWorkflow,
        Sizes,
        give,
    )


async def history_with(
    client: Client, driver: StorageDriver, sizes: Sizes
) -> WorkflowHistory:
    """The history of a run, some of whose payloads went to the driver."""
    storing = with_storage(client, driver, threshold=512)
    async with new_worker(storing, SizedWorkflow, activities=[give]) as worker:
        handle = await storing.start_workflow(
            SizedWorkflow.run, sizes, id=random_id(), task_queue=worker.task_queue
        )
        await handle.result()
        return await handle.fetch_history()


async def replayed(
    history: WorkflowHistory, data_converter: DataConverter = DataConverter.default
) -> WorkflowReplayResult:
    """What comes of the history with that converter."""
    replayer = Replayer(workflows=[SizedWorkflow], data_converter=data_converter)
    return await replayer.replay_workflow(history, raise_on_replay_failure=False)


def converter_with(client: Client, driver: StorageDriver) -> DataConverter:
    return with_storage(client, driver, threshold=512).data_converter


NOT_CONFIGURED = (
    "[TMPRL1105] Detected externally stored payload(s) but external storage is not"
    " configured."
)


async def test_replay_extstore_history_fails_without_extstore(client: Client) -> None:
    history = await history_with(client, InMemoryDriver(), Sizes(padding="p" * 2048))
    result = await replayed(history)
    assert isinstance(result.replay_failure, RuntimeError)
    assert not isinstance(result.replay_failure, workflow.NondeterminismError)
    assert NOT_CONFIGURED in str(result.replay_failure)


async def test_replay_extstore_history_succeeds_with_correct_extstore(
    client: Client,
) -> None:
    driver = InMemoryDriver()
    history = await history_with(client, driver, Sizes(padding="p" * 2048))
    result = await replayed(history, converter_with(client, driver))
    assert result.replay_failure is None


async def test_replay_extstore_history_fails_with_empty_driver(client: Client) -> None:
    history = await history_with(client, InMemoryDriver(), Sizes(padding="p" * 2048))
    result = await replayed(history, converter_with(client, InMemoryDriver()))
    assert isinstance(result.replay_failure, workflow.NondeterminismError)


async def test_replay_extstore_activity_result_fails_without_extstore(
    client: Client,
) -> None:
    history = await history_with(client, InMemoryDriver(), Sizes(activity_output=2048))
    result = await replayed(history)
    assert isinstance(result.replay_failure, RuntimeError)
    assert NOT_CONFIGURED in str(result.replay_failure)


async def test_store_metadata_schedule_action(client: Client) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver, threshold=0)
    workflow_id = random_id()
    schedule = await storing.create_schedule(
        random_id("schedule"),
        Schedule(
            action=ScheduleActionStartWorkflow(
                SizedWorkflow.run,
                Sizes(),
                id=workflow_id,
                task_queue=random_id("queue"),
            ),
            spec=ScheduleSpec(),
        ),
    )
    [context] = driver.contexts
    assert context.target == StorageDriverWorkflowInfo(
        namespace="default", id=workflow_id, type="SizedWorkflow"
    )
    await schedule.delete()
