"""What a child's history begins with, by what its parent asked for."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import Priority

from dbosify._core import child_start
from dbosify._core.chain import Chain
from dbosify._model.effects import Turn
from dbosify._model.protos import (
    HistoryEvent,
    Memo,
    Payload,
    RetryPolicy,
    SearchAttributes,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from tests.unit.core.spelling import (
    RUN_ID,
    WORKFLOW_ID,
    at,
    beginning,
    driver_of,
    payload,
    span,
    start,
)
from tests.unit.core.traces.commands import completion
from tests.unit.core.traces.others_said import child


def chain(started: HistoryEvent | None = None) -> Chain:
    """The run that is to be the parent."""
    return Chain(
        run_id=RUN_ID,
        started=started or beginning()[0],
        next_run_id="",
        search_attributes=SearchAttributes(),
        namespace="default",
    )


def both(
    parent: Chain | None = None, **options: Any
) -> tuple[
    StartChildWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
]:
    """The parent's event and the child's first one."""
    parent = parent or chain()
    command = child(1, "ok", **options).start_child_workflow_execution
    initiated = child_start.initiated(command, parent)
    return initiated, child_start.started(initiated, parent)


def test_what_is_not_said_is_filled_in() -> None:
    initiated, started = both(
        namespace="",
        task_queue="",
        parent_close_policy=0,
        workflow_id_reuse_policy=0,
        retry_policy=RetryPolicy(maximum_attempts=2),
    )
    assert initiated.namespace == "default"
    assert initiated.task_queue.name == started.task_queue.name == "queue"
    assert (initiated.parent_close_policy, initiated.workflow_id_reuse_policy) == (1, 1)
    assert initiated.retry_policy.backoff_coefficient == 2.0
    assert started.retry_policy == initiated.retry_policy
    assert started.workflow_task_timeout == span(10)


def test_a_run_timeout_of_none_is_written_as_zero() -> None:
    initiated, started = both()
    assert initiated.HasField("workflow_run_timeout")
    assert started.HasField("workflow_run_timeout")
    assert started.workflow_run_timeout == span(0)
    assert not started.HasField("workflow_execution_timeout")


def test_longer_timeouts_are_cut_by_shorter_ones() -> None:
    _, started = both(
        workflow_execution_timeout=span(3),
        workflow_run_timeout=span(9),
        workflow_task_timeout=span(200),
    )
    assert started.workflow_execution_timeout == span(3)
    assert started.workflow_run_timeout == span(3)
    assert started.workflow_task_timeout == span(3)


def test_the_parent_is_the_root_unless_it_has_one() -> None:
    _, started = both()
    assert started.parent_workflow_execution.workflow_id == WORKFLOW_ID
    assert started.parent_workflow_execution.run_id == RUN_ID
    assert started.root_workflow_execution == started.parent_workflow_execution
    grandparent = start()
    grandparent.root_workflow_execution.workflow_id = "root"
    _, started = both(chain(beginning(grandparent)[0]))
    assert started.root_workflow_execution.workflow_id == "root"


def test_nulls_and_empty_lists_are_asked_for_but_not_kept() -> None:
    null = Payload(metadata={"encoding": b"binary/null"})
    attributes = SearchAttributes()
    attributes.indexed_fields["Kept"].CopyFrom(payload("x"))
    attributes.indexed_fields["Empty"].CopyFrom(payload([]))
    initiated, started = both(
        memo={"kept": payload(1), "gone": null}, search_attributes=attributes
    )
    assert set(initiated.memo.fields) == {"kept", "gone"}
    assert started.memo == Memo(fields={"kept": payload(1)})
    assert set(started.search_attributes.indexed_fields) == {"Kept"}


def test_headers_go_along() -> None:
    initiated, started = both(headers={"trace": payload("t")})
    assert started.header == initiated.header
    assert set(started.header.fields) == {"trace"}


def test_a_priority_is_the_parents_where_the_command_is_silent() -> None:
    parent = start(priority=Priority(priority_key=2, fairness_key="f"))
    _, started = both(chain(beginning(parent)[0]), priority=Priority(priority_key=1))
    assert started.priority == Priority(priority_key=1, fairness_key="f")
    _, started = both(chain(beginning(parent)[0]))
    assert started.priority == Priority(priority_key=2, fairness_key="f")


def test_what_the_parent_notes_about_a_child_stands_in_its_event() -> None:
    command = child(1)
    command.user_metadata.summary.CopyFrom(payload("a box"))
    driver = driver_of(beginning())
    driver.begin([], now=at(1), next_run_id="", request_id="")
    turn = driver.complete(completion([command]))
    assert isinstance(turn, Turn)
    assert turn.events[-1].user_metadata == command.user_metadata
