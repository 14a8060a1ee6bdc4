"""One run, driven: events in, activations out, completions in, turns out.

The driver keeps the machines of a run and the queue of its commands. It is fed in one
of two ways. Replaying, the events are a batch of the journal and the commands must
match the events that they became; live, the events are new and the commands become
events. Everything between is the same code, which is why a rebuilt run behaves as the
one it replaces.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from dbosify._model import clock, links
from dbosify._model.effects import Close, TaskFailed, Turn
from dbosify._model.local import LocalOrder, LocalOutcome
from dbosify._model.protos import (
    EventType,
    EvictionReason,
    HistoryEvent,
    Timestamp,
    UpdateRequest,
    WorkerDeploymentVersion,
    WorkflowActivation,
    WorkflowActivationCompletion,
    WorkflowActivationJob,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)
from dbosify._model.registered import Registered

from . import activation as activations
from . import pending, sizes, updates
from .chain import Chain
from .commands import Command, Output
from .families import opened_by
from .history import Batch, cut
from .machines import message, patch
from .machines.activity import ActivityMachine
from .machines.child_workflow import ChildWorkflowMachine
from .machines.timer import TimerMachine
from .outcomes import Again, Answered, Outcome, Replayed, Waits
from .outgoing import Outgoing
from .properties import Properties
from .refusals import REFUSALS, task_failed, without_command
from .tail import Mark, Tail, Worker
from .translate import Translator
from .versions import Versions

_CAUSE = WorkflowTaskFailedCause
_TASK_TIMEOUT = 10.0
"""Seconds: Temporal's usual timeout of a workflow task."""
_HEARTBEAT = 0.8
"""The part of it after which core ends a task that waits for local activities."""
_OF_NO_TASK = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
)
"""Events of commands that do not say which workflow task they belong to."""


