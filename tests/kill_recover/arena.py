"""Brings together who dies and who takes over.

A victim is a process of its own for each death. The rescuer is one process for the
whole session that serves every queue, and that was there before the victim was.
"""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, field
from typing import Any

from dbosify._runtime.faults import Point
from dbosify.api.enums.v1 import EventType
from dbosify.api.nexus.v1 import EndpointSpec
from dbosify.api.operatorservice.v1 import CreateNexusEndpointRequest
from dbosify.client import Client, WorkflowHistory, WorkflowUpdateFailedError
from dbosify.service import RPCError
from tests.kill_recover import evidence
from tests.kill_recover.cases import Scenario
from tests.kill_recover.orders import NAMESPACE, start_options
from tests.kill_recover.processes import GoneError, Reins, Stable
from tests.waiting import eventually

RECOVERY = 10.0
"""Seconds from a death to the end of the run: the promise."""

NEXUS_RECOVERY = 40.0
"""Likewise if a handler's call must be made again."""

SHORT_LEASE = {"DBOSIFY_LEASE_SECONDS": "1.5"}
"""For victims, so that a session of many deaths ends in time."""

RESCUER_LEASE = {"DBOSIFY_LEASE_SECONDS": "2.5"}
"""Leases are renewed, and those of others looked at, five times in that."""

DEFAULT_LEASE: dict[str, str] = {}

# The last event of a run that waits for news.
IDLE = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
TIMING = EventType.EVENT_TYPE_TIMER_STARTED
SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
ACTED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED


@dataclass(slots=True)
class Case:
    """One run whose worker comes to grief.

    Attributes:
        scenario: What it is about.
        victim: The worker.
        label: For messages.
        workflow_id: Of the run.
        queue: That victim and rescuer serve.
        down: Whether the victim is known to do nothing more.
        since: The moment from which on the rescuer had to care.
        known: The journal as it stood then.
        updating: Sends the run its updates and gives their answers.
    """

    scenario: Scenario
    victim: Reins
    label: str
    workflow_id: str = field(default_factory=lambda: f"run-{uuid.uuid4()}")
    queue: str = field(default_factory=lambda: f"queue-{uuid.uuid4()}")
    down: bool = False
    since: float = field(default_factory=time.monotonic)
    known: Sequence[evidence.Row] = ()
    updating: asyncio.Task[dict[str, str]] | None = None

    @property
    def cared_for(self) -> bool:
        """Whether the victim is there to do anything for the run."""
        return self.victim.alive and not self.down

    def is_down(self) -> None:
        """From now on the run is the rescuer's, and the time for that runs."""
        self.down = True
        self.since = time.monotonic()


