"""Everything that a workflow can go through, each as a journey from start to result.

A journey's traveller is a client that knows how to wait: whatever it asks for, it asks
again while the database is away, in words that mean the same thing the second time.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from dbosify.api.common.v1 import Payload, Payloads, WorkflowExecution
from dbosify.api.enums.v1 import EventType
from dbosify.api.workflowservice.v1 import (
    ResetWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
)
from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from dbosify.common import ActivityIDReusePolicy, WorkflowIDReusePolicy
from dbosify.exceptions import ActivityAlreadyStartedError, WorkflowAlreadyStartedError
from dbosify.service import RPCError, RPCStatusCode
from tests.kill_recover.cases import Scenario, scenario_named
from tests.kill_recover.fleet import ENDPOINT, QUEUE
from tests.kill_recover.orders import start_options
from tests.kill_recover.scenarios import (
    PATIENT,
    SIGNALS,
    TOP,
    Calls,
    Errand,
    Listens,
    Sequential,
    Signals,
)
from tests.waiting import eventually

T = TypeVar("T")

PATIENCE = 900.0
"""Seconds that a journey may take, faults and all: a Nexus operation that met several
disasters waits for minutes before it is tried again, as in Temporal."""

RPC_TIMEOUT = timedelta(seconds=10)
"""So short that an answer which got lost is asked for again in time."""

ASK_AGAIN = 0.2
"""Seconds between two tries of a request."""

PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
    }
)
"""Statuses that say that it may be asked again."""

FIRINGS = 2
"""Of the schedule."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One journey under way.

    Attributes:
        client: Of the traveller.
        id: Of its workflow; all others that belong to it begin with this.
    """

    client: Client
    id: str = field(default_factory=lambda: f"trip-{uuid.uuid4()}")


@dataclass(frozen=True, slots=True)
class Journey:
    """A kind of run.

    Attributes:
        name: For messages.
        travel: Goes through it; gives the result.
        same: Makes results equal that are as good as each other.
        attempts: The most that an activity may have been tried.
        repeats: Whether a run begins with what another one did.
        effects_vary: Whether it depends on the faults which effects there are.
    """

    name: str
    travel: Callable[[Trip], Awaitable[Any]]
    same: Callable[[Any], Any] = lambda result: result
    attempts: int = 1000
    repeats: bool = False
    effects_vary: bool = False


async def outlast(call: Callable[[], Awaitable[T]]) -> T:
    """Make a request until it is answered."""

    async def once() -> T:
        try:
            return await call()
        except asyncio.CancelledError as error:
            # Some of the SDK's calls take their own deadline for a cancellation.
            if isinstance(error.__cause__, RPCError):
                raise error.__cause__ from None
            raise

    return await eventually(
        once,
        patience=PATIENCE,
        retry_on=(RPCError, WorkflowUpdateRPCTimeoutOrCancelledError),
        retry_if=lambda e: not isinstance(e, RPCError) or e.status in PASSING,
        pause=ASK_AGAIN,
    )


async def _start(
    trip: Trip, workflow: type, *args: Any, **options: Any
) -> WorkflowHandle[Any, Any]:
    async def once() -> None:
        try:
            await trip.client.start_workflow(
                workflow.__name__,
                args=args,
                id=trip.id,
                task_queue=QUEUE,
                # A start whose answer got lost is known by its id.
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                rpc_timeout=RPC_TIMEOUT,
                **options,
            )
        except WorkflowAlreadyStartedError:
            return

    await outlast(once)
    return trip.client.get_workflow_handle(trip.id)


async def _result(handle: WorkflowHandle[Any, Any]) -> Any:
    return await outlast(partial(handle.result, rpc_timeout=RPC_TIMEOUT))


async def _signal(trip: Trip, word: str) -> None:
    content = Payload(metadata={"encoding": b"json/plain"}, data=_json(word))
    request = SignalWorkflowExecutionRequest(
        namespace=trip.client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=trip.id),
        signal_name="say",
        input=Payloads(payloads=[content]),
        # What the handle's own method would choose anew each time.
        request_id=f"{trip.id} {word}",
    )
    service = trip.client.workflow_service
    await outlast(
        lambda: service.signal_workflow_execution(
            request, retry=True, timeout=RPC_TIMEOUT
        )
    )


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


async def _update(
    handle: WorkflowHandle[Any, Any], update_id: str, expected: str
) -> None:
    async def once() -> str:
        try:
            answer = await handle.execute_update(
                "do", update_id.split()[0], id=update_id, rpc_timeout=RPC_TIMEOUT
            )
        except WorkflowUpdateFailedError as error:
            return str(error.cause)
        return str(answer)

    answer = await outlast(once)
    assert answer == expected, f"update {update_id}: {answer}"


async def _through(scenario: Scenario, trip: Trip) -> Any:
    """What the tests of single deaths go through as well."""
    options = start_options(**scenario.start)
    handle = await _start(trip, scenario.workflow, *scenario.args, **options)
    for word in scenario.signals:
        await _signal(trip, word)
    for update_id, expected in scenario.updates.items():
        await _update(handle, update_id, expected)
    result = await _result(handle)
    assert result in scenario.result, f"{result} is not of {scenario.result}"
    return result


async def _ask_all_along(trip: Trip) -> Any:
    """Queries all the time, who dies or not; what they tell only grows."""
    handle = await _start(trip, Signals)
    asking = asyncio.create_task(_ask(handle))
    try:
        for word in SIGNALS:
            await _signal(trip, word)
        return await _result(handle)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        if not asking.cancelled():
            await asking


async def _ask(handle: WorkflowHandle[Any, Any]) -> None:
    heard: list[str] = []
    while True:
        query = partial(handle.query, Signals.heard, rpc_timeout=RPC_TIMEOUT)
        now = await outlast(query)
        assert now[: len(heard)] == heard, f"{now} after {heard}"
        heard = now


async def _cancel(trip: Trip) -> Any:
    handle = await _start(trip, Listens)
    await outlast(partial(handle.cancel, rpc_timeout=RPC_TIMEOUT))
    return await _result(handle)


async def _call(trip: Trip) -> Any:
    return await _result(await _start(trip, Calls, ENDPOINT))


async def _reset(trip: Trip) -> Any:
    """Reset a run that is over to its second task, and wait for the other one."""
    first = await _result(await _start(trip, Sequential))
    handle = trip.client.get_workflow_handle(trip.id)
    history = await outlast(partial(handle.fetch_history, rpc_timeout=RPC_TIMEOUT))
    tasks = [
        event.event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    request = ResetWorkflowExecutionRequest(
        namespace=trip.client.namespace,
        workflow_execution=WorkflowExecution(
            workflow_id=trip.id, run_id=history.run_id
        ),
        workflow_task_finish_event_id=tasks[1],
        request_id=trip.id,
        reason="once more",
    )
    service = trip.client.workflow_service
    answer = await outlast(
        lambda: service.reset_workflow_execution(
            request, retry=True, timeout=RPC_TIMEOUT
        )
    )
    again = trip.client.get_workflow_handle(trip.id, run_id=answer.run_id)
    return [first, await _result(again)]


async def _schedule(trip: Trip) -> Any:
    """A schedule that fires a few times; gives their results."""
    schedule = Schedule(
        ScheduleActionStartWorkflow(Errand.run, id=trip.id, task_queue=QUEUE),
        ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=1))]),
        SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL),
        ScheduleState(limited_actions=True, remaining_actions=FIRINGS),
    )

    async def create() -> None:
        try:
            await trip.client.create_schedule(
                trip.id, schedule, rpc_timeout=RPC_TIMEOUT
            )
        except ScheduleAlreadyRunningError:
            return

    await outlast(create)
    handle = trip.client.get_schedule_handle(trip.id)

    async def fired() -> list[str]:
        told = await outlast(partial(handle.describe, rpc_timeout=RPC_TIMEOUT))
        assert told.info.num_actions >= FIRINGS
        actions = [recent.action for recent in told.info.recent_actions]
        return [
            action.workflow_id
            for action in actions
            if isinstance(action, ScheduleActionExecutionStartWorkflow)
        ]

    ids = await eventually(fired, patience=PATIENCE, pause=ASK_AGAIN)
    handles = [trip.client.get_workflow_handle(started) for started in ids]
    return [await _result(handle) for handle in handles]


async def _alone(trip: Trip) -> Any:
    """An activity without a workflow."""

    async def start() -> None:
        try:
            await trip.client.start_activity(
                "act",
                args=["alone"],
                id=trip.id,
                task_queue=QUEUE,
                start_to_close_timeout=PATIENT,
                id_reuse_policy=ActivityIDReusePolicy.REJECT_DUPLICATE,
                rpc_timeout=RPC_TIMEOUT,
            )
        except ActivityAlreadyStartedError:
            return

    await outlast(start)
    handle = trip.client.get_activity_handle(trip.id)
    return await outlast(partial(handle.result, rpc_timeout=RPC_TIMEOUT))


def _journey(name: str, **options: Any) -> Journey:
    return Journey(name, partial(_through, scenario_named(name)), **options)


JOURNEYS = (
    _journey("sequential activities"),
    _journey("parallel activities"),
    _journey("timers"),
    _journey("long timer"),
    _journey("signals"),
    _journey("updates"),
    _journey("continue-as-new"),
    _journey("workflow retry"),
    _journey("cron hop"),
    _journey("run timeout"),
    _journey(
        "at most once", attempts=1, effects_vary=True, same=lambda _: "done or lost"
    ),
    _journey("heartbeats", effects_vary=True, same=lambda result: result[-1] == TOP),
    _journey("completed from outside", effects_vary=True),
    _journey("local activities"),
    _journey("long local activity"),
    _journey("child workflow"),
    _journey("signal and cancel request to others"),
    Journey("query", _ask_all_along),
    Journey("cancellation", _cancel),
    Journey("nexus operations", _call),
    Journey("reset", _reset, repeats=True),
    Journey("schedule", _schedule),
    Journey("activity alone", _alone),
)
