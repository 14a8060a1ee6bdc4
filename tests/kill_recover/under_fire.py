"""Schedules whose workers are killed all the time: ``python -m …under_fire``.

Many schedules of every overlap policy fire each second, while one worker process after
the other is killed and another one comes in its place. When their last time is over,
each must have done what its policy says: see :mod:`~tests.kill_recover.firing_rules`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from dbosify._runtime import embedded
from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowExecution,
)
from dbosify.common import SearchAttributeKey
from tests.kill_recover import effects
from tests.kill_recover.firing_rules import EVERY, Counts, Run, wrong
from tests.kill_recover.orders import NAMESPACE_VARIABLE
from tests.kill_recover.processes import Reins, Stable
from tests.kill_recover.scenarios import Fired
from tests.waiting import eventually

NAMESPACE = "under-fire"
"""Nobody else has workers there, so that only those fire who may be killed."""

QUEUE = "under-fire"

CATCHUP = timedelta(seconds=60)
"""Longer than a takeover takes: whatever comes later than that is counted as missed."""

PATIENCE = 300.0
"""Seconds after the last time for all that was started to end."""

AT_ONCE = 8
"""Requests under way at the same time while schedules are made or asked."""

MAKING = 0.02
"""Seconds that it takes to make a schedule, several at a time."""

SCHEDULE_ID = SearchAttributeKey.for_keyword("TemporalScheduledById")
NOMINAL = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of it.

    Attributes:
        schedules: How many.
        seconds: For how long they fire, once a second.
        kill_every: Seconds between two deaths.
        lease: Seconds that pass before others care for the runs of a dead process.
        members: Worker processes.
    """

    schedules: int
    seconds: int
    kill_every: float
    lease: float = 5.0
    members: int = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """What a schedule starts.

    Attributes:
        policy: When actions meet.
        lasts: Seconds that a run takes, at least.
        acts: Whether it has an effect that can be counted.
    """

    policy: ScheduleOverlapPolicy
    lasts: float = 0.0
    acts: bool = False


SKIPS = Kind(ScheduleOverlapPolicy.SKIP)

KINDS = (
    *(Kind(ScheduleOverlapPolicy.ALLOW_ALL, acts=True), SKIPS),
    *(Kind(ScheduleOverlapPolicy.BUFFER_ALL), SKIPS),
    *(Kind(ScheduleOverlapPolicy.SKIP, lasts=2.5), SKIPS),
    *(Kind(ScheduleOverlapPolicy.CANCEL_OTHER, lasts=2.5), SKIPS),
    *(Kind(ScheduleOverlapPolicy.BUFFER_ONE, lasts=1.5), SKIPS),
    *(Kind(ScheduleOverlapPolicy.TERMINATE_OTHER, lasts=2.5), SKIPS),
    *(Kind(ScheduleOverlapPolicy.ALLOW_ALL, lasts=2.5), SKIPS),
)
"""Schedules take turns in being of these kinds. Half of them ask no more of a machine
than it has to give: what finds its run still there is skipped."""


