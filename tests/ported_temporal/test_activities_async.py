"""Activities that somebody else completes, through a handle of the client."""

import pytest

from dbosify import activity
from dbosify.client import AsyncActivityHandle, Client
from dbosify.exceptions import ApplicationError
from dbosify.worker import Worker
from tests.ported_temporal.activity_calls import failed_call, start_call
from tests.ported_temporal.activity_history import start_order, story_of
from tests.ported_temporal.desk import Desk
from tests.ported_temporal.one_activity import OneActivityWorkflow, Order
from tests.ported_temporal.scaffold import new_worker

pytestmark = pytest.mark.needs("async completion")

by_token_or_id = pytest.mark.parametrize(
    "by_token", [True, False], ids=["by token", "by id"]
)


async def next_handle(
    client: Client, desk: Desk, *, by_token: bool
) -> tuple[activity.Info, AsyncActivityHandle]:
    """Wait for the next attempt; give its info and a handle of it."""
    info = await desk.next_info()
    if by_token:
        return info, client.get_async_activity_handle(task_token=info.task_token)
    assert info.workflow_id is not None
    return info, client.get_async_activity_handle(
        workflow_id=info.workflow_id,
        run_id=info.workflow_run_id,
        activity_id=info.activity_id,
    )


@by_token_or_id
@pytest.mark.parametrize("value", ["some value", None])
async def test_activity_async_success(
    client: Client, worker: Worker, by_token: bool, value: str | None
) -> None:
    desk = Desk()
    async with new_worker(client, activities=[desk.hand_over]) as called:
        handle = await start_call(worker, called, "hand_over")
        _info, elsewhere = await next_handle(client, desk, by_token=by_token)
        await elsewhere.complete(value)
        assert await handle.result() == value


@by_token_or_id
async def test_activity_async_heartbeat_and_fail(
    client: Client, worker: Worker, by_token: bool
) -> None:
    desk = Desk()
    async with new_worker(client, activities=[desk.hand_over]) as called:
        handle = await start_call(worker, called, "hand_over", retry_max_attempts=2)

        info, elsewhere = await next_handle(client, desk, by_token=by_token)
        assert info.attempt == 1
        await elsewhere.heartbeat("heartbeat details")
        await elsewhere.fail(ApplicationError("first try", "first details"))

        info, elsewhere = await next_handle(client, desk, by_token=by_token)
        assert info.attempt == 2
        assert info.heartbeat_details == ["heartbeat details"]
        await elsewhere.fail(ApplicationError("second try", "second details"))
        cause = await failed_call(handle)
    assert isinstance(cause, ApplicationError)
    assert str(cause) == "second try"
    assert list(cause.details) == ["second details"]


@by_token_or_id
async def test_the_first_to_speak_for_an_activity_is_heard(
    client: Client, by_token: bool
) -> None:
    async def say_twice() -> str:
        info = activity.info()
        if by_token:
            handle = client.get_async_activity_handle(task_token=info.task_token)
        else:
            handle = client.get_async_activity_handle(
                workflow_id=info.workflow_id or "",
                run_id=info.workflow_run_id,
                activity_id=info.activity_id,
            )
        await handle.complete("first")
        return "second"

    said = activity.defn(say_twice)
    async with new_worker(client, OneActivityWorkflow, activities=[said]) as worker:
        order = Order("say_twice", start_to_close=30)
        handle = await start_order(client, worker, order)
        assert await handle.result() == "first"
    assert (await story_of(handle)).names == ["scheduled", "started", "completed"]
