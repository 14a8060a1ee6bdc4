"""What a client promises about starting, describing and ending a workflow."""

import asyncio
import inspect
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

import pytest

from dbosify import workflow
from dbosify.api.enums.v1 import EventType
from dbosify.api.errordetails.v1 import NamespaceNotFoundFailure, QueryFailedFailure
from dbosify.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    GetSystemInfoRequest,
)
from dbosify.client import (
    Client,
    ClientConnectConfig,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryRejectedError,
)
from dbosify.common import (
    QueryRejectCondition,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from dbosify.exceptions import TerminatedError, WorkflowAlreadyStartedError
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.kitchen_sink import (
    Action,
    EchoQuery,
    KitchenSinkWorkflow,
    Result,
    Script,
    Sleep,
)
from tests.ported_temporal.scaffold import new_worker, random_id

START_DELAY = timedelta(hours=1, minutes=20, seconds=30)


async def start(
    client: Client,
    worker: Worker,
    script: Script,
    *,
    workflow_id: str | None = None,
    **options: Any,
) -> WorkflowHandle[KitchenSinkWorkflow, Any]:
    """Start a kitchen sink with any options of ``start_workflow``."""
    return await client.start_workflow(
        KitchenSinkWorkflow.run,
        script,
        id=workflow_id or random_id(),
        task_queue=worker.task_queue,
        **options,
    )


def ending_with(value: Any) -> Script:
    """A script that gives a value at once."""
    return Script([Action(result=Result(value))])


async def first_task_backoff(handle: WorkflowHandle[Any, Any]) -> timedelta:
    """How long after its start the run gets its first task, says its history."""
    async for event in handle.fetch_history_events():
        assert event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
        started = event.workflow_execution_started_event_attributes
        return started.first_workflow_task_backoff.ToTimedelta()
    raise AssertionError("a run has at least one event")


@workflow.defn
class EndlessWorkflow:
    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("waits forever")


async def test_workflow_already_started(client: Client) -> None:
    async with new_worker(client, EndlessWorkflow) as worker:
        workflow_id = random_id()
        handle = await client.start_workflow(
            EndlessWorkflow.run, id=workflow_id, task_queue=worker.task_queue
        )
        with pytest.raises(WorkflowAlreadyStartedError) as refused:
            await client.start_workflow(
                EndlessWorkflow.run, id=workflow_id, task_queue=worker.task_queue
            )
    assert refused.value.workflow_id == workflow_id
    assert refused.value.workflow_type == "EndlessWorkflow"
    assert refused.value.run_id == handle.result_run_id


@dataclass
class Greeting:
    """What the typed workflow gives."""

    text: str


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self) -> Greeting:
        return Greeting(text="hello")


async def test_workflow_typed_handle(client: Client) -> None:
    async with new_worker(client, GreetingWorkflow) as worker:
        workflow_id = random_id()
        await client.execute_workflow(
            GreetingWorkflow.run, id=workflow_id, task_queue=worker.task_queue
        )
    typed: WorkflowHandle[GreetingWorkflow, Greeting] = client.get_workflow_handle_for(
        GreetingWorkflow.run, workflow_id
    )
    assert await typed.result() == Greeting(text="hello")


async def test_workflow_id_conflict(client: Client) -> None:
    async with new_worker(client, EndlessWorkflow) as worker:
        workflow_id = random_id()

        async def start_again(
            policy: WorkflowIDConflictPolicy = WorkflowIDConflictPolicy.UNSPECIFIED,
        ) -> WorkflowHandle[EndlessWorkflow, NoReturn]:
            return await client.start_workflow(
                EndlessWorkflow.run,
                id=workflow_id,
                task_queue=worker.task_queue,
                id_conflict_policy=policy,
            )

        async def status_of(
            started: WorkflowHandle[EndlessWorkflow, NoReturn],
        ) -> WorkflowExecutionStatus | None:
            exactly = client.get_workflow_handle(
                workflow_id, run_id=started.result_run_id
            )
            return (await exactly.describe()).status

        first = await start_again()

        with pytest.raises(WorkflowAlreadyStartedError):
            await start_again()
        with pytest.raises(WorkflowAlreadyStartedError):
            await start_again(WorkflowIDConflictPolicy.FAIL)

        same = await start_again(WorkflowIDConflictPolicy.USE_EXISTING)
        assert same.result_run_id == first.result_run_id
        assert await status_of(first) == WorkflowExecutionStatus.RUNNING
        assert await status_of(same) == WorkflowExecutionStatus.RUNNING

        other = await start_again(WorkflowIDConflictPolicy.TERMINATE_EXISTING)
        assert other.result_run_id != first.result_run_id
        assert await status_of(first) == WorkflowExecutionStatus.TERMINATED
        assert await status_of(other) == WorkflowExecutionStatus.RUNNING