class Arena:
    """The session's rescuer, and what every case needs.

    Args:
        url: Of the database.
        client: Of the programs' namespace.
        stable: Where processes come from.
        rescuer: The one that takes over.
    """

    def __init__(
        self, url: str, client: Client, stable: Stable, rescuer: Reins
    ) -> None:
        """Nobody has died yet."""
        self.url = url
        self.client = client
        self.stable = stable
        self.rescuer = rescuer

    @asynccontextmanager
    async def victim(
        self, scenario: Scenario, fault: str, lease: dict[str, str] = SHORT_LEASE
    ) -> AsyncIterator[Case]:
        """A victim that serves a queue of its own.

        Args:
            scenario: What it will do.
            fault: Where it will come to grief, as ``DBOSIFY_FAULT`` wants it; empty if
                nowhere.
            lease: Its setting of the lease.
        """
        settings = lease | ({"DBOSIFY_FAULT": fault} if fault else {})
        async with self.stable.process(**settings) as victim:
            case = Case(scenario, victim, f"{scenario.name}, {fault or 'unhurt'}")
            options = {"nexus": scenario.nexus, **scenario.options}
            await victim.order(do="serve", queue=case.queue, **options)
            yield case

    @asynccontextmanager
    async def case(
        self, scenario: Scenario, fault: str, lease: dict[str, str] = SHORT_LEASE
    ) -> AsyncIterator[Case]:
        """A victim, and the rescuer on the same queue; see :meth:`victim`."""
        async with (
            self.victim(scenario, fault, lease) as case,
            self.serving(self.rescuer, case.queue, nexus=scenario.nexus),
        ):
            yield case

    @asynccontextmanager
    async def cases(
        self,
        scenario: Scenario,
        faults: Sequence[str],
        lease: dict[str, str] = SHORT_LEASE,
    ) -> AsyncIterator[list[Case]]:
        """A case for each of several faults, side by side; see :meth:`case`."""
        async with AsyncExitStack() as stack:
            made = (self.case(scenario, fault, lease) for fault in faults)
            yield list(await asyncio.gather(*map(stack.enter_async_context, made)))

    @asynccontextmanager
    async def serving(
        self, worker: Reins, queue: str, *, nexus: bool = False
    ) -> AsyncIterator[None]:
        """A process serves a queue while the block runs."""
        await worker.order(do="serve", queue=queue, nexus=nexus)
        try:
            yield
        finally:
            await worker.order(do="leave", queue=queue)

    async def kill(
        self,
        scenario: Scenario,
        point: Point,
        *,
        hits: Sequence[int],
        lease: dict[str, str] = SHORT_LEASE,
    ) -> None:
        """Kill a victim at each of the hits, side by side, and check what follows.

        Args:
            scenario: What the victims do.
            point: Where they are killed.
            hits: At which passages.
            lease: Their setting of the lease.
        """
        faults = [f"{point.name}:kill:{hit}" for hit in hits]
        async with self.cases(scenario, faults, lease) as cases:
            with self._holding(cases):
                await asyncio.gather(*(self._live_and_die(case) for case in cases))
            await asyncio.gather(*(self.conclude(case) for case in cases))

    async def _live_and_die(self, case: Case) -> None:
        await self.begin(case)
        await case.victim.killed()
        case.is_down()
        case.known = await evidence.journal_of(self.url, case.workflow_id)

    @asynccontextmanager
    async def stopping(self, cases: Sequence[Case]) -> AsyncIterator[None]:
        """Let victims live until they are stopped; they go on when the block ends.

        Args:
            cases: Of one scenario.
        """
        beginnings = []
        with self._holding(cases):
            for case in cases:
                beginnings.append(asyncio.create_task(self.begin(case)))
            await asyncio.gather(*(case.victim.stopped() for case in cases))
        for case in cases:
            case.is_down()
            case.known = await evidence.journal_of(self.url, case.workflow_id)
        try:
            yield
            for case in cases:
                if case.victim.alive:
                    case.victim.send(signal.SIGCONT)
            await asyncio.gather(*beginnings)
        finally:
            for beginning in beginnings:
                beginning.cancel()

    def _holding(self, cases: Sequence[Case]) -> AbstractContextManager[None]:
        queued = any(case.scenario.queued for case in cases)
        return self.rescuer.held() if queued else nullcontext()

    async def begin(self, case: Case) -> None:
        """Start the run for its worker, and send it its signals."""
        scenario = case.scenario
        if scenario.nexus:
            await self._open_endpoint(case)
        if scenario.queued:
            await self.client.start_workflow(
                scenario.workflow.__name__,
                args=scenario.args,
                id=case.workflow_id,
                task_queue=case.queue,
                **start_options(**scenario.start),
            )
        else:
            await self.start_in(case.victim, case)
        for number, word in enumerate(scenario.signals):
            await self._signal(case, number, word)
        if scenario.cancelled:
            await eventually(lambda: self.waits(case), patience=RECOVERY)
            await self.client.get_workflow_handle(case.workflow_id).cancel()
        if scenario.updates:
            case.updating = asyncio.create_task(self._update(case))

    async def _open_endpoint(self, case: Case) -> None:
        spec = EndpointSpec(name=case.queue)
        spec.target.worker.namespace = NAMESPACE
        spec.target.worker.task_queue = case.queue
        await self.client.operator_service.create_nexus_endpoint(
            CreateNexusEndpointRequest(spec=spec)
        )

    async def start_in(self, process: Reins, case: Case) -> None:
        """Let a process start the run for its own worker, if it lives so long."""
        with suppress(GoneError):
            await process.order(
                do="start",
                workflow=case.scenario.workflow.__name__,
                workflow_id=case.workflow_id,
                queue=case.queue,
                args=[case.queue] if case.scenario.nexus else list(case.scenario.args),
                options=dict(case.scenario.start),
            )

    async def _signal(self, case: Case, number: int, word: str) -> None:
        """Send a signal once the run waits for it, or nobody is there to wait."""

        async def heard() -> None:
            if case.cared_for:
                await self.waits(case)
                assert number == await self._count(case, SIGNALED)

        await eventually(heard)
        await self.client.get_workflow_handle(case.workflow_id).signal("say", word)

    async def _update(self, case: Case) -> dict[str, str]:
        """Send updates, the first once the run waits for it; give their answers."""

        async def waiting() -> None:
            if case.cared_for:
                await self.waits(case)

        await eventually(waiting, retry_on=(AssertionError, RPCError))
        handle = self.client.get_workflow_handle(case.workflow_id)
        answers = {}
        for update_id in case.scenario.updates:
            name = update_id.split()[0]
            try:
                answer = await handle.execute_update("do", name, id=update_id)
            except WorkflowUpdateFailedError as error:
                answer = str(error.cause)
            answers[update_id] = answer
        return answers

    async def _count(self, case: Case, kind: int) -> int:
        (history,) = await self.histories(case)
        return sum(event.event_type == kind for event in history.events)

    async def waits(self, case: Case) -> None:
        """Check that the run has done its first activity, if any, and waits."""
        (history,) = await self.histories(case)
        kinds = [event.event_type for event in history.events]
        assert kinds[-1] in (IDLE, TIMING)
        assert kinds.count(SCHEDULED) == kinds.count(ACTED)

    async def histories(self, case: Case) -> list[WorkflowHistory]:
        """The journal of the case's runs as it stands."""
        return await evidence.histories_of(self.client, self.url, case.workflow_id)

    async def conclude(self, case: Case) -> list[WorkflowHistory]:
        """Wait until the rescuer has finished the run, and check everything."""
        result = await self.result(case)
        assert result in case.scenario.result, case.label
        try:
            return await evidence.check(
                self.client,
                self.url,
                case.workflow_id,
                attempts=case.scenario.attempts,
                known=case.known,
                endings=case.scenario.endings,
            )
        except AssertionError as error:
            raise AssertionError(f"{case.label}: {error}") from error

    async def result(self, case: Case) -> Any:
        """The run's result, within the time that a recovery may take."""
        handle = self.client.get_workflow_handle(case.workflow_id)
        patience = NEXUS_RECOVERY if case.scenario.nexus else RECOVERY
        left = patience - (time.monotonic() - case.since)
        try:
            result = await asyncio.wait_for(handle.result(), left)
            if case.updating is not None:
                assert await case.updating == case.scenario.updates, case.label
            return result
        except asyncio.TimeoutError:
            events = [
                [EventType.Name(event.event_type) for event in history.events]
                for history in await self.histories(case)
            ]
            raise AssertionError(
                f"{case.label}: not over after {patience:.0f} s: {events};"
                f" the rescuer says: {self.rescuer.said}"
            ) from None
