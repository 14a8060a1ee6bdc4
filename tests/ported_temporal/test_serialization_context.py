"""Payload and failure converters learn whose data it is that they convert."""

import asyncio
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from dbosify import activity, workflow
from dbosify.client import (
    AsyncActivityHandle,
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from dbosify.common import RetryPolicy
from dbosify.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)
from dbosify.exceptions import ApplicationError
from tests.ported_temporal.scaffold import (
    assert_pending_activity_exists_eventually,
    random_id,
)
from tests.ported_temporal.tracing_converters import (
    Mark,
    Traced,
    TracingFailureConverter,
    converting,
    unsandboxed_worker,
)

TEN_SECONDS = timedelta(seconds=10)
TO, FROM = "to_payload", "from_payload"
ONCE = RetryPolicy(maximum_attempts=1)


def of_workflow(client: Client, workflow_id: str) -> WorkflowSerializationContext:
    """The context of a workflow's own data."""
    return WorkflowSerializationContext(client.namespace, workflow_id)


def both(context: SerializationContext) -> list[Mark]:
    """Written here, read there."""
    return [(TO, context), (FROM, context)]


@activity.defn
async def convert_and_beat(value: Traced) -> Traced:
    activity.payload_converter().to_payload(value)
    activity.heartbeat(value)
    # A heartbeat is written a moment later.
    await asyncio.sleep(0.2)
    return value


@workflow.defn
class PassOnWorkflow:
    """Gives back what it gets."""

    @workflow.run
    async def run(self, value: Traced) -> Traced:
        return value


@workflow.defn
class WholeWayWorkflow:
    """Sends what it gets through an activity and, if it may, through a child."""

    @workflow.run
    async def run(self, value: Traced, child: bool) -> Traced:
        workflow.payload_converter().to_payload(value)
        value = await workflow.execute_activity(
            convert_and_beat,
            value,
            start_to_close_timeout=TEN_SECONDS,
            heartbeat_timeout=TEN_SECONDS,
            activity_id="activity-id",
        )
        if child:
            value = await workflow.execute_child_workflow(
                PassOnWorkflow.run, value, id=f"{workflow.info().workflow_id}-child"
            )
        return value


@pytest.mark.parametrize(
    "child",
    [
        pytest.param(False, id="activity"),
        pytest.param(True, id="child", marks=pytest.mark.needs("child workflows")),
    ],
)
async def test_payload_conversion_calls_follow_expected_sequence_and_contexts(
    client: Client, child: bool
) -> None:
    tracing = converting(client)
    workflow_id = random_id()
    async with unsandboxed_worker(
        tracing, WholeWayWorkflow, PassOnWorkflow, activities=[convert_and_beat]
    ) as worker:
        result = await tracing.execute_workflow(
            WholeWayWorkflow.run,
            args=[Traced(), child],
            id=workflow_id,
            task_queue=worker.task_queue,
        )
    own = of_workflow(client, workflow_id)
    of_activity = ActivitySerializationContext(
        namespace=client.namespace,
        activity_id="activity-id",
        activity_type="convert_and_beat",
        activity_task_queue=worker.task_queue,
        workflow_id=workflow_id,
        workflow_type="WholeWayWorkflow",
        is_local=False,
    )
    of_child = of_workflow(client, f"{workflow_id}-child")
    assert result.marks == [
        *both(own),
        (TO, own),
        *both(of_activity),
        (TO, of_activity),
        (TO, of_activity),
        *both(of_activity),
        *(2 * both(of_child) if child else []),
        *both(own),
    ]


@activity.defn
async def return_heartbeat(value: Traced) -> Traced:
    """Beats, fails, and gives back on its second attempt what the first one beat."""
    info = activity.info()
    if info.attempt == 1:
        activity.heartbeat(Traced())
        raise ApplicationError("try again")
    (beat,) = info.heartbeat_details
    assert isinstance(beat, Traced)
    return beat


@workflow.defn
class HeartbeatWorkflow:
    @workflow.run
    async def run(self) -> Traced:
        return await workflow.execute_activity(
            return_heartbeat,
            Traced(),
            start_to_close_timeout=TEN_SECONDS,
            activity_id="activity-id",
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=1)),
        )


async def test_heartbeat_details_payload_conversion(client: Client) -> None:
    tracing = converting(client)
    workflow_id = random_id()
    async with unsandboxed_worker(
        tracing, HeartbeatWorkflow, activities=[return_heartbeat]
    ) as worker:
        result = await tracing.execute_workflow(
            HeartbeatWorkflow.run, id=workflow_id, task_queue=worker.task_queue
        )
    of_activity = ActivitySerializationContext(
        namespace=client.namespace,
        activity_id="activity-id",
        activity_type="return_heartbeat",
        activity_task_queue=worker.task_queue,
        workflow_id=workflow_id,
        workflow_type="HeartbeatWorkflow",
        is_local=False,
    )
    own = of_workflow(client, workflow_id)
    assert result.marks == [*both(of_activity), *both(of_activity), *both(own)]


