"""Pages of runs: rows as lists show them, and the token of the next page."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

from temporalio.api.common.v1 import Memo
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model.conditions import Condition
from dbosify._model.search_attributes import as_typed, with_paused
from dbosify._store import visibility
from dbosify._store.visibility import Place

from . import errors
from .context import Context
from .ending import find_run

MAX_PAGE = 1000


async def page(
    context: Context,
    condition: Condition | None,
    *,
    all_divisions: bool,
    size: int,
    token: bytes,
) -> tuple[list[WorkflowExecutionInfo], bytes]:
    """A page of runs, open ones first, then the last closed.

    Args:
        context: of the request.
        condition: that the runs meet; None for all.
        all_divisions: whether runs that the system keeps for itself are listed.
        size: most runs; 1000 if it is not positive or more than that.
        token: of the page before, empty for the first.

    Returns:
        The runs, and the token of the next page, empty if there is none.

    Raises:
        RPCError: the token is none of ours.
    """
    size = MAX_PAGE if size <= 0 or size > MAX_PAGE else size
    rows = await visibility.list_runs(
        context.database,
        condition,
        all_divisions=all_divisions,
        after=place_of(token),
        limit=size + 1,
    )
    infos = [
        _info(await _settled(context, row))
        for row in rows[:size]
        if row["dbos_status"] is not None  # else it was deleted through DBOS
    ]
    return infos, token_of(rows[size - 1]) if len(rows) > size else b""


def token_of(row: dict[str, Any]) -> bytes:
    """The token of the page after the one that ends with `row`."""
    closed = row["close_time"]
    return json.dumps(
        [
            closed.isoformat() if closed is not None else None,
            row["start_time"].isoformat(),
            row["run_id"],
        ]
    ).encode()


def place_of(token: bytes) -> Place | None:
    """Where a token says that a page begins.

    Raises:
        RPCError: it is none of ours.
    """
    if not token:
        return None
    try:
        closed, started, run_id = json.loads(token)
        return Place(
            None if closed is None else datetime.fromisoformat(closed),
            datetime.fromisoformat(started),
            str(uuid.UUID(run_id)),
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise _bad_token() from None


def _bad_token() -> RPCError:
    return errors.error(
        RPCStatusCode.UNKNOWN,
        f"something went wrong, please retry ({uuid.uuid4().hex[:8]})",
    )


async def _settled(context: Context, row: dict[str, Any]) -> dict[str, Any]:
    """A row as it is after an end that DBOS's `cancel_workflow` asked for."""
    if row["close_time"] is not None or row["dbos_status"] != "CANCELLED":
        return row
    found = await find_run(context, row["workflow_id"], row["run_id"])
    return row if found is None else found


def _info(run: dict[str, Any]) -> WorkflowExecutionInfo:
    info = WorkflowExecutionInfo(task_queue=run["task_queue"], status=run["status"])
    info.execution.workflow_id = run["workflow_id"]
    info.execution.run_id = run["run_id"]
    info.type.name = run["workflow_type"]
    info.start_time.FromDatetime(run["start_time"])
    info.execution_time.FromDatetime(run["execution_time"])
    info.memo.SetInParent()
    if run["memo"] is not None:
        info.memo.CopyFrom(Memo.FromString(run["memo"]))
    for name, kept in (run["search_attributes"] or {}).items():
        info.search_attributes.indexed_fields[name].CopyFrom(as_typed(kept))
    if run.get("paused_types") and run["close_time"] is None:
        with_paused(info.search_attributes, run["paused_types"])
    info.root_execution.workflow_id = run["root_workflow_id"] or run["workflow_id"]
    info.root_execution.run_id = run["root_run_id"] or run["run_id"]
    if run["parent_workflow_id"]:
        info.parent_execution.workflow_id = run["parent_workflow_id"]
        info.parent_execution.run_id = run["parent_run_id"]
    if run["close_time"] is not None:
        info.close_time.FromDatetime(run["close_time"])
        info.execution_duration.FromTimedelta(run["close_time"] - run["execution_time"])
        info.history_length = run["history_length"]
        info.history_size_bytes = run["history_size"] or 0
        info.state_transition_count = run["history_length"]
    return info
