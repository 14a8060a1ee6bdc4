"""Tells which tasks of dbosify are still there when all tests are over.

A worker that was shut down leaves none. One that does would, in a program, keep the
loop from ending; here it would be cancelled in silence, or hang without a name. What a
client leaves that nobody closed belongs to the pool of its connections.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import dbosify

OURS = str(Path(dbosify.__file__).parent)


def is_ours(task: asyncio.Task[object]) -> bool:
    """Whether the task runs code of dbosify."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(OURS)


@pytest.fixture(scope="session", autouse=True)
async def nothing_goes_on() -> AsyncIterator[None]:
    """The first fixture of all, so its end is the last."""
    yield
    left = [task for task in asyncio.all_tasks() if is_ours(task)]
    assert not left, "\n".join(f"still there: {task!r}" for task in left)
