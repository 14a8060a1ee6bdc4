"""Type hints alone decide what a value becomes on the other side.

Dataclasses cross every border of a workflow here: arguments, results, signals,
queries, activities and children, called by reference, through an interface or by
name. What a run tells about itself in words (summaries, descriptions) is here too.
"""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

import pytest

from dbosify import activity, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.api.sdk.v1 import WorkflowInteractionDefinition, WorkflowMetadata
from dbosify.client import Client, WorkflowHandle
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_event_subsequence,
    events_of,
    new_worker,
    random_id,
)

pytestmark = pytest.mark.filterwarnings(
    # They are deprecated, but still promised.
    "ignore:Queries as async def functions are deprecated:DeprecationWarning"
)

TEN_SECONDS = timedelta(seconds=10)


@dataclass
class Parcel:
    """A value whose arrival as anything else would be noticed."""

    content: str = "empty"

    def __post_init__(self) -> None:
        assert isinstance(self.content, str)

    def with_stop(self, stop: str) -> "Parcel":
        return Parcel(f"{self.content} > {stop}")


def checked(parcel: Parcel) -> Parcel:
    """The parcel, if it is one and not what JSON made of it."""
    assert isinstance(parcel, Parcel), f"got a {type(parcel).__name__}"
    return parcel


@activity.defn
async def through_activity(parcel: Parcel) -> Parcel:
    return checked(parcel).with_stop("activity")


@activity.defn
async def through_local_activity(parcel: Parcel) -> Parcel:
    return checked(parcel).with_stop("local activity")


@workflow.defn
class ParcelWorkflow:
    """Sends a parcel round; what is asked of it later comes by signal."""

    def __init__(self) -> None:
        self._latest = Parcel()
        self._may_finish = asyncio.Event()

    @workflow.run
    async def run(self, parcel: Parcel) -> Parcel:
        self._latest = await workflow.execute_activity(
            through_activity, checked(parcel), start_to_close_timeout=TEN_SECONDS
        )
        checked(self._latest)
        await self._may_finish.wait()
        return self._latest

    @workflow.signal
    def signal_sync(self, parcel: Parcel) -> None:
        self._latest = checked(parcel)

    @workflow.signal
    async def signal_async(self, parcel: Parcel) -> None:
        self._latest = checked(parcel)

    @workflow.signal
    def finish(self) -> None:
        self._may_finish.set()

    @workflow.query
    def query_sync(self, parcel: Parcel) -> Parcel:
        return checked(parcel).with_stop(self._latest.content)

    @workflow.query
    async def query_async(self, parcel: Parcel) -> Parcel:
        return checked(parcel).with_stop(self._latest.content)


@workflow.defn
class ParcelFamilyWorkflow:
    """Sends a parcel through a local activity and a child of its own."""

    @workflow.run
    async def run(self, parcel: Parcel) -> Parcel:
        parcel = await workflow.execute_local_activity(
            through_local_activity, checked(parcel), start_to_close_timeout=TEN_SECONDS
        )
        child = await workflow.start_child_workflow(
            ParcelWorkflow.run, checked(parcel), id=f"{workflow.info().workflow_id}-c"
        )
        await child.signal(ParcelWorkflow.signal_sync, parcel.with_stop("sync"))
        await child.signal(ParcelWorkflow.signal_async, parcel.with_stop("async"))
        await child.signal(ParcelWorkflow.finish)
        return checked(await child)


async def test_workflow_dataclass_typed(client: Client) -> None:
    async with new_worker(
        client, ParcelWorkflow, activities=[through_activity]
    ) as worker:
        handle = await client.start_workflow(
            ParcelWorkflow.run,
            Parcel("start"),
            id=random_id(),
            task_queue=worker.task_queue,
        )

        async def answer() -> Parcel:
            return await handle.query(ParcelWorkflow.query_sync, Parcel("sync"))

        await assert_eq_eventually(Parcel("sync > start > activity"), answer)
        await handle.signal(ParcelWorkflow.signal_sync, Parcel("by sync signal"))
        await assert_eq_eventually(Parcel("sync > by sync signal"), answer)
        await handle.signal(ParcelWorkflow.signal_async, Parcel("by async signal"))
        await assert_eq_eventually(Parcel("sync > by async signal"), answer)
        asked = await handle.query(
            ParcelWorkflow.query_async,  # type: ignore[call-overload]
            Parcel("async"),
        )
        assert asked == Parcel("async > by async signal")
        await handle.signal(ParcelWorkflow.finish)
        assert await handle.result() == Parcel("by async signal")


