"""A turn on its way into the database: all that it writes, and what follows then.

Nothing of it has begun before the row is written, and nothing of it is done twice: what
was taken for a turn that is not written is given back.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from dbosify._model import journal
from dbosify._model.effects import Turn
from dbosify._model.outbox import Entry
from dbosify._store import runs
from dbosify._store.engine import Call
from dbosify._store.journal import BegunActivity, TurnRow
from dbosify._store.runs import StartRow

from . import turn_row
from .replica import Replica
from .turn_row import Writer


@dataclass(frozen=True, slots=True)
class Owned:
    """What the owner of a run has in hand besides its replica."""

    token: str
    inbox: int
    """Messages seen; a close is refused if there are more."""
    messages: Sequence[str]
    """Messages that the turn has answered."""
    activities: Container[int]
    """Scheduled events of the activities that this process watches."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A turn as it is about to be written."""

    turn: Turn
    row: TurnRow
    begun: list[BegunActivity]
    next_row: StartRow | None
    """The next run of the chain."""
    entries: list[Entry]
    """What is to be done to other runs."""

    def drop(self, writer: Writer) -> None:
        """It was not written: nothing begins."""
        turn_row.give_places_back(writer, self.begun)


def draft(
    writer: Writer,
    replica: Replica,
    turn: Turn,
    *,
    owned: Owned,
    default: str,
    attempt: Call | None,
) -> Draft:
    """All that a turn writes.

    Args:
        writer: who writes.
        replica: of the run, as the turn leaves it; its journal ends before the turn.
        turn: the core's word.
        owned: what the owner knows.
        default: the name of a step that no event names.
        attempt: notes how often the task was tried, if the run stays open.
    """
    uuid, token, close = replica.workflow_uuid, owned.token, turn.close
    begun = [] if close else turn_row.begin_activities(writer, uuid, turn)
    entries = turn_row.outbox_entries(replica, turn)
    closed = next_row = None
    if close is not None:
        closed = turn_row.closed_run(
            close,
            inbox=owned.inbox,
            driver=replica.driver,
            upserted=turn_row.upserts(turn),
        )
        if close.next is not None:
            next_row = turn_row.owned_next_run(writer, uuid, close.next)
    calls = [
        *turn_row.update_calls(uuid, token, turn, closed),
        *turn_row.outbox_calls(uuid, token, turn, entries),
        *turn_row.cancel_calls(writer, uuid, token, turn),
        *turn_row.fairness_calls(replica, token, begun),
        *turn_row.upsert_calls(replica, token, turn),
    ]
    if attempt is not None and close is None:
        calls.append(attempt)
    if next_row is not None:
        calls.append(runs.start_next(uuid, next_row))
    row = TurnRow(
        uuid,
        token,
        replica.next_step,
        journal.steps(turn.events, replica.names, default),
        messages=owned.messages,
        begun=begun,
        ended=turn_row.ended_tasks(uuid, turn.events, owned.activities),
        close=closed,
        before=turn_row.version_calls(replica, token),
        others=calls,
    )
    return Draft(turn, row, begun, next_row, entries)
