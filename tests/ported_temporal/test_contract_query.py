"""Queries over the service: who answers, what a failed one says, who is refused."""

import asyncio
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from dbosify import workflow
from dbosify.api.common.v1 import WorkflowExecution, WorkflowType
from dbosify.api.enums.v1 import QueryRejectCondition
from dbosify.api.errordetails.v1 import QueryFailedFailure, WorkflowNotReadyFailure
from dbosify.api.query.v1 import WorkflowQuery
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflowservice.v1 import QueryWorkflowRequest, QueryWorkflowResponse
from dbosify.client import Client, WorkflowExecutionStatus
from dbosify.exceptions import ApplicationError
from dbosify.service import RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    BAD_RUN_ID,
    NO_NAMESPACE,
    NO_WORKFLOW_ID,
    UNKNOWN_RUN_ID,
    Refusal,
    describe,
    duration,
    execution,
    history_of,
    invalid,
    names_of,
    payloads,
    refusal_of,
    signal,
    start,
    start_and_close,
    start_script,
    terminate,
    unknown_namespace,
    unknown_run,
    unknown_workflow,
)
from tests.ported_temporal.kitchen_sink import Action, EchoQuery, Script
from tests.ported_temporal.scaffold import (
    assert_eventually,
    new_worker,
    random_id,
)

NOT_OPEN = QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_OPEN
NOT_CLEANLY = QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_COMPLETED_CLEANLY

STACK_TRACE = WorkflowQuery(query_type="__stack_trace")
"""A query that every workflow answers."""

ECHO = WorkflowQuery(query_type="echo", query_args=payloads("shout"))


