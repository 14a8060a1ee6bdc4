"""Building the activations that the SDK's workflow instances understand."""

from __future__ import annotations

from collections.abc import Iterable

from dbosify._model import ids
from dbosify._model.protos import (
    EvictionReason,
    HistoryEvent,
    InitializeWorkflow,
    RemoveFromCache,
    WorkflowActivation,
    WorkflowActivationJob,
)

_JOB_CLASS = {
    "initialize_workflow": 0,
    "notify_has_patch": 1,
    "update_random_seed": 2,
    "signal_workflow": 3,
    "do_update": 3,
}
_OTHER_JOBS = 4
_LOCAL_ACTIVITIES = 5


def in_order(jobs: Iterable[WorkflowActivationJob]) -> list[WorkflowActivationJob]:
    """Jobs in the order core delivers them: by class, then as the events came."""
    return sorted(jobs, key=_class)


def _class(job: WorkflowActivationJob) -> int:
    if job.resolve_activity.is_local:
        return _LOCAL_ACTIVITIES
    return _JOB_CLASS.get(job.WhichOneof("variant") or "", _OTHER_JOBS)


def initialize(workflow_id: str, event: HistoryEvent) -> WorkflowActivationJob:
    """The job that starts a run, from its WorkflowExecutionStarted event."""
    job = WorkflowActivationJob()
    started = event.workflow_execution_started_event_attributes
    init: InitializeWorkflow = job.initialize_workflow
    init.workflow_id = workflow_id
    init.workflow_type = started.workflow_type.name
    init.arguments.extend(started.input.payloads)
    init.randomness_seed = ids.random_seed(started.original_execution_run_id)
    for key, value in started.header.fields.items():
        init.headers[key].CopyFrom(value)
    init.identity = started.identity
    init.attempt = started.attempt
    init.continued_from_execution_run_id = started.continued_execution_run_id
    init.continued_initiator = started.initiator
    init.first_execution_run_id = started.first_execution_run_id
    init.original_execution_run_id = started.original_execution_run_id
    init.cron_schedule = started.cron_schedule
    init.start_time.CopyFrom(event.event_time)
    present = {field.name: value for field, value in started.ListFields()}
    for target, source in (
        ("workflow_execution_timeout", "workflow_execution_timeout"),
        ("workflow_run_timeout", "workflow_run_timeout"),
        ("workflow_task_timeout", "workflow_task_timeout"),
        ("workflow_execution_expiration_time", "workflow_execution_expiration_time"),
        ("cron_schedule_to_schedule_interval", "first_workflow_task_backoff"),
        ("continued_failure", "continued_failure"),
        ("last_completion_result", "last_completion_result"),
        ("retry_policy", "retry_policy"),
        ("memo", "memo"),
        ("search_attributes", "search_attributes"),
        ("root_workflow", "root_workflow_execution"),
    ):
        if source in present:
            getattr(init, target).CopyFrom(present[source])
    init.priority.CopyFrom(started.priority)
    if started.HasField("parent_workflow_execution"):
        parent = init.parent_workflow_info
        parent.namespace = started.parent_workflow_namespace
        parent.workflow_id = started.parent_workflow_execution.workflow_id
        parent.run_id = started.parent_workflow_execution.run_id
    return job


def eviction(run_id: str, reason: int, message: str) -> WorkflowActivation:
    """The activation that makes the SDK forget a run."""
    activation = WorkflowActivation(run_id=run_id)
    activation.jobs.add().remove_from_cache.CopyFrom(
        RemoveFromCache(reason=EvictionReason.ValueType(reason), message=message)
    )
    return activation


def task_started_fields(activation: WorkflowActivation, started: HistoryEvent) -> None:
    """Copy what an activation shows of its WorkflowTaskStarted event."""
    attributes = started.workflow_task_started_event_attributes
    activation.history_size_bytes = attributes.history_size_bytes
    activation.continue_as_new_suggested = attributes.suggest_continue_as_new
    activation.suggest_continue_as_new_reasons.extend(
        attributes.suggest_continue_as_new_reasons
    )
    activation.target_worker_deployment_version_changed = (
        attributes.target_worker_deployment_version_changed
    )
