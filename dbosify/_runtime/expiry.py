"""Closing runs that are out of time, whoever owns them and whether anybody does.

The database says which are due, every worker process looks, and so does who asks for a
run when no worker is there; the lock of the run's status row lets one of them close it.
What follows in the chain starts in the same transaction; the owner finds its token
gone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dbosify._core.chain import Chain
from dbosify._model import ids
from dbosify._model.protos import HistoryEvent, SearchAttributes
from dbosify._model.versioning import Versioning
from dbosify._service.context import Context
from dbosify._service.ending import end_run
from dbosify._service.run_ids import new_run_id
from dbosify._store import runs
from dbosify._store.engine import LOST_CONNECTION
from dbosify._store.runs import Ending

from . import turn_row

if TYPE_CHECKING:
    from .host import Host

logger = logging.getLogger(__name__)


async def close_all_expired(host: Host) -> None:
    """Close every run whose time is up."""
    for workflow_uuid in await runs.expired(host.database):
        try:
            await close_expired(host, workflow_uuid)
        except LOST_CONNECTION:
            raise
        except Exception:
            # One that cannot be closed must not keep the others from it.
            logger.exception("run %s could not be timed out", workflow_uuid)


async def close_expired(host: Host, workflow_uuid: str) -> None:
    """Close a run whose time is up, unless somebody was faster."""

    def decide(start: HistoryEvent) -> Ending:
        return _ending(host, workflow_uuid, start)

    context = Context(host.database, host.namespace, host, None)
    await end_run(context, workflow_uuid, decide)


def _ending(host: Host, workflow_uuid: str, start: HistoryEvent) -> Ending:
    now = host.clock.now()
    versioning = Versioning()
    versioning.learn(start)
    chain = Chain(
        run_id=ids.run_id_of(workflow_uuid),
        started=start,
        next_run_id=new_run_id(host.clock.nanoseconds() // 1_000_000),
        search_attributes=SearchAttributes(),
        versioning=versioning,
    )
    close = chain.timed_out(now)
    following = None
    if close.next is not None:
        following = turn_row.next_run(now, workflow_uuid, close.next, None)
    assert close.failure is not None, "a run that is out of time has failed"
    return Ending(
        close.event,
        close.status,
        "ERROR",
        "time out",
        error=runs.readable_error(close.failure),
        next=following,
    )
