"""The inbox of a run: DBOS messages that no turn has taken in yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from dbosify._model import journal
from dbosify._model.journal import Damaged
from dbosify._model.protos import EventType, HistoryEvent, UpdateRequest

from .engine import Connection, Database, Rows

_UPDATE = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED


@dataclass(frozen=True, slots=True)
class Message:
    """What a message's sender says."""

    message_id: str
    """Two messages of one id to one run are one message."""
    events: Sequence[HistoryEvent]
    cancel: bool = False
    first_run_id: str | None = None
    at_once: bool = False
    """Whether the run's first task comes now, even if the run was to wait for it."""
    quiet: bool = False
    """Whether the run is not woken: its next task takes the message along."""


def join_id(request_id: str) -> str:
    """The message that a request leaves in a run which it joins, so `start` knows it.

    Args:
        request_id: of a start under the policy to use what there is.
    """
    return f"request::{request_id}"


async def send(
    database: Database, workflow_id: str, run_id: str | None, message: Message
) -> dict[str, Any] | None:
    """Put a message into a run's inbox, if the run is open.

    Returns:
        The run as it was, with `inbox` set if the message was taken; None if there is
        no such run.
    """
    params = _message_params(workflow_id, run_id, message)
    rows = await database.fetch("send_message", params)
    while rows and _has_a_successor(rows[0], run_id):
        rows = await database.fetch("send_message", params)
    return rows[0] if rows else None


async def send_in(
    connection: Connection,
    database: Database,
    workflow_id: str,
    message: Message,
    *,
    run_id: str | None = None,
) -> dict[str, Any] | None:
    """Send to a run, or the latest one of a workflow id, within a transaction."""
    params = _message_params(workflow_id, run_id, message)
    rows = await database.run(connection, "send_message", params)
    while rows and _has_a_successor(rows[0], run_id):
        rows = await database.run(connection, "send_message", params)
    return rows[0] if rows else None


def _has_a_successor(run: dict[str, Any], asked_for: str | None) -> bool:
    """Whether the latest run closed while the message waited for its lock.

    The statement saw it open and found it closed under the lock. The run that goes on
    in its place was started by the same transaction; only another statement sees it.
    """
    return (
        asked_for is None
        and run["inbox"] is None
        and run["close_time"] is None
        and run["dbos_status"] in ("SUCCESS", "ERROR")
    )


def _message_params(
    workflow_id: str, run_id: str | None, message: Message
) -> dict[str, Any]:
    return {
        "workflow_id": workflow_id,
        "run_id": run_id,
        "message_id": message.message_id,
        "event": journal.pack(message.events),
        "cancel": message.cancel,
        "at_once": message.at_once or message.cancel,
        "quiet": message.quiet,
        "first_run_id": message.first_run_id,
    }


@dataclass(frozen=True, slots=True)
class Inbox:
    """The messages a run has not taken in, and the number of all ever sent."""

    count: int
    owner_token: str | None
    message_ids: list[str]
    groups: list[list[HistoryEvent]]
    """The events of each message."""
    updates: dict[str, UpdateRequest] = field(default_factory=dict)
    """Messages that history has no event for: updates, oldest first."""
    queue: str | None = None
    """Whose workers may have the run by now; None if there are no versions."""


async def read(database: Database, workflow_uuids: Sequence[str]) -> dict[str, Inbox]:
    """Read the inboxes of runs, each in the order its messages were sent.

    Raises:
        Damaged: something in one of them cannot be read.
    """
    found = await read_each(database, workflow_uuids)
    return {uuid: whole(inbox) for uuid, inbox in found.items()}


async def read_each(
    database: Database, workflow_uuids: Sequence[str]
) -> dict[str, Inbox | Damaged]:
    """Read the inboxes of runs that have nothing to do with each other.

    A message that cannot be read keeps no other run from its own.
    """
    rows = await database.fetch("read_inbox", {"workflow_uuids": list(workflow_uuids)})
    runs: dict[str, Rows] = {}
    for row in rows:
        runs.setdefault(row["workflow_uuid"], []).append(row)
    found: dict[str, Inbox | Damaged] = {}
    for uuid, own in runs.items():
        try:
            found[uuid] = _inboxes(own)[uuid]
        except Damaged as error:
            found[uuid] = error
    return found


def whole(inbox: Inbox | Damaged) -> Inbox:
    """An inbox that can be read.

    Raises:
        Damaged: it cannot.
    """
    if isinstance(inbox, Damaged):
        raise inbox
    return inbox


async def read_in(
    connection: Connection, database: Database, workflow_uuids: Sequence[str]
) -> dict[str, Inbox]:
    """Read the inboxes of runs within a transaction."""
    return _inboxes(
        await database.run(
            connection, "read_inbox", {"workflow_uuids": list(workflow_uuids)}
        )
    )


def _inboxes(rows: Rows) -> dict[str, Inbox]:
    unsorted: dict[str, list[tuple[int, str, list[HistoryEvent]]]] = {}
    for row in rows:
        messages = unsorted.setdefault(row["workflow_uuid"], [])
        if row["message_uuid"] is not None:
            place, events = journal.decode_message(row["message"])
            messages.append((place, row["message_uuid"], events))
    result = {}
    for row in rows:
        messages = sorted(unsorted[row["workflow_uuid"]], key=itemgetter(0))
        sent = {
            message_id: events[0].workflow_execution_update_admitted_event_attributes
            for _, message_id, events in messages
            if events[0].event_type == _UPDATE
        }
        messages = [message for message in messages if message[1] not in sent]
        result[row["workflow_uuid"]] = Inbox(
            row["inbox"],
            row["owner_xid"],
            [message_id for _, message_id, _ in messages],
            [events for _, _, events in messages],
            {message_id: admitted.request for message_id, admitted in sent.items()},
            row["queue"],
        )
    return result
