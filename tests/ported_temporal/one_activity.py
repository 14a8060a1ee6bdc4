"""A workflow that schedules one activity exactly as its argument says.

Tests of what becomes of an activity need each option in their own hands, also those
that the kitchen sink sets itself. An option that isn't given is not sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dbosify import workflow
from dbosify.common import RetryPolicy
from dbosify.exceptions import ActivityError, CancelledError

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Retries:
    """A retry policy, in seconds; its defaults are those of the SDK."""

    initial: float = 1.0
    coefficient: float = 2.0
    maximum: float | None = None
    attempts: int = 0
    never: Sequence[str] = ()

    def policy(self) -> RetryPolicy:
        """The policy that is sent."""
        return RetryPolicy(
            initial_interval=self.initial * SECOND,
            backoff_coefficient=self.coefficient,
            maximum_interval=_duration(self.maximum),
            maximum_attempts=self.attempts,
            non_retryable_error_types=self.never,
        )


@dataclass(frozen=True, slots=True)
class Order:
    """Which activity, and its options; times are in seconds."""

    name: str
    args: Sequence[Any] = ()
    task_queue: str | None = None
    schedule_to_close: float | None = None
    schedule_to_start: float | None = None
    start_to_close: float | None = None
    heartbeat: float | None = None
    retries: Retries | None = None


@workflow.defn
class OneActivityWorkflow:
    """Ends as its activity does; a cancellation is a result like any other."""

    @workflow.run
    async def run(self, order: Order) -> Any:
        """Schedule what was ordered."""
        self._activity = workflow.start_activity(
            order.name,
            args=order.args,
            task_queue=order.task_queue,
            schedule_to_close_timeout=_duration(order.schedule_to_close),
            schedule_to_start_timeout=_duration(order.schedule_to_start),
            start_to_close_timeout=_duration(order.start_to_close),
            heartbeat_timeout=_duration(order.heartbeat),
            retry_policy=order.retries.policy() if order.retries else None,
            cancellation_type=(
                workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
            ),
        )
        try:
            return await self._activity
        except ActivityError as error:
            if isinstance(error.cause, CancelledError):
                return ["cancelled", *error.cause.details]
            raise

    @workflow.signal
    def cancel_activity(self) -> None:
        """Ask for the activity's cancellation, and wait for what comes of it."""
        self._activity.cancel()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else seconds * SECOND