@dataclass(slots=True)
class Outcome:
    """What was found.

    Attributes:
        times: That came, of all schedules together.
        runs: That were started, by policy.
        skipped: Times that met a running action, by policy.
        deaths: Of worker processes.
        late: Seconds from each run's nominal time to its start, sorted.
        late_if_free: Likewise, of those that never wait for another run.
        wrong: What is not as the policy has it, in words.
    """

    times: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    deaths: int = 0
    late: list[float] = field(default_factory=list)
    late_if_free: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Battle:
    """One of them.

    Args:
        plan: How much of it.
        client: Of the namespace.
        stable: Where worker processes come from.
        url: Of the database with the effects.
        chance: Decides who dies.
    """

    def __init__(
        self,
        plan: Plan,
        client: Client,
        stable: Stable,
        *,
        url: str,
        chance: random.Random,
    ) -> None:
        """Nothing has happened yet."""
        self._plan = plan
        self._client = client
        self._stable = stable
        self._url = url
        self._chance = chance
        self._members: list[tuple[Reins, AsyncExitStack]] = []
        self._end = datetime.max.replace(tzinfo=timezone.utc)
        self._mark = f"fired-{uuid.uuid4()}"
        self.outcome = Outcome()

    async def fight(self) -> Outcome:
        """Make the schedules, kill, wait for the end, and look."""
        try:
            for _ in range(self._plan.members):
                await self._hire()
            handles = await self._make_schedules()
            await self._kill_until(self._end)
            await self._look_at(handles)
            await gather(*(handle.delete() for handle in handles.values()))
        finally:
            for _, stack in self._members:
                await stack.aclose()
        return self.outcome

    async def _hire(self) -> None:
        settings = {
            NAMESPACE_VARIABLE: NAMESPACE,
            "DBOSIFY_LEASE_SECONDS": str(self._plan.lease),
        }
        async with AsyncExitStack() as stack:
            process = self._stable.process(**settings)
            reins = await stack.enter_async_context(process)
            await reins.order(do="serve", queue=QUEUE)
            self._members.append((reins, stack.pop_all()))

    async def _kill_until(self, end: datetime) -> None:
        while (left := (end - datetime.now(timezone.utc)).total_seconds()) > 0:
            await asyncio.sleep(min(self._plan.kill_every, left))
            victim = self._chance.choice(self._members)
            self._members.remove(victim)
            reins, stack = victim
            reins.send(signal.SIGKILL)
            await reins.killed()
            await stack.aclose()
            self.outcome.deaths += 1
            await self._hire()

    async def _make_schedules(self) -> Mapping[str, ScheduleHandle]:
        seconds = self._plan.seconds + self._plan.schedules * MAKING
        end = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        self._end = end.replace(microsecond=0)
        names = {
            f"{self._mark}-{number}": KINDS[number % len(KINDS)]
            for number in range(self._plan.schedules)
        }
        handles = await gather(*(self._make(*each) for each in names.items()))
        return dict(zip(names, handles, strict=True))

    async def _make(self, name: str, kind: Kind) -> ScheduleHandle:
        schedule = Schedule(
            ScheduleActionStartWorkflow(
                Fired.run, args=[kind.lasts, kind.acts], id=name, task_queue=QUEUE
            ),
            ScheduleSpec(
                intervals=[ScheduleIntervalSpec(every=EVERY)],
                end_at=self._end,
            ),
            SchedulePolicy(overlap=kind.policy, catchup_window=CATCHUP),
        )
        return await self._client.create_schedule(name, schedule)

    async def _look_at(self, handles: Mapping[str, ScheduleHandle]) -> None:
        counts = await gather(*(_final(handle) for handle in handles.values()))
        await eventually(self._all_over, patience=PATIENCE, pause=0.5)
        runs = await self._runs()
        for number, (name, count) in enumerate(zip(handles, counts, strict=True)):
            kind, mine = KINDS[number % len(KINDS)], runs.pop(name, [])
            times = _times(count.created, self._end)
            found = wrong(kind.policy, times, mine, count)
            self.outcome.times += len(times)
            self.outcome.wrong += [f"{kind.policy.name} {name}: {w}" for w in found]
            self._count(kind, mine, count)
        self.outcome.wrong += [f"{name}: no such schedule" for name in runs]
        await self._look_at_effects()

    def _count(self, kind: Kind, runs: list[Run], counts: Counts) -> None:
        outcome, policy = self.outcome, kind.policy.name
        outcome.runs[policy] += len(runs)
        outcome.skipped[policy] += counts.skipped
        late = [(run.started - run.nominal).total_seconds() for run in runs]
        outcome.late = sorted(outcome.late + late)
        if kind.policy is ScheduleOverlapPolicy.ALLOW_ALL:
            outcome.late_if_free = sorted(outcome.late_if_free + late)

    async def _all_over(self) -> None:
        query = f"WorkflowType = '{Fired.__name__}' AND ExecutionStatus = 'Running'"
        assert (await self._client.count_workflows(query)).count == 0

    async def _executions(self) -> list[WorkflowExecution]:
        query = f"WorkflowType = '{Fired.__name__}'"
        return [
            run
            async for run in self._client.list_workflows(query)
            if run.id.startswith(self._mark)
        ]

    async def _runs(self) -> dict[str, list[Run]]:
        """By the schedule that started them."""
        result = defaultdict(list)
        for run in await self._executions():
            name = run.typed_search_attributes[SCHEDULE_ID]
            nominal = run.typed_search_attributes[NOMINAL]
            if run.id != f"{name}-{nominal:%Y-%m-%dT%H:%M:%SZ}":
                self.outcome.wrong.append(f"{run.id}: is not for {nominal}")
            assert run.close_time is not None
            assert run.status is not None
            result[name].append(
                Run(nominal, run.start_time, run.close_time, run.status)
            )
        return result

    async def _look_at_effects(self) -> None:
        """Each run that acts has, and each attempt once; what has acted is a run."""
        expected = {
            run.id for run in await self._executions() if self._kind_of(run).acts
        }
        found = await effects.read(self._url, self._mark, beginning=True)
        attempts = Counter((e.workflow_id, e.run_id, e.attempt) for e in found)
        doubled = [attempt for attempt, count in attempts.items() if count > 1]
        acted = {effect.workflow_id for effect in found}
        self.outcome.wrong += [f"{each}: effect doubled" for each in doubled]
        self.outcome.wrong += [f"{each}: effect lost" for each in expected - acted]
        self.outcome.wrong += [f"{each}: acts alone" for each in acted - expected]

    def _kind_of(self, run: WorkflowExecution) -> Kind:
        name = run.typed_search_attributes[SCHEDULE_ID]
        return KINDS[int(name.rpartition("-")[2]) % len(KINDS)]


