"""Search attributes that commands set, judged and typed before they are events."""

from __future__ import annotations

import pytest

from dbosify._core.driver import RunDriver
from dbosify._core.validate import attributes_named
from dbosify._model.effects import TaskFailed, Turn
from dbosify._model.protos import (
    SearchAttributes,
    WorkflowActivation,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)
from dbosify._model.registered import Registered
from tests.unit.core.spelling import at, beginning, driver_of, payload
from tests.unit.core.traces.commands import (
    completion,
    continue_as_new,
    timer,
    upsert,
)
from tests.unit.core.traces.others_said import CHILD, child

REGISTERED = Registered("default", {"I": "Int"})


def attributes(**values: object) -> SearchAttributes:
    """Attributes without types."""
    return SearchAttributes(
        indexed_fields={name: payload(value) for name, value in values.items()}
    )


def outcome(command: WorkflowCommand, registered: Registered | None) -> object:
    """What a first task with the command comes to."""
    driver = driver_of(beginning())
    shown = driver.begin([], now=at(1), next_run_id="next", request_id="")
    assert isinstance(shown, WorkflowActivation)
    return driver.complete(completion([command]), registered)


def test_an_upsert_writes_the_registered_types() -> None:
    turn = outcome(upsert(I=1), REGISTERED)
    assert isinstance(turn, Turn)
    event = turn.events[-1].upsert_workflow_search_attributes_event_attributes
    payload = event.search_attributes.indexed_fields["I"]
    assert payload.metadata["type"] == b"Int"


def test_an_upsert_that_does_not_fit_fails_the_task() -> None:
    failed = outcome(upsert(I="x"), REGISTERED)
    assert isinstance(failed, TaskFailed)
    cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
    assert failed.cause == cause
    assert failed.failure.message == (
        "BadSearchAttributes: invalid value for search attribute I of type Int: x"
    )


def test_a_next_run_has_typed_attributes_too() -> None:
    turn = outcome(continue_as_new(search_attributes=attributes(I=1)), REGISTERED)
    assert isinstance(turn, Turn)
    assert turn.close is not None
    assert turn.close.next is not None
    fields = turn.close.next.started.search_attributes.indexed_fields
    assert fields["I"].metadata["type"] == b"Int"


def test_commands_name_what_they_set() -> None:
    other = timer(1, 1)
    assert not attributes_named([other], attributes(D=1))
    assert attributes_named([other, upsert(I=1)], attributes(D=1)) == {"I"}
    explicit = continue_as_new(search_attributes=attributes(K="x"))
    assert attributes_named([explicit], attributes(D=1)) == {"K"}
    began = child(1, search_attributes=attributes(B=True))
    assert attributes_named([began], attributes(D=1)) == {"B"}
    assert attributes_named([continue_as_new()], attributes(D=1)) == {"D"}


def test_a_replay_judges_nothing_again() -> None:
    driver: RunDriver = driver_of(beginning())
    shown = driver.begin([], now=at(1), next_run_id="", request_id="")
    assert isinstance(shown, WorkflowActivation)
    assert isinstance(driver.complete(completion([upsert(Gone=1)])), Turn)


def test_a_child_has_typed_attributes_too() -> None:
    turn = outcome(child(1, search_attributes=attributes(I=1)), REGISTERED)
    assert isinstance(turn, Turn)
    event = turn.events[-1].start_child_workflow_execution_initiated_event_attributes
    assert event.search_attributes.indexed_fields["I"].metadata["type"] == b"Int"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            child(1, search_attributes=attributes(I="x")),
            "StartChildWorkflowCommand: invalid value for search attribute I of type"
            f" Int: x. WorkflowId={CHILD} WorkflowType=Child Namespace=default",
        ),
        (
            continue_as_new(
                task_queue="q",
                workflow_type="Next",
                search_attributes=attributes(I="x"),
            ),
            "ContinueAsNewWorkflowExecutionCommand: invalid value for search attribute"
            ' I of type Int: x. WorkflowType=Next TaskQueue=name:"q"'
            "  kind:TASK_QUEUE_KIND_NORMAL",
        ),
    ],
    ids=["child", "next run"],
)
def test_other_runs_attributes_are_refused_in_their_commands_words(
    command: WorkflowCommand, text: str
) -> None:
    failed = outcome(command, REGISTERED)
    assert isinstance(failed, TaskFailed)
    assert failed.failure.message == (
        f"BadSearchAttributes: invalid SearchAttributes on {text}"
    )
