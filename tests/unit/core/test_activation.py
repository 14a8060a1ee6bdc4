"""What a run is told when it begins, the order of jobs, and how it is forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Priority

from dbosify._core import activation
from dbosify._model.protos import (
    ContinueAsNewInitiator,
    EvictionReason,
    Header,
    InitializeWorkflow,
    Memo,
    SearchAttributes,
    WorkflowActivationJob,
    WorkflowExecution,
)
from tests.unit.core.spelling import (
    RUN_ID,
    at,
    beginning,
    boom,
    payload,
    payloads,
    retry_policy,
    span,
    start,
)


def told(**changes: Any) -> InitializeWorkflow:
    """What the workflow is told of a start with these attributes."""
    job = activation.initialize("orders/1", beginning(start(**changes))[0])
    return job.initialize_workflow


def test_a_plain_start_is_told_plainly() -> None:
    init = told(first_workflow_task_backoff=span(0))
    assert {field.name for field, _ in init.ListFields()} == {
        "workflow_type",
        "workflow_id",
        "randomness_seed",
        "identity",
        "attempt",
        "workflow_task_timeout",
        "cron_schedule_to_schedule_interval",
        "first_execution_run_id",
        "original_execution_run_id",
        "start_time",
        "priority",
    }
    assert init.workflow_id == "orders/1"
    assert init.workflow_type == "Order"
    assert init.identity == "client@there"
    assert init.attempt == 1
    assert init.start_time == at(0)
    assert init.workflow_task_timeout == span(10)
    assert init.first_execution_run_id == init.original_execution_run_id == RUN_ID


def test_the_seed_is_that_of_the_original_run() -> None:
    assert told().randomness_seed == 3027848497004005175
    assert told(original_execution_run_id="").randomness_seed == 3476900567878811119


@pytest.mark.parametrize(
    ("given", "value", "shown"),
    [
        ("workflow_execution_timeout", span(60), "workflow_execution_timeout"),
        ("workflow_run_timeout", span(30), "workflow_run_timeout"),
        ("workflow_run_timeout", span(0), "workflow_run_timeout"),
        ("workflow_task_timeout", span(7), "workflow_task_timeout"),
        (
            "workflow_execution_expiration_time",
            at(60),
            "workflow_execution_expiration_time",
        ),
        (
            "first_workflow_task_backoff",
            span(1),
            "cron_schedule_to_schedule_interval",
        ),
        ("continued_failure", boom(), "continued_failure"),
        ("last_completion_result", payloads(1), "last_completion_result"),
        ("retry_policy", retry_policy(), "retry_policy"),
        ("memo", Memo(fields={"m": payload(1)}), "memo"),
        (
            "search_attributes",
            SearchAttributes(indexed_fields={"a": payload(1)}),
            "search_attributes",
        ),
        (
            "root_workflow_execution",
            WorkflowExecution(workflow_id="r"),
            "root_workflow",
        ),
        ("priority", Priority(priority_key=2), "priority"),
        ("cron_schedule", "@every 1s", "cron_schedule"),
        ("attempt", 3, "attempt"),
        ("continued_execution_run_id", "r0", "continued_from_execution_run_id"),
        (
            "initiator",
            ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY,
            "continued_initiator",
        ),
    ],
)
def test_what_the_start_says_is_told(given: str, value: Any, shown: str) -> None:
    init = told(**{given: value})
    assert getattr(init, shown) == value
    if hasattr(value, "DESCRIPTOR"):
        assert init.HasField(shown)  # type: ignore[arg-type]


def test_arguments_and_headers_are_told() -> None:
    init = told(input=payloads("a", 2), header=Header(fields={"h": payload("v")}))
    assert list(init.arguments) == [payload("a"), payload(2)]
    assert dict(init.headers) == {"h": payload("v")}


def test_a_child_is_told_of_its_parent() -> None:
    init = told(
        parent_workflow_namespace="default",
        parent_workflow_execution=WorkflowExecution(workflow_id="p", run_id="pr"),
    )
    parent = init.parent_workflow_info
    assert (parent.namespace, parent.workflow_id, parent.run_id) == (
        "default",
        "p",
        "pr",
    )


def test_jobs_come_by_class_and_then_as_the_events_came() -> None:
    names = (
        "fire_timer",
        "signal_workflow",
        "cancel_workflow",
        "notify_has_patch",
        "do_update",
        "update_random_seed",
        "resolve_activity",
        "initialize_workflow",
        "signal_workflow",
    )
    jobs = []
    for name in names:
        jobs.append(WorkflowActivationJob())
        getattr(jobs[-1], name).SetInParent()
    jobs[1].signal_workflow.signal_name = "first"
    ordered = activation.in_order(jobs)
    assert [job.WhichOneof("variant") for job in ordered] == [
        "initialize_workflow",
        "notify_has_patch",
        "update_random_seed",
        "signal_workflow",
        "do_update",
        "signal_workflow",
        "fire_timer",
        "cancel_workflow",
        "resolve_activity",
    ]
    assert ordered[3].signal_workflow.signal_name == "first"


def test_an_eviction_says_why_and_nothing_else() -> None:
    shown = activation.eviction(RUN_ID, EvictionReason.CACHE_FULL, "no room")
    (job,) = shown.jobs
    assert job.remove_from_cache.reason == EvictionReason.CACHE_FULL
    assert job.remove_from_cache.message == "no room"
    assert {field.name for field, _ in shown.ListFields()} == {"run_id", "jobs"}
