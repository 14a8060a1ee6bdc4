"""Payloads that are kept elsewhere: what goes wrong there, and what is measured."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.common import RetryPolicy
from dbosify.converter import DataConverter
from dbosify.exceptions import ActivityError, ApplicationError
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import (
    assert_task_fail_eventually,
    new_worker,
    random_id,
)

with workflow.unsafe.imports_passed_through():
    from tests.ported_temporal.storing import (
        FullDriver,
        InMemoryDriver,
        LosingDriver,
        NoBucketDriver,
        with_storage,
    )

ONCE = RetryPolicy(maximum_attempts=1)
THREE_SECONDS = timedelta(seconds=3)


@dataclass
class Sizes:
    """How much the workflow hands over, in bytes."""

    activity_input: int = 0
    activity_output: int = 0
    output: int = 0
    padding: str = ""


@activity.defn
async def give(_received: str, size: int) -> str:
    """A string of that size."""
    return "o" * size


@workflow.defn
class SizedWorkflow:
    """Runs an activity with inputs and outputs of given sizes."""

    @workflow.run
    async def run(self, sizes: Sizes) -> str:
        await workflow.execute_activity(
            give,
            args=["i" * sizes.activity_input, sizes.activity_output],
            schedule_to_close_timeout=THREE_SECONDS,
            retry_policy=ONCE,
        )
        return "r" * sizes.output


def sized_worker(client: Client) -> Worker:
    return new_worker(client, SizedWorkflow, activities=[give])


async def run_sized(client: Client, worker: Worker, sizes: Sizes) -> str:
    return await client.execute_workflow(
        SizedWorkflow.run, sizes, id=random_id(), task_queue=worker.task_queue
    )


async def why_the_activity_failed(client: Client, sizes: Sizes) -> ApplicationError:
    """Run the workflow; its activity fails, and so does it."""
    async with sized_worker(client) as worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await run_sized(client, worker, sizes)
    assert isinstance(failed.value.cause, ActivityError)
    cause = failed.value.cause.cause
    assert isinstance(cause, ApplicationError)
    return cause


async def test_extstore_activity_input_no_retrieve(client: Client) -> None:
    storing = with_storage(client, LosingDriver("losing"))
    error = await why_the_activity_failed(storing, Sizes(activity_input=2048))
    assert error.message == "Failed decoding arguments"


async def test_extstore_activity_result_no_store(client: Client) -> None:
    storing = with_storage(client, FullDriver("bad-driver"))
    error = await why_the_activity_failed(storing, Sizes(activity_output=2048))
    assert error.message == "Driver 'bad-driver' returned 0 claims, expected 1"
    assert error.type == "ValueError"


async def test_extstore_worker_missing_driver(client: Client) -> None:
    storing = with_storage(client, InMemoryDriver())
    async with sized_worker(client) as worker:
        handle = await storing.start_workflow(
            SizedWorkflow.run,
            Sizes(padding="p" * 2048),
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await assert_task_fail_eventually(handle)
        await handle.terminate()


async def test_extstore_payload_not_found_fails_workflow(client: Client) -> None:
    storing = with_storage(client, NoBucketDriver("no-bucket"))
    async with sized_worker(storing) as worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await run_sized(storing, worker, Sizes(padding="p" * 2048))
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.message, cause.type, cause.non_retryable) == (
        "bucket not found",
        "BucketNotFoundError",
        True,
    )


@activity.defn
async def measure(received: str) -> str:
    """How much has come."""
    return f"received {len(received)} bytes"


@workflow.defn
class ChainedWorkflow:
    """Hands the result of one activity to the next."""

    @workflow.run
    async def run(self) -> str:
        big = await workflow.execute_activity(
            give, args=["", 10_000], schedule_to_close_timeout=THREE_SECONDS
        )
        return await workflow.execute_activity(
            measure, big, schedule_to_close_timeout=THREE_SECONDS
        )


async def test_extstore_chained_activities(client: Client) -> None:
    driver = InMemoryDriver()
    storing = with_storage(client, driver)
    async with new_worker(
        storing, ChainedWorkflow, activities=[give, measure]
    ) as worker:
        result = await storing.execute_workflow(
            ChainedWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert result == "received 10000 bytes"
        assert (driver.store_calls, driver.retrieve_calls) == (2, 2)


class OtherDriver(InMemoryDriver):
    """Another type of the same."""


async def test_worker_storage_drivers_populated_from_client(client: Client) -> None:
    drivers = InMemoryDriver("a"), InMemoryDriver("b"), OtherDriver("c")
    storing = with_storage(
        client, *drivers, driver_selector=lambda _context, _payload: drivers[0]
    )
    assert sized_worker(storing)._storage_drivers == list(drivers)


async def test_worker_storage_drivers_empty_without_external_storage(
    client: Client,
) -> None:
    assert sized_worker(client)._storage_drivers == []


# What the core hears of it, task by task.


@workflow.defn
class OneTaskWorkflow:
    """Has a single task."""

    @workflow.run
    async def run(self) -> str:
        return "done"


@dataclass
class Moved:
    """Downloads or uploads of one workflow task."""

    count: int
    size: int
    drivers: list[str]


def noting_completions(worker: Worker) -> list[tuple[Moved | None, Moved | None]]:
    """What the completions of this worker say of downloads and uploads from now on."""
    noted: list[tuple[Moved | None, Moved | None]] = []
    core: Any = worker._bridge_worker
    complete: Callable[[Any], Awaitable[None]] = core.complete_workflow_activation

    def moved(completion: Any, direction: str) -> Moved | None:
        if not completion.HasField(f"payload_{direction}_metrics"):
            return None
        metrics = getattr(completion, f"payload_{direction}_metrics")
        assert metrics.total_duration.ToNanoseconds() > 0
        return Moved(
            metrics.payload_count, metrics.total_size_bytes, list(metrics.driver_names)
        )

    async def note(completion: Any) -> None:
        noted.append((moved(completion, "download"), moved(completion, "upload")))
        await complete(completion)

    core.complete_workflow_activation = note
    return noted


async def size_of(value: Any) -> int:
    """Bytes of its payload."""
    [payload] = await DataConverter.default.encode([value])
    return payload.ByteSize()


async def test_tmprl1104_no_extstore(client: Client) -> None:
    worker = new_worker(client, OneTaskWorkflow)
    noted = noting_completions(worker)
    async with worker:
        await client.execute_workflow(
            OneTaskWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    assert noted
    assert set(noted) == {(None, None)}


@pytest.mark.parametrize(
    ("upload", "download"),
    [
        pytest.param(False, True, id="test_tmprl1104_with_extstore_download"),
        pytest.param(True, False, id="test_tmprl1104_with_extstore_upload"),
        pytest.param(True, True, id="test_tmprl1104_with_extstore_download_and_upload"),
    ],
)
async def test_tmprl1104_with_extstore(
    client: Client, upload: bool, download: bool
) -> None:
    storing = with_storage(client, InMemoryDriver(), threshold=512)
    worker = sized_worker(storing)
    noted = noting_completions(worker)
    sizes = Sizes(padding="p" * 2048 if download else "", output=2048 if upload else 0)
    async with worker:
        result = await run_sized(storing, worker, sizes)
    downloads = [down for down, _ in noted if down is not None]
    uploads = [up for _, up in noted if up is not None]
    expected = [Moved(1, await size_of(sizes), ["memory"])]
    assert downloads == (expected if download else [])
    expected = [Moved(1, await size_of(result), ["memory"])]
    assert uploads == (expected if upload else [])
