"""What becomes of an activity that has too much to say.

Results, heartbeats and failures may be as big as any blob of the service; what is
bigger ends the activity for good, since another attempt would say as much.
"""

import asyncio

import pytest

from dbosify import activity
from dbosify.api.enums.v1 import RetryState
from dbosify.api.failure.v1 import ApplicationFailureInfo, Failure, ServerFailureInfo
from dbosify.api.workflowservice import v1
from dbosify.client import Client
from dbosify.exceptions import ApplicationError
from tests.ported_temporal.activity_calls import Desk
from tests.ported_temporal.activity_history import (
    Story,
    pending,
    start_order,
    story_after_end,
)
from tests.ported_temporal.contract import IDENTITY, MAX_BLOB_SIZE, payloads
from tests.ported_temporal.one_activity import OneActivityWorkflow, Order, Retries
from tests.ported_temporal.scaffold import new_worker

TOO_MUCH = "x" * (MAX_BLOB_SIZE + 1)


@activity.defn
async def return_too_much() -> str:
    return TOO_MUCH


@activity.defn
async def beat_with_too_much() -> None:
    activity.heartbeat(TOO_MUCH)
    await asyncio.Event().wait()


@activity.defn
async def fail_with_too_much() -> None:
    raise ApplicationError(TOO_MUCH, type="Trouble")


async def story_of(client: Client, name: str) -> Story:
    """Run an activity to its end; give its part of the history."""
    async with new_worker(
        client,
        OneActivityWorkflow,
        activities=[return_too_much, beat_with_too_much, fail_with_too_much],
    ) as worker:
        handle = await start_order(client, worker, Order(name, start_to_close=10))
        return await story_after_end(handle)


@pytest.mark.parametrize(
    "name", ["return_too_much", "beat_with_too_much", "fail_with_too_much"])
async def test_probe(client: Client, name: str) -> None:
    story = await story_of(client, name)
    print(story.names, [str(a)[:600] for a in story._attributes])
    print(str(story["failed"])[-600:])
    assert 0
