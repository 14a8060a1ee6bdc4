"""What a run's driver does about versions of worker deployments."""

from __future__ import annotations

from dataclasses import replace

from dbosify._core.chain import Chain
from dbosify._core.driver import RunDriver
from dbosify._core.tail import Worker
from dbosify._core.versions import Versions
from dbosify._model.effects import Turn
from dbosify._model.protos import (
    ContinueAsNewInitiator,
    EventType,
    HistoryEvent,
    SearchAttributes,
    VersioningBehavior,
    WorkerDeploymentVersion,
    WorkflowActivation,
    WorkflowActivationJob,
    WorkflowCommand,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify._model.versioning import AUTO_UPGRADE, PINNED, Versioning
from tests.unit.core.spelling import (
    NEXT_RUN_ID,
    RUN_ID,
    WORKER,
    at,
    beginning,
    copies,
    driver_of,
    start,
)
from tests.unit.core.traces.commands import completion, timer
from tests.unit.core.traces.news import fired, signal

INITIATOR = ContinueAsNewInitiator
UNSPECIFIED = VersioningBehavior.VERSIONING_BEHAVIOR_UNSPECIFIED


def version(build_id: str) -> WorkerDeploymentVersion:
    return WorkerDeploymentVersion(deployment_name="shop", build_id=build_id)


ONE, TWO = version("1"), version("2")
ON_ONE = replace(WORKER, build_id="1", version=ONE)


def driver(
    journal: list[HistoryEvent] | None = None, worker: Worker = ON_ONE
) -> RunDriver:
    return driver_of(journal or beginning(), worker)


def task(
    run: RunDriver,
    *commands: WorkflowCommand,
    behavior: VersioningBehavior.ValueType = UNSPECIFIED,
    news: list[HistoryEvent] | None = None,
    target: WorkerDeploymentVersion | None = None,
) -> tuple[WorkflowActivation, Turn]:
    """A whole task, and what the code was shown."""
    shown = run.begin(
        copies(news or []),
        now=at(1),
        next_run_id=NEXT_RUN_ID,
        request_id="r",
        target=target,
    )
    assert isinstance(shown, WorkflowActivation)
    answer = completion(commands)
    answer.successful.versioning_behavior = behavior
    turn = run.complete(answer)
    assert isinstance(turn, Turn)
    return shown, turn


def shows(activation: WorkflowActivation) -> tuple[str, str]:
    """The version that the code is shown."""
    shown = activation.deployment_version_for_current_task
    return shown.deployment_name, shown.build_id


def completed(turn: Turn) -> HistoryEvent:
    [event] = [
        event
        for event in turn.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    return event


def test_a_task_tells_which_version_did_it_and_what_the_code_wants() -> None:
    _, turn = task(driver(), behavior=PINNED)
    attributes = completed(turn).workflow_task_completed_event_attributes
    assert attributes.versioning_behavior == PINNED
    assert attributes.worker_deployment_name == "shop"
    assert attributes.deployment_version == ONE
    assert attributes.worker_version.build_id == "1"


def test_the_workers_default_counts_for_code_without_an_opinion() -> None:
    worker = replace(ON_ONE, default_behavior=AUTO_UPGRADE)
    for given, expected in ((UNSPECIFIED, AUTO_UPGRADE), (PINNED, PINNED)):
        _, turn = task(driver(worker=worker), behavior=given)
        attributes = completed(turn).workflow_task_completed_event_attributes
        assert attributes.versioning_behavior == expected


def test_a_worker_without_a_version_says_nothing_of_it() -> None:
    _, turn = task(driver(worker=WORKER), behavior=PINNED)
    attributes = completed(turn).workflow_task_completed_event_attributes
    assert not attributes.versioning_behavior
    assert not attributes.HasField("deployment_version")


def test_the_code_is_shown_the_version_of_each_task() -> None:
    journal = beginning()
    shown, turn = task(driver(journal), timer(1, 9))
    assert shows(shown) == ("shop", "1")
    journal += copies(list(turn.events))
    on_two = driver(journal, replace(WORKER, build_id="2", version=TWO))
    replayed = on_two.next_replay()
    assert isinstance(replayed, WorkflowActivation)
    assert shows(replayed) == ("shop", "1")


def test_a_query_shows_the_version_of_the_last_task() -> None:
    run = driver()
    task(run)
    asked = run.query([WorkflowActivationJob()])
    assert shows(asked) == ("shop", "1")


def test_a_pinned_run_is_told_that_new_runs_go_elsewhere() -> None:
    run = driver()
    first, _ = task(run, behavior=PINNED, target=TWO)
    assert not first.target_worker_deployment_version_changed
    second, turn = task(run, news=signal("s"), behavior=PINNED, target=TWO)
    assert second.target_worker_deployment_version_changed
    began = [
        event.workflow_task_started_event_attributes
        for event in turn.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
    ]
    assert [b.target_worker_deployment_version_changed for b in began] == [True]


def test_what_changes_is_noted_once() -> None:
    run = driver()
    assert run.versions.take_changes() is None
    task(run, behavior=PINNED)
    changed = run.versions.take_changes()
    assert changed is not None
    assert changed.pinned_to == ONE
    assert run.versions.take_changes() is None
    task(run, news=signal("s"), behavior=PINNED)
    assert run.versions.take_changes() is None


def test_a_journal_that_is_loaded_is_noted_already() -> None:
    journal = beginning()
    _, turn = task(driver(journal), behavior=PINNED)
    again = driver([*journal, *copies(list(turn.events))])
    assert again.versions.run.pinned_to == ONE
    assert again.versions.take_changes() is None


def test_news_are_left_to_another_worker_with_a_task_to_do() -> None:
    journal = beginning()
    run = driver(journal)
    _, turn = task(run, timer(1, 1))
    journal += copies(list(turn.events))
    left = driver(journal).leave_task(copies(fired(1, started=5)), now=at(2))
    assert [event.event_type for event in left.events] == [
        EventType.EVENT_TYPE_TIMER_FIRED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    ]
    taken = driver([*journal, *copies(list(left.events))])
    assert taken.has_backlog


def chain(
    run: Versioning, target: WorkerDeploymentVersion | None = None, **changes: object
) -> Chain:
    return Chain(
        RUN_ID,
        beginning(start(**changes))[0],
        NEXT_RUN_ID,
        SearchAttributes(),
        versioning=run,
        target=target,
    )


def on(
    where: WorkerDeploymentVersion, behavior: VersioningBehavior.ValueType
) -> Versioning:
    return Versioning().with_task_of(where, behavior)


def follows(
    of: Chain, initiator: ContinueAsNewInitiator.ValueType, queue: str = ""
) -> WorkflowExecutionStartedEventAttributes:
    """How the next run begins."""
    begun = WorkflowExecutionStartedEventAttributes()
    begun.task_queue.name = queue or of.attributes.task_queue.name
    of.link(begun, initiator)
    return begun


def test_a_pinned_run_continues_where_it_is_and_declines_what_it_was_told() -> None:
    begun = follows(
        chain(on(ONE, PINNED), TWO), INITIATOR.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    )
    assert begun.inherited_pinned_version == ONE
    assert begun.declined_target_version_upgrade.deployment_version == TWO


def test_a_run_on_another_task_queue_begins_as_any_new_one() -> None:
    begun = follows(
        chain(on(ONE, PINNED)),
        INITIATOR.CONTINUE_AS_NEW_INITIATOR_WORKFLOW,
        queue="another",
    )
    assert not begun.HasField("inherited_pinned_version")


def test_a_retry_stays_only_where_the_run_was_put() -> None:
    retry = INITIATOR.CONTINUE_AS_NEW_INITIATOR_RETRY
    chosen = chain(on(ONE, PINNED))
    assert not follows(chosen, retry).HasField("inherited_pinned_version")
    put = chain(on(ONE, PINNED), inherited_pinned_version=ONE)
    assert follows(put, retry).inherited_pinned_version == ONE


def test_a_crons_next_run_begins_as_any_new_one() -> None:
    cron = INITIATOR.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    begun = follows(chain(on(ONE, PINNED), inherited_pinned_version=ONE), cron)
    assert not begun.HasField("inherited_pinned_version")


def test_a_worker_without_a_version_leaves_a_run_without_one() -> None:
    assert Versions("build", None).current.pinned_to is None
