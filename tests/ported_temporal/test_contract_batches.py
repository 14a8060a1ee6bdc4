"""Doing the same to many runs: terminate, signal, cancel, reset, delete, change."""

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.batch import v1 as batch

from dbosify.api.common.v1 import Priority, ResetOptions, WorkflowExecution
from dbosify.api.enums.v1 import BatchOperationState, BatchOperationType, ResetType
from dbosify.api.workflow.v1 import WorkflowExecutionOptions
from dbosify.api.workflowservice import v1
from dbosify.client import Client, WorkflowExecutionStatus, WorkflowHandle
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    ALREADY_COMPLETED,
    NO_NAMESPACE,
    Refusal,
    describe,
    execution,
    history_of,
    invalid,
    payloads,
    refusal_of,
    status_of,
    unknown_workflow,
)
from tests.ported_temporal.reset_calls import Diary, after_reset, finishes, stamp
from tests.ported_temporal.scaffold import (
    assert_eventually,
    new_worker,
    random_id,
)

pytestmark = pytest.mark.needs("batches")

TERMINATE = batch.BatchOperationTermination(identity="me")
RUNNING = BatchOperationState.BATCH_OPERATION_STATE_RUNNING
COMPLETED = BatchOperationState.BATCH_OPERATION_STATE_COMPLETED
FAILED = BatchOperationState.BATCH_OPERATION_STATE_FAILED

Handles = list[WorkflowHandle[Any, Any]]


@pytest_asyncio.fixture(loop_scope="session")
async def diaries(client: Client) -> AsyncIterator[Worker]:
    """A worker of the workflow that this is done to."""
    async with new_worker(client, Diary, activities=[stamp]) as worker:
        yield worker


async def started(client: Client, worker: Worker, count: int = 3) -> Handles:
    """Some runs that wait, under ids of one beginning."""
    prefix = random_id("batch")
    handles = [
        await client.start_workflow(
            Diary.run, "one", id=f"{prefix}-{number}", task_queue=worker.task_queue
        )
        for number in range(count)
    ]

    async def waiting() -> None:
        for handle in handles:
            assert await handle.query(Diary.entries) == ["one stamped"]

    await assert_eventually(waiting)
    return handles


async def begin(client: Client, **fields: Any) -> str:
    """Begin a batch; tells its name."""
    job_id = str(uuid.uuid4())
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "job_id": job_id,
        "reason": "spring cleaning",
    }
    if "visibility_query" not in fields and "executions" not in fields:
        complete["executions"] = [execution(random_id())]
    await client.workflow_service.start_batch_operation(
        v1.StartBatchOperationRequest(**{**complete, **fields})
    )
    return job_id


async def shown(client: Client, job_id: str) -> v1.DescribeBatchOperationResponse:
    """What is told of a batch."""
    return await client.workflow_service.describe_batch_operation(
        v1.DescribeBatchOperationRequest(namespace=client.namespace, job_id=job_id)
    )


async def over(client: Client, job_id: str) -> v1.DescribeBatchOperationResponse:
    """What is told of a batch when it is over."""

    async def ended() -> v1.DescribeBatchOperationResponse:
        answer = await shown(client, job_id)
        assert answer.state != RUNNING
        return answer

    return await assert_eventually(ended, timeout=20)


def these(handles: Handles) -> list[WorkflowExecution]:
    """The runs of handles."""
    return [execution(handle.id) for handle in handles]


async def do(client: Client, handles: Handles, **operation: Any) -> None:
    """Do something to all runs, and wait until it is done."""
    job_id = await begin(client, executions=these(handles), **operation)
    answer = await over(client, job_id)
    assert answer.state == COMPLETED
    assert answer.complete_operation_count == len(handles)


async def test_runs_are_terminated_with_the_reason_of_the_batch(
    client: Client, diaries: Worker
) -> None:
    handles = await started(client, diaries)
    nobody = execution(random_id())
    job_id = await begin(
        client, executions=[*these(handles), nobody], termination_operation=TERMINATE
    )
    answer = await over(client, job_id)
    for handle in handles:
        last = (await history_of(client, execution(handle.id)))[-1]
        terminated = last.workflow_execution_terminated_event_attributes
        assert terminated.reason == "spring cleaning"
    kind = BatchOperationType.BATCH_OPERATION_TYPE_TERMINATE_WORKFLOW
    assert answer.operation_type == kind
    assert answer.job_id == job_id
    assert answer.state == COMPLETED
    assert answer.total_operation_count == 4
    assert answer.complete_operation_count == 4
    assert answer.failure_operation_count == 0
    assert (answer.identity, answer.reason) == ("me", "spring cleaning")
    assert answer.HasField("close_time")
    assert [e.business_id for e in answer.executions] == [
        *(handle.id for handle in handles),
        nobody.workflow_id,
    ]


