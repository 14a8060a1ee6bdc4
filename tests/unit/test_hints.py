"""Waiting for a hint: what wakes it, and that it can always be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from dbosify._runtime.hints import hinted, in_time


def after(turns: int, act: Callable[[], object]) -> None:
    """Do something after so many turns of the loop."""
    loop = asyncio.get_running_loop()
    if turns:
        loop.call_soon(after, turns - 1, act)
    else:
        act()


async def follow(event: asyncio.Event) -> None:
    """What every role of a worker does."""
    while True:
        await hinted(event, 60)


async def test_a_hint_ends_the_wait_and_is_taken_back() -> None:
    event = asyncio.Event()
    after(1, event.set)
    await hinted(event, 60)
    assert not event.is_set()


async def test_a_hint_from_before_is_not_waited_for() -> None:
    event = asyncio.Event()
    event.set()
    await hinted(event, 60)
    assert not event.is_set()


async def test_the_end_of_the_time_is_a_hint() -> None:
    event = asyncio.Event()
    await hinted(event, 0.001)
    assert not event.is_set()


@pytest.mark.parametrize("turns", range(6))
async def test_a_role_ends_however_soon_after_a_hint_it_is_cancelled(
    turns: int,
) -> None:
    event = asyncio.Event()
    following = asyncio.create_task(follow(event))
    after(1, event.set)
    after(1 + turns, following.cancel)
    _, pending = await asyncio.wait({following}, timeout=10)
    assert not pending
    assert following.cancelled()


async def answered(answer: asyncio.Future[int]) -> int:
    """A call that comes to an answer."""
    return await answer


def come(answer: asyncio.Future[int]) -> None:
    """The answer comes, if anybody waits for it still."""
    if not answer.done():
        answer.set_result(5)


async def test_a_call_is_answered_in_time_or_not_at_all() -> None:
    answer = asyncio.get_running_loop().create_future()
    after(1, lambda: answer.set_result(5))
    assert await in_time(answered(answer), 60) == 5
    never = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await in_time(answered(never), 0.001)
    assert never.cancelled()


@pytest.mark.parametrize("turns", range(1, 6))
async def test_who_waits_for_a_call_is_cancelled_though_the_answer_comes(
    turns: int,
) -> None:
    answer = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(in_time(answered(answer), 60))
    after(3, partial(come, answer))
    after(turns, waiting.cancel)
    done, _ = await asyncio.wait({waiting}, timeout=10)
    assert done
    # Before the answer, or together with it, the cancellation wins; never does it get
    # lost while the call goes on.
    assert waiting.cancelled() or turns > 3