@activity.defn
async def pass_on(value: Traced) -> Traced:
    return value


@workflow.defn
class LocalActivityWorkflow:
    @workflow.run
    async def run(self, value: Traced) -> Traced:
        return await workflow.execute_local_activity(
            pass_on,
            value,
            start_to_close_timeout=TEN_SECONDS,
            activity_id="activity-id",
        )


@pytest.mark.needs("local activities")
async def test_local_activity_payload_conversion(client: Client) -> None:
    tracing = converting(client)
    workflow_id = random_id()
    async with unsandboxed_worker(
        tracing, LocalActivityWorkflow, activities=[pass_on]
    ) as worker:
        result = await tracing.execute_workflow(
            LocalActivityWorkflow.run,
            Traced(),
            id=workflow_id,
            task_queue=worker.task_queue,
        )
    own = of_workflow(client, workflow_id)
    of_activity = ActivitySerializationContext(
        namespace=client.namespace,
        activity_id="activity-id",
        activity_type="pass_on",
        activity_task_queue=worker.task_queue,
        workflow_id=workflow_id,
        workflow_type="LocalActivityWorkflow",
        is_local=True,
    )
    assert result.marks == [*both(own), *2 * both(of_activity), *both(own)]


@activity.defn
async def complete_elsewhere() -> Traced:
    activity.raise_complete_async()


@workflow.defn
class AsyncCompletionWorkflow:
    @workflow.run
    async def run(self) -> Traced:
        return await workflow.execute_activity(
            complete_elsewhere,
            start_to_close_timeout=TEN_SECONDS,
            activity_id="async-activity-id",
        )