async def query(
    client: Client,
    target: WorkflowExecution,
    question: WorkflowQuery | None = STACK_TRACE,
    **fields: Any,
) -> QueryWorkflowResponse:
    """Ask a run."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "execution": target,
        "query": question,
    }
    return await client.workflow_service.query_workflow(
        QueryWorkflowRequest(**{**complete, **fields})
    )


async def test_a_query_has_to_be_complete(client: Client) -> None:
    target = execution(random_id())
    assert await refusal_of(query(client, WorkflowExecution())) == NO_WORKFLOW_ID
    bad_run = execution(random_id(), "not a uuid")
    assert await refusal_of(query(client, bad_run)) == BAD_RUN_ID
    assert await refusal_of(query(client, target, None)) == invalid(
        "WorkflowQuery is not set on request."
    )
    assert await refusal_of(query(client, target, WorkflowQuery())) == invalid(
        "QueryType is not set on request."
    )
    assert await refusal_of(query(client, target, namespace="")) == NO_NAMESPACE


async def test_a_query_has_to_find_its_run(client: Client) -> None:
    nobody = random_id()
    assert await refusal_of(query(client, execution(nobody))) == unknown_workflow(
        nobody
    )
    assert await refusal_of(
        query(client, execution(nobody, UNKNOWN_RUN_ID))
    ) == unknown_run(nobody, UNKNOWN_RUN_ID)
    nowhere = random_id("namespace")
    assert await refusal_of(
        query(client, execution(nobody), namespace=nowhere)
    ) == unknown_namespace(nowhere)


async def test_an_answer_leaves_no_trace_in_the_history(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start_script(
        client,
        worker,
        workflow_id,
        Script([Action(echo_query=EchoQuery("echo"))], "act"),
    )
    answer = await query(client, target, ECHO)
    assert answer.query_result == payloads("shout")
    assert not answer.HasField("query_rejected")
    assert names_of(await history_of(client, target)) == [
        *("WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_SCHEDULED"),
        *("WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED"),
    ]


async def test_an_answer_knows_of_every_signal_that_was_accepted_before(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start_script(client, worker, workflow_id, Script(action_signal="act"))
    for number in range(5):
        name = f"echo{number}"
        await signal(
            client,
            target,
            signal_name="act",
            input=payloads(Action(echo_query=EchoQuery(name))),
        )
        question = WorkflowQuery(query_type=name, query_args=payloads(name))
        assert (await query(client, target, question)).query_result == payloads(name)


async def test_an_older_run_answers_for_itself(client: Client, worker: Worker) -> None:
    workflow_id = random_id()
    older = await start_script(
        client, worker, workflow_id, Script([Action(echo_query=EchoQuery("echo"))])
    )
    await client.get_workflow_handle(workflow_id).result()
    await start(client, workflow_id)
    answer = await query(client, execution(workflow_id, older.run_id), ECHO)
    assert answer.query_result == payloads("shout")


@workflow.defn
class FailingQueryWorkflow:
    @workflow.run
    async def run(self) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError("waits forever")

    @workflow.query
    def fail(self) -> NoReturn:
        raise ApplicationError("no answer", "a detail", type="Shy")


async def test_a_failed_query_is_refused_in_the_words_of_its_handler(
    client: Client,
) -> None:
    async with new_worker(client, FailingQueryWorkflow) as worker:
        handle = await client.start_workflow(
            FailingQueryWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        refused = await refusal_of(
            query(client, execution(handle.id), WorkflowQuery(query_type="fail"))
        )
        await handle.terminate()
    # Workers send nothing of the exception but its message.
    assert refused == Refusal(
        RPCStatusCode.INVALID_ARGUMENT, "no answer", QueryFailedFailure()
    )


@pytest.mark.parametrize(
    ("condition", "status", "rejects"),
    [
        (NOT_OPEN, WorkflowExecutionStatus.RUNNING, False),
        (NOT_OPEN, WorkflowExecutionStatus.COMPLETED, True),
        (NOT_OPEN, WorkflowExecutionStatus.FAILED, True),
        (NOT_CLEANLY, WorkflowExecutionStatus.RUNNING, False),
        (NOT_CLEANLY, WorkflowExecutionStatus.COMPLETED, False),
        (NOT_CLEANLY, WorkflowExecutionStatus.FAILED, True),
        (NOT_CLEANLY, WorkflowExecutionStatus.CANCELED, True),
        (NOT_CLEANLY, WorkflowExecutionStatus.TERMINATED, True),
    ],
)
async def test_a_query_can_be_limited_to_runs_in_a_good_state(
    client: Client,
    worker: Worker,
    condition: "QueryRejectCondition.ValueType",
    status: WorkflowExecutionStatus,
    rejects: bool,
) -> None:
    workflow_id = random_id()
    if status == WorkflowExecutionStatus.RUNNING:
        await start_script(client, worker, workflow_id, Script(action_signal="act"))
    else:
        await start_and_close(client, worker, workflow_id, status=status)
    answer = await query(
        client, execution(workflow_id), query_reject_condition=condition
    )
    assert answer.HasField("query_rejected") == rejects
    assert answer.HasField("query_result") != rejects
    if rejects:
        assert answer.query_rejected.status == int(status)


async def test_a_closed_run_that_never_began_answers_nothing(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    await terminate(client, execution(workflow_id))
    assert await refusal_of(query(client, execution(workflow_id))) == Refusal(
        RPCStatusCode.FAILED_PRECONDITION,
        "Workflow execution closed before WorkflowTaskStarted event",
        WorkflowNotReadyFailure(),
    )


@workflow.defn
class BrokenWorkflow:
    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("a bug")


async def test_a_run_whose_task_keeps_failing_answers_nothing(client: Client) -> None:
    async with new_worker(client, BrokenWorkflow) as worker:
        workflow_id = random_id()
        await start(
            client,
            workflow_id,
            workflow_type=WorkflowType(name="BrokenWorkflow"),
            task_queue=TaskQueue(name=worker.task_queue),
            workflow_task_timeout=duration(timedelta(seconds=1)),
        )

        async def tried_three_times() -> None:
            described = await describe(client, execution(workflow_id))
            assert described.pending_workflow_task.attempt >= 3

        await assert_eventually(tried_three_times)
        refused = await refusal_of(query(client, execution(workflow_id)))
        await terminate(client, execution(workflow_id))
    assert refused == Refusal(
        RPCStatusCode.FAILED_PRECONDITION,
        "Unable to query workflow due to Workflow Task in failed state.",
        WorkflowNotReadyFailure(),
    )
