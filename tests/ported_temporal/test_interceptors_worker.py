"""A worker's interceptor sees every call in and out of workflows and activities."""

# ruff: noqa: A002 - the SDK names these parameters

from datetime import timedelta
from typing import Any, NoReturn

import pytest

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from dbosify.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ContinueAsNewInput,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    SignalChildWorkflowInput,
    SignalExternalWorkflowInput,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from tests.ported_temporal.scaffold import new_worker, random_id

TEN_SECONDS = timedelta(seconds=10)

# The sandbox must not load this module again: workflows write to the very list that
# the test reads.
with workflow.unsafe.imports_passed_through():
    from tests.ported_temporal import interceptor_traces


def note(kind: str, *args: object) -> None:
    """Note a call, unless it is made while a history is replayed."""
    if not (workflow.in_workflow() and workflow.unsafe.is_replaying_history_events()):
        interceptor_traces.noted.append((kind, args[0] if args else None))


class NotingInterceptor(Interceptor):
    def intercept_activity(
        self, next: ActivityInboundInterceptor
    ) -> ActivityInboundInterceptor:
        return NotingActivityInbound(super().intercept_activity(next))

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        return NotingWorkflowInbound


class NotingActivityInbound(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        super().init(NotingActivityOutbound(outbound))

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        note("activity.execute", *input.args)
        return await super().execute_activity(input)


class NotingActivityOutbound(ActivityOutboundInterceptor):
    def info(self) -> activity.Info:
        note("activity.info")
        return super().info()

    def heartbeat(self, *details: Any) -> None:
        note("activity.heartbeat", *details)
        super().heartbeat(*details)


class NotingWorkflowInbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(NotingWorkflowOutbound(outbound))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        note("workflow.execute", *input.args)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:
        note("workflow.signal", *input.args)
        await super().handle_signal(input)

    async def handle_query(self, input: HandleQueryInput) -> Any:
        note("workflow.query", *input.args)
        return await super().handle_query(input)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:
        note("workflow.update.validator", *input.args)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        note("workflow.update.handler", *input.args)
        return await super().handle_update_handler(input)


class NotingWorkflowOutbound(WorkflowOutboundInterceptor):
    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:
        note("workflow.continue_as_new", *input.args)
        super().continue_as_new(input)

    def info(self) -> workflow.Info:
        note("workflow.info")
        return super().info()

    async def signal_child_workflow(self, input: SignalChildWorkflowInput) -> None:
        note("workflow.signal_child_workflow", *input.args)
        await super().signal_child_workflow(input)

    async def signal_external_workflow(
        self, input: SignalExternalWorkflowInput
    ) -> None:
        note("workflow.signal_external_workflow", *input.args)
        await super().signal_external_workflow(input)

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        note("workflow.start_activity", *input.args)
        return super().start_activity(input)

    async def start_child_workflow(
        self, input: StartChildWorkflowInput
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        note("workflow.start_child_workflow", *input.args)
        return await super().start_child_workflow(input)

    def start_local_activity(
        self, input: StartLocalActivityInput
    ) -> workflow.ActivityHandle[Any]:
        note("workflow.start_local_activity", *input.args)
        return super().start_local_activity(input)


@activity.defn
async def noting_activity(argument: str) -> str:
    """Uses what an activity may ask for."""
    activity.heartbeat("heartbeat")
    return f"{activity.info().activity_type}: {argument}"


@workflow.defn
class EverydayWorkflow:
    """Makes the calls that concern nobody but itself."""

    def __init__(self) -> None:
        self.is_done = False

    @workflow.run
    async def run(self, argument: str) -> list[str]:
        if argument == "initial":
            workflow.info()
            await workflow.execute_activity(
                noting_activity, "activity", schedule_to_close_timeout=TEN_SECONDS
            )
            await workflow.wait_condition(lambda: self.is_done)
            workflow.continue_as_new("continue-as-new")
        return ["the end"]

    @workflow.query
    def query(self, argument: str) -> str:
        return f"query: {argument}"

    @workflow.signal
    def signal(self, argument: str) -> None:
        self.is_done = argument == "done"

    @workflow.update
    def update(self, argument: str) -> str:
        return f"update: {argument}"

    @workflow.update
    def checked(self, argument: str) -> str:
        return f"checked: {argument}"

    @checked.validator
    def check(self, argument: str) -> None:
        if argument == "reject-me":
            raise ValueError("rejected")


@workflow.defn
class SociableWorkflow:
    """Makes the calls that concern other workflows, and local activities."""

    def __init__(self) -> None:
        self.is_done = False

    @workflow.run
    async def run(self, role: str, other_id: str) -> str:
        if role != "initial":
            await workflow.wait_condition(lambda: self.is_done)
            return role
        await workflow.execute_local_activity(
            noting_activity, "local-activity", schedule_to_close_timeout=TEN_SECONDS
        )
        child = await workflow.start_child_workflow(
            SociableWorkflow.run,
            args=["child", ""],
            id=f"{workflow.info().workflow_id}-child",
        )
        await child.signal(SociableWorkflow.finish, "child-signal")
        await child
        external = workflow.get_external_workflow_handle(other_id)
        await external.signal("finish", "external-signal")
        return role

    @workflow.signal
    def finish(self, argument: str) -> None:
        self.is_done = True


def expect(*expected: tuple[str, object]) -> None:
    """These calls were noted, and no others."""
    # How often code asks for its info is its own affair.
    infos = ("activity.info", "workflow.info")
    noted = interceptor_traces.noted
    assert sorted(call for call in noted if call[0] not in infos) == sorted(expected)


async def test_worker_interceptor(client: Client) -> None:
    interceptor_traces.noted.clear()
    async with new_worker(
        client,
        EverydayWorkflow,
        activities=[noting_activity],
        interceptors=[NotingInterceptor()],
    ) as worker:
        handle = await client.start_workflow(
            EverydayWorkflow.run,
            "initial",
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await handle.query(EverydayWorkflow.query, "q") == "query: q"
        assert await handle.execute_update(EverydayWorkflow.update, "u") == "update: u"
        assert (
            await handle.execute_update(EverydayWorkflow.checked, "c") == "checked: c"
        )
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(EverydayWorkflow.checked, "reject-me")
        await handle.signal(EverydayWorkflow.signal, "done")
        assert await handle.result() == ["the end"]
    expect(
        ("workflow.execute", "initial"),
        ("workflow.start_activity", "activity"),
        ("activity.execute", "activity"),
        ("activity.heartbeat", "heartbeat"),
        ("workflow.query", "q"),
        ("workflow.update.handler", "u"),
        ("workflow.update.validator", "c"),
        ("workflow.update.handler", "c"),
        ("workflow.update.validator", "reject-me"),
        ("workflow.signal", "done"),
        ("workflow.continue_as_new", "continue-as-new"),
        ("workflow.execute", "continue-as-new"),
    )
    kinds = [kind for kind, _ in interceptor_traces.noted]
    assert kinds.count("workflow.info") >= 1
    assert kinds.count("activity.info") >= 1


@pytest.mark.needs("child workflows", "external signals", "local activities")
async def test_worker_interceptor_of_calls_to_others(client: Client) -> None:
    interceptor_traces.noted.clear()
    async with new_worker(
        client,
        SociableWorkflow,
        activities=[noting_activity],
        interceptors=[NotingInterceptor()],
    ) as worker:

        async def start(role: str, other_id: str) -> WorkflowHandle[Any, str]:
            return await client.start_workflow(
                SociableWorkflow.run,
                args=[role, other_id],
                id=random_id(),
                task_queue=worker.task_queue,
            )

        external = await start("external", "")
        initial = await start("initial", external.id)
        assert await initial.result() == "initial"
        assert await external.result() == "external"
    expect(
        ("workflow.execute", "initial"),
        ("workflow.execute", "external"),
        ("workflow.execute", "child"),
        ("workflow.start_local_activity", "local-activity"),
        ("activity.execute", "local-activity"),
        ("activity.heartbeat", "heartbeat"),
        ("workflow.start_child_workflow", "child"),
        ("workflow.signal_child_workflow", "child-signal"),
        ("workflow.signal", "child-signal"),
        ("workflow.signal_external_workflow", "external-signal"),
        ("workflow.signal", "external-signal"),
    )