async def _final(handle: ScheduleHandle) -> Counts:
    """What a schedule says once nothing more is to come."""

    async def over() -> Counts:
        description = await handle.describe()
        info = description.raw_description.info
        assert not info.future_action_times
        assert not info.buffer_size
        return Counts(
            info.create_time.ToDatetime(timezone.utc),
            info.action_count,
            info.overlap_skipped,
            info.missed_catchup_window,
            info.buffer_dropped,
        )

    return await eventually(over, patience=PATIENCE, pause=0.5)


def _times(created: datetime, end: datetime) -> list[datetime]:
    """Of a schedule, from its creation on."""
    count = int((end - created) / EVERY)
    return [end - EVERY * number for number in range(count, -1, -1)]


async def gather(*todo: Any) -> list[Any]:
    """What all of them give, a few at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(each: Any) -> Any:
        async with places:
            return await each

    return await asyncio.gather(*map(one, todo))


async def battle(plan: Plan, seed: int) -> Outcome:
    """Have one on a Postgres of its own."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fire-")))
        world = stack.enter_context(embedded.start())
        effects.create_table(world.url)
        stable = Stable(world.url, home)
        stack.push_async_callback(stable.close)
        client = await stack.enter_async_context(
            await Client.connect(world.url, namespace=NAMESPACE)
        )
        chance = random.Random(seed)
        return await Battle(plan, client, stable, url=world.url, chance=chance).fight()


def report(outcome: Outcome) -> str:
    """The outcome in words."""
    lines = [
        f"{outcome.times} times came, {outcome.deaths} workers were killed",
        *(
            f"{policy}: {count} runs, {outcome.skipped[policy]} times skipped"
            for policy, count in sorted(outcome.runs.items())
        ),
        _lateness("all", outcome.late),
        _lateness("those that wait for no other", outcome.late_if_free),
        f"{len(outcome.wrong)} wrong",
        *outcome.wrong[:50],
    ]
    return "\n".join(lines) + "\n"


def _lateness(whose: str, late: list[float]) -> str:
    hundredths = statistics.quantiles(late, n=100)
    return (
        f"started after their time, {whose}: half of them {hundredths[49]:.2f} s,"
        f" 99 % {hundredths[98]:.2f} s, all {late[-1]:.2f} s"
    )


def main() -> int:
    """Fight as the command line says; the exit status says whether all was well."""
    parser = argparse.ArgumentParser(description="Schedules whose workers are killed.")
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--kill-every", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    plan = Plan(arguments.schedules, arguments.seconds, arguments.kill_every)
    sys.stdout.write(f"{plan}, seed {arguments.seed}, process {os.getpid()}\n")
    sys.stdout.flush()
    began = time.monotonic()
    outcome = asyncio.run(battle(plan, arguments.seed))
    sys.stdout.write(f"{report(outcome)}{time.monotonic() - began:.0f} s\n")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
