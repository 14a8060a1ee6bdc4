"""What a run's history says of the version of a worker deployment it belongs to."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.workflow.v1 import VersioningOverride

from dbosify._model import versioning
from dbosify._model.protos import (
    ContinueAsNewVersioningBehavior,
    EventType,
    HistoryEvent,
    VersioningBehavior,
    WorkerDeploymentVersion,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify._model.versioning import AUTO_UPGRADE, PINNED, Versioning

UNSPECIFIED = VersioningBehavior.VERSIONING_BEHAVIOR_UNSPECIFIED
BY_VERSION = VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED
RAMPING = ContinueAsNewVersioningBehavior.CONTINUE_AS_NEW_VERSIONING_BEHAVIOR_USE_RAMPING_VERSION  # noqa: E501


def version(build_id: str) -> WorkerDeploymentVersion:
    return WorkerDeploymentVersion(deployment_name="shop", build_id=build_id)


ONE, TWO = version("1"), version("2")
UPGRADING = VersioningOverride(auto_upgrade=True)


def pinned(to: WorkerDeploymentVersion) -> VersioningOverride:
    override = VersioningOverride()
    override.pinned.behavior = BY_VERSION
    override.pinned.version.CopyFrom(to)
    return override


def once(to: WorkerDeploymentVersion) -> VersioningOverride:
    override = VersioningOverride()
    override.one_time.target_deployment_version.CopyFrom(to)
    return override


def started(**fields: Any) -> HistoryEvent:
    return HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        workflow_execution_started_event_attributes=(
            WorkflowExecutionStartedEventAttributes(**fields)
        ),
    )


def task(
    by: WorkerDeploymentVersion | None = None,
    behavior: VersioningBehavior.ValueType = UNSPECIFIED,
) -> HistoryEvent:
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    completed = event.workflow_task_completed_event_attributes
    completed.versioning_behavior = behavior
    completed.worker_version.build_id = "some"
    if by is not None:
        completed.deployment_version.CopyFrom(by)
    return event


def options(override: VersioningOverride | None) -> HistoryEvent:
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
    )
    updated = event.workflow_execution_options_updated_event_attributes
    if override is None:
        updated.unset_versioning_override = True
    else:
        updated.versioning_override.CopyFrom(override)
    return event


def joined() -> HistoryEvent:
    """Somebody's start has joined the run: nothing about versions."""
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
    )
    updated = event.workflow_execution_options_updated_event_attributes
    updated.attached_request_id = "somebody's"
    return event


def after(*events: HistoryEvent) -> Versioning:
    run = Versioning()
    for event in events:
        run.learn(event)
    return run


def signal() -> HistoryEvent:
    return HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)


@pytest.mark.parametrize(
    ("events", "pinned_to", "effective"),
    [
        pytest.param([started()], None, UNSPECIFIED, id="a new run"),
        pytest.param([started(), task()], None, UNSPECIFIED, id="unversioned"),
        pytest.param([started(), task(ONE, PINNED)], ONE, PINNED, id="pinned"),
        pytest.param(
            [started(), task(ONE, AUTO_UPGRADE)], None, AUTO_UPGRADE, id="upgrades"
        ),
        pytest.param(
            [started(), task(ONE, AUTO_UPGRADE), task(TWO, PINNED)],
            TWO,
            PINNED,
            id="the last task counts",
        ),
        pytest.param(
            [started(), task(ONE, PINNED), task()],
            None,
            UNSPECIFIED,
            id="back to workers without a version",
        ),
        pytest.param(
            [started(inherited_pinned_version=ONE)], ONE, PINNED, id="inherited"
        ),
        pytest.param(
            [started(inherited_pinned_version=ONE), task(ONE, AUTO_UPGRADE)],
            None,
            AUTO_UPGRADE,
            id="the code decides after the first task",
        ),
        pytest.param(
            [started(versioning_override=pinned(TWO))], TWO, PINNED, id="override"
        ),
        pytest.param(
            [started(), task(ONE, PINNED), options(UPGRADING)],
            None,
            AUTO_UPGRADE,
            id="an override sets free",
        ),
        pytest.param(
            [started(), task(ONE, AUTO_UPGRADE), options(pinned(TWO)), joined()],
            TWO,
            PINNED,
            id="who joins changes nothing",
        ),
        pytest.param(
            [started(), task(ONE, PINNED), options(pinned(TWO)), options(None)],
            ONE,
            PINNED,
            id="an override taken back",
        ),
        pytest.param(
            [started(), task(ONE, PINNED), options(once(TWO))],
            TWO,
            PINNED,
            id="to be moved once",
        ),
        pytest.param(
            [
                started(),
                task(ONE, PINNED),
                options(once(TWO)),
                task(ONE, PINNED),
                task(TWO, AUTO_UPGRADE),
            ],
            None,
            AUTO_UPGRADE,
            id="moved once",
        ),
    ],
)
def test_where_a_run_belongs(
    events: list[HistoryEvent],
    pinned_to: WorkerDeploymentVersion | None,
    effective: VersioningBehavior.ValueType,
) -> None:
    run = after(*events)
    assert run.pinned_to == pinned_to
    assert run.effective == effective


def test_news_count_before_they_are_journaled() -> None:
    run = after(started(), task(ONE, PINNED))
    later = run.after([signal(), options(pinned(TWO))])
    assert later.pinned_to == TWO
    assert run.pinned_to == ONE
    assert run.after([signal()]) is run


def test_a_task_at_hand_counts_before_it_is_completed() -> None:
    run = after(started())
    assert run.with_task_of(ONE, PINNED).pinned_to == ONE
    assert run.with_task_of(None, PINNED).effective == UNSPECIFIED
    assert run.pinned_to is None


