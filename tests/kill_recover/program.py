"""A worker process that takes orders, forked from a template of it.

``python -m tests.kill_recover.program URL LINK`` makes the template, see
:mod:`tests.kill_recover.template`. The first line that a fork reads holds what is to be
added to its environment, as a JSON object. Only then is dbosify imported, which reads
its settings while it is; all that takes long to import is imported before, and once.
The lines that follow are orders, see :mod:`tests.kill_recover.orders`.
"""

import asyncio
import json
import os
import socket
import sys
import time

# What takes long: all that dbosify itself imports.
import alembic.script
import dbos
import psycopg_pool
import sqlalchemy
import temporalio.client
import temporalio.worker

from tests.kill_recover.template import fork_on_demand

PRELOADED = (alembic.script, dbos, psycopg_pool, sqlalchemy, temporalio)

CLOCK_VARIABLE = "KILL_RECOVER_CLOCK"
"""Seconds by which this process's clock is ahead of everybody's."""


def set_clock(ahead: int) -> None:
    """Let the wall clock be wrong; the monotonic one is not what a bad clock is."""
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + ahead
    time.time_ns = lambda: nanoseconds() + ahead * 10**9


if __name__ == "__main__" and fork_on_demand(socket.socket(fileno=int(sys.argv[2]))):
    os.environ.update(json.loads(sys.stdin.readline()))
    set_clock(int(os.environ.get(CLOCK_VARIABLE, "0")))

    from tests.kill_recover.orders import take_orders

    asyncio.run(take_orders(sys.argv[1]))