class RunDriver:
    """The machines and commands of one run.

    Args:
        workflow_id: of the run.
        run_id: of the run.
        namespace: where it lives.
        task_queue: whose worker drives it; the default queue of its activities.
        worker: what to write about the worker.
    """

    def __init__(
        self,
        workflow_id: str,
        run_id: str,
        *,
        namespace: str,
        task_queue: str,
        worker: Worker,
    ) -> None:
        self.workflow_id = workflow_id
        self.run_id = run_id
        self.namespace = namespace
        self.task_queue = task_queue
        self.worker = worker
        self.attempt = 1
        self.closed = False
        self.time = Timestamp()
        self.versions = Versions(worker.build_id, worker.version)
        self.properties = Properties()
        self.started: HistoryEvent | None = None
        self.translator = Translator()
        self.local_orders: list[LocalOrder] = []
        """For whoever runs local activities, and empties the list."""
        self._tail = Tail(worker, task_queue)
        self._batches: deque[Batch] = deque()
        self._batch: Batch | None = None
        self._backlog: list[HistoryEvent] = []
        self._outgoing = Outgoing()
        self._jobs: list[WorkflowActivationJob] = []
        self._current: WorkflowActivation | None = None
        self._querying = False
        self._task_started = HistoryEvent()
        self._speculative: tuple[Mark, HistoryEvent, Timestamp] | None = None
        """What was there before a task that only shows updates."""
        self._next_run_id = ""
        self._target: WorkerDeploymentVersion | None = None

    # What others may ask of it.

    @property
    def history_size(self) -> int:
        """Bytes of the history so far."""
        return self._tail.size

    @property
    def workflow_type(self) -> str:
        """The name of the workflow that runs."""
        started = self._start_event.workflow_execution_started_event_attributes
        return started.workflow_type.name

    @property
    def has_backlog(self) -> bool:
        """Whether something journaled waits for a workflow task to go on."""
        return (
            bool(self._backlog)
            or self._tail.scheduled_event_id > 0
            or self.translator.local.pending
        )

    @property
    def activities(self) -> list[ActivityMachine]:
        """Activities whose tasks may still be queued or running."""
        return [m for m in self.translator.activities.values() if m.pending]

    @property
    def timers(self) -> list[TimerMachine]:
        """Timers that have neither fired nor been cancelled."""
        return [m for m in self.translator.timers.values() if m.running]

    def load(self, events: Sequence[HistoryEvent]) -> None:
        """Take the journal of the run, before anything else."""
        past = cut(events)
        self.started = events[0]
        started = events[0].workflow_execution_started_event_attributes
        self.properties.load(events)
        self.versions.load(events)
        self.translator.carried.CopyFrom(started.search_attributes)
        self.time.CopyFrom(events[0].event_time)
        self._batches = deque(past.batches)
        self._backlog = past.backlog
        self.attempt = past.attempt
        self.closed = past.closed
        self._tail.scheduled_event_id = past.scheduled_event_id
        self._tail.last_event_id = past.last_event_id
        self._tail.size = past.size
        self._tail.flags_written = bool(past.batches)

    # Activations.

    def next_replay(self) -> WorkflowActivation | TaskFailed | None:
        """The next activation that rebuilds the run, if any is due.

        Returns:
            A failure if the journal itself is at odds with what the code did so far.
        """
        try:
            return self._next_replay()
        except REFUSALS as error:
            return task_failed(error)

    def _next_replay(self) -> WorkflowActivation | None:
        while self._batches:
            batch = self._batches.popleft()
            self._batch = batch
            self.versions.replay_task(batch.completed)
            for event in batch.commands:
                marker = patch.patch_of(event)
                if marker is not None:
                    self.translator.known_patches.add(marker[0])
                    self._jobs.append(patch.notify(marker[0]))
            self._advance(batch.started)
            accepted = updates.recorded(batch.commands)
            activation = self._feed(batch.news, batch.started, accepted, replaying=True)
            if activation is not None:
                return activation
            self._end_replayed_task()
        return None

    def begin(
        self,
        news: Sequence[HistoryEvent],
        *,
        now: Timestamp,
        next_run_id: str,
        request_id: str,
        sent_updates: Sequence[UpdateRequest] = (),
        target: WorkerDeploymentVersion | None = None,
    ) -> WorkflowActivation | Waits | Turn | TaskFailed:
        """Start a workflow task with new events.

        Args:
            news: without ids, in the order they happened.
            now: the database's time; becomes the workflow's.
            next_run_id: taken if the run continues as a new one.
            request_id: of the WorkflowTaskStarted event.
            sent_updates: that the workflow has not answered, oldest first.
            target: the version of the worker deployment that new runs go to.

        Returns:
            The activation, or the finished turn if the workflow need not hear of it
            and waits for no local activity, or a failure if the news make no sense.
        """
        self._next_run_id, self._target = next_run_id, target
        self._link(news)
        self._speculative = None
        if not news and not self.has_backlog:
            self._speculative = self._tail.mark(), self._task_started, self.time
        self._tail.begin(now, news)
        started = self._tail.start_task(
            self._start_event,
            attempt=self.attempt,
            request_id=request_id,
            target_changed=self.versions.run.notices(target),
        )
        fresh, self._backlog = [*self._backlog, *news], []
        self._advance(started)
        try:
            activation = self._feed(
                fresh, started, updates.live(sent_updates), replaying=False
            )
        except REFUSALS as error:
            return task_failed(error)
        return self._rest() if activation is None else activation

    def fail_task(
        self,
        news: Sequence[HistoryEvent],
        failed: TaskFailed,
        *,
        now: Timestamp,
        request_id: str,
        close_run: bool,
        next_run_id: str = "",
    ) -> Turn:
        """Record that the task with `news` failed; the driver only counts events.

        Args:
            news: that the task was given.
            failed: what happened to it.
            now: the database's time.
            request_id: of the WorkflowTaskStarted event.
            close_run: fail the whole run instead of the task.
            next_run_id: taken if the run's policy has it tried again then.
        """
        self._next_run_id = next_run_id
        self._link(news)
        self._tail.begin(now, news)
        self._task_started = self._tail.start_task(
            self._start_event, attempt=self.attempt, request_id=request_id
        )
        if close_run:
            command = WorkflowCommand()
            command.fail_workflow_execution.failure.CopyFrom(failed.failure)
            out = Output()
            self.translator.apply(command, self._chain(), now, out)
            self._outgoing.extend(out.commands)
            return self._end_live_task()
        self._tail.fail_task(self._task_started, failed)
        return Turn(tuple(self._tail.events))

    def leave_task(self, news: Sequence[HistoryEvent], *, now: Timestamp) -> Turn:
        """Record news for another worker; the driver only counts events.

        Args:
            news: that nobody has been given.
            now: the database's time.
        """
        self._link(news)
        self._tail.begin(now, news)
        self._tail.schedule_task(self._start_event, self.attempt)
        return Turn(tuple(self._tail.events))

    def query(self, jobs: Sequence[WorkflowActivationJob]) -> WorkflowActivation:
        """The activation that asks the run something; it leaves no trace."""
        self._querying = True
        activation = WorkflowActivation(
            run_id=self.run_id,
            timestamp=self.time,
            is_replaying=True,
            history_length=(
                self._tail.last_event_id if self.closed else self._task_started.event_id
            ),
            jobs=jobs,
        )
        activations.task_started_fields(activation, self._task_started)
        self.versions.show(activation, replayed=None, querying=True)
        return activation

    # Completions.

    def complete(
        self,
        completion: WorkflowActivationCompletion,
        registered: Registered | None = None,
    ) -> Outcome:
        """Take the SDK's answer to the last activation.

        Args:
            completion: the answer.
            registered: what a live task's commands speak of.
        """
        if self._querying:
            return self._complete_query(completion)
        if completion.WhichOneof("status") != "successful":
            failed = completion.failed
            cause = failed.force_cause or (
                _CAUSE.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
            )
            return TaskFailed(
                cause,
                failed.failure,
                EvictionReason.LANG_FAIL,
                f"Workflow activation completion failed: {failed.failure.message}",
            )
        try:
            return self._complete_task(completion, registered)
        except REFUSALS as error:
            return task_failed(error)

    def _complete_task(
        self,
        completion: WorkflowActivationCompletion,
        registered: Registered | None,
    ) -> Outcome:
        success = completion.successful
        self.versions.use(success.used_internal_flags)
        self.versions.behavior = (
            success.versioning_behavior or self.worker.default_behavior
        )
        out = self._output()
        chain = self._chain(registered)
        for source in success.commands:
            self.translator.apply(source, chain, self._tail.now, out)
        if self._batch is None:
            sizes.check(success.commands)
            pending.check(success.commands, self.translator)
        return self._go_on(out)

    def _go_on(self, out: Output) -> Outcome:
        """The code waits again: show it what is known by now, or end the task."""
        self.translator.local.go_on(out)
        self._take(out)
        if self._jobs:
            return Again(self._issue(replaying=self._batch is not None))
        if self._batch is not None:
            self._end_replayed_task()
            return Replayed()
        return self._rest()

    def _rest(self) -> Waits | Turn:
        """There is nothing to show: end the task, or wait for local activities."""
        if self._outgoing.closes or not self.translator.local.pending:
            return self._end_live_task()
        started = self._start_event.workflow_execution_started_event_attributes
        timeout = clock.seconds(started.workflow_task_timeout) or _TASK_TIMEOUT
        began_at = clock.seconds(self._task_started.event_time)
        return Waits(began_at + timeout * _HEARTBEAT)

    # Local activities.

    def end_local(self, seq: int, outcome: LocalOutcome, *, now: Timestamp) -> Outcome:
        """A local activity of the task that waits is over.

        Args:
            seq: its number.
            outcome: how it ended.
            now: the database's time.
        """
        self._tail.now = now
        out = self._output()
        self.translator.local.end(seq, outcome, out)
        return self._go_on(out)

    def heartbeat(self, *, now: Timestamp) -> Turn:
        """End the task that waits; the next one waits on.

        Args:
            now: the database's time.
        """
        self._tail.now = now
        return self._end_live_task()

    def _output(self) -> Output:
        """Where machines put what follows; those of local activities know the time."""
        local = self.translator.local
        local.time, local.now = self.time, self._tail.now
        local.replaying = self._batch is not None
        return Output()

    def _take(self, out: Output) -> None:
        """Keep what followed until the task goes on or ends."""
        self._outgoing.extend(out.commands)
        self.local_orders.extend(out.local)
        self._jobs.extend(out.jobs)
        for moment in out.times:
            self._reach(moment)

    def _complete_query(self, completion: WorkflowActivationCompletion) -> Outcome:
        self._querying = False
        if completion.WhichOneof("status") != "successful":
            return Answered((), completion.failed.failure)
        return Answered(
            tuple(
                command.respond_to_query
                for command in completion.successful.commands
                if command.HasField("respond_to_query")
            )
        )

    # Feeding events to machines.

    def _feed(
        self,
        news: Sequence[HistoryEvent],
        started: HistoryEvent,
        deliveries: Sequence[updates.Delivery],
        *,
        replaying: bool,
    ) -> WorkflowActivation | None:
        local = self.translator.local
        out = self._output()
        for event in news:
            self._on_event(event, out)
        # The server says of every update that it came after all events of its task.
        self.translator.updates.deliver(
            deliveries,
            sequencing_event_id=started.event_id - 1,
            run_validator=not replaying,
            out=out,
        )
        local.begin_task(self._batch.commands if self._batch is not None else ())
        local.go_on(out)
        self._take(out)
        self._current = WorkflowActivation()
        activations.task_started_fields(self._current, started)
        return self._issue(replaying=replaying) if self._jobs else None

    def _on_event(self, event: HistoryEvent, out: Output) -> None:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            out.jobs.append(activations.initialize(self.workflow_id, event))
        elif message.on_event(event, out):
            pass
        else:
            machine = self.translator.by_event.get(opened_by(event))
            if machine is None:
                raise without_command(event)
            machine.on_event(event, out)

    def _issue(self, *, replaying: bool) -> WorkflowActivation:
        assert self._current is not None, "a task is under way"
        activation = WorkflowActivation()
        activation.CopyFrom(self._current)
        activation.run_id = self.run_id
        activation.timestamp.CopyFrom(self.time)
        activation.is_replaying = replaying
        activation.history_length = self._task_started.event_id
        replayed = None if self._batch is None else self._batch.completed
        self.versions.show(activation, replayed=replayed, querying=False)
        activation.jobs.extend(activations.in_order(self._jobs))
        self._jobs = []
        self.translator.local.shown()
        return activation

    def _advance(self, started: HistoryEvent) -> None:
        self._task_started = started
        self._reach(started.event_time)

    def _reach(self, moment: Timestamp) -> None:
        """The workflow's clock never goes back."""
        if clock.nanoseconds(moment) > clock.nanoseconds(self.time):
            self.time = moment

    # The end of a workflow task.

    def _end_replayed_task(self) -> None:
        batch, self._batch = self._batch, None
        assert batch is not None, "a batch was being replayed"
        out = Output()
        on_marker = self.translator.local.on_marker
        events = [event for event in batch.commands if not on_marker(event)]
        for command, event in self._outgoing.matched(events):
            self._record(command, event, out)
        self._finish_task(batch.completed, out)

    def _end_live_task(self) -> Turn:
        out = Output()
        commands = self._outgoing.take_all()
        if self._speculative is not None and not commands:
            return self._drop_task(out)
        completed = self._tail.complete_task(
            self._task_started, self.versions.new_flags, self.versions.behavior
        )
        self.versions.complete_task(completed)
        for command in commands:
            event = HistoryEvent(event_type=command.event_type)
            attributes = getattr(event, command.attributes_field)
            attributes.CopyFrom(command.attributes)
            if command.event_type not in _OF_NO_TASK:
                attributes.workflow_task_completed_event_id = completed.event_id
            if command.metadata is not None:
                event.user_metadata.CopyFrom(command.metadata)
            self._tail.append(event)
            self._record(command, event, out)
        close = None
        template = commands[-1].close if commands else None
        if template is not None:
            close = Close(
                template.status,
                self._tail.events[-1],
                result=template.result,
                failure=template.failure,
                next=template.next,
            )
            self.closed = True
        self._finish_task(completed, out)
        self.attempt = 1
        return Turn(tuple(self._tail.events), tuple(out.effects), close)

    def _drop_task(self, out: Output) -> Turn:
        """Leave no trace of a task that rejected its updates and did nothing else.

        Flags of the SDK that it used are written with the next task that stays.
        """
        assert self._speculative is not None, "the task may be dropped"
        mark, self._task_started, self.time = self._speculative
        self._tail.drop_after(mark)
        self.translator.end_task(out)
        self._current = None
        return Turn((), tuple(out.effects))

    def _record(self, command: Command, event: HistoryEvent, out: Output) -> None:
        self.translator.recorded(command, event, out)
        self.properties.learn(event)

    def _finish_task(self, completed: HistoryEvent, out: Output) -> None:
        self.versions.end_task(completed)
        self.translator.end_task(out)
        self._current = None

    @property
    def _start_event(self) -> HistoryEvent:
        assert self.started is not None, "the journal was loaded"
        return self.started

    def _chain(self, registered: Registered | None = None) -> Chain:
        return Chain(
            run_id=self.run_id,
            started=self._start_event,
            next_run_id=self._next_run_id,
            search_attributes=self.translator.carried,
            namespace=self.namespace,
            registered=registered,
            callbacks=self.properties.callbacks,
            versioning=self.versions.current,
            target=self._target,
        )

    def _link(self, news: Sequence[HistoryEvent]) -> None:
        """Point news at events of this run that whoever sent them cannot know."""
        self.properties.join(news)
        self.versions.run = self.versions.run.after(news)
        for event in news:
            machine = self.translator.by_event.get(opened_by(event))
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
                if isinstance(machine, ActivityMachine):
                    canceled = event.activity_task_canceled_event_attributes
                    canceled.latest_cancel_requested_event_id = machine.cancel_event_id
            elif isinstance(machine, ChildWorkflowMachine):
                links.to_started(event, machine.started_event_id)
