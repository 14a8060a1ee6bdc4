"""Lists and counts of runs: conditions become SQL here, their values parameters.

A condition that has to be true, as opposed to one that stands under a NOT, may be
asked in the way the index of the attributes answers: by what the column contains. That
way does not tell what is unset from what differs, which a NOT would turn around.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any as Anything

from psycopg import sql

from dbosify._model import conditions as model
from dbosify._model import search_attributes as attributes
from dbosify._model.conditions import Compare, Condition, Field, IsNull
from dbosify._model.search_attributes import (
    WORKFLOWS_ONLY_NUMBERS,
    WORKFLOWS_ONLY_TEXT,
)
from dbosify._model.standalone import NAMES

from . import statements
from .engine import Database, Rows

_CLOSED = "CASE WHEN e.close_time IS NOT NULL THEN {} END"
_NANOSECONDS = "(extract(epoch FROM {}) * 1000000000)"
_COLUMNS: dict[str, sql.Composable] = {
    name: sql.SQL(text)
    for name, text in {
        "WorkflowId": "e.workflow_id",
        "RunId": "e.run_id",
        "WorkflowType": "e.workflow_type",
        "TaskQueue": "e.task_queue",
        "ParentWorkflowId": "e.parent_workflow_id",
        "ParentRunId": "e.parent_run_id",
        "RootWorkflowId": "coalesce(e.root_workflow_id, e.workflow_id)",
        "RootRunId": "coalesce(e.root_run_id, e.run_id)",
        "ExecutionStatus": "e.status",
        "StartTime": "e.start_time",
        "ExecutionTime": "e.execution_time",
        "CloseTime": "e.close_time",
        "HistoryLength": _CLOSED.format("e.history_length"),
        "HistorySizeBytes": _CLOSED.format("e.history_size"),
        "StateTransitionCount": _CLOSED.format("e.history_length"),
        "ExecutionDuration": _NANOSECONDS.format("(e.close_time - e.execution_time)"),
    }.items()
}
_OF_SCHEDULES: dict[str, sql.Composable] = {
    "ScheduleId": sql.SQL("e.schedule_id"),
    "TemporalSchedulePaused": sql.SQL("e.paused"),
}
_STATUS = " ".join(f"WHEN {n} THEN '{name}'" for n, name in NAMES.items())
_ACTIVITY_COLUMNS: dict[str, sql.Composable] = {
    name: sql.SQL(text)
    for name, text in {
        "ActivityId": "e.activity_id",
        "RunId": "e.run_id",
        "ActivityType": "e.activity_type",
        "TaskQueue": "e.task_queue",
        "ExecutionStatus": f"CASE e.status {_STATUS} END",
        "StartTime": "e.start_time",
        "ExecutionTime": "e.execution_time",
        "CloseTime": "e.close_time",
        "StateTransitionCount": "e.transitions",
        "ExecutionDuration": _NANOSECONDS.format("(e.close_time - e.execution_time)"),
        # What only workflows have is known, and activities have none of it.
        **dict.fromkeys(WORKFLOWS_ONLY_TEXT, "NULL::text"),
        **dict.fromkeys(WORKFLOWS_ONLY_NUMBERS, "NULL::numeric"),
    }.items()
}
_OPERATION_COLUMNS: dict[str, sql.Composable] = {
    name: sql.SQL(text)
    for name, text in {
        "OperationId": "e.operation_id",
        "RunId": "e.run_id",
        "Endpoint": "e.endpoint",
        "Service": "e.service",
        "Operation": "e.operation",
        # Its statuses have the numbers and names of activities' ones.
        "ExecutionStatus": f"CASE e.status {_STATUS} END",
        "StartTime": "e.start_time",
        "ExecutionTime": "e.start_time",
        "CloseTime": "e.close_time",
        "StateTransitionCount": "e.transitions",
        "ExecutionDuration": _NANOSECONDS.format("(e.close_time - e.start_time)"),
        **dict.fromkeys((*WORKFLOWS_ONLY_TEXT, "TaskQueue"), "NULL::text"),
        **dict.fromkeys(WORKFLOWS_ONLY_NUMBERS, "NULL::numeric"),
    }.items()
}
_OPERATORS = {op: sql.SQL(op) for op in ("=", "<", "<=", ">", ">=")} | {
    "!=": sql.SQL("<>")
}
_DIVISION = "TemporalNamespaceDivision"
_VISIBLE = (
    "e.run_id NOT IN (SELECT d.run_id FROM {}.dbosify_executions d"
    " WHERE d.search_attributes ? {})"
)
"""Asked of a partial index that is nearly always empty."""
_TRUE = sql.SQL("true")


@dataclass(frozen=True, slots=True)
class Place:
    """What is listed, in the order of lists: the next page begins after it."""

    close_time: datetime | None
    start_time: datetime
    run_id: str


@dataclass(slots=True)
class _Composer:
    """Makes SQL of a condition and keeps the parameters that it needs."""

    columns: Mapping[str, sql.Composable]
    schema: str
    params: dict[str, Anything] = field(default_factory=dict)

    def parameter(self, value: Anything) -> sql.Composable:
        name = f"value_{len(self.params)}"
        self.params[name] = value
        return sql.Placeholder(name)

    def compose(self, condition: Condition, *, positive: bool) -> sql.Composable:
        if isinstance(condition, model.Not):
            inner = self.compose(condition.condition, positive=False)
            return sql.SQL("(NOT {})").format(inner)
        if isinstance(condition, model.All):
            return self._joined(" AND ", condition.conditions, positive)
        if isinstance(condition, model.Any):
            return self._joined(" OR ", condition.conditions, positive)
        if isinstance(condition, IsNull):
            return self._is_null(condition.field)
        return self._compare(condition, positive)

    def _joined(
        self, word: str, conditions: Iterable[Condition], positive: bool
    ) -> sql.Composable:
        parts = [self.compose(part, positive=positive) for part in conditions]
        return sql.SQL("({})").format(sql.SQL(word).join(parts))

    def _is_null(self, about: Field) -> sql.Composable:
        if about.system:
            return sql.SQL("({} IS NULL)").format(self.columns[about.name])
        unset = sql.SQL("((e.search_attributes ? {}) IS NOT TRUE)").format(
            self.parameter(about.name) + sql.SQL("::text")
        )
        if about.name == attributes.PAUSE_INFO:
            paused = self._paused(sql.SQL("true"))
            return sql.SQL("({} AND NOT {})").format(unset, paused)
        return unset

    def _or_paused(
        self, found: sql.Composable, operator: str, value: str
    ) -> sql.Composable:
        """The same condition, on what is kept and on what paused activities add."""
        paused = self._paused(
            sql.SQL("{} || a.activity_type = {}").format(
                sql.Literal(attributes.PAUSED_TYPE), self.parameter(value)
            )
        )
        both = "({} AND NOT {})" if operator == "!=" else "({} OR {})"
        return sql.SQL(both).format(found, paused)

    def _paused(self, which: sql.Composable) -> sql.Composable:
        """Whether the run is open and one of its paused activities is meant."""
        return sql.SQL(
            "(e.close_time IS NULL AND e.run_id IN (SELECT a.run_id"
            " FROM {}.dbosify_activities a WHERE a.paused_at IS NOT NULL AND {}))"
        ).format(sql.Identifier(self.schema), which)

    def _compare(self, condition: Compare, positive: bool) -> sql.Composable:
        about, value = condition.field, condition.value
        if about.system:
            return self._of_column(about, condition.operator, value)
        if about.kind in (attributes.TEXT, attributes.KEYWORD_LIST):
            found = self._any_element(about, condition.operator, str(value), positive)
            if about.name == attributes.PAUSE_INFO:
                return self._or_paused(found, condition.operator, str(value))
            return found
        if condition.operator == "=" and positive:
            part = "at" if about.kind == attributes.DATETIME else "value"
            return self._contains({about.name: {part: value}})
        extracted = self._extracted(about)
        return self._applied(extracted, condition.operator, self.parameter(value))

    def _of_column(
        self, about: Field, operator: str, value: model.Value
    ) -> sql.Composable:
        shown: sql.Composable
        if about.kind == attributes.DATETIME:
            # Seconds keep what a float would lose of nanoseconds since 1970.
            seconds, rest = divmod(int(value), 1_000_000_000)
            shown = sql.SQL(
                "('epoch'::timestamptz + {}::float8 * interval '1 second'"
                " + {}::float8 * interval '1 microsecond')"
            ).format(self.parameter(seconds), self.parameter(rest // 1000))
        else:
            shown = self.parameter(value)
        left = self.columns[about.name]
        if isinstance(value, str) and operator not in ("=", "!="):
            # By bytes, as Temporal orders; what is equal is found by any index.
            left = left + sql.SQL(' COLLATE "C"')
        return self._applied(left, operator, shown)

    @staticmethod
    def _applied(
        left: sql.Composable, operator: str, right: sql.Composable
    ) -> sql.Composable:
        if operator == "prefix":
            return sql.SQL("starts_with({}, {}::text)").format(left, right)
        return sql.SQL("({} {} {})").format(left, _OPERATORS[operator], right)

    def _any_element(
        self, about: Field, operator: str, value: str, positive: bool
    ) -> sql.Composable:
        if about.kind == attributes.TEXT:
            documents = [{"tokens": [word]} for word in attributes.tokens_of(value)]
        else:
            documents = [{"value": [value]}]
        parts = [self._contains({about.name: part}) for part in documents]
        found = sql.SQL(" OR ").join(parts) if parts else sql.SQL("false")
        if operator == "!=":
            return sql.SQL("(({}) IS NOT TRUE)").format(found)
        return sql.SQL("({})" if positive else "(({}) IS TRUE)").format(found)

    def _contains(self, document: dict[str, Anything]) -> sql.Composable:
        return sql.SQL("e.search_attributes @> {}::jsonb").format(
            self.parameter(json.dumps(document))
        )

    def _extracted(self, about: Field) -> sql.Composable:
        part = "at" if about.kind == attributes.DATETIME else "value"
        path = self.parameter([about.name, part])
        if about.kind == attributes.KEYWORD:
            return sql.SQL('(e.search_attributes #>> {}::text[]) COLLATE "C"').format(
                path
            )
        json_type, kind = ("number", "numeric")
        if about.kind == attributes.BOOL:
            json_type, kind = ("boolean", "boolean")
        # The name may once have been registered under another type.
        return sql.SQL(
            "CASE WHEN jsonb_typeof(e.search_attributes #> {path}::text[]) = {json}"
            " THEN (e.search_attributes #>> {path}::text[])::{kind} END"
        ).format(path=path, json=sql.Literal(json_type), kind=sql.SQL(kind))


def _composed(
    name: str, database: Database, condition: Condition | None, *, all_divisions: bool
) -> tuple[bytes, dict[str, Anything]]:
    composer = _Composer(_COLUMNS, database.schema)
    parts: list[sql.Composable] = []
    if condition is not None:
        parts.append(composer.compose(condition, positive=True))
    if not all_divisions:
        schema = sql.Identifier(database.schema)
        parts.append(sql.SQL(_VISIBLE).format(schema, sql.Literal(_DIVISION)))
    whole = reduce(lambda a, b: a + sql.SQL(" AND ") + b, parts) if parts else _TRUE
    text = statements.composed(name, database.schema, whole)
    return text, composer.params


async def list_runs(
    database: Database,
    condition: Condition | None,
    *,
    all_divisions: bool,
    after: Place | None,
    limit: int,
) -> Rows:
    """A page of runs that meet a condition.

    Args:
        database: of the namespace.
        condition: None for all runs.
        all_divisions: whether those that the system keeps for itself belong to them.
        after: the last run of the page before.
        limit: most rows.
    """
    text, params = _composed(
        "list_runs", database, condition, all_divisions=all_divisions
    )
    return await database.fetch_composed(text, params | _page(after, limit))


def _page(after: Place | None, limit: int) -> dict[str, Anything]:
    return {
        "limit": limit,
        "close_time": after.close_time if after else None,
        "start_time": after.start_time if after else None,
        "run_id": after.run_id if after else None,
    }


async def count_runs(
    database: Database, condition: Condition | None, *, all_divisions: bool
) -> dict[int, int]:
    """How many runs of each status meet a condition."""
    text, params = _composed(
        "count_runs", database, condition, all_divisions=all_divisions
    )
    rows = await database.fetch_composed(text, params)
    return {row["status"]: row["runs"] for row in rows}


def of_schedules(
    name: str, database: Database, condition: Condition | None
) -> tuple[bytes, dict[str, Anything]]:
    """A statement about the schedules that meet a condition, and its parameters."""
    return _about(_OF_SCHEDULES, name, database, condition)


def _about(
    columns: Mapping[str, sql.Composable],
    name: str,
    database: Database,
    condition: Condition | None,
) -> tuple[bytes, dict[str, Anything]]:
    composer = _Composer(columns, database.schema)
    whole: sql.Composable = _TRUE
    if condition is not None:
        whole = composer.compose(condition, positive=True)
    return statements.composed(name, database.schema, whole), composer.params


def _of_activities(
    name: str, database: Database, condition: Condition | None
) -> tuple[bytes, dict[str, Anything]]:
    return _about(_ACTIVITY_COLUMNS, name, database, condition)


async def list_activities(
    database: Database, condition: Condition | None, *, after: Place | None, limit: int
) -> Rows:
    """A page of the activities without a workflow that meet a condition."""
    text, params = _of_activities("list_standalone", database, condition)
    return await database.fetch_composed(text, params | _page(after, limit))


async def count_activities(
    database: Database, condition: Condition | None
) -> dict[int, int]:
    """How many activities of each status meet a condition."""
    text, params = _of_activities("count_standalone", database, condition)
    rows = await database.fetch_composed(text, params)
    return {row["status"]: row["activities"] for row in rows}


def _of_operations(
    name: str, database: Database, condition: Condition | None
) -> tuple[bytes, dict[str, Anything]]:
    return _about(_OPERATION_COLUMNS, name, database, condition)


async def list_operations(
    database: Database, condition: Condition | None, *, after: Place | None, limit: int
) -> Rows:
    """A page of the Nexus operations without a workflow that meet a condition."""
    text, params = _of_operations("list_standalone_operations", database, condition)
    return await database.fetch_composed(text, params | _page(after, limit))


async def count_operations(
    database: Database, condition: Condition | None
) -> dict[int, int]:
    """How many of them of each status meet a condition."""
    text, params = _of_operations("count_standalone_operations", database, condition)
    rows = await database.fetch_composed(text, params)
    return {row["status"]: row["operations"] for row in rows}
