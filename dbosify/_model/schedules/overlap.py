"""What becomes of starts that meet an action which still runs: the overlap policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import ScheduleOverlapPolicy

SKIP = int(ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP)
BUFFER_ONE = int(ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE)
BUFFER_ALL = int(ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL)
CANCEL_OTHER = int(ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER)
TERMINATE_OTHER = int(ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER)
ALLOW_ALL = int(ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL)


@dataclass(frozen=True, slots=True)
class Start:
    """A start that is due."""

    nominal: int
    """What the spec says, nanoseconds since 1970; it names the workflow."""
    at: int
    """When it was due, jitter and all."""
    policy: int
    """Its own overlap policy; 0 for the one the schedule has when its turn comes."""
    manual: bool
    """Triggered or backfilled: neither a pause nor a limit holds it up."""


@dataclass(slots=True)
class Round:
    """What to do with the starts that wait."""

    overlapping: list[Start] = field(default_factory=list)
    """To be started at once, whatever runs."""
    alone: Start | None = None
    """To be started as the one action that counts as running."""
    kept: list[Start] = field(default_factory=list)
    """To wait further."""
    skipped: int = 0
    cancel: bool = False
    """What runs is to be cancelled."""
    terminate: bool = False
    """What runs is to be terminated; this wins over `cancel`."""


def sort_out(
    waiting: Sequence[Start], policy_of: Callable[[int], int], *, running: bool
) -> Round:
    """Apply the policies to the starts that wait, in their order.

    Args:
        waiting: the starts.
        policy_of: resolves a start's own policy.
        running: whether an action that counts still runs.
    """
    result = Round()
    for start in waiting:
        policy = policy_of(start.policy)
        if policy == ALLOW_ALL:
            result.overlapping.append(start)
        elif not running and result.alone is None:
            result.alone = start
        else:
            _overlap(result, start, policy, running=running)
    if result.cancel or result.terminate:
        result.overlapping.clear()
    return result


def _overlap(result: Round, start: Start, policy: int, *, running: bool) -> None:
    if policy in (CANCEL_OTHER, TERMINATE_OTHER):
        if not running:
            result.alone = start  # the other has not begun: nothing to end
            return
        result.cancel = result.cancel or policy == CANCEL_OTHER
        result.terminate = result.terminate or policy == TERMINATE_OTHER
        result.kept.append(start)
    elif policy == BUFFER_ALL or (policy == BUFFER_ONE and not result.kept):
        result.kept.append(start)
    elif policy in (SKIP, BUFFER_ONE):
        result.skipped += 1
