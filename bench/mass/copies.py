"""Makes very many parked runs of one that is parked, by copying its rows.

Each copy is what the run would be under other ids: the ids in its history are changed
too, so a worker can take it up like any other.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dbosify._model import journal
from dbosify._model.protos import HistoryEvent

_AT_ONCE = 5_000
_TABLES = ("workflow_status", "workflow_input", "operation_outputs")


@dataclass(frozen=True, slots=True)
class _Template:
    rows: dict[str, list[dict[str, Any]]]
    events: list[list[HistoryEvent]]
    """Of each step."""


def make_copies(url: str, *, schema: str, workflow_uuid: str, number: int) -> list[str]:
    """Copy a parked run; returns the workflow ids of the copies."""
    made: list[str] = []
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        template = _read(connection, schema, workflow_uuid)
        while len(made) < number:
            names = [
                str(uuid.uuid4()) for _ in range(min(_AT_ONCE, number - len(made)))
            ]
            rows: dict[str, list[dict[str, Any]]] = {name: [] for name in template.rows}
            for name in names:
                for table, row in _copy(template, name):
                    rows[table].append(row)
            for table, copied in rows.items():
                _write(connection, schema, table, copied)
            made += names
        connection.execute("VACUUM ANALYZE")
    return made


def _read(
    connection: psycopg.Connection[Any], schema: str, workflow_uuid: str
) -> _Template:
    rows = {
        table: connection.execute(
            f'SELECT * FROM "{schema}".{table} WHERE workflow_uuid = %s'.encode(),
            [workflow_uuid],
        ).fetchall()
        for table in ("dbosify_executions", *_TABLES)
    }
    outputs = rows["operation_outputs"]
    return _Template(rows, [journal.decode(row["output"]) for row in outputs])


def _copy(template: _Template, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    run_id = str(uuid.uuid4())
    new = {"workflow_uuid": f"{name}/{run_id}"}
    for row in template.rows["dbosify_executions"]:
        started = HistoryEvent.FromString(row["started_event"])
        _rename(started, name, run_id)
        own: dict[str, Any] = {
            "run_id": run_id,
            "workflow_id": name,
            "first_run_id": run_id,
        }
        own |= {"started_event": started.SerializeToString()}
        own |= {"start_request_id": str(uuid.uuid4()), "root_run_id": None}
        yield "dbosify_executions", row | new | own
    for table in ("workflow_status", "workflow_input"):
        for row in template.rows[table]:
            yield table, row | new
    steps = zip(template.rows["operation_outputs"], template.events, strict=True)
    for row, events in steps:
        for event in events:
            _rename(event, name, run_id)
        output = json.dumps({"history": journal.pack(events)})
        yield "operation_outputs", row | new | {"output": output}


def _rename(event: HistoryEvent, name: str, run_id: str) -> None:
    if event.HasField("workflow_execution_started_event_attributes"):
        started = event.workflow_execution_started_event_attributes
        started.workflow_id = name
        started.original_execution_run_id = run_id
        started.first_execution_run_id = run_id


def _write(
    connection: psycopg.Connection[Any],
    schema: str,
    table: str,
    rows: list[dict[str, Any]],
) -> None:
    columns = [column for column in rows[0] if rows[0][column] is not None]
    listed = ", ".join(f'"{column}"' for column in columns)
    copy = f'COPY "{schema}".{table} ({listed}) FROM STDIN'
    with connection.cursor() as cursor, cursor.copy(copy.encode()) as sink:
        for row in rows:
            sink.write_row([row[column] for column in columns])
