"""What loggers of workflows and activities say, and when they keep quiet."""

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.common import RetryPolicy
from dbosify.exceptions import (
    ActivityError,
    ApplicationError,
    ApplicationErrorCategory,
)
from dbosify.worker import UnsandboxedWorkflowRunner, Worker
from tests.ported_temporal.activity_calls import call, failed_call, start_call
from tests.ported_temporal.scaffold import captured_logs, new_worker, random_id

OF_WORKFLOW_TASKS = logging.getLogger("temporalio.worker._workflow_instance")
FAILED_TASK = "Failed activation on workflow"
FAILED_ACTIVITY = "Completing activity as failed"
TEN_SECONDS = timedelta(seconds=10)


@pytest.fixture(params=[True, False], ids=["with info", "without info"])
def with_info(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether records of workflows tell which workflow it was."""
    logger = workflow.logger
    names = (
        "workflow_info_on_message",
        "workflow_info_on_extra",
        "full_workflow_info_on_extra",
    )
    before = {name: getattr(logger, name) for name in names}
    for name in names:
        setattr(logger, name, request.param)
    yield request.param
    for name, value in before.items():
        setattr(logger, name, value)


@workflow.defn
class LoggingWorkflow:
    """Logs all that comes in."""

    def __init__(self) -> None:
        self._last_signal = ""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._last_signal == "finish")

    @workflow.signal
    def my_signal(self, value: str) -> None:
        self._last_signal = value
        workflow.logger.info("Signal: %s", value)

    @workflow.update
    def my_update(self, value: str) -> None:
        workflow.logger.info("Update: %s", value)

    @workflow.query
    def last_signal(self) -> str:
        workflow.logger.info("Query called")
        return self._last_signal


async def test_workflow_logging(client: Client, with_info: bool) -> None:
    with captured_logs(workflow.logger) as logs:
        async with new_worker(
            client, LoggingWorkflow, max_cached_workflows=0
        ) as worker:
            handle = await client.start_workflow(
                LoggingWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
            for number in (1, 2):
                await handle.signal(LoggingWorkflow.my_signal, f"signal {number}")
                await handle.execute_update(
                    LoggingWorkflow.my_update,
                    f"update {number}",
                    id=f"update-{number}",
                )
            assert await handle.query(LoggingWorkflow.last_signal) == "signal 2"

        for text in ("Signal: signal 1", "Signal: signal 2", "Query called"):
            assert logs.find_log(text) is not None
        signal, update = logs.find_log("Signal: signal 2"), logs.find_log("Update: ")
        assert signal is not None
        assert update is not None
        assert signal.funcName == "my_signal"
        if with_info:
            assert signal.getMessage().startswith("Signal: signal 2 ({'attempt':")
            fields = vars(signal)
            assert fields["temporal_workflow"]["workflow_type"] == "LoggingWorkflow"
            assert isinstance(fields["workflow_info"], workflow.Info)
            of_update = vars(update)["temporal_workflow"]
            assert of_update["update_id"] == "update-1"
            assert of_update["update_name"] == "my_update"
            assert "'update_id': 'update-1'" in update.getMessage()
            assert "'update_name': 'my_update'" in update.getMessage()
        else:
            assert signal.getMessage() == "Signal: signal 2"
            for record in (signal, update):
                assert not {"temporal_workflow", "workflow_info"} & set(vars(record))

    # Another worker rebuilds the run, and says only what is new.
    with captured_logs(workflow.logger) as logs:
        async with new_worker(
            client,
            LoggingWorkflow,
            task_queue=worker.task_queue,
            max_cached_workflows=0,
        ):
            await handle.signal(LoggingWorkflow.my_signal, "signal 3")
            await handle.signal(LoggingWorkflow.my_signal, "finish")
            await handle.result()
        for text in ("Signal: signal 1", "Signal: signal 2", "Update: "):
            assert logs.find_log(text) is None
        for text in ("Signal: signal 3", "Signal: finish"):
            assert logs.find_log(text) is not None


task_has_failed = False


@activity.defn
async def fail_at_first() -> str:
    """Needs two attempts."""
    if activity.info().attempt == 1:
        raise RuntimeError("Intentional activity error")
    return "done"


@workflow.defn(sandboxed=False)
class TroubledWorkflow:
    """Needs two attempts as well."""

    @workflow.run
    async def run(self) -> str:
        global task_has_failed
        if not task_has_failed:
            task_has_failed = True
            raise RuntimeError("Intentional workflow task error")
        return await workflow.execute_activity(
            fail_at_first,
            schedule_to_close_timeout=TEN_SECONDS,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=1), maximum_attempts=2
            ),
        )


async def test_workflow_logging_task_fail(client: Client) -> None:
    global task_has_failed
    task_has_failed = False
    with captured_logs(OF_WORKFLOW_TASKS, activity.logger) as logs:
        async with new_worker(
            client,
            TroubledWorkflow,
            activities=[fail_at_first],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ) as worker:
            result = await client.execute_workflow(
                TroubledWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
        assert result == "done"
    of_task = logs.find_log(FAILED_TASK)
    assert of_task is not None
    assert of_task.exc_info is not None
    assert "Intentional workflow task error" in str(of_task.exc_info[1])
    assert vars(of_task)["temporal_workflow"]["workflow_type"] == "TroubledWorkflow"
    of_activity = logs.find_log(FAILED_ACTIVITY)
    assert of_activity is not None
    assert of_activity.exc_info is not None
    assert "Intentional activity error" in str(of_activity.exc_info[1])
    assert vars(of_activity)["temporal_activity"]["activity_type"] == "fail_at_first"


async def test_workflow_logging_trace_identifier(client: Client) -> None:
    global task_has_failed
    task_has_failed = False
    with captured_logs(OF_WORKFLOW_TASKS) as logs:
        async with new_worker(
            client,
            TroubledWorkflow,
            activities=[fail_at_first],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ) as worker:
            await client.execute_workflow(
                TroubledWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
    record = logs.find(lambda record: hasattr(record, "__temporal_error_identifier"))
    assert record is not None
    assert vars(record)["__temporal_error_identifier"] == "WorkflowTaskFailure"
    assert record.msg.startswith(FAILED_TASK)


@activity.defn
async def fail_as_told(category: str) -> None:
    """Fails with that category."""
    raise ApplicationError("as told", category=ApplicationErrorCategory[category])


@workflow.defn
class CategoryWorkflow:
    """Fails as its activity does."""

    @workflow.run
    async def run(self, category: str) -> None:
        await workflow.execute_activity(
            fail_as_told,
            category,
            schedule_to_close_timeout=TEN_SECONDS,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@pytest.mark.parametrize("category", ["BENIGN", "UNSPECIFIED"])
async def test_activity_benign_error_not_logged(client: Client, category: str) -> None:
    with captured_logs(activity.logger) as logs:
        async with new_worker(
            client, CategoryWorkflow, activities=[fail_as_told]
        ) as worker:
            with pytest.raises(WorkflowFailureError) as failed:
                await client.execute_workflow(
                    CategoryWorkflow.run,
                    category,
                    id=random_id(),
                    task_queue=worker.task_queue,
                )
    assert isinstance(failed.value.cause, ActivityError)
    told = failed.value.cause.cause
    assert isinstance(told, ApplicationError)
    assert told.category is ApplicationErrorCategory[category]
    logged = logs.find_log(FAILED_ACTIVITY) is not None
    assert logged == (category == "UNSPECIFIED")


@activity.defn
async def say_hello(name: str) -> str:
    """Greets, and notes whom."""
    activity.logger.info("Called with arg: %s", name)
    return f"Hello, {name}!"


async def test_activity_logging(client: Client, worker: Worker) -> None:
    with captured_logs(activity.logger) as logs:
        async with new_worker(client, activities=[say_hello]) as called:
            assert await call(worker, called, "say_hello", "Temporal") == (
                "Hello, Temporal!"
            )
    record = logs.find_log("Called with arg: Temporal ({'activity_id': '")
    assert record is not None
    assert vars(record)["temporal_activity"]["activity_type"] == "say_hello"


@activity.defn
async def raise_error() -> None:
    """Fails."""
    raise RuntimeError("oh no!")


async def test_activity_failure_trace_identifier(
    client: Client, worker: Worker
) -> None:
    with captured_logs(activity.logger) as logs:
        async with new_worker(client, activities=[raise_error]) as called:
            handle = await start_call(worker, called, "raise_error")
            assert str(await failed_call(handle)) == "RuntimeError: oh no!"
    [record] = logs.find_all(
        lambda record: hasattr(record, "__temporal_error_identifier")
    )
    assert vars(record)["__temporal_error_identifier"] == "ActivityFailure"
    assert record.msg.startswith(FAILED_ACTIVITY)
