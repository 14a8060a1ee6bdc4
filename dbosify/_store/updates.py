"""Updates in the database: admitted, looked at, answered by a turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbosify._model import ids, journal, limits, outbox
from dbosify._model.effects import AcceptUpdate, CompleteUpdate, RejectUpdate
from dbosify._model.protos import (
    Callback,
    HistoryEvent,
    UpdateOutcome,
    UpdateRequest,
)

from .engine import Call, Connection, Database
from .outbox import HEAD_START

FAILING_ATTEMPT = 3
"""The attempt at a workflow task from which on a run takes no updates."""

ADMITTED, ACCEPTED, COMPLETED = 1, 2, 3
"""Stages, as the API numbers them."""

Answer = AcceptUpdate | CompleteUpdate | RejectUpdate


@dataclass(frozen=True, slots=True)
class Sent:
    """An update as its sender puts it."""

    update_id: str
    token: str
    """Tells it from another with the same id, sent after this one was rejected."""
    event: HistoryEvent
    """Carries the request through the inbox; it never gets into a history."""

    @property
    def size(self) -> int:
        """Bytes of the request."""
        admitted = self.event.workflow_execution_update_admitted_event_attributes
        return admitted.request.ByteSize()


async def admit(
    database: Database,
    workflow_id: str,
    run_id: str | None,
    sent: Sent,
    *,
    first_run_id: str | None = None,
) -> dict[str, Any] | None:
    """Send an update to a run, unless the run knows it or takes none.

    Returns:
        The run, with `inbox` set if it was sent, and `stage` if it is known; None if
        there is no such run.
    """
    named = {"workflow_id": workflow_id, "run_id": run_id}
    # The lock has a statement of its own: what the second one reads was committed by
    # whoever held it before, so that no two senders think that theirs is the first.
    *_, rows = await database.fetch_together(
        [
            Call("lock_latest_run", named),
            _admit_call(named, sent, first_run_id=first_run_id),
        ]
    )
    return rows[0] if rows else None


async def admit_in(
    connection: Connection, database: Database, workflow_uuid: str, sent: Sent
) -> None:
    """Send an update to a run that the transaction has started."""
    named = {
        "workflow_id": ids.workflow_id_of(workflow_uuid),
        "run_id": ids.run_id_of(workflow_uuid),
    }
    call = _admit_call(named, sent, first_run_id=None)
    await database.run(connection, call.name, call.params)


def _admit_call(
    named: Mapping[str, str | None], sent: Sent, *, first_run_id: str | None
) -> Call:
    return Call(
        "admit_update",
        {
            **named,
            "update_id": sent.update_id,
            "token": sent.token,
            "event": journal.pack([sent.event]),
            "first_run_id": first_run_id,
            "failing_attempt": FAILING_ATTEMPT,
            "most_in_flight": limits.current.updates_in_flight,
            "most_in_all": limits.current.updates_in_all,
            "most_bytes": limits.current.update_bytes_in_flight,
            "size": sent.size,
        },
    )


def admit_first(workflow_uuid: str, sent: Sent) -> Call:
    """The statement that sends an update to the run its transaction starts."""
    return Call(
        "admit_first_update",
        {
            "workflow_uuid": workflow_uuid,
            "update_id": sent.update_id,
            "token": sent.token,
            "event": journal.pack([sent.event]),
            "size": sent.size,
        },
    )


async def find(
    database: Database, workflow_id: str, run_id: str | None, update_id: str
) -> dict[str, Any] | None:
    """A run, or the latest of a workflow id, with one of its updates if it is there."""
    rows = await database.fetch(
        "find_update",
        {"workflow_id": workflow_id, "run_id": run_id, "update_id": update_id},
    )
    return rows[0] if rows else None


def answered(
    workflow_uuid: str,
    token: str,
    answers: Sequence[Answer],
    closed: tuple[str, int] | None,
) -> Call:
    """The statement that notes a turn's answers.

    Args:
        workflow_uuid: of the run.
        token: of its owner.
        answers: of the turn; the last word on each update counts.
        closed: when, and with which event, if the turn closes the run.
    """
    last = {answer.update_id: answer for answer in answers}
    close_time, history_length = closed or (None, None)
    return Call(
        "answer_updates",
        {
            "workflow_uuid": workflow_uuid,
            "token": token,
            "update_ids": list(last),
            "stages": [
                ACCEPTED if isinstance(answer, AcceptUpdate) else COMPLETED
                for answer in last.values()
            ],
            "rejections": [isinstance(a, RejectUpdate) for a in last.values()],
            "outcomes": [_outcome(answer) for answer in last.values()],
            "close_time": close_time,
            "history_length": history_length,
        },
    )


def _outcome(answer: Answer) -> bytes | None:
    match answer:
        case AcceptUpdate():
            return None
        case CompleteUpdate():
            return answer.outcome.SerializeToString()
        case RejectUpdate():
            return UpdateOutcome(failure=answer.failure).SerializeToString()


async def call_back(
    database: Database, workflow_uuid: str, request: UpdateRequest
) -> None:
    """Note to whom an update that the run knows calls back when it has ended."""
    entry = outbox.of_update(workflow_uuid, request.meta.update_id)
    await database.fetch(
        "attach_callbacks",
        {
            "run_id": ids.run_id_of(workflow_uuid),
            "update_id": request.meta.update_id,
            "callbacks": UpdateRequest(
                completion_callbacks=request.completion_callbacks
            ).SerializeToString(),
            "entry_id": entry.entry_id,
            "workflow_uuid": workflow_uuid,
            "kind": entry.kind.value,
            "event_id": entry.event_id,
            "events": journal.pack_bytes(entry.events),
            "head_start": HEAD_START,
        },
    )


async def callbacks(
    database: Database, workflow_uuid: str, update_id: str
) -> Sequence[Callback]:
    """To whom an update calls back."""
    rows = await database.fetch(
        "callbacks_of_update",
        {"run_id": ids.run_id_of(workflow_uuid), "update_id": update_id},
    )
    kept = rows[0]["callbacks"] if rows else None
    return UpdateRequest.FromString(kept or b"").completion_callbacks
