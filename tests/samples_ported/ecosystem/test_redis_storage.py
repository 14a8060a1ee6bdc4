"""Big payloads go to Redis and come back; histories hold where they are."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

import dbosify.converter
from dbosify import activity, workflow
from dbosify.client import Client, WorkflowFailureError
from dbosify.common import RetryPolicy
from dbosify.converter import ExternalStorage, StorageDriverRetrieveContext
from dbosify.converter import StorageDriverStoreContext as StoreContext
from dbosify.exceptions import ActivityError, ApplicationError
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import random_id, sandboxed_runner
from tests.samples_ported.redis_storage import RedisDriver

with workflow.unsafe.imports_passed_through():
    fakeredis = pytest.importorskip("fakeredis", reason="needs fakeredis")

BIG = "x" * 400
TIMEOUT = timedelta(seconds=10)


@activity.defn
async def doubled(text: str) -> str:
    return text * 2


@workflow.defn
class DoublingWorkflow:
    @workflow.run
    async def run(self, text: str) -> str:
        return await workflow.execute_activity(
            doubled,
            text,
            start_to_close_timeout=TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@pytest_asyncio.fixture
async def redis() -> AsyncIterator[Any]:
    """A Redis in the process."""
    fake = fakeredis.FakeAsyncRedis()
    yield fake
    await fake.aclose()


def storing(client: Client, driver: RedisDriver) -> Client:
    """A client whose big payloads go elsewhere."""
    converter = dataclasses.replace(
        dbosify.converter.default(),
        external_storage=ExternalStorage(drivers=[driver], payload_size_threshold=256),
    )
    config: dict[str, Any] = {**client.config(), "data_converter": converter}
    return Client(**config)


async def doubled_through(client: Client, driver: RedisDriver, name: str) -> str:
    """What the workflow gives back."""
    storer = storing(client, driver)
    async with Worker(
        storer,
        task_queue=name,
        workflows=[DoublingWorkflow],
        activities=[doubled],
        workflow_runner=sandboxed_runner(),
    ):
        return await storer.execute_workflow(
            DoublingWorkflow.run, BIG, id=name, task_queue=name
        )


async def test_big_payloads_are_kept_under_the_workflow(
    client: Client, redis: Any
) -> None:
    name = random_id("Redis/Workflow")
    assert await doubled_through(client, RedisDriver(redis), name) == BIG * 2
    keys = {key.decode() for key in await redis.keys()}
    quoted = name.replace("/", "%2F")
    assert all(f":wt:DoublingWorkflow:wi:{quoted}:ri:" in key for key in keys)
    # The client's argument was stored before there was a run.
    (argument,) = [key for key in keys if ":ri:null:" in key]
    # The same content has the same hash, whoever stores it.
    assert len({key.rpartition(":")[2] for key in keys}) == 2
    handle = client.get_workflow_handle(name)
    history = (await handle.fetch_history()).to_json()
    assert BIG not in history
    assert argument.rpartition(":")[2] in await references(handle)


async def references(handle: Any) -> str:
    """What stands in the first event in place of the argument."""
    first = (await handle.fetch_history()).events[0]
    (payload,) = first.workflow_execution_started_event_attributes.input.payloads
    return str(payload.data.decode())


async def test_a_failure_to_store_fails_the_activity(
    client: Client, redis: Any
) -> None:
    class Failing(RedisDriver):
        async def store(self, context: StoreContext, payloads: Any) -> Any:
            if len(payloads[0].data) > len(BIG) + 10:
                raise RuntimeError("Redis is full")
            return await super().store(context, payloads)

    with pytest.raises(WorkflowFailureError) as failed:
        await doubled_through(client, Failing(redis), random_id("redis"))
    assert isinstance(failed.value.cause, ActivityError)
    cause = failed.value.cause.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == ("RuntimeError", "Redis is full")


async def test_what_is_gone_or_changed_is_not_taken(redis: Any) -> None:
    driver = RedisDriver(redis)
    payload = dbosify.converter.default().payload_converter.to_payload(BIG)
    (claim,) = await driver.store(StoreContext(), [payload])
    assert await driver.retrieve(StorageDriverRetrieveContext(), [claim]) == [payload]
    await redis.set(claim.claim_data["key"], b"other")
    with pytest.raises(ValueError, match="integrity check failed"):
        await driver.retrieve(StorageDriverRetrieveContext(), [claim])
    await redis.flushall()
    with pytest.raises(ApplicationError) as gone:
        await driver.retrieve(StorageDriverRetrieveContext(), [claim])
    assert (gone.value.type, gone.value.non_retryable) == ("PayloadNotFoundError", True)


@pytest.mark.parametrize("ttl", [0, -1])
def test_a_time_to_live_is_positive(redis: Any, ttl: int) -> None:
    with pytest.raises(ValueError, match="ttl must be greater than zero"):
        RedisDriver(redis, ttl=ttl)
