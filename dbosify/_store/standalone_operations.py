"""Nexus operations that clients start without a workflow: begun, found, noted, deleted.

While one is open its calls are those of any operation, in the row that says what is
due; its own row stays when that one goes, and tells how it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from temporalio.api.nexus.v1 import NexusOperationExecutionInfo
from temporalio.api.workflowservice.v1 import StartNexusOperationExecutionRequest

from dbosify._model.nexus import NexusOperation
from dbosify._model.protos import PendingNexusOperationInfo
from dbosify._model.standalone_operation import News

from .engine import Connection, Database
from .runs import iso, search_attributes_json


@dataclass(frozen=True, slots=True)
class NewOperation:
    """An operation to be started."""

    run_id: str
    request: StartNexusOperationExecutionRequest
    operation: NexusOperation
    """Its calls."""

    def params(self) -> dict[str, Any]:
        """As the statement wants it."""
        request, operation = self.request, self.operation
        return {
            "run_id": self.run_id,
            "operation_id": request.operation_id,
            "key": operation.key,
            "endpoint": request.endpoint,
            "service": request.service,
            "operation": request.operation,
            "request_id": request.request_id,
            "start_time": iso(operation.scheduled.event_time.ToNanoseconds()),
            "search_attributes": search_attributes_json(request.search_attributes),
            "request": request.SerializeToString(),
            "workflow_uuid": operation.workflow_uuid,
            "task_queue": operation.task_queue,
            "scheduled": operation.scheduled.SerializeToString(),
            "info": operation.info.SerializeToString(),
            "due_at": operation.due_at,
            "expires_at": operation.expires_at,
        }


async def start(
    database: Database, new: NewOperation, reusable: Sequence[int]
) -> tuple[bool, dict[str, Any] | None]:
    """Start an operation unless the latest one of its id forbids it.

    Returns:
        Whether it was started, and the latest one before it.
    """
    params = new.params() | {"reusable": list(reusable)}
    row = (await database.fetch("start_standalone_operation", params))[0]
    return bool(row["created"]), row if row["run_id"] is not None else None


async def find(
    database: Database,
    operation_id: str,
    run_id: str | None,
    connection: Connection | None = None,
) -> dict[str, Any] | None:
    """An operation, open or over; the latest of its id if no run is named."""
    params = {"operation_id": operation_id, "run_id": run_id}
    if connection is None:
        rows = await database.fetch("find_standalone_operation", params)
    else:
        rows = await database.run(connection, "find_standalone_operation", params)
    return rows[0] if rows else None


async def note(
    connection: Connection,
    database: Database,
    key: str,
    *,
    news: News | None = None,
    info: PendingNexusOperationInfo | None = None,
    end_request_id: str | None = None,
    cancel: tuple[str, str] | None = None,
) -> None:
    """Note what has become of an operation whose calls are held.

    Args:
        connection: of the transaction that holds them.
        database: of the namespace.
        key: of the operation.
        news: of its calls.
        info: what its calls came to, once they are over.
        end_request_id: of the request that ended it.
        cancel: request id and reason of the wish to cancel it.
    """
    news = news or News()
    await database.run(
        connection,
        "note_standalone_operation",
        {
            "key": key,
            "status": news.status,
            "outcome": _bytes(news.outcome),
            "info": _bytes(info),
            "links": _bytes(NexusOperationExecutionInfo(links=news.links))
            if news.links
            else None,
            "end_request_id": end_request_id,
            "cancel_request_id": cancel[0] if cancel else None,
            "cancel_reason": cancel[1] if cancel else None,
        },
    )


def _bytes(message: Message | None) -> bytes | None:
    return None if message is None else message.SerializeToString()


async def delete(connection: Connection, database: Database, key: str) -> None:
    """Remove all that is known of an operation."""
    await database.run(connection, "delete_standalone_operation", {"key": key})
