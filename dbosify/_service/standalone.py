"""What all executions share that a client starts without a workflow.

One of an id may be open; a start that finds another in the way looks at it, and may
have to try again. Whoever waits for one looks at every hint, and now and then without.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from temporalio.api.common.v1 import Payload

from dbosify._model.search_attributes import KEYWORD

from . import errors
from .context import Context

Row: TypeAlias = dict[str, Any]

LONG_POLL = 20.0
_EARLY = 1.0
"""Seconds before the caller gives up at which it is told that there is no news."""
LOOK = 1.0
"""Seconds between looks while hints stay away."""
SOON = 0.1
"""The same, for changes that nobody hints."""


async def begin(
    start: Callable[[], Awaitable[tuple[bool, Row | None]]],
    *,
    request_id: str,
    reusable: Sequence[int],
) -> Row | None:
    """Start an execution.

    Args:
        start: tries it; says whether it is started, and the latest of its id before it.
        request_id: of the start; the execution that it started before is in the way.
        reusable: statuses in which a closed latest one leaves the id free.

    Returns:
        The execution that is in the way; None if there is none.
    """
    while True:
        created, latest = await start()
        if created:
            return None
        if latest is not None and (
            latest["close_time"] is None
            or latest["start_request_id"] == request_id
            or latest["status"] not in reusable
        ):
            return latest
        # Whoever was in the way when we looked is not any more, or came since.


async def wait(
    context: Context,
    key: str,
    find: Callable[[], Awaitable[Row]],
    wanted: Callable[[Row], bool],
    *,
    pause: float = LOOK,
) -> Row | None:
    """An execution once it is as wanted; None if that takes too long.

    Args:
        context: of the request that waits.
        key: under which its changes are hinted.
        find: looks it up.
        wanted: whether that is it.
        pause: seconds between looks.
    """
    most = min(context.time_left(LONG_POLL + _EARLY) - _EARLY, LONG_POLL)
    give_up = context.around.now().ToNanoseconds() / 1e9 + most
    with context.around.watch(key) as watch:
        while not wanted(found := await find()):
            left = give_up - context.around.now().ToNanoseconds() / 1e9
            if left <= 0:
                return None
            await watch.wait(min(left, pause))
        return found


def long_poll_token(found: Row) -> bytes:
    """By which a client asks for what comes after the state that it was shown."""
    return json.dumps([found["run_id"], found["transitions"]]).encode()


def seen(token: bytes, run_id: str | None) -> int:
    """The state that a long poll's token stands for.

    Raises:
        RPCError: it is none, or of another execution.
    """
    if run_id is None:
        raise errors.invalid("run id is required when long poll token is provided")
    try:
        of_run, version = json.loads(token)
        version = int(version)
    except (ValueError, TypeError, RecursionError):
        raise errors.invalid("invalid long poll token") from None
    if of_run != run_id:
        raise errors.invalid("long poll token does not match execution")
    return version


class _Group(Protocol):
    @property
    def group_values(self) -> Any: ...


class _Groups(Protocol):
    def add(self, *, count: int) -> _Group: ...


def group(groups: _Groups, counts: Mapping[int, int], names: Mapping[int, str]) -> None:
    """Fill in how many executions of each status there are, by the status's name."""
    for name, count in sorted((names[status], n) for status, n in counts.items()):
        value: Payload = groups.add(count=count).group_values.add()
        value.metadata["encoding"] = b"json/plain"
        value.metadata["type"] = KEYWORD.encode()
        value.data = json.dumps(name).encode()