async def test_start_id_reuse(client: Client, worker: Worker) -> None:
    first = await start(client, worker, ending_with("first"))
    assert await first.result() == "first"

    with pytest.raises(WorkflowAlreadyStartedError) as refused:
        await start(
            client,
            worker,
            ending_with("refused"),
            workflow_id=first.id,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
    assert refused.value.run_id == first.result_run_id

    second = await start(client, worker, ending_with("second"), workflow_id=first.id)
    assert await second.result() == "second"


async def test_start_with_signal(client: Client, worker: Worker) -> None:
    handle = await start(
        client,
        worker,
        Script(action_signal="act"),
        start_signal="act",
        start_signal_args=[Action(result=Result("came with the start"))],
    )
    assert await handle.result() == "came with the start"


async def test_start_delay(client: Client, worker: Worker) -> None:
    handle = await start(client, worker, ending_with("late"), start_delay=START_DELAY)
    assert await first_task_backoff(handle) == START_DELAY


async def test_signal_with_start_delay(client: Client, worker: Worker) -> None:
    handle = await start(
        client,
        worker,
        Script(action_signal="act"),
        start_delay=START_DELAY,
        start_signal="act",
        start_signal_args=[Action(result=Result("late"))],
    )
    assert await first_task_backoff(handle) == START_DELAY


async def test_terminate(client: Client, worker: Worker) -> None:
    handle = await start(client, worker, Script([Action(sleep=Sleep(3_600_000))]))
    await handle.terminate("arg1", "arg2", reason="some reason")
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, TerminatedError)
    assert str(failed.value.cause) == "some reason"
    assert list(failed.value.cause.details) == ["arg1", "arg2"]


async def test_rpc_already_exists_error_is_raised(
    client: Client, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> NoReturn:
        raise RPCError("not of a workflow", RPCStatusCode.ALREADY_EXISTS, b"")

    monkeypatch.setattr(client.workflow_service, "start_workflow_execution", refuse)
    with pytest.raises(RPCError) as refused:
        await start(client, worker, Script())
    assert refused.value.status == RPCStatusCode.ALREADY_EXISTS
    assert not isinstance(refused.value, WorkflowAlreadyStartedError)


async def test_cancel_not_found(client: Client) -> None:
    with pytest.raises(RPCError) as refused:
        await client.get_workflow_handle("does-not-exist").cancel()
    assert refused.value.status == RPCStatusCode.NOT_FOUND


async def test_describe(client: Client, worker: Worker) -> None:
    handle = await start(client, worker, ending_with("done"), memo={"foo": "bar"})
    assert await handle.result() == "done"
    description = await handle.describe()

    assert description.close_time is not None
    assert description.execution_time is not None
    for moment in (
        description.start_time,
        description.execution_time,
        description.close_time,
    ):
        assert abs(datetime.now(timezone.utc) - moment) < timedelta(seconds=20)
    assert await description.memo() == {"foo": "bar"}
    assert description.id == handle.id
    assert description.run_id == handle.first_execution_run_id
    assert description.parent_id is None
    assert description.parent_run_id is None
    assert description.root_id == description.id
    assert description.root_run_id == description.run_id
    assert description.status == WorkflowExecutionStatus.COMPLETED
    assert description.task_queue == worker.task_queue
    assert description.workflow_type == "kitchen_sink"


async def test_single_client_config_change(client: Client, worker: Worker) -> None:
    handle = await start(
        client, worker, Script([Action(echo_query=EchoQuery("some query"))])
    )
    await handle.result()
    assert await handle.query("some query", "echo") == "echo"

    config = client.config()
    config["default_workflow_query_reject_condition"] = QueryRejectCondition.NOT_OPEN
    pickier = Client(**config)
    with pytest.raises(WorkflowQueryRejectedError):
        await pickier.get_workflow_handle(handle.id).query("some query", "echo")


async def test_client_reuse_across_event_loops(backend_address: str) -> None:
    async def connect() -> Client:
        return await Client.connect(backend_address)

    async def use(client: Client) -> int:
        answers = await asyncio.gather(
            *(
                client.workflow_service.get_system_info(GetSystemInfoRequest())
                for _ in range(10)
            )
        )
        return len(answers)

    async def close(client: Client) -> None:
        async with client:
            pass

    # asyncio.run ends its loop, and to_thread gives it a thread without one.
    client = await asyncio.to_thread(asyncio.run, connect())
    assert await asyncio.to_thread(asyncio.run, use(client)) == 10
    await asyncio.to_thread(asyncio.run, close(client))


def test_client_connect_config_matches_connect_params() -> None:
    parameters = set(inspect.signature(Client.connect).parameters)
    assert set(ClientConnectConfig.__annotations__) == parameters


async def test_grpc_status(client: Client) -> None:
    with pytest.raises(RPCError) as refused:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace="does not exist")
        )
    assert refused.value.status == RPCStatusCode.NOT_FOUND
    [detail] = refused.value.grpc_status.details
    assert detail.Is(NamespaceNotFoundFailure.DESCRIPTOR)
    assert not detail.Is(QueryFailedFailure.DESCRIPTOR)
