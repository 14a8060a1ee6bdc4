"""Activities that clients start without a workflow: begun, found, asked to end.

While one is open it is also an activity on its queue like any other; its own row stays
when that one goes, and tells how it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.api.workflowservice.v1 import StartActivityExecutionRequest

from dbosify._model import ids
from dbosify._model.activity import ActivityRow, AttemptState, rank
from dbosify._model.protos import HistoryEvent

from . import activities, fairness
from .engine import Call, Connection, Database
from .runs import iso, readable_inputs, search_attributes_json


@dataclass(frozen=True, slots=True)
class NewActivity:
    """An activity to be started."""

    run_id: str
    request: StartActivityExecutionRequest
    scheduled: HistoryEvent
    """As if it were a workflow's, at the time when it may begin."""
    start_time: int
    """Nanoseconds since 1970."""
    execution_time: int
    """Likewise; later than the start if it was to be delayed."""
    deadline: float | None
    """When it must be looked at if nobody takes it, seconds since 1970."""

    @property
    def task_id(self) -> str:
        """Its DBOS id."""
        return ids.standalone_task_id(self.request.activity_id, self.run_id)

    def params(self) -> dict[str, Any]:
        """As the statement wants it."""
        request = self.request
        delayed = self.execution_time > self.start_time
        return {
            "run_id": self.run_id,
            "activity_id": request.activity_id,
            "task_id": self.task_id,
            "activity_type": request.activity_type.name,
            "task_queue": request.task_queue.name,
            "request_id": request.request_id,
            "start_time": iso(self.start_time),
            "execution_time": iso(self.execution_time),
            "search_attributes": search_attributes_json(request.search_attributes),
            "request": request.SerializeToString(),
            "calls_back": bool(request.completion_callbacks),
            "task": self.scheduled.SerializeToString(),
            "state": int(AttemptState.BACKOFF if delayed else AttemptState.SCHEDULED),
            "deadline": self.deadline,
            "priority": rank(
                self.scheduled.activity_task_scheduled_event_attributes.priority
            ),
            "delay_until": self.execution_time // 1_000_000 if delayed else None,
            "inputs": readable_inputs(request.input.payloads),
        }


async def start(
    database: Database, new: NewActivity, reusable: Sequence[int]
) -> tuple[bool, dict[str, Any] | None]:
    """Start an activity unless the latest one of its id forbids it.

    Returns:
        Whether it was started, and the latest one before it.
    """
    params = new.params() | {"reusable": list(reusable)}
    options = new.scheduled.activity_task_scheduled_event_attributes
    queue = ids.activity_queue(options.task_queue.name)
    calls = fairness.place_one(new.task_id, queue, options.priority)
    if calls:
        call = Call("start_standalone", params)
        [row], *_ = await database.fetch_together([call, *calls])
    else:
        [row] = await database.fetch("start_standalone", params)
    return bool(row["created"]), row if row["run_id"] is not None else None


async def find(
    database: Database, activity_id: str, run_id: str | None
) -> dict[str, Any] | None:
    """An activity, open or over; the latest of its id if no run is named."""
    rows = await database.fetch(
        "find_standalone", {"activity_id": activity_id, "run_id": run_id}
    )
    return rows[0] if rows else None


async def of_task(database: Database, task_id: str) -> dict[str, Any] | None:
    """The request and the outcome of an activity, by its DBOS id."""
    rows = await database.fetch("find_standalone_task", {"task_id": task_id})
    return rows[0] if rows else None


async def lock(
    database: Database, connection: Connection, activity_id: str, run_id: str | None
) -> dict[str, Any] | None:
    """The same, locked until the transaction ends."""
    params = {"activity_id": activity_id, "run_id": run_id}
    found = await database.run(connection, "find_standalone", params)
    if not found:
        return None
    uuid = {"workflow_uuid": found[0]["task_id"]}
    await database.run(connection, "lock_run", uuid)
    # What it was before the lock may have changed while we waited.
    params["run_id"] = found[0]["run_id"]
    found = await database.run(connection, "find_standalone", params)
    return found[0] if found else None


def attempt(found: dict[str, Any]) -> ActivityRow | None:
    """The activity as its queue knows it; None if it is over."""
    return activities.of_row(found) if found["task"] is not None else None


def ask_cancel(task_id: str, request_id: str, reason: str) -> Call:
    """Note that its end is asked for."""
    return Call(
        "ask_standalone_cancel",
        {"task_id": task_id, "request_id": request_id, "reason": reason},
    )


def note_end(task_id: str, request_id: str) -> Call:
    """Note which request terminated it."""
    return Call("note_standalone_end", {"task_id": task_id, "request_id": request_id})


def delete(task_id: str) -> Call:
    """Remove all that is known of it."""
    return Call("delete_standalone", {"task_id": task_id})
