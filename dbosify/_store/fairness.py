"""Fairness keys: tasks of one key do not keep those of another waiting.

Each key has a clock of its own in a queue, which every task moves on by a stride over
its weight; the task's place is what the clock shows then, and a key that comes late
begins where the queue is. So the order is known when something is queued, and whoever
claims need not know of it: its place stands where else is the time at which it was
queued. Only what is queued with a key pays for that; a run keeps the place that it was
started with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from temporalio.api.common.v1 import Priority

from dbosify._model import ids
from dbosify._model.activity import rank

from .engine import Call
from .journal import BegunActivity

_STRIDE_MS = 1000
"""What an activity of weight 1 moves its key on by, in the order's milliseconds."""
_LEAST, _MOST = 0.001, 1000.0
"""Between which the server keeps weights."""


def usual(weight: float) -> float:
    """A weight as the server keeps it; what is none, and no number, counts as 1."""
    return min(max(weight, _LEAST), _MOST) if weight > 0 else 1.0


def place(
    workflow_uuid: str,
    token: str,
    begun: Iterable[BegunActivity],
    *,
    inherited: Priority,
) -> list[Call]:
    """The statements that give a turn's queued activities fair places.

    Args:
        workflow_uuid: of the run.
        token: of its owner.
        begun: what the turn begins; what runs at once needs no place.
        inherited: of the run, for what an activity leaves out.
    """
    keyed = []
    for act in begun:
        options = act.event.activity_task_scheduled_event_attributes
        key = options.priority.fairness_key or inherited.fairness_key
        if key and act.token is None:
            # Code may give a key that Postgres cannot store, or a weight that is none.
            weight = options.priority.fairness_weight or inherited.fairness_weight
            queue = ids.activity_queue(options.task_queue.name)
            keyed.append(
                (
                    act.task_id,
                    queue,
                    rank(options.priority),
                    key.replace("\0", " "),
                    usual(weight),
                )
            )
    return _calls(workflow_uuid, token, keyed)


def place_one(task_id: str, queue: str, priority: Priority) -> list[Call]:
    """The statements that give something its fair place, if it is queued just now.

    Args:
        task_id: the DBOS id of a run, or of an activity without one.
        queue: in which it is.
        priority: of it, with its key and weight.
    """
    key = priority.fairness_key
    if not key:
        return []
    weight = usual(priority.fairness_weight)
    keyed = [(task_id, queue, rank(priority), key.replace("\0", " "), weight)]
    return _calls(task_id, None, keyed)


def _calls(
    owned: str, token: str | None, keyed: Sequence[tuple[str, str, int, str, float]]
) -> list[Call]:
    """The statements for tasks, if `owned` has that token: if it has none, for None."""
    if not keyed:
        return []
    return [
        Call("lock_fairness", {}),
        Call(
            "place_fairly",
            {
                "workflow_uuid": owned,
                "token": token,
                "stride": _STRIDE_MS,
                "task_ids": [row[0] for row in keyed],
                "queues": [row[1] for row in keyed],
                "priorities": [row[2] for row in keyed],
                "keys": [row[3] for row in keyed],
                "weights": [row[4] for row in keyed],
            },
        ),
    ]
