"""What a completed activation comes to, besides a turn or a failed task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.protos import Failure, QueryResult, WorkflowActivation


@dataclass(frozen=True, slots=True)
class Again:
    """The same workflow task goes on with another activation."""

    activation: WorkflowActivation


@dataclass(frozen=True, slots=True)
class Replayed:
    """A batch of the journal is rebuilt; nothing follows from it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The queries of a query activation, answered."""

    results: tuple[QueryResult, ...]
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """The workflow task goes on when a local activity is over."""

    until: float
    """Seconds since 1970: when the task must end, and the next one go on with it."""


Outcome: TypeAlias = Again | Replayed | Answered | Waits | Turn | TaskFailed
