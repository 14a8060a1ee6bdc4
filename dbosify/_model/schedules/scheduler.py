"""A schedule's life: time passes, users patch and update it, actions start and end.

Whoever holds the lock of a schedule's row calls `pass_time`, then what else happened,
then takes rounds until none is left, and stores the record. Nothing here starts or ends
a workflow: a round says what to do, and `started` and `ended` tell what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from temporalio.api.schedule.v1 import (
    BackfillRequest,
    Schedule,
    ScheduleActionResult,
    ScheduleInfo,
    SchedulePatch,
)

from dbosify._model import clock
from dbosify._model.protos import (
    Failure,
    Payloads,
    WorkflowExecution,
    WorkflowExecutionStatus,
)

from . import overlap
from .overlap import Round, Start
from .times import SECOND, Firing, Times

_DEFAULT_CATCHUP = 365 * 86400 * SECOND
_SHORTEST_CATCHUP = 10 * SECOND
_FIRST_YEAR, _LAST_YEAR = -62_135_596_800 * SECOND, 253_402_300_799 * SECOND
"""Between them a time can be written as ids of runs have it."""
_RETENTION = 7 * 86400 * SECOND
_MOST_WAITING = 1000
_BACKFILLED_AT_ONCE = 10
_RECENT = 10


@dataclass(slots=True)
class Record:
    """A schedule as it is stored."""

    schedule_id: str
    schedule: Schedule
    """Its spec canonical, its policies resolved."""
    info: ScheduleInfo
    conflict_token: int = 1
    processed: int = 0
    """Up to where its times are dealt with, nanoseconds since 1970."""
    waiting: list[Start] = field(default_factory=list)
    backfills: list[BackfillRequest] = field(default_factory=list)
    last_result: Payloads | None = None
    last_failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How an action ended."""

    status: int
    """0 if nothing is known of it any more."""
    result: Payloads | None = None
    failure: Failure | None = None


def resolve(schedule: Schedule) -> None:
    """Write a schedule's defaults out, as describe shows them."""
    policies = schedule.policies
    policies.overlap_policy = policies.overlap_policy or overlap.SKIP  # type: ignore[assignment]
    window = _DEFAULT_CATCHUP
    if policies.HasField("catchup_window"):
        window = max(
            clock.duration_nanoseconds(policies.catchup_window), _SHORTEST_CATCHUP
        )
    policies.catchup_window.CopyFrom(clock.duration_of(window))
    schedule.spec.SetInParent()
    schedule.action.SetInParent()
    schedule.state.SetInParent()


