"""What a run has under way outside its code: activities in this process, and timers.

They begin when the turn that asked for them is written. What becomes of them is the
run's next news. A new owner picks up here what the last one had begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from dbosify._core.machines.attempt import AttemptMachine
from dbosify._model.activity import ActivityRow
from dbosify._model.effects import CancelActivity, CancelTimer, StartTimer, Turn
from dbosify._model.protos import HistoryEvent
from dbosify._store import activities
from dbosify._store.journal import BegunActivity

from . import turn_row
from .held_activity import HeldActivity
from .replica import Replica
from .run_timers import RunTimers

if TYPE_CHECKING:
    from .workflow_worker import WorkflowWorker


class UnderWay:
    """See the module's text.

    Args:
        worker: whose run it is.
        workflow_uuid: of the run.
        run_id: of the run.
        add_news: called with the events of what has happened.
    """

    def __init__(
        self,
        worker: WorkflowWorker,
        workflow_uuid: str,
        run_id: str,
        add_news: Callable[[Sequence[HistoryEvent]], None],
    ) -> None:
        self.worker = worker
        self.uuid = workflow_uuid
        self.run_id = run_id
        self.activities: dict[int, HeldActivity] = {}
        self.timers = RunTimers(worker.clock, add_news)
        self._add_news = add_news
        self._picked_up = False
        self._not_begun: set[str] = set()
        """Tokens of attempts that did not begin, though their turn may be written."""

    def activity_over(self, held: HeldActivity) -> None:
        """An activity that ran for this run here has ended for good."""
        assert held.row.closing is not None, "it is over"
        self._add_news(held.row.closing)

    def begin(
        self, turn: Turn, begun: Sequence[BegunActivity], workflow_type: str
    ) -> list[str]:
        """Let the effects of a written turn begin.

        Returns:
            The timers that are cancelled, whose fire is no news any more.
        """
        for activity in begun:
            if activity.token is None:
                self.worker.activity_queued(turn_row.queue_of(activity))
            else:
                row = turn_row.activity_row(self.uuid, workflow_type, activity)
                self._start(row)
        cancelled = []
        for effect in turn.effects:
            match effect:
                case StartTimer():
                    self.timers.arm(
                        effect.timer_id, effect.started_event_id, effect.deadline
                    )
                case CancelTimer():
                    self.timers.disarm(effect.timer_id)
                    cancelled.append(effect.timer_id)
                case CancelActivity():
                    self._cancel(effect.scheduled_event_id)
        return cancelled

    def not_begun(self, begun: Iterable[BegunActivity]) -> None:
        """Nothing of a turn begins that is written, perhaps; see `pick_up`."""
        self._not_begun = {activity.token for activity in begun if activity.token}

    def nothing_yet(self) -> None:
        """The run has just begun: the last owner left nothing."""
        self._picked_up = True

    async def pick_up(
        self, replica: Replica, news: Iterable[Sequence[HistoryEvent]]
    ) -> None:
        """Go on with what the journal and the last owner began.

        Args:
            replica: rebuilt.
            news: not journaled yet.
        """
        self.timers.rearm(replica.driver.timers, news)
        if self._picked_up:
            return
        rows = []
        if replica.driver.activities:
            rows = await activities.of_run(self.worker.database, self.run_id)
        for row in rows:
            if not row.eager or row.scheduled.event_id in self.activities:
                continue
            # Our process alone is no proof: it may have begun the attempt as the run's
            # owner before, have lost the run, and taken it again.
            if row.token in self._not_begun and self._begin_late(row):
                continue
            machine = AttemptMachine(row.scheduled, row.progress, row.state)
            machine.lost(self.worker.clock.seconds())
            held = HeldActivity(row, machine, self.worker.host)
            held.run = self
            self.activities[row.scheduled.event_id] = held
            await held.settle()
        self._not_begun.clear()
        self._picked_up = True

    def look_again(self) -> None:
        """Whoever goes on with the run must pick up what is there by then."""
        self._picked_up = False

    def journaled(self, ended: Iterable[int]) -> None:
        """Forget activities whose outcome is in the journal.

        Args:
            ended: numbers of their ActivityTaskScheduled events.
        """
        for number in ended:
            self.activities.pop(number, None)

    async def detach(self) -> None:
        """Let running activities go on alone; those that ended are news already."""
        for number, held in list(self.activities.items()):
            if await held.detach():
                self.activities.pop(number, None)
        self.look_again()

    def orphan(self) -> None:
        """The run is closed or lost: nothing of it concerns anybody."""
        for held in list(self.activities.values()):
            held.orphan()

    def _start(self, row: ActivityRow) -> None:
        held = self.worker.places.start(row, self)
        self.activities[row.scheduled.event_id] = held

    def _begin_late(self, row: ActivityRow) -> bool:
        """Begin an activity of ours whose turn we did not know to be written."""
        options = row.scheduled.activity_task_scheduled_event_attributes
        if not self.worker.places.take(options.task_queue.name):
            return False
        self._start(row)
        return True

    def _cancel(self, scheduled_event_id: int) -> None:
        held = self.activities.get(scheduled_event_id)
        if held is not None:
            held.request_cancel()
        else:
            self.worker.wake_at(self.worker.clock.seconds())
