"""Headers that interceptors add on one side and read on the other, with a codec."""

# ruff: noqa: A002 - the SDK names these parameters

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.common.v1 import Payload
from dbosify.client import (
    Client,
    CreateScheduleInput,
    Interceptor,
    OutboundInterceptor,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleSpec,
    SignalWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateWithStartInput,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from dbosify.common import HeaderCodecBehavior, WorkflowIDConflictPolicy
from dbosify.converter import DataConverter, PayloadCodec
from dbosify.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from dbosify.worker import Interceptor as WorkerInterceptor
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    events_of,
    new_worker,
    random_id,
)

SENT = b"bar"
TEN_SECONDS = timedelta(seconds=10)


class WrappingCodec(PayloadCodec):
    """Puts each payload into another one, and minds being given its own."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        assert not any("wrapped" in payload.metadata for payload in payloads)
        return [
            Payload(metadata={"wrapped": b"yes"}, data=payload.SerializeToString())
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        # The client does not encode headers if only workflows do.
        return [
            Payload.FromString(payload.data)
            if "wrapped" in payload.metadata
            else payload
            for payload in payloads
        ]


def with_header(headers: Mapping[str, Payload]) -> dict[str, Payload]:
    """These headers and ours."""
    return {**headers, "foo": Payload(data=SENT)}


class AddingHeaders(Interceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return AddingHeadersOutbound(super().intercept_client(next))


class AddingHeadersOutbound(OutboundInterceptor):
    async def start_workflow(
        self, input: StartWorkflowInput
    ) -> WorkflowHandle[Any, Any]:
        input.headers = with_header(input.headers)
        return await super().start_workflow(input)

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:
        input.headers = with_header(input.headers)
        await super().signal_workflow(input)

    async def create_schedule(self, input: CreateScheduleInput) -> ScheduleHandle:
        action = input.schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        action.headers = with_header(action.headers or {})
        return await super().create_schedule(input)


class ReadingHeaders(WorkerInterceptor):
    """Tells an activity what header it came with; workflows check theirs."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        return ReadingHeadersInbound

    def intercept_activity(
        self, next: ActivityInboundInterceptor
    ) -> ActivityInboundInterceptor:
        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                input.args = [input.headers["foo"].data == SENT]
                return await super().execute_activity(input)

        return Inbound(super().intercept_activity(next))


class ReadingHeadersInbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(AddingActivityHeader(outbound))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        assert input.headers["foo"].data == SENT
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:
        assert input.headers["foo"].data == SENT
        await super().handle_signal(input)