async def test_a_query_says_which_runs(client: Client, diaries: Worker) -> None:
    handles = await started(client, diaries)
    prefix = handles[0].id.rpartition("-")[0]
    query = f"WorkflowId STARTS_WITH '{prefix}' AND ExecutionStatus = 'Running'"

    async def listed() -> None:
        count = await client.count_workflows(query)
        assert count.count == 3

    await assert_eventually(listed)
    job_id = await begin(
        client, visibility_query=query, termination_operation=TERMINATE
    )
    answer = await over(client, job_id)
    assert answer.query == query
    assert answer.complete_operation_count == 3
    for handle in handles:
        status = await status_of(client, execution(handle.id))
        assert status == WorkflowExecutionStatus.TERMINATED


async def test_runs_are_signalled(client: Client, diaries: Worker) -> None:
    handles = await started(client, diaries)
    signal = batch.BatchOperationSignal(signal="write", input=payloads("two"))
    await do(client, handles, signal_operation=signal)
    await do(
        client, handles, signal_operation=batch.BatchOperationSignal(signal="close")
    )
    for handle in handles:
        assert await handle.result() == ["one stamped", "two"]


async def test_runs_are_cancelled(client: Client, diaries: Worker) -> None:
    handles = await started(client, diaries)
    await do(
        client,
        handles,
        cancellation_operation=batch.BatchOperationCancellation(identity="me"),
    )

    async def cancelled() -> None:
        for handle in handles:
            status = await status_of(client, execution(handle.id))
            assert status == WorkflowExecutionStatus.CANCELED

    await assert_eventually(cancelled)


async def test_runs_are_deleted(client: Client, diaries: Worker) -> None:
    handles = await started(client, diaries)
    await do(
        client,
        handles,
        deletion_operation=batch.BatchOperationDeletion(identity="me"),
    )

    async def gone() -> None:
        for handle in handles:
            refused = await refusal_of(describe(client, execution(handle.id)))
            assert refused == unknown_workflow(handle.id)

    await assert_eventually(gone, timeout=30)


@pytest.mark.parametrize(
    ("operation", "point"),
    [
        (
            batch.BatchOperationReset(
                reset_type=ResetType.RESET_TYPE_FIRST_WORKFLOW_TASK
            ),
            0,
        ),
        (
            batch.BatchOperationReset(
                reset_type=ResetType.RESET_TYPE_LAST_WORKFLOW_TASK
            ),
            -1,
        ),
        (batch.BatchOperationReset(options=ResetOptions(workflow_task_id=4)), 0),
    ],
    ids=["first", "last", "by id"],
)
async def test_runs_are_reset(
    client: Client, diaries: Worker, operation: batch.BatchOperationReset, point: int
) -> None:
    handles = await started(client, diaries, 2)
    before = {
        handle.id: (await finishes(client, execution(handle.id)))[point]
        for handle in handles
    }
    await do(client, handles, reset_operation=operation)
    for handle in handles:
        events = await history_of(client, execution(handle.id))
        assert after_reset(events)[0] == "WORKFLOW_TASK_FAILED"
        failed = events[before[handle.id] - 1].workflow_task_failed_event_attributes
        assert failed.failure.message == "spring cleaning"
        await client.get_workflow_handle(handle.id).terminate()


async def test_runs_get_other_options(client: Client, diaries: Worker) -> None:
    handles = await started(client, diaries, 2)
    await do(
        client,
        handles,
        update_workflow_options_operation=(
            batch.BatchOperationUpdateWorkflowExecutionOptions(
                identity="me",
                workflow_execution_options=WorkflowExecutionOptions(
                    priority=Priority(priority_key=2)
                ),
                update_mask=FieldMask(paths=["priority"]),
            )
        ),
    )
    for handle in handles:
        info = (await describe(client, execution(handle.id))).workflow_execution_info
        assert info.priority.priority_key == 2
        await handle.terminate()


async def test_a_query_about_nothing_known_fails_the_batch(
    client: Client, diaries: Worker
) -> None:
    job_id = await begin(
        client, visibility_query="Unknown = 1", termination_operation=TERMINATE
    )
    assert (await over(client, job_id)).state == FAILED


