"""Tells which tasks of dbosify are still there: when a test hangs, and after all tests.

A worker that was shut down leaves none. One that does would, in a program, keep the
loop from ending; here it would be cancelled in silence, or hang without a name. What a
client leaves that nobody closed belongs to the pool of its connections.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

import dbosify

OURS = str(Path(dbosify.__file__).parent)

LOOP = pytest.StashKey[asyncio.AbstractEventLoop]()
"""That all tests run on."""


def is_ours(task: asyncio.Task[object]) -> bool:
    """Whether the task runs code of dbosify."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(OURS)


@pytest.fixture(scope="session", autouse=True)
async def nothing_goes_on(pytestconfig: pytest.Config) -> AsyncIterator[None]:
    """The first fixture of all, so its end is the last."""
    pytestconfig.stash[LOOP] = asyncio.get_running_loop()
    yield
    left = [task for task in asyncio.all_tasks() if is_ours(task)]
    assert not left, "\n".join(f"still there: {task!r}" for task in left)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where the traceback of a timeout shows the loop's wait, show what waits on it."""
    report = yield
    loop = item.config.stash.get(LOOP, None)
    if loop is not None and call.excinfo and "Timeout" in str(call.excinfo.value):
        report.sections.append(("Tasks at the timeout", _stacks(loop)))
    return report


def _stacks(loop: asyncio.AbstractEventLoop) -> str:
    text = io.StringIO()
    for task in asyncio.all_tasks(loop):
        task.print_stack(file=text)
    return text.getvalue()
