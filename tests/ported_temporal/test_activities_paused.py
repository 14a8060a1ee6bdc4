"""Activities that operators pause, unpause and reset while they run."""

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from dbosify import activity, workflow
from dbosify.activity import ActivityCancellationDetails
from dbosify.api.common.v1 import WorkflowExecution
from dbosify.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
)
from dbosify.client import (
    AsyncActivityCancelledError,
    Client,
    WorkflowFailureError,
    WorkflowHandle,
)
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError, ApplicationError, CancelledError
from dbosify.worker import Worker
from tests.ported_temporal.contract import IDENTITY
from tests.ported_temporal.scaffold import (
    assert_eventually,
    new_worker,
    pending_activity,
    random_id,
)

pytestmark = pytest.mark.needs("activity pause")

LONG = timedelta(seconds=20)
NAMES = ("in a thread", "in the loop")

Seen = ActivityCancellationDetails | None


@activity.defn
def beats_in_a_thread() -> Seen:
    """Heartbeat until it is cancelled; tell why."""
    try:
        while True:
            time.sleep(0.05)
            activity.heartbeat("beat")
    except CancelledError:
        return activity.cancellation_details()


@activity.defn
async def beats_in_the_loop() -> Seen:
    """Heartbeat until it is cancelled; tell why."""
    try:
        while True:
            await asyncio.sleep(0.05)
            activity.heartbeat("beat")
    except asyncio.CancelledError:
        return activity.cancellation_details()


@activity.defn
def again_in_a_thread() -> Seen:
    """Heartbeat until it is cancelled, and say so; the second time return at once."""
    if activity.info().heartbeat_details:
        return activity.cancellation_details()
    try:
        while True:
            time.sleep(0.05)
            activity.heartbeat()
    finally:
        activity.heartbeat("finally")


@activity.defn
async def again_in_the_loop() -> Seen:
    """Heartbeat until it is cancelled, and say so; the second time return at once."""
    if activity.info().heartbeat_details:
        return activity.cancellation_details()
    try:
        while True:
            await asyncio.sleep(0.05)
            activity.heartbeat()
    finally:
        activity.heartbeat("finally")


@workflow.defn
class Both:
    """Runs two activities side by side, named after where they run."""

    @workflow.run
    async def run(self, activities: list[str], attempts: int) -> list[Any]:
        """Wait for both."""
        return list(
            await asyncio.gather(
                *(
                    workflow.execute_activity(
                        function,
                        activity_id=name,
                        start_to_close_timeout=LONG,
                        heartbeat_timeout=timedelta(seconds=1),
                        retry_policy=RetryPolicy(maximum_attempts=attempts),
                    )
                    for function, name in zip(activities, NAMES, strict=False)
                )
            )
        )


ALL = (beats_in_a_thread, beats_in_the_loop, again_in_a_thread, again_in_the_loop)


@pytest_asyncio.fixture(loop_scope="session")
async def busy(client: Client) -> AsyncIterator[Worker]:
    """A worker that passes heartbeats on several times a second."""
    with ThreadPoolExecutor() as threads:
        async with new_worker(
            client,
            Both,
            activities=ALL,
            activity_executor=threads,
            max_heartbeat_throttle_interval=timedelta(milliseconds=300),
            default_heartbeat_throttle_interval=timedelta(milliseconds=300),
        ) as worker:
            yield worker


async def begun(handle: WorkflowHandle[Any, Any], name: str) -> None:
    """Wait until an activity has heartbeaten."""

    async def beaten() -> None:
        info = await pending_activity(handle, name)
        assert info is not None
        assert info.HasField("last_heartbeat_time")

    await assert_eventually(beaten)


async def pause(client: Client, handle: WorkflowHandle[Any, Any], name: str) -> None:
    """Pause an activity, and see that it is."""
    await client.workflow_service.pause_activity(
        PauseActivityRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=handle.id),
            id=name,
            identity=IDENTITY,
        )
    )


async def start(client: Client, worker: Worker, *args: Any) -> WorkflowHandle[Any, Any]:
    """Start the two activities, and wait until both heartbeat."""
    handle = await client.start_workflow(
        Both.run, args=list(args), id=random_id(), task_queue=worker.task_queue
    )
    for name in NAMES:
        await begun(handle, name)
    return handle


async def test_activity_pause_cancellation_details(
    client: Client, busy: Worker
) -> None:
    handle = await start(client, busy, ["beats_in_a_thread", "beats_in_the_loop"], 1)
    for name in NAMES:
        await pause(client, handle, name)
    paused = {
        "paused": True,
        "not_found": False,
        "cancel_requested": False,
        "reset": False,
        "timed_out": False,
        "worker_shutdown": False,
    }
    assert await handle.result() == [paused, paused]


