"""How a run ends, and what its next run inherits."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Priority
from temporalio.api.enums.v1 import TaskQueueKind

from dbosify._model.effects import Close, NewRun, Turn
from dbosify._model.protos import (
    ContinueAsNewInitiator,
    Header,
    HistoryEvent,
    Memo,
    Payload,
    RetryState,
    SearchAttributes,
    WorkflowActivation,
    WorkflowCommand,
    WorkflowExecution,
    WorkflowExecutionStartedEventAttributes,
    WorkflowExecutionStatus,
)
from tests.unit.core.spelling import (
    NEXT_RUN_ID,
    RUN_ID,
    WORKFLOW_ID,
    at,
    beginning,
    boom,
    driver_of,
    payload,
    payloads,
    retry_policy,
    span,
    start,
)
from tests.unit.core.traces import showing
from tests.unit.core.traces.commands import (
    cancel,
    complete,
    completion,
    continue_as_new,
    fail,
    memo,
    patched,
    upsert,
)
from tests.unit.core.traces.news import signal


def closed(
    *commands: WorkflowCommand,
    started: WorkflowExecutionStartedEventAttributes | None = None,
    now: float = 1,
) -> Close:
    """How a run ends whose first task gives these commands."""
    driver = driver_of(beginning(started))
    shown = driver.begin([], now=at(now), next_run_id=NEXT_RUN_ID, request_id="")
    assert isinstance(shown, WorkflowActivation)
    turn = driver.complete(completion(commands))
    assert isinstance(turn, Turn)
    assert turn.close is not None
    assert turn.close.event is turn.events[-1]
    return turn.close


def next_of(
    *commands: WorkflowCommand,
    started: WorkflowExecutionStartedEventAttributes | None = None,
) -> NewRun:
    """The run that follows."""
    following = closed(*commands, started=started).next
    assert following is not None
    assert following.run_id == NEXT_RUN_ID
    return following


def attributes(event: HistoryEvent) -> Any:
    """What an event says."""
    return getattr(event, event.WhichOneof("attributes") or "")


def named(message: Any) -> set[str]:
    """The fields that are set."""
    return {field.name for field, _ in message.ListFields()}


def fields(**values: object) -> dict[str, Payload]:
    """Named payloads."""
    return {name: payload(value) for name, value in values.items()}


# Ends.


def test_a_result_stands_in_the_event_and_in_the_close() -> None:
    close = closed(complete("done"))
    assert close.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
    assert attributes(close.event).result == payloads("done")
    assert close.result == payloads("done")
    assert (close.failure, close.next) == (None, None)


def test_a_run_may_return_nothing_at_all() -> None:
    assert not attributes(closed(complete()).event).HasField("result")


def test_a_cancelled_run_keeps_its_details() -> None:
    command = cancel()
    command.cancel_workflow_execution.details.CopyFrom(payloads("why"))
    close = closed(command)
    assert close.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED
    assert attributes(close.event).details == payloads("why")
    assert not attributes(closed(cancel()).event).HasField("details")


def test_a_failed_run_without_a_policy_is_not_tried_again() -> None:
    close = closed(fail(boom()))
    assert close.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
    assert close.failure == attributes(close.event).failure == boom()
    assert attributes(close.event).retry_state == (
        RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET
    )
    assert attributes(close.event).new_execution_run_id == ""
    assert close.next is None


def test_an_end_may_be_explained() -> None:
    command = fail(boom())
    command.user_metadata.summary.CopyFrom(payload("it broke"))
    assert closed(command).event.user_metadata.summary == payload("it broke")


# Retries of a whole run.


@pytest.mark.parametrize(
    ("failure", "changes", "state"),
    [
        (boom(final=True), {}, "NON_RETRYABLE_FAILURE"),
        (boom(), {"attempt": 3}, "MAXIMUM_ATTEMPTS_REACHED"),
        (boom(), {"workflow_execution_expiration_time": at(1.5)}, "TIMEOUT"),
    ],
)
def test_a_failed_run_says_why_it_is_not_tried_again(
    failure: Any, changes: dict[str, Any], state: str
) -> None:
    started = start(retry_policy=retry_policy(attempts=3), **changes)
    close = closed(fail(failure), started=started)
    assert close.next is None
    assert attributes(close.event).retry_state == RetryState.Value(
        f"RETRY_STATE_{state}"
    )


def test_a_failed_run_is_tried_again_after_the_policys_delay() -> None:
    started = start(
        retry_policy=retry_policy(initial=3),
        attempt=2,
        workflow_execution_expiration_time=at(7),
    )
    close = closed(fail(boom()), started=started)
    assert attributes(close.event).retry_state == RetryState.RETRY_STATE_IN_PROGRESS
    assert attributes(close.event).new_execution_run_id == NEXT_RUN_ID
    assert close.next is not None
    assert close.next.backoff == 6
    assert close.next.started.first_workflow_task_backoff == span(6)


def full_start() -> WorkflowExecutionStartedEventAttributes:
    """A start that says everything there is to inherit."""
    return start(
        retry_policy=retry_policy(attempts=5),
        first_execution_run_id="first",
        continued_execution_run_id="before",
        input=payloads("old"),
        header=Header(fields=fields(trace="t")),
        memo=Memo(fields=fields(m="start")),
        search_attributes=SearchAttributes(indexed_fields=fields(a="start")),
        workflow_execution_timeout=span(100),
        workflow_execution_expiration_time=at(100),
        workflow_run_timeout=span(50),
        priority=Priority(priority_key=2),
        cron_schedule="",
        last_completion_result=payloads("last"),
        parent_workflow_namespace="default",
        parent_workflow_namespace_id="default-id",
        parent_workflow_execution=WorkflowExecution(workflow_id="p", run_id="pr"),
        parent_initiated_event_id=9,
        root_workflow_execution=WorkflowExecution(workflow_id="r", run_id="rr"),
        eager_execution_accepted=True,
    )


def test_a_retry_inherits_the_start_but_not_the_upserts() -> None:
    old = full_start()
    new = next_of(
        upsert(a="new"), memo(m="new"), fail(boom("why")), started=old
    ).started
    assert new.attempt == 2
    assert new.continued_failure == boom("why")
    assert new.continued_execution_run_id == RUN_ID
    assert new.original_execution_run_id == NEXT_RUN_ID
    assert new.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY
    changed = {
        "attempt",
        "continued_execution_run_id",
        "continued_failure",
        "eager_execution_accepted",
        "first_workflow_task_backoff",
        "identity",
        "initiator",
        "original_execution_run_id",
    }
    for message in (old, new):
        for field in changed:
            message.ClearField(field)  # type: ignore[arg-type]
    assert new == old


def test_a_retry_is_nobodys_own_start() -> None:
    new = next_of(fail(boom()), started=full_start()).started
    assert new.identity == ""
    assert not new.eager_execution_accepted


# Continue as new.


def test_a_run_that_goes_on_says_so_in_its_last_event() -> None:
    close = closed(continue_as_new("x"), started=full_start())
    status = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW
    assert close.status == status
    event = attributes(close.event)
    assert event.new_execution_run_id == NEXT_RUN_ID
    assert event.workflow_type.name == "Order"
    assert event.task_queue.name == "queue"
    assert event.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert event.input == payloads("x")
    assert event.memo == Memo(fields=fields(m="start"))
    assert event.search_attributes == SearchAttributes(indexed_fields=fields(a="start"))
    assert event.workflow_run_timeout == span(50)
    assert event.workflow_task_timeout == span(10)


def test_a_run_that_goes_on_leaves_what_it_was_given() -> None:
    old = full_start()
    new = next_of(continue_as_new("x"), started=old).started
    for field in (
        "first_execution_run_id",
        "parent_initiated_event_id",
        "parent_workflow_execution",
        "parent_workflow_namespace",
        "parent_workflow_namespace_id",
        "priority",
        "retry_policy",
        "root_workflow_execution",
        "workflow_execution_expiration_time",
        "workflow_execution_timeout",
        "workflow_id",
        "workflow_run_timeout",
        "workflow_task_timeout",
        "workflow_type",
    ):
        assert getattr(new, field) == getattr(old, field), field
    assert new.input == payloads("x")
    assert new.attempt == 1
    assert new.continued_execution_run_id == RUN_ID
    assert new.original_execution_run_id == NEXT_RUN_ID
    assert new.initiator == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
    assert new.workflow_id == WORKFLOW_ID


def test_a_run_that_goes_on_leaves_out_the_rest() -> None:
    new = next_of(continue_as_new(), started=full_start()).started
    assert named(new).isdisjoint(
        {
            "continued_failure",
            "cron_schedule",
            "eager_execution_accepted",
            "header",
            "identity",
            "last_completion_result",
        }
    )


def test_upserted_attributes_go_on_and_an_upserted_memo_does_not() -> None:
    new = next_of(
        upsert(a=None, b="new"),
        memo(m="new"),
        continue_as_new(),
        started=full_start(),
    ).started
    assert showing.fields(new.search_attributes.indexed_fields) == 'b="new"'
    assert showing.fields(new.memo.fields) == 'm="start"'


def test_attributes_upserted_before_a_restart_go_on_too() -> None:
    journal = beginning(full_start())
    driver = driver_of(journal)
    driver.begin([], now=at(1), next_run_id="", request_id="")
    turn = driver.complete(completion([upsert(a=None, b="new")]))
    assert isinstance(turn, Turn)
    driver = driver_of([*journal, *turn.events])
    driver.next_replay()
    driver.complete(completion([upsert(a=None, b="new")]))
    driver.begin(signal("s"), now=at(2), next_run_id=NEXT_RUN_ID, request_id="")
    turn = driver.complete(completion([continue_as_new()]))
    assert isinstance(turn, Turn)
    assert turn.close is not None
    assert turn.close.next is not None
    new = turn.close.next.started
    assert showing.fields(new.search_attributes.indexed_fields) == 'b="new"'


def test_the_list_of_patches_stays_with_the_run_that_asked() -> None:
    new = next_of(patched("p"), continue_as_new()).started
    assert not new.HasField("search_attributes")


def test_the_command_has_the_last_word() -> None:
    new = next_of(
        continue_as_new(
            1,
            workflow_type="Other",
            task_queue="elsewhere",
            workflow_run_timeout=span(5),
            workflow_task_timeout=span(6),
            memo=fields(m="command"),
            search_attributes=SearchAttributes(indexed_fields=fields(a="command")),
            headers=fields(trace="new"),
            retry_policy=retry_policy(attempts=9),
        ),
        started=full_start(),
    ).started
    assert new.workflow_type.name == "Other"
    assert new.task_queue.name == "elsewhere"
    assert new.workflow_run_timeout == span(5)
    assert new.workflow_task_timeout == span(6)
    assert showing.fields(new.memo.fields) == 'm="command"'
    assert showing.fields(new.search_attributes.indexed_fields) == 'a="command"'
    assert showing.fields(new.header.fields) == 'trace="new"'
    assert new.retry_policy.maximum_attempts == 9


def test_attributes_may_be_left_behind_on_purpose() -> None:
    new = next_of(
        continue_as_new(search_attributes=SearchAttributes()), started=full_start()
    ).started
    assert not new.HasField("search_attributes")


def test_a_run_that_was_given_little_leaves_little() -> None:
    new = next_of(continue_as_new()).started
    assert not new.HasField("retry_policy")
    assert not new.HasField("memo")
    assert not new.HasField("search_attributes")
    assert not new.HasField("parent_workflow_execution")
    assert not new.HasField("workflow_execution_timeout")
    # Temporal shows the next run a timeout of no time, where the first had none.
    assert new.HasField("workflow_run_timeout")
    assert new.workflow_run_timeout == span(0)


def test_the_next_run_may_begin_later() -> None:
    following = next_of(continue_as_new(backoff_start_interval=span(2.5)))
    assert following.backoff == 2.5
    assert following.started.first_workflow_task_backoff == span(2.5)
    event = attributes(closed(continue_as_new(backoff_start_interval=span(2.5))).event)
    assert event.backoff_start_interval == span(2.5)


def test_the_next_run_begins_at_once_if_nothing_is_said() -> None:
    assert next_of(continue_as_new()).backoff == 0
    event = attributes(closed(continue_as_new()).event)
    assert not event.HasField("backoff_start_interval")
