"""Waiting for a hint: what wakes it, and that it can always be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from dbosify._runtime.hints import hinted


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