def test_a_pinned_run_notices_another_version() -> None:
    run = after(started(), task(ONE, PINNED))
    assert run.notices(TWO)
    assert not run.notices(ONE)
    assert not run.notices(None)
    assert not after(started(), task(ONE, AUTO_UPGRADE)).notices(TWO)
    overridden = after(started(versioning_override=pinned(ONE)), task(ONE, PINNED))
    assert not overridden.notices(TWO)


def test_a_version_that_was_declined_is_not_noticed_again() -> None:
    begun = WorkflowExecutionStartedEventAttributes()
    versioning.inherit(begun, after(started(), task(ONE, PINNED)), declined=TWO)
    run = Versioning()
    run.learn(
        HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
            workflow_execution_started_event_attributes=begun,
        )
    )
    assert run.pinned_to == ONE
    assert not run.notices(TWO)
    assert run.notices(version("3"))


@pytest.mark.parametrize(
    ("run", "arguments", "expected"),
    [
        pytest.param(
            after(started(), task(ONE, PINNED)),
            {},
            {"inherited_pinned_version": ONE},
            id="pinned",
        ),
        pytest.param(after(started(), task()), {}, {}, id="unversioned"),
        pytest.param(
            after(started(), task(ONE, PINNED)),
            {"pinned": False},
            {},
            id="not handed on",
        ),
        pytest.param(
            after(started(), task(ONE, PINNED), options(pinned(TWO))),
            {"pinned": False},
            {"versioning_override": pinned(TWO)},
            id="an override always is",
        ),
        pytest.param(
            after(started(), task(ONE, PINNED), options(UPGRADING)),
            {"pinned": False},
            {},
            id="but not one that pins nothing",
        ),
    ],
)
def test_what_the_next_run_inherits(
    run: Versioning, arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    begun = WorkflowExecutionStartedEventAttributes(
        inherited_pinned_version=version("of the run before")
    )
    versioning.inherit(begun, run, **arguments)
    assert begun == WorkflowExecutionStartedEventAttributes(**expected)


def test_the_next_run_knows_where_one_that_upgrades_was() -> None:
    for run, initial in (
        (after(started(), task(ONE, AUTO_UPGRADE)), 0),
        (after(started(), task(ONE, PINNED)), RAMPING),
    ):
        begun = WorkflowExecutionStartedEventAttributes()
        versioning.inherit(begun, run, initial=initial)  # type: ignore[arg-type]
        inherited = begun.inherited_auto_upgrade_info
        assert inherited.source_deployment_version == ONE
        assert inherited.continue_as_new_initial_versioning_behavior == initial
        assert not begun.HasField("inherited_pinned_version")


def test_an_unversioned_run_shows_nothing_of_versions() -> None:
    run = after(started(), task())
    assert run.info() is None
    assert run.attributes() == {}


def test_what_is_shown_of_a_pinned_run() -> None:
    run = after(started(), task(ONE, PINNED))
    info = run.info()
    assert info is not None
    assert info.behavior == PINNED
    assert info.deployment_version == ONE
    assert info.version == "shop.1"
    assert run.attributes() == {
        "TemporalWorkflowVersioningBehavior": "Pinned",
        "TemporalWorkerDeployment": "shop",
        "TemporalWorkerDeploymentVersion": "shop:1",
        "TemporalUsedWorkerDeploymentVersions": ["shop:1"],
        "BuildIds": ["pinned:shop:1", "unversioned:1"],
    }


def test_what_is_shown_of_a_run_that_has_moved() -> None:
    run = after(started(), *(task(by, AUTO_UPGRADE) for by in (ONE, TWO, ONE)))
    assert run.attributes() == {
        "TemporalWorkflowVersioningBehavior": "AutoUpgrade",
        "TemporalWorkerDeployment": "shop",
        "TemporalWorkerDeploymentVersion": "shop:1",
        "TemporalUsedWorkerDeploymentVersions": ["shop:1", "shop:2"],
        "BuildIds": ["unversioned:1", "unversioned:2"],
    }


def test_what_is_shown_of_a_run_that_waits_for_its_version() -> None:
    run = after(started(inherited_pinned_version=ONE))
    info = run.info()
    assert info is not None
    assert (info.behavior, info.version) == (PINNED, "shop.1")
    upgrading = after(started(versioning_override=UPGRADING))
    assert upgrading.attributes() == {
        "TemporalWorkflowVersioningBehavior": "AutoUpgrade"
    }
    shown = upgrading.info()
    assert shown is not None
    assert not shown.HasField("deployment_version")


def test_a_run_that_is_to_move_once_shows_nothing_before_its_first_task() -> None:
    assert after(started(versioning_override=once(ONE))).attributes() == {}


def test_overrides_are_shown_in_their_older_forms_too() -> None:
    shown = versioning.in_both_forms(pinned(ONE))
    assert (shown.behavior, shown.pinned_version) == (PINNED, "shop.1")
    assert versioning.in_both_forms(UPGRADING).behavior == AUTO_UPGRADE
    assert versioning.in_both_forms(once(ONE)) == once(ONE)


def test_an_override_may_name_its_version_in_the_older_form() -> None:
    old = VersioningOverride(behavior=PINNED, pinned_version="shop.1")
    assert versioning.pinned_of(old) == ONE


def test_a_run_is_pinned_from_its_start() -> None:
    def pin(**fields: Any) -> WorkerDeploymentVersion | None:
        return versioning.pin_of(WorkflowExecutionStartedEventAttributes(**fields))

    assert pin() is None
    assert pin(inherited_pinned_version=ONE) == ONE
    assert pin(versioning_override=pinned(TWO), inherited_pinned_version=ONE) == TWO