class Scheduler:
    """See the module's text.

    Args:
        record: changed in place.
        times: of its spec.
        now: nanoseconds since 1970.
    """

    def __init__(self, record: Record, times: Times, now: int) -> None:
        self.record = record
        self.now = max(now, record.processed)
        self._times = times
        self._fresh = False

    @property
    def is_fresh(self) -> bool:
        """Whether starts came since the last round: see first what still runs."""
        return self._fresh

    # What happens to it.

    def pass_time(self) -> None:
        """Take the times that have come up to now."""
        record = self.record
        if not self._may_act(manual=False):
            record.processed = self.now
            return
        window = clock.duration_nanoseconds(record.schedule.policies.catchup_window)
        for firing in self._times.between(record.processed, self.now):
            if firing.at < self._updated:
                continue
            if self.now - firing.at > window:
                record.info.missed_catchup_window += 1
                record.processed = firing.at
                continue
            self._add(Start(firing.nominal, firing.at, 0, manual=False))
            record.processed = firing.at

    def patch(self, patch: SchedulePatch) -> None:
        """Trigger, backfill, pause, unpause."""
        record = self.record
        if patch.HasField("trigger_immediately"):
            trigger = patch.trigger_immediately
            at = clock.nanoseconds(trigger.scheduled_time) or self.now
            at = max(_FIRST_YEAR, min(at, _LAST_YEAR))
            self._add(Start(at, at, trigger.overlap_policy, manual=True))
        for request in patch.backfill_request:
            if len(record.backfills) >= _MOST_WAITING:
                record.info.buffer_dropped += 1
                continue
            # Its start is included, while times are looked for after a moment.
            start = clock.nanoseconds(request.start_time) - SECOND // 1000
            backfill = BackfillRequest()
            backfill.CopyFrom(request)
            backfill.start_time.CopyFrom(clock.timestamp(start))
            record.backfills.append(backfill)
        if patch.pause:
            self._pause(patch.pause)
        if patch.unpause:
            record.schedule.state.paused = False
            record.schedule.state.notes = patch.unpause
            record.conflict_token += 1

    def update(self, schedule: Schedule, times: Times) -> None:
        """Replace everything but what has happened; `schedule` is resolved."""
        self.record.schedule.CopyFrom(schedule)
        self.record.info.update_time.CopyFrom(clock.timestamp(self.now))
        self.record.conflict_token += 1
        self._times = times

    def ended(self, workflow_id: str, ended: Ended) -> None:
        """An action that counted as running is over."""
        record = self.record
        running = record.info.running_workflows
        kept = [each for each in running if each.workflow_id != workflow_id]
        del running[:]
        running.extend(kept)
        for action in record.info.recent_actions:
            if action.start_workflow_result.workflow_id == workflow_id:
                action.start_workflow_status = ended.status  # type: ignore[assignment]
                break
        self._pause_on_failure(workflow_id, ended)
        if ended.result is not None:
            record.last_result, record.last_failure = ended.result, None
        elif ended.failure is not None:
            record.last_failure = ended.failure

    def _pause_on_failure(self, workflow_id: str, ended: Ended) -> None:
        schedule = self.record.schedule
        if not schedule.policies.pause_on_failure or schedule.state.paused:
            return
        if ended.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED:
            message = ended.failure.message if ended.failure is not None else ""
            self._pause(f"paused due to workflow failure: {workflow_id}: {message}")
        if ended.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
            self._pause(f"paused due to workflow timeout: {workflow_id}")

    def _pause(self, notes: str) -> None:
        self.record.schedule.state.paused = True
        self.record.schedule.state.notes = notes
        self.record.conflict_token += 1

    # What it does.

    def backfill(self) -> None:
        """Take some more of the times that backfills ask for."""
        record = self.record
        left = _BACKFILLED_AT_ONCE
        while record.backfills and left and len(record.waiting) < _MOST_WAITING // 2:
            request = record.backfills[0]
            firings = self._times.between(
                clock.nanoseconds(request.start_time),
                clock.nanoseconds(request.end_time),
            )
            taken = list(islice(firings, left))
            for firing in taken:
                self._add(
                    Start(
                        firing.nominal, firing.at, request.overlap_policy, manual=True
                    )
                )
            left -= len(taken)
            if left:
                del record.backfills[0]
            else:
                request.start_time.CopyFrom(clock.timestamp(taken[-1].at))

    def next_round(self) -> Round:
        """Sort out what waits; the caller acts on it."""
        record = self.record
        self._fresh = False
        if not record.schedule.action.HasField("start_workflow"):
            record.waiting.clear()
        found = overlap.sort_out(
            record.waiting,
            self._policy,
            running=bool(record.info.running_workflows),
        )
        record.waiting = found.kept
        record.info.overlap_skipped += found.skipped
        return found

    def take(self, start: Start) -> bool:
        """Whether a start of a round may happen; it counts against the limit then."""
        state = self.record.schedule.state
        if not self._may_act(manual=start.manual):
            return False
        if state.limited_actions and not start.manual:
            state.remaining_actions -= 1
            self.record.conflict_token += 1
        return True

    def started(
        self, start: Start, execution: WorkflowExecution, *, counts: bool
    ) -> None:
        """A start of a round has happened.

        Args:
            start: of the round.
            execution: its workflow.
            counts: whether it is the round's one action that counts as running.
        """
        info = self.record.info
        info.action_count += 1
        result = ScheduleActionResult(
            schedule_time=clock.timestamp(start.at),
            actual_time=clock.timestamp(self.now),
            start_workflow_result=execution,
            start_workflow_status=WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
        )
        recent = [*info.recent_actions, result][-_RECENT:]
        del info.recent_actions[:]
        info.recent_actions.extend(recent)
        if counts:
            info.running_workflows.append(execution)

    # What comes next.

    def future(self, most: int) -> list[int]:
        """The next times it will act at, at most so many."""
        state = self.record.schedule.state
        if state.limited_actions:
            most = min(most, max(state.remaining_actions, 0))
        result: list[int] = []
        firing = self._next(self.record.processed)
        while firing is not None and len(result) < most:
            result.append(firing.at)
            firing = self._times.next_after(firing.at)
        return result

    def next_look(self) -> int | None:
        """When to look at it again; None if only an end can change anything."""
        record = self.record
        if record.backfills and len(record.waiting) < _MOST_WAITING // 2:
            return self.now + SECOND
        upcoming = self._next(record.processed)
        if upcoming is not None and self._may_act(manual=False):
            return upcoming.at
        return self.expiry()

    def expiry(self) -> int | None:
        """When an idle schedule is forgotten; None while it is not idle."""
        record = self.record
        if (
            record.schedule.state.paused
            or record.backfills
            or record.waiting
            or (
                self._may_act(manual=False) and self._next(record.processed) is not None
            )
        ):
            return None
        info = record.info
        events = [info.create_time, info.update_time]
        events += [action.actual_time for action in info.recent_actions[-1:]]
        return max(clock.nanoseconds(each) for each in events) + _RETENTION

    def _next(self, after: int) -> Firing | None:
        firing = self._times.next_after(after)
        while firing is not None and firing.at < self._updated:
            firing = self._times.next_after(firing.at)
        return firing

    @property
    def _updated(self) -> int:
        return clock.nanoseconds(self.record.info.update_time)

    def _may_act(self, *, manual: bool) -> bool:
        state = self.record.schedule.state
        if manual:
            return True
        if state.paused:
            return False
        return not state.limited_actions or state.remaining_actions > 0

    def _add(self, start: Start) -> None:
        if len(self.record.waiting) >= _MOST_WAITING:
            self.record.info.buffer_dropped += 1
            return
        self.record.waiting.append(start)
        self._fresh = True

    def _policy(self, own: int) -> int:
        return own or self.record.schedule.policies.overlap_policy
