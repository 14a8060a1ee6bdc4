"""The workflows that lose their worker, and the activities whose effects are counted.

They run outside of the sandbox: what it costs to load would be paid by each of the many
processes, and it has no part in what is tested here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import nexusrpc.handler

from dbosify import activity, nexus, workflow
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError, ApplicationError
from dbosify.service import RPCError, RPCStatusCode
from tests.kill_recover import effects
from tests.kill_recover.effects import Effect

PATIENT = timedelta(minutes=5)
"""So long that no timeout but the worker's lease can be what saves a run."""

TOP = 4
"""Where :meth:`Activities.climb` ends."""

SLOW = 1.2
"""Seconds that :meth:`Activities.act_slowly` takes."""

HANDED = "handed"
"""The id of the activity that :class:`SpokenFor` has completed from outside."""

STEP_TAKES = 0.1
"""Seconds of work between two heartbeats of it."""


class Activities:
    """Activities that leave a trace.

    Args:
        url: Of the database with the table of effects.
    """

    def __init__(self, url: str) -> None:
        """Remember where to write."""
        self._url = url

    @property
    def all(self) -> list[Callable[..., Any]]:
        """For a worker."""
        return [
            self.act,
            self.act_slowly,
            self.climb,
            self.linger,
            self.hand_over,
            self.speak_for,
        ]

    @activity.defn
    async def act(self, name: str) -> str:
        """Have an effect and return its name."""
        await self._leave_trace(name)
        return name

    @activity.defn
    async def act_slowly(self, name: str) -> str:
        """Have an effect, and return its name when a workflow task would be over."""
        await self._leave_trace(name)
        await asyncio.sleep(SLOW)
        return name

    @activity.defn
    async def climb(self) -> list[int]:
        """Step by step to the top; an attempt goes on where the last one was heard of.

        Returns:
            The step that the attempt started from, and the top.
        """
        details = activity.info().heartbeat_details
        start = int(details[0]) if details else 0
        await self._leave_trace(f"from {start}")
        for step in range(start + 1, TOP + 1):
            await self._leave_trace(f"from {start} to {step}")
            activity.heartbeat(step)
            await asyncio.sleep(STEP_TAKES)
        return [start, TOP]

    @activity.defn
    async def linger(self) -> str:
        """Return at the second attempt; the first one only ends with its worker."""
        attempt = activity.info().attempt
        await self._leave_trace("lingers")
        if attempt == 1:
            await asyncio.Event().wait()
        return f"attempt {attempt}"

    @activity.defn
    async def hand_over(self) -> str:
        """Leave the outcome to somebody else."""
        await self._leave_trace("handed over")
        activity.raise_complete_async()

    @activity.defn
    async def speak_for(self, activity_id: str) -> str:
        """Complete another activity of the run, unless that is done already."""
        info = activity.info()
        await self._leave_trace("speaks")
        handle = activity.client().get_async_activity_handle(
            workflow_id=info.workflow_id or "",
            run_id=info.workflow_run_id,
            activity_id=activity_id,
        )
        try:
            await handle.complete("said for it")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return "spoke"

    async def _leave_trace(self, detail: str) -> None:
        info = activity.info()
        # An activity without a workflow is known by its own ids.
        effect = Effect(
            workflow_id=info.workflow_id or info.activity_id,
            run_id=info.workflow_run_id or info.activity_run_id or "",
            activity_id=info.activity_id,
            attempt=info.attempt,
            detail=detail,
            pid=os.getpid(),
        )
        await effects.write(self._url, effect)


async def _act(name: str) -> str:
    return await workflow.execute_activity_method(
        Activities.act, name, start_to_close_timeout=PATIENT
    )


@workflow.defn(sandboxed=False)
class Sequential:
    """One activity after the other."""

    @workflow.run
    async def run(self) -> list[str]:
        """Do three things."""
        return [await _act(name) for name in ("first", "second", "third")]


@workflow.defn(sandboxed=False)
class Parallel:
    """Activities side by side, between two that are alone."""

    @workflow.run
    async def run(self) -> list[str]:
        """Do five things, three of them at once."""
        before = await _act("before")
        beside = await asyncio.gather(*(_act(name) for name in ("a", "b", "c")))
        return [before, *beside, await _act("after")]


@workflow.defn(sandboxed=False)
class Timers:
    """Activities around two timers that run at the same time."""

    @workflow.run
    async def run(self) -> list[str]:
        """Do a thing, wait, do another."""
        before = await _act("before")
        await asyncio.gather(workflow.sleep(0.2), workflow.sleep(0.4))
        return [before, await _act("after")]


@workflow.defn(sandboxed=False)
class LongTimer:
    """A timer that is still running when the lease of a dead worker has run out."""

    @workflow.run
    async def run(self) -> list[str]:
        """Wait, then do a thing."""
        await workflow.sleep(3)
        return [await _act("after")]


