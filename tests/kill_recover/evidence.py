"""What must be true of the runs of a workflow id when all is over.

Whatever happened to the workers, nobody may be able to tell from a run's history or
from its effects, except by the number of an attempt.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from dbosify._core.local_marker import MARKER_NAME as LOCAL_MARKER
from dbosify._model import journal
from dbosify.api.enums.v1 import EventType
from dbosify.api.history.v1 import HistoryEvent
from dbosify.client import Client, WorkflowHistory
from dbosify.worker import UnsandboxedWorkflowRunner
from tests.kill_recover import effects
from tests.kill_recover.effects import Effect
from tests.kill_recover.scenarios import HANDED, WORKFLOWS
from tests.oracle.code import Code
from tests.oracle.judging import replay

SCHEMA = "dbos_kill_recover"
"""Where the namespace of the programs lives."""

CODE = Code.of_classes(*WORKFLOWS, workflow_runner=UnsandboxedWorkflowRunner())

CLOSING = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
}

Row: TypeAlias = dict[str, Any]

ROWS = {
    "dbosify_executions": "workflow_uuid",
    "dbosify_activities": "workflow_uuid",
    "workflow_status": "workflow_uuid",
    "workflow_output": "workflow_uuid",
    "operation_outputs": "workflow_uuid",
    "notifications": "destination_uuid",
}
"""The tables with something of a run in them, and the column that says which run."""


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity as a history tells of it."""

    activity_id: str
    attempt: int
    outcome: str
    is_local: bool = False
    """Then it runs again, in any process, as long as its marker is not written."""


async def runs_of(url: str, workflow_id: str) -> list[str]:
    """The run ids of a workflow id, oldest first."""
    rows = await fetch(
        url,
        sql.SQL(
            "SELECT run_id FROM {}.dbosify_executions WHERE workflow_id = %s"
            " ORDER BY run_number"
        ).format(sql.Identifier(SCHEMA)),
        (workflow_id,),
    )
    return [row["run_id"] for row in rows]


async def histories_of(
    client: Client, url: str, workflow_id: str
) -> list[WorkflowHistory]:
    """The histories of a workflow id's runs, oldest first."""
    return [
        await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        for run_id in await runs_of(url, workflow_id)
    ]


async def check(
    client: Client,
    url: str,
    workflow_id: str,
    *,
    attempts: int,
    known: Sequence[Row] = (),
    endings: Sequence[str] = (),
    effects_url: str = "",
) -> list[WorkflowHistory]:
    """Check all that does not depend on the scenario.

    Args:
        client: Of the namespace.
        url: Of the database.
        workflow_id: Whose runs to look at.
        attempts: The most that an activity may have been tried.
        known: The journal as it stood at an earlier time.
        endings: How the runs end, if not by continue-as-new until the last completes.
        effects_url: Of the database with their effects, if it is another one.

    Returns:
        The histories.
    """
    histories = await histories_of(client, url, workflow_id)
    ways = endings or [*["CONTINUED_AS_NEW"] * (len(histories) - 1), "COMPLETED"]
    for history, how in zip(histories, ways, strict=True):
        check_closed(history, EventType.Value(f"EVENT_TYPE_WORKFLOW_EXECUTION_{how}"))
    steps = await journal_of(url, workflow_id)
    assert [row for row in known if row not in steps] == []
    done = await effects.read(effects_url or url, workflow_id)
    for history in histories:
        mine = [effect for effect in done if effect.run_id == history.run_id]
        check_effects(activities_of(history), mine, attempts)
        check_timers(history)
    check_marked(known, done)
    assert {effect.run_id for effect in done} <= {h.run_id for h in histories}
    await check_nothing_left(url, workflow_id)
    assert await replay(CODE, histories) == [None] * len(histories)
    return histories


def check_closed(history: WorkflowHistory, how: int) -> None:
    """A run closed once, in the right way, and nothing came after."""
    kinds = [event.event_type for event in history.events]
    assert [kind for kind in kinds if kind in CLOSING] == [how]
    assert kinds[-1] == how
    numbers = [event.event_id for event in history.events]
    assert numbers == list(range(1, len(numbers) + 1))


TIMED_OUT = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT


def activities_of(history: WorkflowHistory) -> list[Activity]:
    """The activities of a closed run, each with its only outcome."""
    scheduled: dict[int, str] = {}
    tried: dict[int, int] = {}
    found: dict[int, Activity] = {}
    for event in history.events:
        kind = event.WhichOneof("attributes") or ""
        if not kind.startswith("activity_task_"):
            continue
        attributes: Any = getattr(event, kind)
        if kind == "activity_task_scheduled_event_attributes":
            scheduled[event.event_id] = attributes.activity_id
        elif kind == "activity_task_started_event_attributes":
            tried[attributes.scheduled_event_id] = attributes.attempt
        else:
            number = attributes.scheduled_event_id
            assert number not in found, "an activity has one outcome"
            outcome = kind.removeprefix("activity_task_").split("_event")[0]
            found[number] = Activity(scheduled[number], tried[number], outcome)
    if history.events[-1].event_type == TIMED_OUT:
        # Nobody waits for the activities of a run whose time is up; theirs is, too.
        for number, activity in found.items():
            if activity.outcome == "timed_out":
                found[number] = replace(activity, outcome="left")
        for number in scheduled.keys() - found.keys():
            found[number] = Activity(scheduled[number], tried.get(number, 1), "left")
    assert found.keys() == scheduled.keys(), "all activities ended before their run"
    names = marked_in(history.events)
    marked = [Activity(name, 1, "completed", is_local=True) for name in names]
    return [*found.values(), *marked]


