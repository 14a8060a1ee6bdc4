"""What became of a journey, so that it can be compared with one that nobody disturbed.

Something is *lost* if a run does not end as it should, or an activity that its history
says was done left no effect. Something is *doubled* if one attempt had its effect
twice, or one came that the history knows nothing of.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import psycopg
from psycopg import sql

from dbosify.api.enums.v1 import EventType
from dbosify.client import WorkflowHistory
from dbosify.service import RPCError
from tests.kill_recover import effects, evidence
from tests.kill_recover.effects import Effect
from tests.kill_recover.fleet import Fleet
from tests.kill_recover.journeys import PATIENCE, Journey, Trip
from tests.oracle.judging import replay
from tests.waiting import eventually


class DoubledError(AssertionError):
    """Something was done more often than was promised."""


@dataclass(frozen=True, slots=True)
class State:
    """All that must be the same.

    Attributes:
        result: Of the journey.
        endings: For each of its workflows how its runs ended, in order.
        done: The effects, by activity.
    """

    result: Any
    endings: tuple[tuple[str, ...], ...]
    done: frozenset[tuple[str, str]]


async def go(fleet: Fleet, journey: Journey, patience: float = PATIENCE) -> State:
    """Make a journey and look at what it left.

    Args:
        fleet: That takes it.
        journey: Which.
        patience: Seconds after which it is lost.

    Raises:
        DoubledError: Something was doubled; says what, and of which workflow.
        AssertionError: Something was lost, likewise.
    """
    trip = Trip(fleet.client)
    try:
        result = await asyncio.wait_for(journey.travel(trip), patience)
        same = journey.same(result)
        # Whoever looks meets the same outages.
        return await eventually(
            lambda: _state(fleet, journey, trip, same),
            patience=PATIENCE,
            retry_on=(psycopg.OperationalError, RPCError),
        )
    except (TimeoutError, asyncio.TimeoutError):
        raise AssertionError(
            f"{journey.name}, {trip.id}: not over after {patience:.0f} s"
        ) from None
    except DoubledError as error:
        raise DoubledError(f"{journey.name}, {trip.id}: {error}") from error
    except Exception as error:
        raise AssertionError(
            f"{journey.name}, {trip.id}: {_in_words(error)}"
        ) from error


def _in_words(error: Exception) -> str:
    """What it says; outside of pytest a failed assertion says nothing by itself."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error) or where.line}"


def differences(journey: Journey, found: State, undisturbed: State) -> list[str]:
    """What is not as it would have been, in words."""
    return [
        f"{journey.name}: {name} {there} instead of {wanted}"
        for name in State.__slots__
        if (there := getattr(found, name)) != (wanted := getattr(undisturbed, name))
    ]


async def _state(fleet: Fleet, journey: Journey, trip: Trip, result: Any) -> State:
    endings = []
    found = {
        workflow_id: await evidence.histories_of(fleet.client, fleet.url, workflow_id)
        for workflow_id in await _workflows_of(fleet, trip)
    }
    left = await effects.read(fleet.effects_url, trip.id, beginning=True)
    for workflow_id, histories in found.items():
        for history in histories:
            mine = [effect for effect in left if effect.run_id == history.run_id]
            _check_run(journey, history, mine)
        assert await replay(evidence.CODE, histories) == [None] * len(histories)
        await evidence.check_nothing_left(fleet.url, workflow_id)
        endings.append(_in_short(histories))
    done = () if journey.effects_vary else left
    return State(
        result,
        tuple(sorted(endings)),
        frozenset((e.activity_id.replace(trip.id, ""), e.detail) for e in done),
    )


def _check_run(
    journey: Journey, history: WorkflowHistory, mine: Sequence[Effect]
) -> None:
    evidence.check_closed(history, history.events[-1].event_type)
    evidence.check_timers(history)
    activities = evidence.activities_of(history)
    local = {activity.activity_id for activity in activities if activity.is_local}
    twice = {e: n for e, n in Counter(mine).items() if n > 1}
    if [effect for effect in twice if effect.activity_id not in local]:
        raise DoubledError(f"an attempt had its effect twice: {twice}")
    if not journey.repeats:
        evidence.check_effects(activities, mine, journey.attempts)


def _in_short(histories: Sequence[WorkflowHistory]) -> tuple[str, ...]:
    """How runs ended; how often in the same way may depend on the time that it took."""
    ways = (EventType.Name(h.events[-1].event_type) for h in histories)
    return tuple(way for way, _ in groupby(ways))


async def _workflows_of(fleet: Fleet, trip: Trip) -> list[str]:
    query = sql.SQL(
        "SELECT DISTINCT workflow_id FROM {}.dbosify_executions"
        " WHERE starts_with(workflow_id, %s) ORDER BY 1"
    ).format(sql.Identifier(evidence.SCHEMA))
    rows = await evidence.fetch(fleet.url, query, (trip.id,))
    return [row["workflow_id"] for row in rows]