async def test_activity_pause_unpause(client: Client, busy: Worker) -> None:
    handle = await start(client, busy, ["again_in_a_thread", "again_in_the_loop"], 2)
    for name in NAMES:
        await pause(client, handle, name)

    async def waiting(name: str) -> None:
        info = await pending_activity(handle, name)
        assert info is not None
        assert info.paused
        assert info.attempt == 2
        assert info.heartbeat_details.payloads[0].data == b'"finally"'

    for name in NAMES:
        await assert_eventually(lambda name=name: waiting(name))  # type: ignore[misc]
    for name in NAMES:
        await client.workflow_service.unpause_activity(
            UnpauseActivityRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(workflow_id=handle.id),
                id=name,
            )
        )
    assert await handle.result() == [None, None]


@activity.defn
async def hands_itself_over() -> None:
    """Go on outside."""
    activity.raise_complete_async()


@workflow.defn
class Outside:
    """Waits for an activity that goes on outside of any worker."""

    @workflow.run
    async def run(self) -> None:
        """Wait."""
        await workflow.execute_activity(
            hands_itself_over,
            activity_id="outside",
            start_to_close_timeout=LONG,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def test_external_activity_cancellation_details(client: Client) -> None:
    async with new_worker(client, Outside, activities=[hands_itself_over]) as worker:
        handle = await client.start_workflow(
            Outside.run, id=random_id(), task_queue=worker.task_queue
        )
        outside = client.get_async_activity_handle(
            workflow_id=handle.id, run_id=handle.result_run_id, activity_id="outside"
        )

        async def begun() -> None:
            assert await pending_activity(handle, "outside")

        await assert_eventually(begun)
        await pause(client, handle, "outside")
        with pytest.raises(AsyncActivityCancelledError) as cancelled:
            await outside.heartbeat()
        assert cancelled.value.details == ActivityCancellationDetails(paused=True)
        with suppress(AsyncActivityCancelledError):
            await outside.complete()
        await handle.result()


async def reset(client: Client, info: activity.Info) -> None:
    """Reset the activity that asks."""
    await client.workflow_service.reset_activity(
        ResetActivityRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(
                workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or ""
            ),
            id=info.activity_id,
            identity=IDENTITY,
        )
    )


@workflow.defn
class One:
    """Runs one activity, by its name, once."""

    @workflow.run
    async def run(self, name: str) -> Any:
        """Wait for it."""
        return await workflow.execute_activity(
            name,
            start_to_close_timeout=LONG,
            heartbeat_timeout=timedelta(seconds=2),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def outcome_of(client: Client, function: Any) -> Any:
    """What a workflow makes of an activity."""
    with ThreadPoolExecutor() as threads:
        async with new_worker(
            client,
            One,
            activities=[function],
            activity_executor=threads,
            max_heartbeat_throttle_interval=timedelta(milliseconds=300),
        ) as worker:
            return await client.execute_workflow(
                One.run,
                function.__name__,
                id=str(uuid.uuid4()),
                task_queue=worker.task_queue,
            )


async def test_activity_reset_catch(client: Client) -> None:
    loop = asyncio.get_running_loop()

    @activity.defn
    async def in_the_loop() -> bool:
        await reset(client, activity.info())
        try:
            while True:
                await asyncio.sleep(0.05)
                activity.heartbeat()
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            return details is not None and details.reset

    @activity.defn
    def in_a_thread() -> bool:
        asked = asyncio.run_coroutine_threadsafe(reset(client, activity.info()), loop)
        asked.result()
        never = threading.Event()
        try:
            while not never.wait(0.05):
                activity.heartbeat()
        except CancelledError:
            details = activity.cancellation_details()
            return details is not None and details.reset
        return False

    assert await outcome_of(client, in_the_loop) is True
    assert await outcome_of(client, in_a_thread) is True


async def test_activity_reset_history(client: Client) -> None:
    @activity.defn
    async def uncaught() -> None:
        await reset(client, activity.info())
        while True:
            await asyncio.sleep(0.05)
            activity.heartbeat()

    with pytest.raises(WorkflowFailureError) as failed:
        await outcome_of(client, uncaught)
    error = failed.value.cause
    assert isinstance(error, ActivityError)
    assert isinstance(error.cause, ApplicationError)
    assert error.cause.message == (
        "Unhandled activity cancel error produced by activity reset"
    )