def marked_in(events: Iterable[HistoryEvent]) -> list[str]:
    """The local activities whose markers are among the events."""
    markers = [event.marker_recorded_event_attributes for event in events]
    return [
        json.loads(marker.details["data"].payloads[0].data)["activity_id"]
        for marker in markers
        if marker.marker_name == LOCAL_MARKER
    ]


def check_marked(known: Sequence[Row], done: Sequence[Effect]) -> None:
    """No local activity that was in the journal when its worker died ran again."""
    for row in known:
        for activity_id in marked_in(journal.decode(row["output"])):
            assert len([e for e in done if e.activity_id == activity_id]) == 1


def check_effects(
    activities: Sequence[Activity], done: Sequence[Effect], attempts: int
) -> None:
    """No attempt had its effect twice, and none came after the one that completed."""
    local = {activity.activity_id for activity in activities if activity.is_local}
    repeated = {
        effect: n
        for effect, n in Counter(done).items()
        if n > 1 and effect.activity_id not in local
    }
    assert not repeated
    for activity in activities:
        numbers = {
            effect.attempt
            for effect in done
            if effect.activity_id == activity.activity_id
        }
        assert activity.attempt <= attempts
        if activity.outcome != "left":
            assert numbers <= set(range(1, activity.attempt + 1))
        if activity.outcome == "completed":
            # Who completes one from outside need not wait for what the attempt does.
            assert activity.attempt in numbers or activity.activity_id == HANDED
        elif activity.outcome != "left":
            # Only an activity that must not be tried again may be lost: with a worker
            # that died, or that left and told it so.
            assert activity.outcome in ("timed_out", "failed")
            assert attempts == 1
    known = {activity.activity_id for activity in activities}
    assert {effect.activity_id for effect in done} <= known


def check_timers(history: WorkflowHistory) -> None:
    """No timer fired early, and none twice."""
    running: dict[int, HistoryEvent] = {}
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
            running[event.event_id] = event
        elif event.event_type == EventType.EVENT_TYPE_TIMER_FIRED:
            started = running.pop(event.timer_fired_event_attributes.started_event_id)
            wanted = started.timer_started_event_attributes.start_to_fire_timeout
            waited = event.event_time.ToDatetime() - started.event_time.ToDatetime()
            assert waited >= wanted.ToTimedelta()
    assert not running


async def check_nothing_left(url: str, workflow_id: str) -> None:
    """Nobody is left with something to do for the runs."""
    rows = await rows_of(url, workflow_id)
    open_ones = ("ENQUEUED", "PENDING", "DELAYED")
    queued = [
        (row["workflow_uuid"], row["status"], row["queue_name"], row["executor_id"])
        for row in rows["workflow_status"]
        if row["status"] in open_ones
    ]
    assert not queued, f"still to be done: {queued}"
    held = [row["task_id"] for row in rows["dbosify_activities"]]
    assert not held, f"activities left: {held}"
    assert [r for r in rows["dbosify_executions"] if r["close_time"] is None] == []


async def rows_of(url: str, workflow_id: str) -> dict[str, list[Row]]:
    """Every row of the database that tells of the runs or their activities."""
    return {
        table: await fetch(
            url,
            sql.SQL("SELECT * FROM {} WHERE starts_with({}, %s) ORDER BY 1, 2").format(
                sql.Identifier(SCHEMA, table), sql.Identifier(column)
            ),
            (f"{workflow_id}/",),
        )
        for table, column in ROWS.items()
    }


async def journal_of(url: str, workflow_id: str) -> list[Row]:
    """The steps of the runs as they stand in the database.

    A client's look at the history would not do: it is shown what waits to be journaled
    as well.
    """
    return (await rows_of(url, workflow_id))["operation_outputs"]


async def leases(url: str) -> dict[int, str]:
    """The processes that hold a lease: their executor ids by pid."""
    rows = await fetch(
        url,
        sql.SQL("SELECT pid, executor_id FROM {}").format(
            sql.Identifier(SCHEMA, "dbosify_workers")
        ),
        (),
    )
    return {row["pid"]: row["executor_id"] for row in rows}


async def fetch(url: str, query: sql.Composed, values: Sequence[Any]) -> list[Row]:
    """The rows of a query."""
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
