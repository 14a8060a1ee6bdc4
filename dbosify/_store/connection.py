"""A connection that sends all of a pipeline before it only waits for the answers.

psycopg hands the statements of a pipeline to libpq, and then waits for rows. What did
not fit into the socket's buffer at that moment (some hundred kilobytes, less over a
slow network) would never be sent: the server waits for the rest of a statement, and
psycopg for its answer, until one of them gives the connection up.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.pq import PipelineStatus
from psycopg.pq.abc import PGconn
from psycopg.rows import DictRow
from psycopg.waiting import READY_R, WAIT_R, WAIT_RW

T = TypeVar("T")
Waiting: TypeAlias = "Generator[Any, Any, T]"
"""What psycopg does on the wire; it yields what it waits for."""


class Connection(psycopg.AsyncConnection[DictRow]):
    """See the module's text."""

    async def wait(self, gen: Waiting[T], *args: Any, **kwargs: Any) -> T:
        """See psycopg; it does all that it does on the wire through this."""
        if self.pgconn.pipeline_status != PipelineStatus.OFF:
            gen = _sending(gen, self.pgconn)
        return await super().wait(gen, *args, **kwargs)


def _sending(gen: Waiting[T], pgconn: PGconn) -> Waiting[T]:
    """The same, but what is not sent yet is sent whenever the answer is waited for."""
    try:
        wanted = next(gen)
        while True:
            ready = 0
            while wanted == WAIT_R and not ready and pgconn.flush():
                ready = (yield WAIT_RW) & READY_R
            wanted = gen.send(ready or (yield wanted))
    except StopIteration as end:
        result: T = end.value
        return result
