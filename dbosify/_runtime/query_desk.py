"""Queries that come through the database: of runs without an owner, and of closed ones.

Whoever runs a workflow's type can answer for a closed run: it is rebuilt, asked and
forgotten. A run that is open is taken over for the query, as for any other news. If
another was quicker, the query is the other's: an open run rebuilt here would not know
what its owner has read, and might not have begun.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import TYPE_CHECKING

from dbosify._model.journal import Damaged
from dbosify._model.protos import EvictionReason, QueryResult, WorkflowActivationJob
from dbosify._store import queries
from dbosify._store.engine import LOST_CONNECTION
from dbosify._store.queries import QueryRow

from .replica import Replica, RunVanished, failed_query

if TYPE_CHECKING:
    from .workflow_worker import WorkflowWorker

logger = logging.getLogger(__name__)


class QueryDesk:
    """See the module's text.

    Args:
        worker: who answers.
    """

    def __init__(self, worker: WorkflowWorker) -> None:
        self._worker = worker
        self._asking: weakref.WeakValueDictionary[str, asyncio.Lock] = (
            weakref.WeakValueDictionary()
        )
        """The SDK knows instances by run id, so two rebuilt ones must not meet."""

    async def claim(self) -> None:
        """Take queries of the task queue, and answer them meanwhile."""
        worker = self._worker
        for row in await queries.claim(
            worker.database, worker.queue, worker.executor_id
        ):
            worker.in_background(self._answer(row))

    async def _answer(self, row: QueryRow) -> None:
        worker = self._worker
        try:
            result = await self._result_of(row)
            if result is None:
                return
            await queries.answer(
                worker.database, row.query_id, result.SerializeToString()
            )
        except LOST_CONNECTION as error:
            logger.warning("query not answered: %s", error)
            return
        worker.host.hints.here("answer", f"query:{row.query_id}")
        worker.host.hints.elsewhere("answer", f"query:{row.query_id}")

    async def _result_of(self, row: QueryRow) -> QueryResult | None:
        """The answer; None if somebody else is to give it."""
        job = WorkflowActivationJob.FromString(row.request)
        run = await self._worker.take_over(row.workflow_uuid)
        if run is not None:
            answer = await run.ask(job, row.min_inbox)
            if answer is not None:
                return answer
        is_open, is_anothers = await queries.give_back(
            self._worker.database, row, self._worker.executor_id
        )
        if is_anothers:
            self._worker.host.hints.elsewhere("query", self._worker.task_queue)
        # Without a hint the next look finds it: by then a claim of ours is known here.
        return None if is_open else await self._ask_closed(row, job)

    async def _ask_closed(
        self, row: QueryRow, job: WorkflowActivationJob
    ) -> QueryResult:
        lock = self._asking.setdefault(row.workflow_uuid, asyncio.Lock())
        async with lock:
            replica = Replica(self._worker.place, row.workflow_uuid)
            try:
                await replica.load()
            except RunVanished:
                return failed_query(job, "the workflow is gone")
            except Damaged as error:
                return failed_query(job, str(error))
            failed = await self._worker.in_slot(None, replica.run_id, replica.rebuild)
            if failed is not None:
                result = failed_query(job, failed.failure.message)
            else:
                result = await replica.query(job)
            await replica.evict(
                EvictionReason.WORKFLOW_EXECUTION_ENDING, "Workflow completed"
            )
        return result
