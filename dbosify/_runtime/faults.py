"""Named points in the runtime where a test may kill, stop or fail the process.

`DBOSIFY_FAULT=AFTER_CLAIM:kill:2` in the environment kills the process with SIGKILL the
second time it reaches AFTER_CLAIM; `stop` sends SIGSTOP instead. Without the variable a
point costs one comparison.
"""

from __future__ import annotations

import enum
import os
import signal


class Point(enum.Enum):
    """Each is reached in exactly one place of the code."""

    AFTER_CLAIM = enum.auto()
    """Runs were taken, nothing is known of them yet."""
    AFTER_LOAD = enum.auto()
    """A journal was read, the instance is not rebuilt."""
    BEFORE_TURN = enum.auto()
    """News wait, the workflow has not seen them."""
    BEFORE_COMMIT = enum.auto()
    """The workflow has decided, nothing is written."""
    AFTER_COMMIT = enum.auto()
    """The turn is written, its effects have not begun."""
    AFTER_CLOSE = enum.auto()
    """The run is closed, nobody was told."""
    AFTER_ACTIVITY_START = enum.auto()
    """An activity was handed to the worker."""
    BEFORE_ACTIVITY_END = enum.auto()
    """An activity has ended, its outcome is in memory only."""
    LOCAL_ACTIVITY_OVER = enum.auto()
    """A local activity has ended, its outcome is in memory only."""
    AFTER_HEARTBEAT = enum.auto()
    """Heartbeat details were stored."""
    TIMER_FIRED = enum.auto()
    """A timer is due, the workflow has not seen it."""
    BEFORE_DELIVERY = enum.auto()
    """An entry lies in the outbox, nothing is done about it yet."""
    AFTER_DELIVERY = enum.auto()
    """An entry of the outbox is delivered."""
    BEFORE_FIRE = enum.auto()
    """A schedule's actions are started in a transaction that is not committed."""
    AFTER_FIRE = enum.auto()
    """A schedule has fired, nobody was told."""


def _parse(text: str) -> tuple[str, int, int]:
    name, action, count = text.split(":")
    return name, signal.SIGSTOP if action == "stop" else signal.SIGKILL, int(count)


_armed = _parse(os.environ["DBOSIFY_FAULT"]) if "DBOSIFY_FAULT" in os.environ else None
_reached = 0


def reach(point: Point) -> None:
    """Pass a point; the process may not survive it."""
    global _reached
    if _armed is None or _armed[0] != point.name:
        return
    _reached += 1
    if _reached == _armed[2]:
        os.kill(os.getpid(), _armed[1])
