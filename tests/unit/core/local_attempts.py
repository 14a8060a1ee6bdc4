"""Local activities to try, and what is told of them, in few words."""

from __future__ import annotations

from typing import Any

from dbosify._core.machines.local_attempt import LocalAttemptMachine, State
from dbosify._model.local import LocalOutcome, RunLocal
from dbosify._model.protos import Failure, ScheduleLocalActivity
from tests.unit.core.spelling import BEGAN, at, boom, payload, retry_policy, span


class LocalAttempts:
    """A local activity whose moments are seconds since it was ordered.

    Args:
        run: its start-to-close timeout.
        total: its schedule-to-close timeout.
        to_start: its schedule-to-start timeout.
        threshold: the longest wait before a retry that stays within the task.
        attempt: its first attempt, if a timer came before it.
        waited: seconds since the attempt before that was ordered.
        policy: what is not default in its retry policy.
    """

    def __init__(
        self,
        *,
        run: float | None = 10,
        total: float | None = None,
        to_start: float | None = None,
        threshold: float | None = None,
        attempt: int = 0,
        waited: float = 0,
        **policy: Any,
    ) -> None:
        command = ScheduleLocalActivity(
            seq=1,
            attempt=attempt,
            retry_policy=retry_policy(**policy),
            start_to_close_timeout=None if run is None else span(run),
            schedule_to_close_timeout=None if total is None else span(total),
            schedule_to_start_timeout=None if to_start is None else span(to_start),
            local_retry_threshold=None if threshold is None else span(threshold),
        )
        self.machine = LocalAttemptMachine(RunLocal(command, at(-waited)), BEGAN)

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.machine.where

    @property
    def deadline(self) -> float | None:
        """When it must be looked at."""
        deadline = self.machine.deadline
        return None if deadline is None else round(deadline - BEGAN, 6)

    @property
    def outcome(self) -> LocalOutcome:
        """How it ended."""
        assert self.state is State.OVER
        assert self.machine.outcome is not None
        return self.machine.outcome

    def begin(self, moment: float) -> LocalAttempts:
        """An attempt begins."""
        self.machine.start(BEGAN + moment)
        return self

    def returns(self, moment: float) -> LocalAttempts:
        """The attempt returns."""
        self.machine.complete(BEGAN + moment, payload("done"))
        return self

    def raises(self, moment: float, failure: Failure | None = None) -> LocalAttempts:
        """The attempt raises."""
        self.machine.fail(BEGAN + moment, boom() if failure is None else failure)
        return self

    def reports_its_end(self, moment: float) -> LocalAttempts:
        """The attempt gives in to a cancellation."""
        self.machine.canceled(BEGAN + moment, Failure(message="Cancelled"))
        return self

    def asked_to_end(self) -> LocalAttempts:
        """The workflow cancels it."""
        self.machine.cancel()
        return self

    def runs_out(self) -> LocalAttempts:
        """Its deadline comes."""
        assert self.machine.deadline is not None
        self.machine.due(self.machine.deadline)
        return self
