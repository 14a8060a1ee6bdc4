"""The one way in which tests wait for a state.

A test that sleeps is slow on a good day and wrong on a bad one, so everything that
has to be waited for is an assertion that is tried until it holds. The only sleep of
the suites is the one in :func:`eventually`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds after which a state that has not come is taken for one that never will."""

PAUSE = 0.05
"""Seconds between two tries."""


async def eventually(
    attempt: Callable[[], Awaitable[T]],
    *,
    patience: float = PATIENCE,
    retry_on: type[Exception] | tuple[type[Exception], ...] = AssertionError,
    retry_if: Callable[[Exception], bool] | None = None,
    pause: float = PAUSE,
) -> T:
    """Try until it works.

    Args:
        attempt: Called again for each try; its result is the result.
        patience: Seconds for which failed tries are forgiven.
        retry_on: What counts as "not yet"; anything else passes at once.
        retry_if: Narrows ``retry_on`` to the errors for which this is true.
        pause: Seconds between two tries.

    Raises:
        Exception: The last try's error once the patience is used up.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return await attempt()
        except retry_on as error:
            if retry_if is not None and not retry_if(error):
                raise
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(pause)
