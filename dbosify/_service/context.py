"""What an RPC function is given besides its request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from dbosify._model.activity import ActivityRow, AttemptState, Progress
from dbosify._model.nexus import NexusOperation
from dbosify._model.outbox import Entry
from dbosify._model.protos import (
    Failure,
    HistoryEvent,
    Link,
    NexusResponse,
    Payload,
    Payloads,
    QueryResult,
    Timestamp,
)
from dbosify._store.claims import Claim, Owner
from dbosify._store.engine import Database
from dbosify._store.runs import StartRow


class Surroundings(Protocol):
    """The process around a request: its workers, its hints, its clock."""

    @property
    def skipped_time(self) -> SkippedTime | None:
        """The clock that tests set ahead, if the database has one."""

    def attempt(self, row: ActivityRow) -> Attempt:
        """The core's machine for an activity's attempts."""

    def nexus_calls(self, operation: NexusOperation) -> NexusCalls:
        """The core's machine for the calls of an operation's handler."""

    def nexus_due(self, task_queue: str, moment: float) -> None:
        """Tell workers when a handler has to be called, seconds since 1970."""

    def now(self) -> Timestamp:
        """The database's time, as well as this process knows it."""

    async def settled(self, task_queue: str) -> None:
        """Wait for workers of this process that are just beginning."""

    def reserve(self, row: StartRow) -> Owner | None:
        """A worker of this process that could run a new run at once."""

    def hand_over(
        self, queue: str, claim: Claim, events: Sequence[HistoryEvent]
    ) -> None:
        """Give a run that was started for it to a worker of this process."""

    def run_queued(self, task_queue: str) -> None:
        """Tell workers, here and elsewhere, that a run was queued."""

    async def rerouted(self) -> None:
        """Tell workers of versions that runs may go elsewhere now.

        Those of this process know it by the end.
        """

    def wake_at(self, moment: float) -> None:
        """Look for parked runs that are due at `moment`, seconds since 1970."""

    def messaged(self, workflow_uuid: str) -> None:
        """Tell the run's owner that it has a message."""

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Begin to deliver what lies in the outbox since a moment ago."""

    def closed(self, workflow_uuid: str, event: HistoryEvent | None) -> None:
        """Tell whoever waits for the run that it is closed."""

    async def create_namespace(self, namespace: str) -> Database:
        """Make a namespace if it is not there; its tables."""

    async def time_out(self, workflow_uuid: str) -> None:
        """Close a run that is out of time."""

    def owns(self, workflow_uuid: str) -> bool:
        """Whether a worker of this process owns the run, which then is open."""

    def watch(self, workflow_uuid: str) -> AbstractContextManager[Watch]:
        """Be told of what happens to a run; hints may be missed."""

    def watch_close(self, workflow_uuid: str) -> AbstractContextManager[Watch]:
        """Be told of a run's close, a second late if the hint is missed."""

    async def query_here(
        self, workflow_uuid: str, request: bytes, min_inbox: int
    ) -> QueryResult | None:
        """Ask a run that this process owns; None if it does not."""

    def batch_begun(self) -> None:
        """Tell workers that there is a batch operation to do."""

    def schedule_changed(self) -> None:
        """Tell workers that a schedule may be due at another time."""

    def query_left(self, task_queue: str) -> None:
        """Tell workers that a query waits in the mailbox."""


class Watch(Protocol):
    """A wait for something to happen to a run; hints may be missed."""

    event: HistoryEvent | None
    """The closing event, if the hint brought it along."""

    async def wait(self, seconds: float) -> None:
        """Return at the next hint, or after `seconds`."""


class Attempt(Protocol):
    """What the core knows of an activity's attempts; see its machine."""

    progress: Progress
    closing: tuple[HistoryEvent, ...] | None

    @property
    def attempt_state(self) -> AttemptState:
        """Where the activity stands."""

    @property
    def deadline(self) -> float | None:
        """When it must be looked at, seconds since 1970."""

    def due(self, now: float) -> None:
        """The deadline has come."""

    def start(self, now: float, *, identity: str, token: str) -> None:
        """Somebody takes the attempt."""

    def beat(self, now: float, details: Payloads | None, identity: str) -> None:
        """The attempt is alive."""

    def complete(self, now: float, result: Payloads | None, identity: str) -> None:
        """The attempt returned."""

    def fail(self, now: float, failure: Failure, identity: str) -> None:
        """The attempt raised."""

    def canceled(self, now: float, details: Payloads | None, identity: str) -> None:
        """The attempt ended because it was asked to."""

    def cancel(self, now: float) -> None:
        """Somebody asks for the end."""


class NexusCalls(Protocol):
    """What the core knows of the calls of an operation's handler; see its machine."""

    operation: NexusOperation
    news: list[HistoryEvent]
    """What the caller has to be told."""

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""

    def answer(self, now: float, response: NexusResponse | Failure) -> None:
        """The handler answers the call that is under way."""

    def unanswered(self, now: float) -> None:
        """The call that was under way has not been answered in time."""

    def report(
        self,
        now: float,
        outcome: Payload | Failure | None,
        *,
        token: str = "",
        links: Iterable[Link] = (),
    ) -> None:
        """Whoever worked on it reports the end."""

    def ask_cancel(self, now: float, event: HistoryEvent) -> None:
        """The caller wishes to cancel it."""

    def expire(self, now: float) -> bool:
        """End it if it is out of time."""

    def conclude(
        self,
        now: float,
        outcome: Payload | Failure | None,
        links: Iterable[Link] = (),
    ) -> None:
        """End it without a call of any handler."""


class SkippedTime(Protocol):
    """Time as tests move it."""

    def lock(self) -> None:
        """Hold time as it is."""

    def unlock(self) -> None:
        """Let time be skipped, unless others hold it locked."""

    async def sleep(self, seconds: float) -> None:
        """Skip that much time."""

    async def wait_until(self, moment: float) -> None:
        """Wait until the clock shows `moment`, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Context:
    """One request's surroundings."""

    database: Database
    namespace: str
    around: Surroundings
    deadline: float | None
    """When the caller gives up, on the event loop's clock."""

    def time_left(self, most: float) -> float:
        """Seconds that may be waited, at most `most`."""
        if self.deadline is None:
            return most
        return min(most, self.deadline - asyncio.get_running_loop().time())
