"""Ends a process without tearing down what cannot be torn down safely.

The Replayer runs on Temporal's Rust runtime, whose threads may call into an
interpreter that is being dismantled; the process then aborts, and a green run turns
red. So the process leaves just before the dismantling starts.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable

_status: list[Callable[[], int]] = []


def leave_with(status: Callable[[], int]) -> None:
    """Let the process end with the status that this gives at the very end."""
    _status.append(status)


def _leave() -> None:
    if not _status:
        return
    # Registered before any other module had the chance, logging's own farewell is
    # all that may still be due.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_status[-1]())


# The last registered runs first: on import, so that everybody else's turn comes before.
atexit.register(_leave)