async def test_batches_are_listed_the_latest_first(
    client: Client, diaries: Worker
) -> None:
    jobs = []
    for _ in range(3):
        jobs.append(await begin(client, termination_operation=TERMINATE))
        await over(client, jobs[-1])

    async def listed() -> None:
        found: list[str] = []
        token = b""
        while len(found) < 3:
            page = await client.workflow_service.list_batch_operations(
                v1.ListBatchOperationsRequest(
                    namespace=client.namespace, page_size=2, next_page_token=token
                )
            )
            assert len(page.operation_info) <= 2
            found.extend(info.job_id for info in page.operation_info)
            token = page.next_page_token
            if not token:
                break
        wanted = [job for job in found if job in jobs]
        assert wanted == jobs[::-1]

    await assert_eventually(listed)


async def stop(client: Client, job_id: str, reason: str = "enough") -> None:
    """Stop a batch."""
    await client.workflow_service.stop_batch_operation(
        v1.StopBatchOperationRequest(
            namespace=client.namespace, job_id=job_id, reason=reason
        )
    )


async def test_a_batch_is_stopped(client: Client, diaries: Worker) -> None:
    job_id = await begin(
        client,
        executions=[execution(random_id()) for _ in range(300)],
        max_operations_per_second=1,
        termination_operation=TERMINATE,
    )
    await stop(client, job_id)
    answer = await over(client, job_id)
    assert answer.state == FAILED
    assert answer.complete_operation_count < 300
    assert await refusal_of(stop(client, job_id)) == ALREADY_COMPLETED


NOT_ENOUGH = invalid(
    "must provide required parameters: BatchType,Reason,Namespace, AND one of"
    " (Query OR Executions OR TargetExecutions)"
)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"namespace": ""}, NO_NAMESPACE),
        ({"job_id": ""}, invalid("JobId is not set on request.")),
        ({"reason": ""}, NOT_ENOUGH),
        ({"executions": []}, NOT_ENOUGH),
        ({"termination_operation": None}, NOT_ENOUGH),
        (
            {"visibility_query": "WorkflowId = 'x'", "executions": [execution("x")]},
            invalid(
                "visibility query, executions, and target executions are mutually"
                " exclusive"
            ),
        ),
        (
            {"signal_operation": batch.BatchOperationSignal()},
            invalid("must provide signal name"),
        ),
        (
            {"reset_operation": batch.BatchOperationReset()},
            invalid("unknown batch reset type Unspecified"),
        ),
        (
            {"reset_operation": batch.BatchOperationReset(options=ResetOptions())},
            invalid("batch reset missing target"),
        ),
        (
            {"unpause_activities_operation": batch.BatchOperationUnpauseActivities()},
            invalid("activity filter must be set"),
        ),
        (
            {"reset_activities_operation": batch.BatchOperationResetActivities()},
            invalid("must provide ActivityType or MatchAll"),
        ),
        (
            {
                "update_activity_options_operation": (
                    batch.BatchOperationUpdateActivityOptions()
                )
            },
            invalid(
                "Either activity type must be set, or restore original should be set"
                " to true"
            ),
        ),
        (
            {
                "update_workflow_options_operation": (
                    batch.BatchOperationUpdateWorkflowExecutionOptions()
                )
            },
            invalid("must provide UpdateOptions"),
        ),
    ],
)
async def test_a_batch_may_be_wrong(
    client: Client, fields: Mapping[str, Any], refusal: Refusal
) -> None:
    asked: dict[str, Any] = dict(fields)
    if not any(name.endswith("_operation") for name in fields):
        asked["termination_operation"] = TERMINATE
    assert await refusal_of(begin(client, **asked)) == refusal


async def test_a_query_of_no_grammar_is_refused(client: Client) -> None:
    refused = await refusal_of(
        begin(client, visibility_query="a b c", termination_operation=TERMINATE)
    )
    assert refused.message.startswith("invalid visibility query: ")


async def test_what_is_no_batch_is_not_found(client: Client) -> None:
    name = random_id()
    assert await refusal_of(shown(client, name)) == unknown_workflow(name)
    assert await refusal_of(stop(client, name)) == unknown_workflow(name)
    nameless = invalid("JobId is not set on request.")
    assert await refusal_of(shown(client, "")) == nameless
    assert await refusal_of(stop(client, "")) == nameless
    refused = await refusal_of(stop(client, name, reason=""))
    assert refused == invalid("Reason is not set on request.")