class AddingActivityHeader(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = with_header(input.headers)
        return super().start_activity(input)


@activity.defn
async def was_readable(as_sent: bool) -> bool:
    """What the interceptor found out."""
    return as_sent


@workflow.defn
class HeadersWorkflow:
    """Waits for a signal and runs an activity."""

    def __init__(self) -> None:
        self.is_done = False

    @workflow.run
    async def run(self) -> bool:
        as_sent = await workflow.execute_activity(
            was_readable, False, schedule_to_close_timeout=TEN_SECONDS
        )
        await workflow.wait_condition(lambda: self.is_done)
        return as_sent

    @workflow.signal
    def done(self) -> None:
        self.is_done = True


def with_codec(
    client: Client, behavior: HeaderCodecBehavior, interceptor: Interceptor
) -> Client:
    """The same client with a codec, which treats headers as it is told."""
    config: Any = client.config()
    config["data_converter"] = dataclasses.replace(
        DataConverter.default, payload_codec=WrappingCodec()
    )
    config["header_codec_behavior"] = behavior
    config["interceptors"] = [interceptor]
    return Client(**config)


@pytest.mark.parametrize("behavior", list(HeaderCodecBehavior))
async def test_workflow_headers_with_codec(
    client: Client, behavior: HeaderCodecBehavior
) -> None:
    encoding = with_codec(client, behavior, AddingHeaders())
    async with new_worker(
        encoding,
        HeadersWorkflow,
        activities=[was_readable],
        interceptors=[ReadingHeaders()],
    ) as worker:
        handle = await encoding.start_workflow(
            HeadersWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.signal(HeadersWorkflow.done)
        as_sent = await handle.result()
        assert as_sent == (behavior is not HeaderCodecBehavior.WORKFLOW_ONLY_CODEC)

        stored = {
            event.WhichOneof("attributes"): getattr(
                event, event.WhichOneof("attributes") or ""
            ).header.fields["foo"]
            for event in await events_of(handle)
            if event.HasField("activity_task_scheduled_event_attributes")
            or event.HasField("workflow_execution_signaled_event_attributes")
        }
        scheduled = stored["activity_task_scheduled_event_attributes"]
        signaled = stored["workflow_execution_signaled_event_attributes"]
        encoded = behavior is not HeaderCodecBehavior.NO_CODEC
        assert ("wrapped" in scheduled.metadata) == encoded
        if behavior is not HeaderCodecBehavior.WORKFLOW_ONLY_CODEC:
            assert ("wrapped" in signaled.metadata) == encoded


@pytest.mark.parametrize(
    "behavior", [HeaderCodecBehavior.NO_CODEC, HeaderCodecBehavior.CODEC]
)
async def test_headers_of_a_schedules_action(
    client: Client, behavior: HeaderCodecBehavior
) -> None:
    encoding = with_codec(client, behavior, AddingHeaders())
    async with new_worker(
        encoding,
        HeadersWorkflow,
        activities=[was_readable],
        interceptors=[ReadingHeaders()],
    ) as worker:
        schedule = await encoding.create_schedule(
            random_id("schedule"),
            Schedule(
                action=ScheduleActionStartWorkflow(
                    HeadersWorkflow.run, id=random_id(), task_queue=worker.task_queue
                ),
                spec=ScheduleSpec(),
            ),
        )
        action = (await schedule.describe()).schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        assert action.headers is not None
        readable = behavior is HeaderCodecBehavior.NO_CODEC
        assert (action.headers["foo"].data == SENT) == readable

        await schedule.trigger()

        async def started() -> int:
            return (await schedule.describe()).info.num_actions

        await assert_eq_eventually(1, started)
        [ran] = (await schedule.describe()).info.recent_actions
        started_run = encoding.get_workflow_handle(ran.action.workflow_id)  # type: ignore[attr-defined]
        await started_run.signal(HeadersWorkflow.done)
        assert await started_run.result() is True
        await schedule.delete()


class SharingOneHeader(Interceptor):
    """Puts one and the same payload into the start and into the update."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        class Outbound(OutboundInterceptor):
            async def start_update_with_start_workflow(
                self, input: StartWorkflowUpdateWithStartInput
            ) -> WorkflowUpdateHandle[Any]:
                shared = Payload(data=b"test-header")
                input.start_workflow_input.headers = {"foo": shared}
                input.update_workflow_input.headers = {"foo": shared}
                return await super().start_update_with_start_workflow(input)

        return Outbound(super().intercept_client(next))


class ReadingUpdateHeader(WorkflowInboundInterceptor):
    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        assert input.headers["foo"].data == b"test-header"
        return await super().handle_update_handler(input)


class WithUpdateHeader(WorkerInterceptor):
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        return ReadingUpdateHeader


@workflow.defn
class UpdatedOnceWorkflow:
    """Ends with its update."""

    def __init__(self) -> None:
        self.updated = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.updated)

    @workflow.update
    async def update(self, argument: str) -> str:
        self.updated = True
        return argument


async def test_update_with_start_does_not_encode_shared_interceptor_header_twice(
    client: Client,
) -> None:
    sharing = with_codec(client, HeaderCodecBehavior.CODEC, SharingOneHeader())
    async with new_worker(
        sharing, UpdatedOnceWorkflow, interceptors=[WithUpdateHeader()]
    ) as worker:
        start = WithStartWorkflowOperation(
            UpdatedOnceWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
        updated = await sharing.execute_update_with_start_workflow(
            UpdatedOnceWorkflow.update, "argument", start_workflow_operation=start
        )
        assert updated == "argument"
        await (await start.workflow_handle()).result()
