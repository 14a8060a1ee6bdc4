"""Queries of a run that wait for its owner: each sees all that was sent before it."""

from __future__ import annotations

import asyncio

from dbosify._model.effects import TaskFailed
from dbosify._model.protos import QueryResult, WorkflowActivationJob

from .replica import Replica, failed_query


class RunQueries:
    """See the module's text; true while one waits."""

    def __init__(self) -> None:
        self._waiting: list[
            tuple[WorkflowActivationJob, int, asyncio.Future[QueryResult | None]]
        ] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(
        self, job: WorkflowActivationJob, min_inbox: int
    ) -> asyncio.Future[QueryResult | None]:
        """Ask something.

        Args:
            job: the question.
            min_inbox: messages that must have been read before.

        Returns:
            The answer; None if the run goes before there is one.
        """
        answer: asyncio.Future[QueryResult | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._waiting.append((job, min_inbox, answer))
        return answer

    async def answer(
        self, replica: Replica, failed: TaskFailed | None, *, inbox: int
    ) -> bool:
        """Answer, up to the first that messages must be read for.

        Args:
            replica: of the run.
            failed: why it could not be rebuilt; then that is the answer.
            inbox: messages read so far.

        Returns:
            Whether all were answered.
        """
        queries, self._waiting = self._waiting, []
        for position, (job, min_inbox, answer) in enumerate(queries):
            if min_inbox > inbox:
                self._waiting.extend(queries[position:])
                return False
            if failed is not None:
                result = failed_query(job, failed.failure.message)
            else:
                result = await replica.query(job)
            if not answer.done():
                answer.set_result(result)
        return True

    def lost(self) -> None:
        """The run is gone from this process: somebody else is to be asked."""
        for _, _, answer in self._waiting:
            if not answer.done():
                answer.set_result(None)