@workflow.defn(sandboxed=False)
class Signals:
    """Waits for two signals between two activities."""

    def __init__(self) -> None:
        """Nothing is said yet."""
        self._said: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        """Do a thing, listen, do another."""
        before = await _act("before")
        await workflow.wait_condition(lambda: len(self._said) >= len(SIGNALS))
        return [before, *self._said, await _act("after")]

    @workflow.signal
    def say(self, word: str) -> None:
        """Hear a word."""
        self._said.append(word)

    @workflow.query
    def heard(self) -> list[str]:
        """What was said."""
        return self._said


SIGNALS = ("one", "two")
"""What :class:`Signals` waits for."""


@workflow.defn(sandboxed=False)
class Updates:
    """Does a thing for each update, unless it has done it; two are enough."""

    def __init__(self) -> None:
        """Nothing is done yet."""
        self._done: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        """Wait for two."""
        await workflow.wait_condition(
            lambda: len(self._done) == 2 and workflow.all_handlers_finished()
        )
        return self._done

    @workflow.update
    async def do(self, name: str) -> str:
        """Do it."""
        await _act(name)
        self._done.append(name)
        return f"{name} is done"

    @do.validator
    def _check(self, name: str) -> None:
        if name in self._done:
            raise ApplicationError(f"{name} was done")


UPDATES = {
    "one": "one is done",
    "one again": "one was done",
    "two": "two is done",
}
"""Ids of what :class:`Updates` is sent, and the answers; the first word is meant."""


@workflow.defn(sandboxed=False)
class Chain:
    """Continues as new twice, with an activity in each run."""

    @workflow.run
    async def run(self, done: list[str]) -> list[str]:
        """Do one of three things."""
        done = [*done, await _act(f"link {len(done)}")]
        if len(done) < 3:
            workflow.continue_as_new(done)
        return done


@workflow.defn(sandboxed=False)
class Retried:
    """Fails until its third attempt, with an activity in each."""

    @workflow.run
    async def run(self) -> str:
        """Do a thing, and say which attempt did."""
        done = await _act(f"attempt {workflow.info().attempt}")
        if workflow.info().attempt < 3:
            raise ApplicationError(done)
        return done


@workflow.defn(sandboxed=False)
class Hops:
    """A cron that ends itself, by continuing as new, in its second run."""

    @workflow.run
    async def run(self, done: list[str] | None = None) -> list[str]:
        """Do a thing more than the run before."""
        if done is not None:
            return done
        last: list[str] = []
        if workflow.has_last_completion_result():
            last = workflow.get_last_completion_result(list[str]) or []
        done = [*last, await _act(f"hop {len(last)}")]
        if len(done) == 2:
            workflow.continue_as_new(done)
        return done


@workflow.defn(sandboxed=False)
class Dawdles:
    """Does nothing until it is out of time, then a thing."""

    @workflow.run
    async def run(self) -> str:
        """Wait for ever, or not."""
        if workflow.info().attempt == 1:
            await workflow.wait_condition(lambda: False)
        return await _act("after all")


