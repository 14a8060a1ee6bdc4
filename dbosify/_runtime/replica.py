"""A run's instance in this process: the pure driver and the SDK's workflow object.

They live and die together: one is rebuilt from the journal by feeding it what the other
answers. A replica owns nothing; whoever owns the run adds turns, and anyone may build
one just to ask a closed run a question.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dbosify._core import activation as activations
from dbosify._core.driver import RunDriver
from dbosify._core.outcomes import Again, Answered
from dbosify._core.tail import Worker
from dbosify._core.to_nexus import endpoints_named
from dbosify._core.validate import attributes_named
from dbosify._model import ids
from dbosify._model.children import Children
from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.journal import Names
from dbosify._model.protos import (
    EvictionReason,
    HistoryEvent,
    QueryResult,
    WorkflowActivation,
    WorkflowActivationCompletion,
    WorkflowActivationJob,
    WorkflowExecution,
)
from dbosify._model.registered import Registered
from dbosify._store import journal, nexus
from dbosify._store.engine import Database, Rows
from dbosify._store.gathering import Gathering
from dbosify._store.search_attributes import known_among

from . import faults
from .held_locals import HeldLocals
from .local_activity_worker import LocalActivityWorker, RunOfLocal

Ask = Callable[[WorkflowActivation], Awaitable[WorkflowActivationCompletion]]


class RunVanished(Exception):
    """The run's rows are gone (deleted through DBOS, say)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where replicas live: what is the same for all runs of a worker."""

    database: Database
    journals: Gathering[Rows]
    namespace: str
    task_queue: str
    worker: Worker
    ask: Ask
    locals: LocalActivityWorker | None = None
    """Runs the local activities of the runs, if the worker has activities."""


class Replica:
    """One run, rebuilt and driven.

    Args:
        place: where it lives.
        workflow_uuid: of the run.
        on_local_outcome: called when a local activity of the run is over.
    """

    def __init__(
        self,
        place: Place,
        workflow_uuid: str,
        on_local_outcome: Callable[[], None] = lambda: None,
    ) -> None:
        self.workflow_uuid = workflow_uuid
        self.run_id = ids.run_id_of(workflow_uuid)
        self.names = Names()
        self.children = Children()
        self.next_step = 0
        self.driver = self._new_driver(place)
        self.locals = HeldLocals(place.locals, on_local_outcome)
        self._place = place
        self._instance = False

    def _new_driver(self, place: Place) -> RunDriver:
        return RunDriver(
            ids.workflow_id_of(self.workflow_uuid),
            self.run_id,
            namespace=place.namespace,
            task_queue=place.task_queue,
            worker=place.worker,
        )

    async def load(self) -> None:
        """Read the journal.

        Raises:
            RunVanished: there is none.
        """
        rows = await self._place.journals.get(self.workflow_uuid)
        loaded = journal.of_rows(rows or [])
        if loaded is None:
            raise RunVanished(self.workflow_uuid)
        faults.reach(faults.Point.AFTER_LOAD)
        self.begin_with(loaded.events, loaded.next_step)

    def begin_with(self, events: list[HistoryEvent], next_step: int) -> None:
        """Take a journal that is known already."""
        self.driver.load(events)
        self.next_step = next_step
        for event in events:
            self.names.learn(event)
            self.children.learn(event)

    async def rebuild(self) -> TaskFailed | None:
        """Replay the journal; says what went wrong, if the code does not fit it."""
        while (shown := self.driver.next_replay()) is not None:
            outcome = shown if isinstance(shown, TaskFailed) else await self.work(shown)
            if isinstance(outcome, TaskFailed):
                return outcome
        return None

    async def work(self, activation: WorkflowActivation) -> object:
        """Let the SDK work on a workflow task until there is nothing to show."""
        while True:
            self._instance = True
            completion = await self._place.ask(activation)
            registered = None
            if not activation.is_replaying:
                registered = await self._registered(completion)
            outcome = self.driver.complete(completion, registered)
            self.run_locals()
            if not isinstance(outcome, Again):
                return outcome
            activation = outcome.activation

    def run_locals(self) -> None:
        """Let local activities begin and end as the driver wants."""
        if self.driver.local_orders:
            execution = WorkflowExecution(
                workflow_id=self.driver.workflow_id, run_id=self.run_id
            )
            run = RunOfLocal(
                self.driver.namespace, execution, self.driver.workflow_type
            )
            self.locals.obey(self.driver.local_orders, run)

    async def _registered(
        self, completion: WorkflowActivationCompletion
    ) -> Registered | None:
        """What the commands speak of; asks only if they do."""
        commands = completion.successful.commands
        attributes = attributes_named(commands, self.driver.translator.carried)
        endpoints = endpoints_named(commands)
        if not attributes and not endpoints:
            return None
        database = self._place.database
        return Registered(
            self._place.namespace,
            await known_among(database, attributes) if attributes else {},
            await nexus.endpoint_ids(database, endpoints) if endpoints else {},
        )

    async def query(self, job: WorkflowActivationJob) -> QueryResult:
        """Ask the rebuilt run."""
        outcome = await self.work(self.driver.query([job]))
        assert isinstance(outcome, Answered), "a query activation is only answered"
        if outcome.failure is not None:
            return failed_query(job, outcome.failure.message)
        for result in outcome.results:
            return result
        return failed_query(job, "the workflow did not answer")

    async def evict(
        self,
        reason: int = EvictionReason.CACHE_FULL,
        message: str = "Workflow cache full",
    ) -> None:
        """Make the SDK forget the run; the replica is of no use afterwards."""
        self.locals.drop()
        if self._instance:
            self._instance = False
            await self._place.ask(activations.eviction(self.run_id, reason, message))


def failed_query(job: WorkflowActivationJob, message: str) -> QueryResult:
    """A query's answer when the workflow could not be asked."""
    result = QueryResult(query_id=job.query_workflow.query_id)
    result.failed.message = message
    return result


__all__ = ["Place", "Replica", "RunVanished", "Turn", "failed_query"]