@pytest.mark.needs("local activities", "child workflows", "external signals")
async def test_workflow_dataclass_typed_in_the_family(client: Client) -> None:
    async with new_worker(
        client,
        ParcelFamilyWorkflow,
        ParcelWorkflow,
        activities=[through_activity, through_local_activity],
    ) as worker:
        result = await client.execute_workflow(
            ParcelFamilyWorkflow.run,
            Parcel("start"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
    # The child's activity may finish before or after the signals have come.
    assert result in (
        Parcel("start > local activity > async"),
        Parcel("start > local activity > activity"),
    )


@workflow.defn(name="Greeter")
@runtime_checkable
class GreeterProtocol(Protocol):
    """All that a client has to know of a workflow written elsewhere."""

    @workflow.run
    async def run(self, parcel: Parcel) -> Parcel: ...

    @workflow.signal
    def put(self, parcel: Parcel) -> None: ...

    @workflow.query
    def peek(self) -> Parcel: ...


@workflow.defn(name="Greeter")
class GreeterWorkflow:
    def __init__(self) -> None:
        self._came: list[Parcel] = []

    @workflow.run
    async def run(self, parcel: Parcel) -> Parcel:
        await workflow.wait_condition(lambda: bool(self._came))
        return checked(parcel).with_stop(self._came[0].content)

    @workflow.signal
    def put(self, parcel: Parcel) -> None:
        self._came.append(checked(parcel))

    @workflow.query
    def peek(self) -> Parcel:
        return self._came[0] if self._came else Parcel("nothing yet")


async def test_workflow_separate_protocol(client: Client) -> None:
    assert isinstance(GreeterWorkflow(), GreeterProtocol)
    async with new_worker(client, GreeterWorkflow) as worker:
        handle = await client.start_workflow(
            GreeterProtocol.run,
            Parcel("start"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await handle.query(GreeterProtocol.peek) == Parcel("nothing yet")
        await handle.signal(GreeterProtocol.put, Parcel("signal"))
        assert await handle.result() == Parcel("start > signal")
        assert await handle.query(GreeterProtocol.peek) == Parcel("signal")


@workflow.defn(name="Collector")
class CollectorInterface(ABC):
    """The same for those who prefer to inherit."""

    @workflow.run
    @abstractmethod
    async def run(self, parcel: Parcel) -> Parcel: ...

    @workflow.signal
    @abstractmethod
    def put(self, parcel: Parcel) -> None: ...

    @workflow.query
    @abstractmethod
    def peek(self) -> Parcel: ...


@workflow.defn(name="Collector")
class CollectorWorkflow(CollectorInterface):
    def __init__(self) -> None:
        self._came: list[Parcel] = []

    @workflow.run
    async def run(self, parcel: Parcel) -> Parcel:
        await workflow.wait_condition(lambda: bool(self._came))
        return checked(parcel).with_stop(self._came[0].content)

    @workflow.signal
    def put(self, parcel: Parcel) -> None:
        self._came.append(checked(parcel))

    @workflow.query
    def peek(self) -> Parcel:
        return self._came[0] if self._came else Parcel("nothing yet")


async def test_workflow_separate_abstract(client: Client) -> None:
    assert issubclass(CollectorWorkflow, CollectorInterface)
    async with new_worker(client, CollectorWorkflow) as worker:
        handle = await client.start_workflow(
            CollectorInterface.run,
            Parcel("start"),
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await handle.query(CollectorInterface.peek) == Parcel("nothing yet")
        await handle.signal(CollectorInterface.put, Parcel("signal"))
        assert await handle.result() == Parcel("start > signal")
        assert await handle.query(CollectorInterface.peek) == Parcel("signal")


@activity.defn
async def wrap(content: str) -> Parcel:
    return Parcel(content)


@workflow.defn
class ByNameWorkflow:
    """Calls an activity by a name that carries no types."""

    @workflow.run
    async def run(self) -> Parcel:
        untyped = await workflow.execute_activity(
            "wrap", "inside", start_to_close_timeout=TEN_SECONDS
        )
        assert untyped == {"content": "inside"}
        typed = await workflow.execute_activity(
            "wrap", "inside", start_to_close_timeout=TEN_SECONDS, result_type=Parcel
        )
        return checked(typed)

    @workflow.query
    def latest(self) -> Parcel:
        return Parcel("asked")


@workflow.defn
class ChildByNameWorkflow:
    """Calls a child by a name that carries no types."""

    @workflow.run
    async def run(self) -> Parcel:
        untyped = await workflow.execute_child_workflow("ByNameWorkflow")
        assert untyped == {"content": "inside"}
        typed = await workflow.execute_child_workflow(
            "ByNameWorkflow", result_type=Parcel
        )
        return checked(typed)


async def test_manual_result_type(client: Client) -> None:
    async with new_worker(client, ByNameWorkflow, activities=[wrap]) as worker:
        queue = worker.task_queue

        async def start(**options: Any) -> WorkflowHandle[Any, Any]:
            return await client.start_workflow(
                "ByNameWorkflow", id=random_id(), task_queue=queue, **options
            )

        assert await (await start()).result() == {"content": "inside"}
        handle = await start(result_type=Parcel)
        assert await handle.result() == Parcel("inside")
        executed = await client.execute_workflow(
            "ByNameWorkflow", id=random_id(), task_queue=queue, result_type=Parcel
        )
        assert executed == Parcel("inside")
        assert await handle.query("latest") == {"content": "asked"}
        asked = await handle.query("latest", result_type=Parcel)
        assert asked == Parcel("asked")


@pytest.mark.needs("child workflows")
async def test_manual_result_type_of_child(client: Client) -> None:
    async with new_worker(
        client, ByNameWorkflow, ChildByNameWorkflow, activities=[wrap]
    ) as worker:
        result = await client.execute_workflow(
            ChildByNameWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    assert result == Parcel("inside")


@workflow.defn
class UserMetadataWorkflow:
    """Says in words what it does, wherever words are possible."""

    def __init__(self) -> None:
        self._done = False
        self._waited = False

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            wrap,
            "anything",
            start_to_close_timeout=TEN_SECONDS,
            summary="what the activity is for",
        )
        try:
            await workflow.wait_condition(
                lambda: False, timeout=0.01, timeout_summary="first wait"
            )
        except asyncio.TimeoutError:
            await workflow.sleep(0.01, summary="second wait")
        workflow.set_current_details("how far it has come")
        self._waited = True
        await workflow.wait_condition(lambda: self._done)

    @workflow.signal(description="ends the wait")
    def done(self) -> None:
        self._done = True

    @workflow.query(description="tells whether it waits")
    def waited(self) -> bool:
        return self._waited

    @workflow.update(description="changes nothing")
    async def some_update(self) -> None:
        pass


async def test_user_metadata_is_set(client: Client) -> None:
    async with new_worker(client, UserMetadataWorkflow, activities=[wrap]) as worker:
        handle = await client.start_workflow(
            UserMetadataWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            static_summary="what this run is for",
            static_details="why it was started",
        )

        async def waited() -> bool:
            return await handle.query(UserMetadataWorkflow.waited)

        await assert_eq_eventually(True, waited)
        metadata: WorkflowMetadata = await handle.query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        await handle.signal(UserMetadataWorkflow.done)
        await handle.result()

    assert metadata.current_details == "how far it has come"
    definition = metadata.definition
    assert list(definition.signal_definitions) == [
        WorkflowInteractionDefinition(name="done", description="ends the wait")
    ]
    own_queries = [
        query
        for query in definition.query_definitions
        if not query.name.startswith("__")
    ]
    assert own_queries == [
        WorkflowInteractionDefinition(
            name="waited", description="tells whether it waits"
        )
    ]
    assert list(definition.update_definitions) == [
        WorkflowInteractionDefinition(name="some_update", description="changes nothing")
    ]
    await assert_metadata_in_history(client, handle)
    description = await handle.describe()
    assert await description.static_summary() == "what this run is for"
    assert await description.static_details() == "why it was started"


async def assert_metadata_in_history(
    client: Client, handle: WorkflowHandle[Any, Any]
) -> None:
    """Every summary and detail is on the event of what it belongs to."""
    await assert_event_subsequence(
        handle,
        [
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
            EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
            EventType.EVENT_TYPE_TIMER_STARTED,
        ],
    )
    decode = client.data_converter.payload_converter.from_payload
    timers = set()
    for event in await events_of(handle):
        summary, details = event.user_metadata.summary, event.user_metadata.details
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            assert decode(summary) == "what this run is for"
            assert decode(details) == "why it was started"
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            assert decode(summary) == "what the activity is for"
        elif event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
            timers.add(decode(summary))
    assert timers == {"first wait", "second wait"}