@workflow.defn(sandboxed=False)
class Fragile:
    """Activities that must not run twice, even if that means that they never do."""

    @workflow.run
    async def run(self) -> list[str]:
        """Try two things, each once."""
        return [await self._once("first"), await self._once("second")]

    async def _once(self, name: str) -> str:
        try:
            return await workflow.execute_activity_method(
                Activities.act,
                name,
                start_to_close_timeout=PATIENT,
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityError:
            return f"{name} lost"


@workflow.defn(sandboxed=False)
class Heartbeats:
    """One long activity that says how far it is."""

    @workflow.run
    async def run(self) -> list[int]:
        """Climb."""
        return await workflow.execute_activity_method(
            Activities.climb,
            start_to_close_timeout=PATIENT,
            heartbeat_timeout=PATIENT,
        )


@workflow.defn(sandboxed=False)
class Lingers:
    """An activity that has to be taken from its worker."""

    @workflow.run
    async def run(self) -> str:
        """Linger."""
        return await workflow.execute_activity_method(
            Activities.linger, start_to_close_timeout=PATIENT
        )


@workflow.defn(sandboxed=False)
class SpokenFor:
    """An activity that another one completes."""

    @workflow.run
    async def run(self) -> list[str]:
        """Have both at once."""
        both = await asyncio.gather(
            workflow.execute_activity_method(
                Activities.hand_over,
                activity_id=HANDED,
                start_to_close_timeout=PATIENT,
            ),
            workflow.execute_activity_method(
                Activities.speak_for, HANDED, start_to_close_timeout=PATIENT
            ),
        )
        return list(both)


async def _act_locally(name: str) -> str:
    return await workflow.execute_local_activity_method(
        Activities.act, name, start_to_close_timeout=PATIENT
    )


@workflow.defn(sandboxed=False)
class Local:
    """Local activities of two workflow tasks, with a timer between them."""

    @workflow.run
    async def run(self) -> list[str]:
        """Do two things at once, wait, do another."""
        both = await asyncio.gather(_act_locally("first"), _act_locally("second"))
        await workflow.sleep(0.1)
        return [*both, await _act_locally("third")]


@workflow.defn(sandboxed=False)
class LongLocal:
    """A local activity that takes longer than a workflow task."""

    @workflow.run
    async def run(self) -> str:
        """Do a thing slowly."""
        return await workflow.execute_local_activity_method(
            Activities.act_slowly, "slow", start_to_close_timeout=PATIENT
        )


@workflow.defn(sandboxed=False)
class Errand:
    """What a parent lets its child do."""

    @workflow.run
    async def run(self) -> str:
        """Do a thing."""
        return await _act("errand")


@workflow.defn(sandboxed=False)
class Fired:
    """What schedules start by the thousand: ends at once, or lasts for a while."""

    @workflow.run
    async def run(self, seconds: float, acts: bool) -> None:
        """Last for some seconds, and have an effect if `acts`."""
        if seconds:
            await workflow.sleep(seconds)
        if acts:
            await _act("fired")


@workflow.defn(sandboxed=False)
class Parent:
    """A child between two activities."""

    @workflow.run
    async def run(self) -> list[str]:
        """Do a thing, have one done, do another."""
        before = await _act("before")
        child = await workflow.execute_child_workflow(
            Errand.run, id=f"{workflow.info().workflow_id}-errand"
        )
        return [before, child, await _act("after")]


@workflow.defn(sandboxed=False)
class Listens:
    """Returns all that it hears before it has done a thing, or that it must end."""

    def __init__(self) -> None:
        """Nothing is said yet."""
        self._said: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        """Listen."""
        try:
            await workflow.wait_condition(lambda: bool(self._said))
        except asyncio.CancelledError:
            return ["cancelled"]
        await _act("after it was said")
        return self._said

    @workflow.signal
    def say(self, word: str) -> None:
        """Hear a word."""
        self._said.append(word)


@workflow.defn(sandboxed=False)
class Stops:
    """Waits until it is to end, and cleans up."""

    @workflow.run
    async def run(self) -> list[str]:
        """Do a thing, and another when that is over."""
        before = await _act("before")
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            return [before, await _act("cleaned up")]
        return [before]


@workflow.defn(sandboxed=False)
class Meddles:
    """Signals one workflow and cancels another, neither of them as its child."""

    @workflow.run
    async def run(self) -> list[list[str]]:
        """Have both there, send to both, and wait for both."""
        own_id = workflow.info().workflow_id
        told = await workflow.start_child_workflow(Listens.run, id=f"{own_id}-told")
        ended = await workflow.start_child_workflow(Listens.run, id=f"{own_id}-ended")
        await workflow.get_external_workflow_handle(told.id).signal("say", "word")
        await workflow.get_external_workflow_handle(ended.id).cancel()
        return [await told, await ended]


@nexusrpc.handler.service_handler
class Desk:
    """Has errands done for workflows of whatever namespace."""

    @nexusrpc.handler.sync_operation
    async def greet(
        self, ctx: nexusrpc.handler.StartOperationContext, name: str
    ) -> str:
        """Answer at once."""
        return f"hello {name}"

    @nexus.workflow_run_operation
    async def errand(
        self, ctx: nexus.WorkflowRunOperationContext, workflow_id: str
    ) -> nexus.WorkflowHandle[str]:
        """Have a workflow do it."""
        return await ctx.start_workflow(Errand.run, id=workflow_id)


@workflow.defn(sandboxed=False)
class Calls:
    """Two Nexus operations: one is answered at once, one has a workflow behind it."""

    @workflow.run
    async def run(self, endpoint: str) -> list[str]:
        """Call both, one after the other."""
        client = workflow.create_nexus_client(service=Desk, endpoint=endpoint)
        greeting = await client.execute_operation(Desk.greet, "you")
        errand_id = f"{workflow.info().workflow_id}-errand"
        return [greeting, await client.execute_operation(Desk.errand, errand_id)]


WORKFLOWS = (
    Calls,
    Sequential,
    Parallel,
    Timers,
    LongTimer,
    Signals,
    Updates,
    Chain,
    Retried,
    Hops,
    Dawdles,
    Fragile,
    Heartbeats,
    Lingers,
    SpokenFor,
    Local,
    LongLocal,
    Errand,
    Fired,
    Parent,
    Listens,
    Stops,
    Meddles,
)
"""What every worker serves."""
