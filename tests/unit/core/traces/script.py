"""A trace as a table, and the player that holds the driver to it.

A trace tells the story of one run, row by row: what was given to it, what its workflow
then saw, what it did, and what followed. The player knows only the driver's face. It
can drop the driver after every task and rebuild it from the journal, as a worker does
that takes over a run; the rest of the story must not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from dbosify._core import outcomes
from dbosify._core.driver import RunDriver
from dbosify._core.outcomes import Again, Answered, Outcome, Replayed
from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.local import LocalOutcome, RunLocal
from dbosify._model.protos import (
    EvictionReason,
    HistoryEvent,
    UpdateRequest,
    WorkflowActivation,
    WorkflowActivationCompletion,
    WorkflowActivationJob,
    WorkflowCommand,
    WorkflowExecutionStatus,
    WorkflowTaskFailedCause,
)
from tests.unit.core.spelling import (
    BEGAN,
    NEXT_RUN_ID,
    RUN_ID,
    at,
    beginning,
    copies,
    driver_of,
)
from tests.unit.core.traces import showing
from tests.unit.core.traces.commands import answer, completion, failed_completion
from tests.unit.core.traces.news import flat


class Given:
    """A workflow task begins with these news; task `n` begins `n` s after the run.

    Args:
        news: what happened, in order.
        attempt: which attempt at the task it is, if the journal does not tell.
        updates: that were sent and not answered yet.
    """

    def __init__(
        self,
        *news: Sequence[HistoryEvent],
        attempt: int = 0,
        updates: Sequence[UpdateRequest] = (),
    ) -> None:
        self.news = flat(news)
        self.attempt = attempt
        self.updates = list(updates)


class Sees:
    """The workflow is shown these jobs.

    Args:
        length: of the history, as it is told.
        jobs: in the words of `showing.job`.
        flags: the SDK's flags that it may rely on.
        patches: markers that this task will leave: on replay they are announced.
        after: seconds that local activities have moved its clock on by.
    """

    def __init__(
        self,
        length: int,
        *jobs: str,
        flags: Sequence[int] = (),
        patches: Sequence[str] = (),
        after: float = 0.0,
    ) -> None:
        self.length = length
        self.after = after
        self.jobs = list(jobs)
        self.flags = list(flags)
        self.patches = list(patches)


class Does:
    """The workflow answers with these commands."""

    def __init__(self, *commands: WorkflowCommand, flags: Sequence[int] = ()) -> None:
        self.completion = completion(commands, flags)


class Waits:
    """The task waits for these local activities, by number."""

    def __init__(self, *running: int) -> None:
        self.running = set(running)


class LocalEnds:
    """A local activity is over.

    Args:
        seq: its number.
        outcome: how.
    """

    def __init__(self, seq: int, outcome: LocalOutcome) -> None:
        self.seq = seq
        self.outcome = outcome


class Beats:
    """The task has waited so long that the next one goes on waiting."""


class Breaks:
    """The workflow answers that it is broken."""

    def __init__(self, message: str, cause: str = "UNSPECIFIED") -> None:
        self.completion = failed_completion(message, cause)


class Then:
    """The task is over and journaled; this follows.

    Args:
        effects: in the words of `showing.effect`.
        closed: the run's status, if it is over.
    """

    def __init__(self, *effects: str, closed: str = "") -> None:
        self.effects = list(effects)
        self.closed = closed


class Refused:
    """The task failed; the driver is dropped, and the run rebuilt from its journal.

    Args:
        cause: in the journal.
        text: the failure's message.
        eviction: why the SDK forgets the run.
        reported: whether the journal hears of it, as it does of first attempts.
    """

    def __init__(
        self, cause: str, text: str, eviction: str, *, reported: bool = True
    ) -> None:
        self.cause = cause
        self.text = text
        self.eviction = eviction
        self.reported = reported


class Overtaken:
    """The run wanted to close, but something had happened: the task is taken back."""


class Dropped:
    """The worker forgets the run, or another takes it over."""


class Asks:
    """Somebody queries the run.

    Args:
        length: of the history, as the workflow is told.
        value: what it answers.
    """

    def __init__(self, length: int, value: object) -> None:
        self.length = length
        self.value = value


Step: TypeAlias = (
    Given
    | Sees
    | Does
    | Waits
    | LocalEnds
    | Beats
    | Breaks
    | Then
    | Refused
    | Overtaken
    | Dropped
    | Asks
)


class Trace:
    """A run's story.

    Args:
        name: what pytest calls it.
        steps: what happens.
        history: the whole of it at the end, in the words of `showing.history`.
        first: the journal that the run starts with.
    """

    def __init__(
        self,
        name: str,
        *steps: Step,
        history: str = "",
        first: Sequence[HistoryEvent] | None = None,
    ) -> None:
        self.name = name
        self.steps = steps
        self.history = history
        self.first = beginning() if first is None else list(first)


@dataclass
class Round:
    """An activation and its answer."""

    shown: WorkflowActivation
    patches: list[str]
    answer: WorkflowActivationCompletion | None = None


@dataclass
class Player:
    """One run, played.

    Attributes:
        journal: what is committed.
        tasks: the rounds of every committed task; tasks that showed nothing have none.
        turns: what the tasks became.
    """

    trace: Trace
    restarting: bool = False
    journal: list[HistoryEvent] = field(default_factory=list)
    tasks: list[list[Round]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = copies(self.trace.first)
        self.driver = driver_of(self.journal)
        self.rounds: list[Round] = []
        self.news: list[HistoryEvent] = []
        self.outcome: Outcome | WorkflowActivation = Replayed()
        self.number = 0
        self.running: set[int] = set()

    def play(self) -> Player:
        """Play the whole trace."""
        for step in self.trace.steps:
            self.take(step)
        ids = [event.event_id for event in self.journal]
        assert ids == list(range(1, len(ids) + 1))
        assert showing.history(self.journal) == self.trace.history
        return self

    def take(self, step: Step) -> None:
        """Take one step of it."""
        match step:
            case Given():
                self._given(step)
            case Sees():
                self._sees(step)
            case Does() | Breaks():
                self.rounds[-1].answer = step.completion
                self.outcome = self.driver.complete(step.completion)
            case Then():
                self._then(step)
            case Refused():
                self._refused(step)
            case Asks():
                self._asks(step)
            case Waits() | LocalEnds() | Beats():
                self._of_local_activities(step)
            case _:
                if isinstance(step, Overtaken):
                    assert isinstance(self.outcome, Turn)
                    assert self.outcome.close is not None
                self._rebuild()

    def _of_local_activities(self, step: Waits | LocalEnds | Beats) -> None:
        now = at(self.number)
        match step:
            case Waits():
                self._waits(step)
            case LocalEnds():
                self.running.discard(step.seq)
                self.outcome = self.driver.end_local(step.seq, step.outcome, now=now)
            case Beats():
                self.outcome = self.driver.heartbeat(now=now)

    def _given(self, step: Given) -> None:
        self.number += 1
        self.rounds = []
        # What a task that came to nothing was given is still news to the next.
        self.news += step.news
        if step.attempt:
            self.driver.attempt = step.attempt
        self.outcome = self.driver.begin(
            copies(self.news),
            now=at(self.number),
            next_run_id=NEXT_RUN_ID,
            request_id=f"request-{self.number}",
            sent_updates=step.updates,
        )

    def _sees(self, step: Sees) -> None:
        outcome = self.outcome
        shown = outcome.activation if isinstance(outcome, Again) else outcome
        assert isinstance(shown, WorkflowActivation), outcome
        assert [showing.job(job) for job in shown.jobs] == step.jobs
        assert shown.history_length == step.length
        assert list(shown.available_internal_flags) == step.flags
        assert shown.run_id == RUN_ID
        assert shown.timestamp == at(self.number + step.after)
        assert not shown.is_replaying
        self.rounds.append(Round(shown, step.patches))

    def _waits(self, step: Waits) -> None:
        assert isinstance(self.outcome, outcomes.Waits), self.outcome
        for order in self.driver.local_orders:
            if isinstance(order, RunLocal):
                self.running.add(order.command.seq)
        self.driver.local_orders.clear()
        assert self.running == step.running

    def _then(self, step: Then) -> None:
        turn = self.outcome
        assert isinstance(turn, Turn), turn
        assert [showing.effect(effect) for effect in turn.effects] == step.effects
        if turn.close is None:
            assert step.closed == ""
        else:
            status = WorkflowExecutionStatus.Name(turn.close.status)
            assert status == f"WORKFLOW_EXECUTION_STATUS_{step.closed}"
            assert turn.close.event == turn.events[-1]
        self.journal += copies(list(turn.events))
        self.turns.append(turn)
        if turn.events:
            self.tasks.append(self.rounds)
        self.news = []
        if self.restarting:
            self._rebuild()

    def _refused(self, step: Refused) -> None:
        failed = self.outcome
        assert isinstance(failed, TaskFailed), failed
        cause = WorkflowTaskFailedCause.Name(failed.cause)
        assert cause == f"WORKFLOW_TASK_FAILED_CAUSE_{step.cause}"
        assert failed.failure.message == step.text
        assert failed.eviction == EvictionReason.Value(step.eviction)
        if step.reported:
            turn = driver_of(self.journal).fail_task(
                copies(self.news),
                failed,
                now=at(self.number),
                request_id=f"request-{self.number}",
                close_run=False,
            )
            self.journal += copies(list(turn.events))
            self.news = []
        self._rebuild()

    def _asks(self, step: Asks) -> None:
        job = WorkflowActivationJob()
        job.query_workflow.query_id = "q"
        shown = self.driver.query([job])
        assert list(shown.jobs) == [job]
        assert shown.is_replaying
        assert shown.history_length == step.length
        assert shown.timestamp == self.driver.time
        outcome = self.driver.complete(completion([answer("q", step.value)]))
        assert isinstance(outcome, Answered)
        assert outcome.failure is None
        assert [showing.text(r.succeeded.response) for r in outcome.results] == [
            showing.text(answer("q", step.value).respond_to_query.succeeded.response)
        ]

    def _rebuild(self) -> None:
        before, self.driver = self.driver, rebuilt(self.journal, self.tasks)
        self.running = set()
        if isinstance(self.outcome, Turn) and self.news == []:
            assert state(self.driver) == state(before)


def rebuilt(journal: list[HistoryEvent], tasks: list[list[Round]]) -> RunDriver:
    """A driver rebuilt from the journal: it must show again what was shown live.

    Args:
        journal: of the run.
        tasks: what its workflow saw and did.
    """
    driver = driver_of(journal)
    for task in tasks:
        outcome: Outcome = Replayed()
        for number, each in enumerate(task):
            shown = driver.next_replay() if number == 0 else outcome
            if isinstance(shown, Again):
                shown = shown.activation
            assert shown == replayed(each, task)
            outcome = driver.complete(answered(each, task))
        assert isinstance(outcome, Replayed)
    assert driver.next_replay() is None
    return driver


def accepted(task: list[Round]) -> set[str]:
    """The updates that a task answered with anything but a rejection at once."""
    found = set()
    for each in task:
        assert each.answer is not None
        for command in each.answer.successful.commands:
            if command.update_response.HasField("accepted"):
                found.add(command.update_response.protocol_instance_id)
    return found


def answered(each: Round, task: list[Round]) -> WorkflowActivationCompletion:
    """The answer when the task is shown again, without updates it had rejected."""
    assert each.answer is not None
    shown = {
        job.do_update.protocol_instance_id
        for job in each.shown.jobs
        if job.HasField("do_update")
    }
    gone = shown - accepted(task)
    result = WorkflowActivationCompletion()
    result.CopyFrom(each.answer)
    del result.successful.commands[:]
    result.successful.commands.extend(
        command
        for command in each.answer.successful.commands
        if command.update_response.protocol_instance_id not in gone
    )
    return result


def replay(
    journal: Sequence[HistoryEvent], *answers: Does
) -> tuple[list[list[str]], Outcome]:
    """Rebuild a run whose code may have changed since.

    Args:
        journal: of the run.
        answers: what the code does now, activation by activation.

    Returns:
        The jobs it was shown, and what its last answer came to.
    """
    driver = driver_of(list(journal))
    jobs: list[list[str]] = []
    outcome: Outcome = Replayed()
    for each in answers:
        shown = driver.next_replay() if isinstance(outcome, Replayed) else outcome
        if isinstance(shown, Again):
            shown = shown.activation
        assert isinstance(shown, WorkflowActivation), shown
        jobs.append([showing.job(job) for job in shown.jobs])
        outcome = driver.complete(each.completion)
    if isinstance(outcome, Replayed):
        shown = driver.next_replay()
        if isinstance(shown, TaskFailed):
            outcome = shown
        else:
            assert shown is None
    return jobs, outcome


def replayed(each: Round, task: list[Round]) -> WorkflowActivation:
    """An activation as it must look when it is shown again."""
    result = WorkflowActivation()
    result.CopyFrom(each.shown)
    result.is_replaying = True
    used = {
        flag
        for other in task
        if other.answer is not None
        for flag in other.answer.successful.used_internal_flags
    }
    del result.available_internal_flags[:]
    result.available_internal_flags.extend(
        sorted(used | set(each.shown.available_internal_flags))
    )
    kept = accepted(task)
    jobs = [
        job
        for job in result.jobs
        if not job.HasField("do_update") or job.do_update.protocol_instance_id in kept
    ]
    for job in jobs:
        if job.HasField("do_update"):
            job.do_update.run_validator = False
    position = 1 if jobs[0].HasField("initialize_workflow") else 0
    for patch_id in reversed(each.patches):
        job = WorkflowActivationJob()
        job.notify_has_patch.patch_id = patch_id
        jobs.insert(position, job)
    del result.jobs[:]
    result.jobs.extend(jobs)
    return result


def state(driver: RunDriver) -> dict[str, object]:
    """What a driver knows of its run between two tasks."""
    return {
        "time": driver.time,
        "size": driver.history_size,
        "flags": driver.versions.flags,
        "closed": driver.closed,
        "attempt": driver.attempt,
        "backlog": driver.has_backlog,
        "attributes": showing.fields(
            driver.properties.search_attributes.indexed_fields
        ),
        "memo": showing.fields(driver.properties.memo.fields),
        "activities": [
            (a.command.seq, a.opened_by, a.state) for a in driver.activities
        ],
        "others": [
            (seq, machine.opened_by, machine.state)
            for family in (
                driver.translator.others.children,
                driver.translator.others.signals,
            )
            for seq, machine in family.items()
        ],
        "timers": [
            (t.seq, t.opened_by, round(t.deadline - BEGAN, 6)) for t in driver.timers
        ],
    }
