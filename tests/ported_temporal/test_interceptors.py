"""Interceptors of clients and workers: what they see, and what they may change."""

# ruff: noqa: A002 - the SDK names these parameters

import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.client import (
    CancelWorkflowInput,
    Client,
    Interceptor,
    OutboundInterceptor,
    QueryWorkflowInput,
    SignalWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateWithStartInput,
    TerminateWorkflowInput,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from dbosify.common import WorkflowIDConflictPolicy
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from dbosify.worker import Interceptor as WorkerInterceptor
from tests.ported_temporal.activity_calls import call
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    EchoQuery,
    KitchenSinkWorkflow,
    Result,
    Script,
)
from tests.ported_temporal.scaffold import new_worker, random_id


class Tracing(Interceptor):
    """Notes five kinds of calls of a client."""

    def __init__(self) -> None:
        self.traces: list[tuple[str, Any]] = []

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return TracingOutbound(self, super().intercept_client(next))


class TracingOutbound(OutboundInterceptor):
    def __init__(self, parent: Tracing, next: OutboundInterceptor) -> None:
        super().__init__(next)
        self._traces = parent.traces

    async def start_workflow(
        self, input: StartWorkflowInput
    ) -> WorkflowHandle[Any, Any]:
        self._traces.append(("start", input))
        return await super().start_workflow(input)

    async def query_workflow(self, input: QueryWorkflowInput) -> Any:
        self._traces.append(("query", input))
        return await super().query_workflow(input)

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:
        self._traces.append(("signal", input))
        await super().signal_workflow(input)

    async def cancel_workflow(self, input: CancelWorkflowInput) -> None:
        self._traces.append(("cancel", input))
        await super().cancel_workflow(input)

    async def terminate_workflow(self, input: TerminateWorkflowInput) -> None:
        self._traces.append(("terminate", input))
        await super().terminate_workflow(input)


def intercepted(client: Client, *interceptors: Interceptor) -> Client:
    """The same client with these interceptors."""
    config: Any = client.config()
    config["interceptors"] = list(interceptors)
    return Client(**config)


async def test_interceptor(client: Client, worker: Worker) -> None:
    tracing = Tracing()
    traced = intercepted(client, tracing)
    handle = await traced.start_workflow(
        KitchenSinkWorkflow.run,
        Script(
            [
                Action(echo_query=EchoQuery("echo")),
                Action(await_signal=AwaitSignal("go")),
                Action(result=Result("went")),
            ]
        ),
        id=random_id(),
        task_queue=worker.task_queue,
    )
    assert await handle.query("echo", "is it on?") == "is it on?"
    await handle.signal("go")
    assert await handle.result() == "went"
    await handle.cancel()
    with pytest.raises(RPCError) as too_late:
        await handle.terminate()
    assert too_late.value.status == RPCStatusCode.NOT_FOUND

    kinds = ["start", "query", "signal", "cancel", "terminate"]
    assert [kind for kind, _ in tracing.traces] == kinds
    start, query, signal, cancel, terminate = [seen for _, seen in tracing.traces]
    assert start.workflow == "kitchen_sink"
    assert query.query == "echo"
    assert signal.signal == "go"
    assert {seen.id for _, seen in tracing.traces} == {handle.id}
    assert cancel.first_execution_run_id == terminate.first_execution_run_id
    assert cancel.first_execution_run_id == handle.first_execution_run_id


@workflow.defn
class UpdatableWorkflow:
    """Answers an update with its argument, and ends with its own."""

    @workflow.run
    async def run(self, argument: str) -> str:
        await workflow.wait_condition(lambda: self.updated)
        return argument

    @workflow.init
    def __init__(self, argument: str) -> None:
        self.updated = False

    @workflow.update
    async def update(self, argument: str) -> str:
        self.updated = True
        return argument


class ReplacingArguments(Interceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        class Outbound(OutboundInterceptor):
            async def start_update_with_start_workflow(
                self, input: StartWorkflowUpdateWithStartInput
            ) -> WorkflowUpdateHandle[Any]:
                input.start_workflow_input.args = ["intercepted-workflow-arg"]
                input.update_workflow_input.args = ["intercepted-update-arg"]
                return await super().start_update_with_start_workflow(input)

        return Outbound(super().intercept_client(next))


async def test_update_with_start_client_outbound_interceptor(client: Client) -> None:
    replacing = intercepted(client, ReplacingArguments())
    async with new_worker(client, UpdatableWorkflow) as worker:
        start = WithStartWorkflowOperation(
            UpdatableWorkflow.run,
            "original-workflow-arg",
            id=random_id(),
            task_queue=worker.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
        updated = await replacing.execute_update_with_start_workflow(
            UpdatableWorkflow.update,
            "original-update-arg",
            start_workflow_operation=start,
        )
        assert updated == "intercepted-update-arg"
        handle = await start.workflow_handle()
        assert await handle.result() == "intercepted-workflow-arg"


@workflow.defn
class WaitingWorkflow:
    """Has no handlers of its own."""

    @workflow.run
    async def run(self) -> str:
        return "ran"


class SettingSignalHandler(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        def on_signal(argument: str) -> None:
            pass

        workflow.set_signal_handler("from-the-interceptor", on_signal)
        super().init(outbound)


class WithSignalHandler(WorkerInterceptor):
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        return SettingSignalHandler


async def test_signal_handler_in_interceptor(client: Client) -> None:
    async with new_worker(
        client, WaitingWorkflow, interceptors=[WithSignalHandler()]
    ) as worker:
        result = await client.execute_workflow(
            WaitingWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            start_signal="from-the-interceptor",
            start_signal_args=["early"],
        )
        assert result == "ran"


@workflow.defn
class KnowsItselfWorkflow:
    """Tells who it is."""

    @workflow.run
    async def run(self) -> int:
        return id(self)


class ComparingInstances(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> int:
        instance = workflow.instance()
        assert instance is not None
        return id(instance) - int(await super().execute_workflow(input))


class WithComparison(WorkerInterceptor):
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        return ComparingInstances


async def test_workflow_instance_access_from_interceptor(client: Client) -> None:
    async with new_worker(
        client, KnowsItselfWorkflow, interceptors=[WithComparison()]
    ) as worker:
        difference = await client.execute_workflow(
            KnowsItselfWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert difference == 0


around_the_call: contextvars.ContextVar[str] = contextvars.ContextVar("around_the_call")


class SettingContext(WorkerInterceptor):
    def intercept_activity(
        self, next: ActivityInboundInterceptor
    ) -> ActivityInboundInterceptor:
        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                around_the_call.set("some value!")
                return await super().execute_activity(input)

        return Inbound(super().intercept_activity(next))


@activity.defn
def read_context() -> str:
    """What the interceptor left for this thread."""
    return f"context var: {around_the_call.get()}"


async def test_sync_activity_contextvars(client: Client, worker: Worker) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with new_worker(
            client,
            activities=[read_context],
            activity_executor=pool,
            max_concurrent_activities=1,
            interceptors=[SettingContext()],
        ) as called:
            result = await call(worker, called, "read_context")
    assert result == "context var: some value!"