@pytest.mark.needs("async completion")
async def test_async_activity_completion_payload_conversion(client: Client) -> None:
    tracing = converting(client)
    async with unsandboxed_worker(
        tracing, AsyncCompletionWorkflow, activities=[complete_elsewhere]
    ) as worker:
        handle = await tracing.start_workflow(
            AsyncCompletionWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        of_activity = ActivitySerializationContext(
            namespace=client.namespace,
            activity_id="async-activity-id",
            activity_type="complete_elsewhere",
            activity_task_queue=worker.task_queue,
            workflow_id=handle.id,
            workflow_type="AsyncCompletionWorkflow",
            is_local=False,
        )
        await assert_pending_activity_exists_eventually(handle, "async-activity-id")
        completing = tracing.get_async_activity_handle(
            workflow_id=handle.id,
            run_id=handle.first_execution_run_id,
            activity_id="async-activity-id",
        ).with_context(of_activity)
        value = Traced()
        await completing.heartbeat(value)
        await completing.complete(value)
        result = await handle.result()
    own = of_workflow(client, handle.id)
    assert result.marks == [(TO, of_activity), *both(of_activity), *both(own)]


class PlainSubclass(AsyncActivityHandle):
    """Whoever extends the handle gets their own kind back."""


class OwnConstructor(AsyncActivityHandle):
    """It can't be copied by somebody who doesn't know how it is made."""

    def __init__(self, *args: Any, extra: str = "") -> None:
        super().__init__(*args)
        self.extra = extra


def test_subclassed_async_activity_handle(client: Client) -> None:
    context = ActivitySerializationContext(
        namespace=client.namespace,
        activity_id="an-id",
        activity_type="a_type",
        activity_task_queue="a-queue",
        workflow_id="a-workflow",
        workflow_type="AWorkflow",
        is_local=False,
    )
    plain = PlainSubclass(client, b"token")
    assert type(plain.with_context(context)) is PlainSubclass
    tracing = converting(client)
    copied = PlainSubclass(tracing, b"token").with_context(context)
    assert type(copied) is PlainSubclass
    with pytest.raises(
        TypeError,
        match="you must override with_context to return an instance of your class",
    ):
        OwnConstructor(tracing, b"token").with_context(context)


@workflow.defn
class MessagesWorkflow:
    """Ends with the first signal's value; answers queries and updates with theirs."""

    def __init__(self) -> None:
        self._value: Traced | None = None

    @workflow.run
    async def run(self) -> Traced:
        await workflow.wait_condition(lambda: self._value is not None)
        assert self._value is not None
        return self._value

    @workflow.signal
    def finish(self, value: Traced) -> None:
        self._value = value

    @workflow.query
    def echo(self, value: Traced) -> Traced:
        return value

    @workflow.update
    def update(self, value: Traced, valid: bool) -> Traced:
        return value

    @update.validator
    def check(self, value: Traced, valid: bool) -> None:
        if not valid:
            raise ApplicationError("rejected", value)


async def test_signal_payload_conversion(client: Client) -> None:
    tracing = converting(client)
    async with unsandboxed_worker(tracing, MessagesWorkflow) as worker:
        handle = await tracing.start_workflow(
            MessagesWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.signal(MessagesWorkflow.finish, Traced())
        result = await handle.result()
    assert result.marks == 2 * both(of_workflow(client, handle.id))


async def test_query_payload_conversion(client: Client) -> None:
    tracing = converting(client)
    async with unsandboxed_worker(tracing, MessagesWorkflow) as worker:
        handle = await tracing.start_workflow(
            MessagesWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        answer = await handle.query(MessagesWorkflow.echo, Traced())
        await handle.signal(MessagesWorkflow.finish, Traced())
        await handle.result()
    assert answer.marks == 2 * both(of_workflow(client, handle.id))


@pytest.mark.needs("updates")
@pytest.mark.parametrize("valid", [True, False])
async def test_update_payload_conversion(client: Client, valid: bool) -> None:
    tracing = converting(client)
    async with unsandboxed_worker(tracing, MessagesWorkflow) as worker:
        handle = await tracing.start_workflow(
            MessagesWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        if valid:
            answer = await handle.execute_update(
                MessagesWorkflow.update, args=[Traced(), valid]
            )
        else:
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await handle.execute_update(
                    MessagesWorkflow.update, args=[Traced(), valid]
                )
            assert isinstance(refused.value.cause, ApplicationError)
            (answer,) = refused.value.cause.details
        await handle.signal(MessagesWorkflow.finish, Traced())
        await handle.result()
    assert isinstance(answer, Traced)
    assert answer.marks == 2 * both(of_workflow(client, handle.id))


@workflow.defn
class SignalOtherWorkflow:
    """Sends another workflow what it was given itself."""

    @workflow.run
    async def run(self, other_id: str, value: Traced) -> Traced:
        other: workflow.ExternalWorkflowHandle[MessagesWorkflow] = (
            workflow.get_external_workflow_handle_for(MessagesWorkflow.run, other_id)
        )
        await other.signal(MessagesWorkflow.finish, value)
        return value


@pytest.mark.needs("external signals")
async def test_external_workflow_signal_and_cancel_payload_conversion(
    client: Client,
) -> None:
    tracing = converting(client)
    async with unsandboxed_worker(
        tracing, MessagesWorkflow, SignalOtherWorkflow
    ) as worker:
        other: WorkflowHandle[MessagesWorkflow, Traced] = await tracing.start_workflow(
            MessagesWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        workflow_id = random_id()
        sent = await tracing.execute_workflow(
            SignalOtherWorkflow.run,
            args=[other.id, Traced()],
            id=workflow_id,
            task_queue=worker.task_queue,
        )
        got = await other.result()
    own, its = of_workflow(client, workflow_id), of_workflow(client, other.id)
    assert sent.marks == [*both(own), (TO, its), *both(own)]
    assert got.marks == [*both(own), *both(its), *both(its)]


@activity.defn
async def fail() -> None:
    raise ApplicationError("the failure")


@workflow.defn
class FailingActivityWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            fail,
            start_to_close_timeout=TEN_SECONDS,
            retry_policy=ONCE,
            activity_id="activity-id",
        )


async def test_failure_converter_with_context(client: Client) -> None:
    class Converter(TracingFailureConverter):
        """Its calls are this test's."""

        calls: ClassVar[list[Mark]] = []

    tracing = converting(client, failure_converter_class=Converter)
    workflow_id = random_id()
    async with unsandboxed_worker(
        tracing, FailingActivityWorkflow, activities=[fail]
    ) as worker:
        with pytest.raises(WorkflowFailureError):
            await tracing.execute_workflow(
                FailingActivityWorkflow.run,
                id=workflow_id,
                task_queue=worker.task_queue,
            )
    of_activity = ActivitySerializationContext(
        namespace=client.namespace,
        activity_id="activity-id",
        activity_type="fail",
        activity_task_queue=worker.task_queue,
        workflow_id=workflow_id,
        workflow_type="FailingActivityWorkflow",
        is_local=False,
    )
    own = of_workflow(client, workflow_id)
    assert Converter.calls == [
        ("to_failure", of_activity),
        ("from_failure", of_activity),
        ("from_failure", of_activity),
        ("to_failure", own),
        ("from_failure", own),
        ("from_failure", own),
    ]
