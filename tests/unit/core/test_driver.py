"""The driver's smaller print: what the traces are too terse to show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dbosify._core.driver import RunDriver
from dbosify._core.outcomes import Again, Answered, Outcome, Replayed
from dbosify._core.tail import CORE_FLAGS
from dbosify._core.to_nexus import endpoints_named
from dbosify._model import clock
from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.protos import (
    EventType,
    EvictionReason,
    HistoryEvent,
    WorkflowActivation,
    WorkflowActivationCompletion,
    WorkflowActivationJob,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)
from dbosify._model.registered import Registered
from tests.unit.core.spelling import (
    NEXT_RUN_ID,
    WORKER,
    at,
    beginning,
    boom,
    copies,
    driver_of,
    payload,
    span,
    start,
)
from tests.unit.core.traces import showing
from tests.unit.core.traces.commands import (
    WAIT,
    activity,
    cancel_activity,
    cancel_timer,
    complete,
    completion,
    fail,
    failed_completion,
    memo,
    timer,
    upsert,
)
from tests.unit.core.traces.news import canceled, completed, event, fired, signal
from tests.unit.core.traces.nexus_said import operation


class Run:
    """A run with its journal, task after task."""

    def __init__(self, journal: list[HistoryEvent] | None = None) -> None:
        self.journal = journal or beginning()
        self.driver: RunDriver = driver_of(self.journal)
        self.number = 0

    def begin(self, news: list[HistoryEvent] | None = None) -> WorkflowActivation:
        """Begin a task that shows the workflow something."""
        shown = self.start(news or [])
        assert isinstance(shown, WorkflowActivation), shown
        return shown

    def start(self, news: list[HistoryEvent]) -> object:
        """Begin a task."""
        self.number += 1
        return self.driver.begin(
            copies(news),
            now=at(self.number),
            next_run_id=NEXT_RUN_ID,
            request_id=f"request-{self.number}",
        )

    def answer(self, *commands: WorkflowCommand, flags: tuple[int, ...] = ()) -> Turn:
        """End the task."""
        turn = self.driver.complete(completion(commands, flags))
        assert isinstance(turn, Turn), turn
        self.journal += copies(list(turn.events))
        return turn

    def task(
        self, *commands: WorkflowCommand, news: list[HistoryEvent] | None = None
    ) -> Turn:
        """A whole task."""
        self.begin(news)
        return self.answer(*commands)

    def fail(self, failed: TaskFailed) -> None:
        """Journal that the task failed, and forget the driver."""
        turn = driver_of(self.journal).fail_task(
            [], failed, now=at(self.number), request_id="r", close_run=False
        )
        self.journal += copies(list(turn.events))
        self.driver = driver_of(self.journal)

    def attributes(self, number: int) -> Any:
        """What event `number` says."""
        found = self.journal[number - 1]
        assert found.event_id == number
        return getattr(found, found.WhichOneof("attributes") or "")


# Numbers and links of events.


def test_a_driver_knows_what_runs() -> None:
    assert driver_of(beginning()).workflow_type == "Order"


def test_commands_name_the_task_that_gave_them() -> None:
    run = Run()
    run.task(activity(1), timer(1, 1), upsert(a=1), memo(a=1), complete())
    assert {
        run.attributes(number).workflow_task_completed_event_id
        for number in range(5, 10)
    } == {4}


def test_a_task_links_its_events() -> None:
    run = Run()
    run.task(news=signal("s"))
    started, finished = run.attributes(4), run.attributes(5)
    assert started.scheduled_event_id == finished.scheduled_event_id == 2
    assert finished.started_event_id == 4
    assert started.request_id == "request-1"
    assert started.identity == finished.identity == "worker@here"
    assert finished.worker_version.build_id == "build-1"


def test_a_task_is_scheduled_for_the_runs_queue_with_the_runs_timeout() -> None:
    run = Run(beginning(start(workflow_task_timeout=span(7))))
    run.task()
    run.task(news=signal("s"))
    scheduled = run.attributes(6)
    assert scheduled.task_queue.name == "queue"
    assert scheduled.start_to_close_timeout == span(7)
    assert scheduled.attempt == 1


def test_an_activitys_end_names_its_start_and_what_asked_for_it() -> None:
    run = Run()
    run.task(activity(1, cancellation=WAIT), activity(2))
    run.task(cancel_activity(1), news=signal("s"))
    run.task(news=[*canceled(5), *completed(6)])
    gone, done = run.attributes(13), run.attributes(15)
    assert gone.started_event_id == 12
    assert gone.latest_cancel_requested_event_id == 11
    assert done.started_event_id == 14


def test_a_closing_event_is_not_linked_to_another_activitys_start() -> None:
    run = Run()
    run.task(activity(1), activity(2, cancellation=WAIT))
    run.task(cancel_activity(2), news=signal("s"))
    run.task(news=[completed(5)[0], canceled(6)[1], completed(5)[1]])
    assert [run.attributes(number).started_event_id for number in (13, 14)] == [0, 0]


def test_the_first_task_alone_names_the_sdk_and_cores_flags() -> None:
    run = Run()
    run.task()
    run.task(news=signal("s"))
    first, second = run.attributes(4).sdk_metadata, run.attributes(8).sdk_metadata
    assert tuple(first.core_used_flags) == CORE_FLAGS
    assert (first.sdk_name, first.sdk_version) == ("temporal-python", "1.35.0")
    assert second.ByteSize() == 0


def test_a_flag_is_written_once() -> None:
    run = Run()
    run.begin()
    run.answer(flags=(7, 1))
    run.begin(signal("s"))
    run.answer(flags=(9, 7))
    assert run.attributes(4).sdk_metadata.lang_used_flags == [1, 7]
    assert run.attributes(8).sdk_metadata.lang_used_flags == [9]


def test_a_summary_stands_in_the_event() -> None:
    run = Run()
    with_summary = activity(1)
    with_summary.user_metadata.summary.CopyFrom(payload("pay"))
    end = complete()
    end.user_metadata.details.CopyFrom(payload("paid"))
    run.task(timer(1, 1, summary="nap"), timer(2, 1), with_summary, end)
    said = [event.user_metadata for event in run.journal[4:]]
    assert [s.summary.data for s in said] == [b'"nap"', b"", b'"pay"', b""]
    assert said[3].details.data == b'"paid"'
    assert not run.journal[5].HasField("user_metadata")


def test_news_keep_their_own_time() -> None:
    run = Run()
    run.task(timer(1, 1))
    news = fired(1, started=5)
    news[0].event_time.CopyFrom(at(1.5))
    run.task(news=news)
    assert run.journal[5].event_time == at(1.5)
    assert run.journal[6].event_time == at(2)


def test_the_size_of_a_history_is_that_of_its_events() -> None:
    run = Run()
    run.task(activity(1, "echo", "a"))
    run.task(complete("a"), news=completed(5, "a"))
    assert run.driver.history_size == sum(event.ByteSize() for event in run.journal)
    before_started = sum(event.ByteSize() for event in run.journal[:8])
    assert run.attributes(9).history_size_bytes == before_started


# What an activation shows.


def test_an_activation_shows_who_works_and_who_worked_before() -> None:
    run = Run()
    first = run.begin()
    assert first.deployment_version_for_current_task.build_id == WORKER.build_id
    assert first.last_sdk_version == ""
    run.answer()
    assert run.begin(signal("s")).last_sdk_version == "1.35.0"


def test_a_rebuilt_run_sees_the_build_that_did_the_task() -> None:
    run = Run()
    run.task()
    version = run.journal[3].workflow_task_completed_event_attributes.worker_version
    version.build_id = "build-0"
    driver = driver_of(run.journal)
    again = driver.next_replay()
    assert isinstance(again, WorkflowActivation)
    assert again.deployment_version_for_current_task.build_id == "build-0"


def test_a_task_done_by_a_worker_without_a_build_shows_no_version() -> None:
    run = Run()
    run.task()
    run.journal[3].workflow_task_completed_event_attributes.ClearField("worker_version")
    again = driver_of(run.journal).next_replay()
    assert isinstance(again, WorkflowActivation)
    assert not again.HasField("deployment_version_for_current_task")


def test_time_never_goes_back() -> None:
    run = Run()
    run.number = 5
    assert run.begin().timestamp == at(6)
    run.answer()
    run.number = 0
    assert run.begin(signal("s")).timestamp == at(6)


def test_continue_as_new_is_suggested_when_history_grows_long() -> None:
    run = Run()
    many = [each for number in range(4093) for each in signal(f"s{number}")]
    shown = run.begin(many)
    assert not shown.continue_as_new_suggested
    run.answer()
    shown = run.begin(signal("one more"))
    assert shown.continue_as_new_suggested
    assert list(shown.suggest_continue_as_new_reasons) == [2]


@pytest.mark.parametrize("end", ["terminated", "timed_out"])
def test_wf_timeout_terminate(end: str) -> None:
    """The workflow hears nothing of such an end, but can still be asked."""
    run = Run()
    run.task(timer(1, 1000))
    closing = event(f"workflow_execution_{end}", None)
    closing.event_id = 6
    driver = driver_of([*run.journal, closing])
    assert driver.closed
    shown = driver.next_replay()
    assert isinstance(shown, WorkflowActivation)
    assert [showing.job(job) for job in shown.jobs] == ["init"]
    assert isinstance(driver.complete(completion([timer(1, 1000)], ())), Replayed)
    assert driver.next_replay() is None
    asked = driver.query([WorkflowActivationJob()])
    assert asked.history_length == 6


def test_can_suggested() -> None:
    """As recorded from a server that suggests it after 15 events."""
    run = Run()
    run.driver = driver_of(run.journal, replace(WORKER, suggest_after=15))
    suggested = []
    news: list[HistoryEvent] = []
    for number in range(1, 6):
        shown = run.begin(news)
        suggested.append((shown.history_length, shown.continue_as_new_suggested))
        run.answer(timer(number, 0.05))
        news = fired(number, started=number * 5)
    assert suggested == [(3, False), (8, False), (13, False), (18, True), (23, True)]


def test_continue_as_new_is_suggested_when_history_grows_big() -> None:
    run = Run()
    shown = run.begin(signal("s", "x" * 4 * 1024 * 1024))
    assert shown.continue_as_new_suggested
    assert list(shown.suggest_continue_as_new_reasons) == [1]
    assert shown.history_size_bytes > 4 * 1024 * 1024
    run.answer()
    again = driver_of(run.journal).next_replay()
    assert isinstance(again, WorkflowActivation)
    assert list(again.suggest_continue_as_new_reasons) == [1]


# What the run keeps.


def test_attributes_and_memo_are_those_of_the_start_with_the_upserts() -> None:
    started = start()
    started.search_attributes.indexed_fields["old"].CopyFrom(payload("o"))
    started.memo.fields["old"].CopyFrom(payload("o"))
    run = Run(beginning(started))
    run.task(upsert(new="n", gone="g"), memo(new="n", gone="g"))
    run.task(upsert(gone=None), memo(gone=None), news=signal("s"))
    for driver in (run.driver, rebuilt(run, completions=2)):
        assert showing.fields(driver.properties.search_attributes.indexed_fields) == (
            'new="n" old="o"'
        )
        assert showing.fields(driver.properties.memo.fields) == 'new="n" old="o"'


def rebuilt(run: Run, *, completions: int) -> RunDriver:
    """A driver of the same journal, whose workflow does what it did."""
    driver = driver_of(run.journal)
    commands = [
        [upsert(new="n", gone="g"), memo(new="n", gone="g")],
        [upsert(gone=None), memo(gone=None)],
    ]
    for number in range(completions):
        assert driver.next_replay() is not None
        assert driver.complete(completion(commands[number])) == Replayed()
    return driver


def test_a_binary_null_takes_a_memo_away() -> None:
    run = Run()
    run.task(memo(gone="g"))
    nothing = memo(gone=None)
    field = nothing.modify_workflow_properties.upserted_memo.fields["gone"]
    field.data = b""
    field.metadata["encoding"] = b"binary/null"
    run.task(nothing, news=signal("s"))
    assert not run.driver.properties.memo.fields


def test_what_is_open_is_known_to_the_driver() -> None:
    run = Run()
    assert run.driver.has_backlog
    run.task(activity(1), activity(2), timer(1, 1), timer(2, 2))
    assert not run.driver.has_backlog
    run.task(news=[*completed(5), *fired(1, started=7)])
    assert [a.command.seq for a in run.driver.activities] == [2]
    assert [t.seq for t in run.driver.timers] == [2]
    assert [clock.seconds(at(3))] == [t.deadline for t in run.driver.timers]


def test_what_is_over_is_forgotten() -> None:
    run = Run()
    run.task(activity(1), activity(2), timer(1, 1), timer(2, 2))
    run.task(cancel_timer(2), news=[*completed(5), *fired(1, started=7)])
    known = run.driver.translator
    assert list(known.activities) == [2]
    assert not known.timers
    assert list(known.by_event) == [6]


def test_an_activitys_start_may_be_news_of_its_own() -> None:
    run = Run()
    run.task(activity(1))
    started, done = completed(5, "r")
    turn = run.start([started])
    assert isinstance(turn, Turn)
    run.journal += copies(list(turn.events))
    shown = run.begin([done])
    assert [showing.job(job) for job in shown.jobs] == ['activity 1 completed "r"']


# Attempts at a task.


def test_a_task_that_failed_is_scheduled_as_the_next_attempt() -> None:
    run = Run()
    run.task(timer(1, 1))
    run.begin(signal("s"))
    failed = run.driver.complete(failed_completion("bug"))
    assert isinstance(failed, TaskFailed)
    run.fail(failed)
    assert run.driver.attempt == 2
    run.driver.next_replay()
    assert run.driver.complete(completion([timer(1, 1)])) == Replayed()
    run.task(news=signal("t"))
    scheduled = [
        event.workflow_task_scheduled_event_attributes.attempt
        for event in run.journal
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
    ]
    assert scheduled == [1, 1, 2]
    assert run.driver.attempt == 1


def test_a_completion_without_a_status_fails_the_task() -> None:
    run = Run()
    run.begin()
    outcome = run.driver.complete(WorkflowActivationCompletion())
    assert isinstance(outcome, TaskFailed)
    assert outcome.eviction == EvictionReason.LANG_FAIL


def test_an_unknown_command_is_refused() -> None:
    run = Run()
    run.begin()
    outcome = run.driver.complete(completion([WorkflowCommand()]))
    assert isinstance(outcome, TaskFailed)
    assert "None" in outcome.failure.message
    assert outcome.eviction == EvictionReason.FATAL


def test_only_operations_name_endpoints() -> None:
    assert endpoints_named([operation(1), activity(1), operation(2)]) == {"EP"}


def test_only_a_nexus_endpoint_that_there_is_may_be_called() -> None:
    run = Run()
    run.begin()
    registered = Registered("default", endpoints={"other": "id"})
    outcome = run.driver.complete(completion([operation(1)]), registered)
    assert isinstance(outcome, TaskFailed)
    assert outcome.failure.message == (
        'BadScheduleNexusOperationAttributes: endpoint "EP" not found'
    )


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a\0b", ": a NUL character cannot be stored"),
        ("x" * 1001, " exceeds length limit of 1000"),
    ],
)
@pytest.mark.parametrize("field", ["service", "operation"])
def test_a_name_that_cannot_be_is_not_asked_of_nexus(
    field: str, name: str, problem: str
) -> None:
    run = Run()
    run.begin()
    registered = Registered("default", endpoints={"EP": "id"})
    command = operation(1)
    setattr(command.schedule_nexus_operation, field, name)
    outcome = run.driver.complete(completion([command]), registered)
    assert isinstance(outcome, TaskFailed)
    assert outcome.failure.message == (
        "BadScheduleNexusOperationAttributes: ScheduleNexusOperationCommandAttributes"
        f".{field.capitalize()}{problem}"
    )


def test_what_is_asked_of_nexus_stands_in_its_event() -> None:
    run = Run()
    run.begin()
    registered = Registered("default", endpoints={"EP": "id"})
    command = operation(1, start_to_close_timeout=span(3), input=payload("x"))
    command.user_metadata.summary.CopyFrom(payload("a greeting"))
    turn = run.driver.complete(completion([command]), registered)
    assert isinstance(turn, Turn)
    assert turn.events[-1].user_metadata == command.user_metadata
    asked = turn.events[-1].nexus_operation_scheduled_event_attributes
    assert asked.endpoint_id == "id"
    assert asked.input == payload("x")
    assert asked.start_to_close_timeout == span(3)
    assert not asked.HasField("schedule_to_close_timeout")


def test_news_that_no_history_allows_fail_the_task() -> None:
    run = Run()
    run.task(activity(1))
    outcome = run.start([*completed(5), *completed(5)[1:]])
    assert isinstance(outcome, TaskFailed)
    assert outcome.cause == (
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
    )
    assert outcome.failure.message == (
        "Fatal error in workflow machines: ActivityMachine in state RESOLVED says the"
        " transition is invalid during CLOSED"
    )


# Queries.


def test_a_query_shows_what_the_last_task_showed() -> None:
    run = Run()
    run.begin()
    run.answer(flags=(1, 2))
    shown = run.begin(signal("s"))
    run.answer()
    asked = run.driver.query([WorkflowActivationJob()])
    assert asked.timestamp == shown.timestamp
    assert asked.history_size_bytes == shown.history_size_bytes
    assert list(asked.available_internal_flags) == [1, 2]
    assert asked.run_id == shown.run_id
    assert (
        asked.deployment_version_for_current_task
        == shown.deployment_version_for_current_task
    )


def test_a_query_shows_the_build_that_did_the_last_task() -> None:
    run = Run()
    run.task()
    newer = driver_of(run.journal, replace(WORKER, build_id="build-2"))
    newer.next_replay()
    newer.complete(completion([]))
    asked = newer.query([WorkflowActivationJob()])
    assert asked.deployment_version_for_current_task.build_id == "build-1"
    newer.complete(completion([]))
    shown = newer.begin(signal("s"), now=at(2), next_run_id="", request_id="")
    assert isinstance(shown, WorkflowActivation)
    assert shown.deployment_version_for_current_task.build_id == "build-2"


def test_raw_query_failed_completion() -> None:
    """A query that breaks the workflow is answered with its failure."""
    run = Run()
    run.task()
    run.driver.query([WorkflowActivationJob()])
    outcome = run.driver.complete(failed_completion("query activation failed"))
    assert isinstance(outcome, Answered)
    assert outcome.results == ()
    assert outcome.failure is not None
    assert outcome.failure.message == "query activation failed"


def test_a_query_leaves_no_trace() -> None:
    undisturbed, asked = Run(), Run()
    for run in (undisturbed, asked):
        run.task(timer(1, 1))
    asked.driver.query([WorkflowActivationJob()])
    # Whatever else a query's handler tried to do is not done.
    asked.driver.complete(completion([timer(2, 1)]))
    for run in (undisturbed, asked):
        run.task(complete(), news=fired(1, started=5))
    assert asked.journal == undisturbed.journal


# Follow-ups.


def test_a_follow_up_shows_the_same_moment() -> None:
    run = Run()
    first = run.begin()
    outcome: Outcome = run.driver.complete(
        completion([activity(1), cancel_activity(1)])
    )
    assert isinstance(outcome, Again)
    follow_up = outcome.activation
    for field in ("timestamp", "history_length", "history_size_bytes", "is_replaying"):
        assert getattr(follow_up, field) == getattr(first, field)
    run.answer(fail(boom()))
    assert run.driver.closed
