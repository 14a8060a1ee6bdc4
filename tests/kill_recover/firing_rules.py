"""What each overlap policy allows a schedule to have done, held against what it did.

A time that came is *missed* if the schedule neither acted on it nor had a reason that
its policy knows not to. It is *doubled* if there are two runs for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from dbosify.client import ScheduleOverlapPolicy, WorkflowExecutionStatus

EVERY = timedelta(seconds=1)
"""Between two times of a schedule."""

CLOCKS = timedelta(seconds=0.5)
"""By so much the moments that two processes write down may be off."""

DECIDING = timedelta(seconds=5)
"""What may pass, on a machine with much to do, from the moment that a schedule decides
on to the one that is written into the run: a transaction that stands still longer is
broken off."""

ENDINGS = {
    ScheduleOverlapPolicy.CANCEL_OTHER: WorkflowExecutionStatus.CANCELED,
    ScheduleOverlapPolicy.TERMINATE_OTHER: WorkflowExecutionStatus.TERMINATED,
}
"""How runs end, besides by themselves, under policies that end them."""

NEVER_SKIP = (ScheduleOverlapPolicy.ALLOW_ALL, ScheduleOverlapPolicy.BUFFER_ALL)


@dataclass(frozen=True, slots=True)
class Run:
    """A run that a schedule started.

    Attributes:
        nominal: The time of the schedule that it is for.
        started: When it was started.
        closed: When it ended.
        status: How.
    """

    nominal: datetime
    started: datetime
    closed: datetime
    status: WorkflowExecutionStatus


@dataclass(frozen=True, slots=True)
class Counts:
    """What a schedule says of itself once its last time is over.

    Attributes:
        created: When it was made.
        taken: Actions.
        skipped: Times at which another action still ran.
        missed: Times that were older than the catch-up window when they were seen.
        dropped: Times for which there was no room to wait.
    """

    created: datetime
    taken: int
    skipped: int
    missed: int
    dropped: int


def wrong(
    policy: ScheduleOverlapPolicy,
    times: Sequence[datetime],
    runs: Sequence[Run],
    counts: Counts,
) -> Iterator[str]:
    """Whatever is not as the policy has it, in words.

    Args:
        policy: Of the schedule.
        times: All that came, in order.
        runs: All that it started.
        counts: Its own.
    """
    runs = sorted(runs, key=lambda run: (run.nominal, run.started))
    for nominal, count in Counter(run.nominal for run in runs).items():
        if count > 1:
            yield f"{nominal}: doubled, {count} runs"
        if nominal not in times:
            yield f"{nominal}: no time of the schedule"
    if counts.taken != len(runs):
        yield f"{counts.taken} actions counted, but {len(runs)} runs there"
    if counts.missed or counts.dropped:
        yield f"missed: {counts.missed} too late, {counts.dropped} without room"
    yield from _endings(policy, runs)
    if policy is not ScheduleOverlapPolicy.ALLOW_ALL:
        yield from _overlaps(runs)
    if policy in ENDINGS:
        yield from _wrongly_replaced(times, runs)
    else:
        yield from _wrongly_skipped(policy, times, runs, counts)


def _endings(policy: ScheduleOverlapPolicy, runs: Sequence[Run]) -> Iterator[str]:
    allowed = {WorkflowExecutionStatus.COMPLETED, ENDINGS.get(policy)}
    for run in runs:
        if run.status not in allowed:
            yield f"{run.nominal}: {run.status.name}"


def _overlaps(runs: Sequence[Run]) -> Iterator[str]:
    for one, other in pairwise(runs):
        if other.started < one.closed - CLOCKS:
            yield f"{other.nominal}: started while {one.nominal} ran"


def _wrongly_skipped(
    policy: ScheduleOverlapPolicy,
    times: Sequence[datetime],
    runs: Sequence[Run],
    counts: Counts,
) -> Iterator[str]:
    """A time may be left out because the action before it ran when it was seen."""
    left_out = _left_out(times, runs)
    if len(left_out) != counts.skipped:
        yield f"{counts.skipped} times counted as skipped, but {len(left_out)} are"
    for time in left_out:
        before = [run for run in runs if run.nominal < time]
        excused = before and max(run.closed for run in before) >= time - CLOCKS
        if policy in NEVER_SKIP or not excused:
            yield f"{time}: missed"


def _wrongly_replaced(times: Sequence[datetime], runs: Sequence[Run]) -> Iterator[str]:
    """A time that waits for another's end is left out if the next one comes first.

    Temporal counts it nowhere. What replaces it was the newest time when it was
    started, or came while what ran before them all was still there; the last time of
    all is never left out, and waits as long as it must.
    """
    for time in _left_out(times, runs):
        before = [run.closed for run in runs if run.nominal < time]
        after = [run for run in runs if run.nominal > time]
        replaced = after and (
            after[0].nominal == times[-1]
            or after[0].started < after[0].nominal + EVERY + DECIDING
            or (before and after[0].nominal < max(before) + CLOCKS)
        )
        if not replaced:
            ended = max(before, default=None)
            yield f"{time}: missed; {ended} was free, then {after[:1]}"


def _left_out(times: Sequence[datetime], runs: Sequence[Run]) -> list[datetime]:
    acted_on = {run.nominal for run in runs}
    return [time for time in times if time not in acted_on]
