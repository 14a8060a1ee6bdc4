"""A run that this process owns: one task that takes in news, turn after turn.

News are what happened in this process (an activity ended, a timer fired) and what
others sent (messages, read from the inbox when a hint says so). Each turn hands them to
the replica, writes what it answers in one fenced transaction, and only then lets the
effects begin.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from dbosify._model import clock
from dbosify._model.effects import Close, TaskFailed, Turn
from dbosify._model.protos import (
    EventType,
    EvictionReason,
    HistoryEvent,
    QueryResult,
    UpdateRequest,
    WorkflowActivationJob,
    WorkflowTaskFailedCause,
)
from dbosify._service.run_ids import new_run_id
from dbosify._store import claims
from dbosify._store.claims import Claim, Release
from dbosify._store.engine import LOST_CONNECTION, Call
from dbosify._store.journal import BegunActivity, Verdict
from dbosify._store.runs import StartRow

from . import faults, task_log, turn_row
from .draft import Draft, Owned, draft
from .faults import Point
from .long_task import finish
from .replica import Replica, RunVanished
from .run_queries import RunQueries
from .run_timers import timer_of, waking_time
from .under_way import UnderWay

if TYPE_CHECKING:
    from .workflow_worker import WorkflowWorker

_JOINED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
"""A start has joined the run; that needs no task of its own."""

logger = logging.getLogger(__name__)

_NONDETERMINISM = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
)
_RETRY_DB = 0.5
"""Seconds between attempts while the database is away."""

_RETRY_RUN = 5.0
"""Seconds before a run is tried again that an error of ours threw out."""


class _Lost(Exception):
    """The run belongs to somebody else now."""


class OwnedRun:
    """See the module's text.

    Args:
        worker: whose replica it is.
        claim: what makes it ours.
        events: its journal, if it was started in this process just now.
    """

    def __init__(
        self,
        worker: WorkflowWorker,
        claim: Claim,
        events: Sequence[HistoryEvent] | None = None,
    ) -> None:
        self.worker = worker
        self.uuid = claim.workflow_uuid
        self.run_id = claim.run_id
        self.token = claim.token
        self.attempt = claim.task_attempt
        self._claim = claim
        self.replica: Replica | None = None
        self.inbox_seen = 0
        self.leaving = False
        self._first_events = list(events) if events is not None else None
        self._look = events is None
        self._moved = False
        """Whether another version's workers are to go on with it."""
        self._unread = False
        """Whether a hint was followed while nothing could be read."""
        self._news: list[list[HistoryEvent]] = []
        self._messages: list[str] = []
        self._updates: dict[str, UpdateRequest] = {}
        """Sent and not answered, by their message: tried again with a failed task."""
        self._under_way = UnderWay(worker, self.uuid, self.run_id, self.add_news)
        self._queries = RunQueries()
        self._wake = asyncio.Event()
        self._unsure: tuple[int, list[HistoryEvent]] | None = None
        """The step and the news of a turn that may or may not be written."""
        self.task: asyncio.Task[None] | None = None

    # What others tell it.

    @property
    def idle(self) -> bool:
        """Whether it only waits."""
        return not (self._look or self._has_news or self._queries) and (
            self.replica is not None
            and not self.replica.driver.has_backlog
            and not self._busy
        )

    _busy = True

    @property
    def _has_news(self) -> bool:
        """Whether there is something that a task should be taken for."""
        return bool(self._updates) or any(
            event.event_type != _JOINED for group in self._news for event in group
        )

    def look(self) -> None:
        """Something may be in the inbox."""
        self._look = True
        self._wake.set()

    def leave(self) -> None:
        """Give the run up as soon as it only waits."""
        self.leaving = True
        self._wake.set()

    def add_news(self, events: Sequence[HistoryEvent]) -> None:
        """Something happened to the run in this process."""
        self._news.append(list(events))
        self._wake.set()

    async def ask(
        self, job: WorkflowActivationJob, min_inbox: int
    ) -> QueryResult | None:
        """Answer a query after everything that was sent before it; None if lost."""
        answer = self._queries.add(job, min_inbox)
        if min_inbox > self.inbox_seen:
            self._look = True
        self._wake.set()
        return await answer

    # The loop.

    async def run(self) -> None:
        """Take turns until the run is closed, given up or lost."""
        try:
            while True:
                try:
                    if await self._step():
                        return
                except LOST_CONNECTION as error:
                    logger.warning(
                        "run %s waits for the database: %s", self.uuid, error
                    )
                    await self._start_over()
                    await asyncio.sleep(_RETRY_DB)
        except (_Lost, RunVanished):
            logger.info("run %s is no longer owned by this process", self.uuid)
            await self._forget("lost")
        except asyncio.CancelledError:
            # Only the end of the loop cancels a run; the SDK's worker ends with it and
            # would never answer an eviction.
            self._under_way.orphan()
            raise
        except Exception:
            # A run that nobody works on must not stand in a live process's name.
            logger.exception("run %s could not go on; it is tried again", self.uuid)
            await self._forget("failed")
            with suppress(*LOST_CONNECTION):
                again = self.worker.clock.seconds() + _RETRY_RUN
                await self._hand_back(int(again * 1000))
        finally:
            self._end()

    async def _step(self) -> bool:
        """One thing; whether the run is done with."""
        self._busy = True
        sent = await self._read_inbox()
        self._news.extend(sent)
        if self._has_news or self.replica is None or self.replica.driver.has_backlog:
            return await self.worker.in_slot(self.replica, self.run_id, self._turn)
        if self._queries:
            await self.worker.in_slot(self.replica, self.run_id, self._answer_queries)
            return False
        if self.leaving:
            return await self._release()
        self._busy = False
        self.worker.became_idle(self)
        await self._wake.wait()
        self._wake.clear()
        return False

    async def _read_inbox(self) -> list[list[HistoryEvent]]:
        """What was sent since the inbox was read, if a hint says that there is any."""
        if not (self._look or self._unread):
            return []
        self._look = self._unread = False
        inbox = await self.worker.host.inbox(self.uuid)
        if inbox is None or inbox.owner_token != self.token:
            raise _Lost
        self.inbox_seen = inbox.count
        self._moved = inbox.queue not in (None, self.worker.queue)
        self._updates = inbox.updates
        known = set(self._messages)
        sent = []
        for message_id, events in zip(inbox.message_ids, inbox.groups, strict=True):
            if message_id not in known:
                self._messages.append(message_id)
                sent.append(events)
        return sent

    async def _ready(self) -> TaskFailed | None:
        """Make sure that the replica is there and up to date."""
        if self.replica is not None:
            return None
        replica = Replica(self.worker.place, self.uuid, self._wake.set)
        if self._first_events is not None:
            replica.begin_with(self._first_events, 0)
            self._first_events = None
            self._under_way.nothing_yet()
        else:
            await replica.load()
            if replica.driver.closed:
                raise _Lost
            self._settle_unsure(replica)
        self.replica = replica
        replica.driver.attempt = max(replica.driver.attempt, self.attempt)
        began_at = time.monotonic()
        failed = await replica.rebuild()
        spent = time.monotonic() - began_at
        self.worker.metrics.observe("workflow_task_replay_latency", spent)
        if failed is None:
            await self._under_way.pick_up(replica, self._news)
        return failed

    def _settle_unsure(self, replica: Replica) -> None:
        """The journal says whether the turn that broke off was written."""
        if self._unsure is None:
            return
        (step, news), self._unsure = self._unsure, None
        if replica.next_step > step:
            self._under_way.journaled(turn_row.closed_numbers(news))
        else:
            self._put_back(news)

    async def _turn(self) -> bool:
        if self._claim.out_of_time(self.worker.clock.seconds()):
            # Nobody was there when the time was up, or the database was away.
            await self.worker.host.time_out(self.uuid)
            raise _Lost
        held = self.replica is not None
        failed = await self._ready()
        replica = self.replica
        assert replica is not None, "it was made ready"
        if failed is not None:
            return await self._task_failed(failed)
        if not self._has_news and not replica.driver.has_backlog:
            return False
        news = await self._still_news(replica)
        if held and not self._belongs_here(replica, news):
            return await self._leave_to_its_version(news)
        shown = dict(self._updates)
        faults.reach(Point.BEFORE_TURN)
        outcome: object = replica.driver.begin(
            news,
            now=self.worker.clock.now(),
            next_run_id=new_run_id(self.worker.clock.nanoseconds() // 1_000_000),
            request_id=str(uuid.uuid4()),
            sent_updates=list(shown.values()),
            target=self.worker.belonging.target(replica.driver.workflow_id).version,
        )
        outcome = await finish(
            replica,
            outcome,
            clock=self.worker.clock,
            woken=self._wake,
            meanwhile=self._meanwhile,
        )
        if isinstance(outcome, TaskFailed):
            self._put_back(news)
            return await self._task_failed(outcome)
        assert isinstance(outcome, Turn), "a live task fails or becomes a turn"
        if outcome.close is not None and self._news:
            # Something happened while the workflow decided to end: as in Temporal, it
            # decides again, knowing it.
            await self._decide_again(news)
            return False
        return await self._commit(outcome, news, shown)

    def _belongs_here(self, replica: Replica, news: Sequence[HistoryEvent]) -> bool:
        """Whether no other version is to do the next task.

        Asked of runs in memory only: the others were placed when they were queued.
        """
        run = replica.driver.versions.run.after(news)
        return not self._moved and self.worker.belonging.keeps(
            run, replica.driver.workflow_id
        )

    async def _leave_to_its_version(self, news: Sequence[HistoryEvent]) -> bool:
        """Journal what has happened, and queue the run where its version takes it."""
        replica, self.replica = self.replica, None
        assert replica is not None, "it is asked of runs in memory"
        await replica.evict()
        fresh = Replica(self.worker.place, self.uuid)
        await fresh.load()
        turn = fresh.driver.leave_task(news, now=self.worker.clock.now())
        drafted = draft(
            self.worker.turn_writer,
            fresh,
            turn,
            owned=self._owned(self._messages),
            default="left to another version",
            attempt=None,
        )
        if await self.worker.writer.write(drafted.row) is not Verdict.WRITTEN:
            raise _Lost
        self._messages.clear()
        self._under_way.journaled(turn_row.numbers_of(drafted.row.ended))
        await self._give_up_for(0)
        return True

    async def _meanwhile(self, replica: Replica) -> bool:
        """Care for the run while its task waits for local activities.

        Returns:
            Whether a query must be answered that comes after unread messages.
        """
        if self._look:
            self._look, self._unread = False, True
            if not await self._is_ours():
                raise _Lost
        await self._answer(replica, None)
        return bool(self._queries)

    async def _is_ours(self) -> bool:
        try:
            seen = await claims.check(self.worker.database, [self.uuid])
        except LOST_CONNECTION:
            return True  # the end of the task will tell
        return self.uuid in seen and seen[self.uuid][1] == self.token

    async def _still_news(self, replica: Replica) -> list[HistoryEvent]:
        """The news, but for outcomes of activities that have one already.

        An attempt that somebody ends from outside may end by itself at the same time.
        """
        return turn_row.without_second_outcomes(
            await self._take_news(), replica.driver.translator.by_event
        )

    async def _take_news(self) -> list[HistoryEvent]:
        """The news, the oldest first; what comes while they are taken waits.

        An activity may signal its own run and end: whatever is noticed first, the
        signal is older. So nothing that happened here is taken before what was sent
        until then has been read.
        """
        number = len(self._news)
        sent = await self._read_inbox()
        groups, self._news = [*self._news[:number], *sent], self._news[number:]
        groups.sort(key=lambda group: clock.nanoseconds(group[-1].event_time))
        return [event for group in groups for event in group]

    async def _decide_again(self, news: list[HistoryEvent]) -> None:
        assert self.replica is not None
        await self.replica.evict(
            EvictionReason.UNHANDLED_COMMAND, "Error reporting WFT to server"
        )
        self.replica = None
        self._put_back(news)

    def _put_back(self, news: list[HistoryEvent]) -> None:
        if news:
            self._news.insert(0, news)

    # Committing.

    async def _commit(
        self, turn: Turn, news: list[HistoryEvent], shown: Iterable[str]
    ) -> bool:
        replica = self.replica
        assert replica is not None
        writer = self.worker.turn_writer
        drafted = draft(
            writer,
            replica,
            turn,
            owned=self._owned([*self._messages, *shown]),
            default="start" if replica.next_step == 0 else "workflow task",
            attempt=self._attempt_call(1) if self.attempt > 1 else None,
        )
        keeper = self.worker.host.keeper
        losses = keeper.losses
        faults.reach(Point.BEFORE_COMMIT)
        try:
            verdict = await self.worker.writer.write(drafted.row)
        except BaseException:
            drafted.drop(writer)
            self._unsure = (replica.next_step, news)
            self._under_way.not_begun(drafted.begun)
            raise
        if verdict is not Verdict.WRITTEN:
            drafted.drop(writer)
            if verdict is Verdict.LOST:
                raise _Lost
            self._look = True
            await self._decide_again(news)
            return False
        faults.reach(Point.AFTER_COMMIT)
        self._written(replica, drafted, shown)
        if turn.close is not None:
            faults.reach(Point.AFTER_CLOSE)
            await self._after_close(turn.close, drafted.next_row)
            return True
        if keeper.expired or keeper.losses != losses:
            # This process was away, maybe since the commit: what the turn began may
            # have been given up for lost. The journal and the rows say what is ours.
            drafted.drop(writer)
            self._under_way.not_begun(drafted.begun)
            await self._start_over()
            return False
        self._begin_effects(turn, drafted.begun)
        await self.worker.after_turn(self)
        return self.replica is None and self.leaving

    def _owned(self, messages: Sequence[str]) -> Owned:
        held = self._under_way.activities
        return Owned(self.token, self.inbox_seen, messages, held)

    def _attempt_call(self, attempt: int, failure: bytes | None = None) -> Call:
        return turn_row.attempt_call(self.uuid, self.token, attempt, failure)

    def _written(self, replica: Replica, drafted: Draft, shown: Iterable[str]) -> None:
        replica.next_step += len(drafted.row.steps)
        self._messages.clear()
        for message_id in shown:
            self._updates.pop(message_id, None)
        if turn_row.update_answers(drafted.turn):
            self.worker.host.updated(self.uuid)
            called_back = turn_row.update_call_backs(self.uuid, drafted.turn)
            self.worker.host.deliver(called_back)
        self.attempt = 1
        self._under_way.journaled(turn_row.numbers_of(drafted.row.ended))
        self.worker.host.deliver(drafted.entries)

    async def _after_close(self, close: Close, next_row: StartRow | None) -> None:
        self.worker.host.closed(self.uuid, close.event)
        replica, self.replica = self.replica, None
        if next_row is not None:
            self.worker.next_run(next_row)
        self._under_way.orphan()
        if replica is not None:
            self.worker.measure_close(replica.driver, close)
            await replica.evict(
                EvictionReason.WORKFLOW_EXECUTION_ENDING, "Workflow completed"
            )

    def _begin_effects(self, turn: Turn, begun: Sequence[BegunActivity]) -> None:
        assert self.replica is not None, "its turn was just written"
        kind = self.replica.driver.workflow_type
        cancelled = self._under_way.begin(turn, begun, kind)
        if cancelled:
            self._news = [g for g in self._news if timer_of(g) not in cancelled]

    # Queries, failures, the end.

    async def _answer_queries(self) -> bool:
        failed = await self._ready()
        assert self.replica is not None, "it was made ready"
        if not await self._answer(self.replica, failed):
            return False
        if failed is not None:
            return await self._task_failed(failed)
        await self.worker.after_turn(self)
        return False

    async def _answer(self, replica: Replica, failed: TaskFailed | None) -> bool:
        """Answer queries; False if messages must be read for one."""
        if await self._queries.answer(replica, failed, inbox=self.inbox_seen):
            return True
        self._look = True
        return False

    async def _task_failed(self, failed: TaskFailed) -> bool:
        """Journal a first failure, then give the run up for a while."""
        self.worker.measure_failure(failed)
        task_log.failed(self.run_id, failed)
        broken, self.replica = self.replica, None
        assert broken is not None
        # Reported first: the eviction of a deadlocked instance may take for ever.
        fresh = Replica(self.worker.place, self.uuid)
        await fresh.load()
        closes = failed.cause == _NONDETERMINISM and self.worker.fails_workflow(fresh)
        turn, messages = Turn(()), list[str]()
        news = await self._take_news()
        if self.attempt == 1 or closes:
            messages = list(self._messages)
            turn = fresh.driver.fail_task(
                news,
                failed,
                now=self.worker.clock.now(),
                request_id=str(uuid.uuid4()),
                close_run=closes,
                next_run_id=new_run_id(self.worker.clock.nanoseconds() // 1_000_000),
            )
        failure = failed.failure.SerializeToString()
        drafted = draft(
            self.worker.turn_writer,
            fresh,
            turn,
            owned=self._owned(messages),
            default="workflow task failed",
            attempt=self._attempt_call(self.attempt + 1, failure),
        )
        verdict = await self.worker.writer.write(drafted.row)
        await broken.evict(failed.eviction, failed.message)
        if verdict is Verdict.LOST:
            raise _Lost
        if verdict is Verdict.REFUSED:
            self._look = True
            self.replica = None
            return False
        self._messages.clear()
        self._under_way.journaled(turn_row.numbers_of(drafted.row.ended))
        if turn.close is not None:
            self.worker.host.deliver(drafted.entries)
            await self._after_close(turn.close, drafted.next_row)
            return True
        await self._give_up_for(self.worker.retry_delay(self.attempt))
        return True

    async def _give_up_for(self, delay: float) -> None:
        """Release the run so that any worker may try its task again after `delay`."""
        wake_at = None
        if delay > 0:
            now = self.worker.clock.seconds()
            wake_at = int((now + delay) * 1000)
            self.worker.wake_at(now + delay)
        await self._under_way.detach()
        await self._hand_back(wake_at)

    async def _release(self) -> bool:
        """Park the run; False if news came in the meantime."""
        replica, self.replica = self.replica, None
        await self._under_way.detach()
        if replica is not None:
            await replica.evict()
        if self._has_news or self._queries or self._look:
            return False
        wake_at = claims.PARKED_FOR_EVER
        timers = replica.driver.timers if replica else ()
        now = self.worker.clock.seconds()
        moment = waking_time(timers, now, self.worker.ahead)
        if moment is not None:
            self.worker.wake_at(moment)
            wake_at = min(wake_at, int(moment * 1000))
        await self._hand_back(wake_at)
        return True

    async def _hand_back(self, wake_at: int | None) -> None:
        release = Release(self.uuid, self.token, wake_at, self.inbox_seen)
        for row in await claims.release(self.worker.database, [release]):
            if row["status"] == "ENQUEUED":
                self.worker.host.run_queued(row["queue_name"])

    async def _start_over(self) -> None:
        """The database may or may not have the last turn: read everything again."""
        if self.replica is not None:
            replica, self.replica = self.replica, None
            await replica.evict()
        self._look = True
        self._updates = {}
        self._under_way.look_again()

    async def _forget(self, why: str) -> None:
        self._under_way.orphan()
        if self.replica is not None:
            replica, self.replica = self.replica, None
            await replica.evict(EvictionReason.TASK_NOT_FOUND, why)

    def _end(self) -> None:
        self._under_way.timers.stop()
        self._queries.lost()
        self.worker.ended(self)
