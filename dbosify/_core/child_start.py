"""From the command that starts a child to the two events that history gets of it.

The parent's event tells what was asked for; the child's first event is what the server
makes of that: defaults filled in, timeouts cut, and who the parent and the root are.
"""

from __future__ import annotations

from temporalio.api.enums.v1 import TaskQueueKind

from dbosify._model import clock, versioning
from dbosify._model.nulls import without_nulls
from dbosify._model.policies import fill_defaults
from dbosify._model.protos import (
    ParentClosePolicy,
    StartChildWorkflowExecution,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
    WorkflowIdReusePolicy,
)

from .chain import Chain
from .validate import attribute_values

_DEFAULT_TASK_TIMEOUT = 10.0
_MAX_TASK_TIMEOUT = 120.0
_PASSED_ON = (
    "header",
    "input",
    "retry_policy",
    "workflow_execution_timeout",
    "workflow_run_timeout",
    "workflow_task_timeout",
)
_NORMAL = TaskQueueKind.TASK_QUEUE_KIND_NORMAL


def initiated(
    source: StartChildWorkflowExecution, chain: Chain
) -> StartChildWorkflowExecutionInitiatedEventAttributes:
    """The attributes of the parent's event.

    Args:
        source: checked.
        chain: of the parent, whose task queue is the default.
    """
    parent = chain.attributes
    result = StartChildWorkflowExecutionInitiatedEventAttributes(
        namespace=source.namespace or chain.namespace,
        workflow_id=source.workflow_id,
        parent_close_policy=(
            int(source.parent_close_policy)  # type: ignore[arg-type]
            or ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE
        ),
        workflow_id_reuse_policy=(
            source.workflow_id_reuse_policy
            or WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
        ),
        cron_schedule=source.cron_schedule,
    )
    result.workflow_type.name = source.workflow_type
    result.task_queue.name = source.task_queue or parent.task_queue.name
    result.task_queue.kind = _NORMAL
    if source.input:
        result.input.payloads.extend(source.input)
    for key, value in source.headers.items():
        result.header.fields[key].CopyFrom(value)
    for key, value in source.memo.items():
        result.memo.fields[key].CopyFrom(value)
    if source.search_attributes.indexed_fields:
        attributes = attribute_values(
            source.search_attributes,
            chain.registered,
            command="StartChildWorkflowCommand",
            about=(
                f"WorkflowId={source.workflow_id} WorkflowType={source.workflow_type}"
                f" Namespace={result.namespace}"
            ),
        )
        result.search_attributes.CopyFrom(attributes)
    if source.HasField("retry_policy"):
        result.retry_policy.CopyFrom(source.retry_policy)
        fill_defaults(result.retry_policy)
    if source.HasField("priority"):
        result.priority.CopyFrom(source.priority)
    _timeouts(result, source)
    return result


def _timeouts(
    result: StartChildWorkflowExecutionInitiatedEventAttributes,
    source: StartChildWorkflowExecution,
) -> None:
    execution = clock.seconds(source.workflow_execution_timeout)
    run = clock.seconds(source.workflow_run_timeout)
    if execution > 0:
        run = min(run or execution, execution)
        result.workflow_execution_timeout.CopyFrom(clock.duration(execution))
    task = clock.seconds(source.workflow_task_timeout) or _DEFAULT_TASK_TIMEOUT
    task = min(task, _MAX_TASK_TIMEOUT, run or task)
    # Zero is written too: a child's code sees a run timeout of zero, not of None.
    result.workflow_run_timeout.CopyFrom(clock.duration(run))
    result.workflow_task_timeout.CopyFrom(clock.duration(task))


def started(
    source: StartChildWorkflowExecutionInitiatedEventAttributes, chain: Chain
) -> WorkflowExecutionStartedEventAttributes:
    """The attributes of the child's first event, but for its run id and its times."""
    parent = chain.attributes
    result = WorkflowExecutionStartedEventAttributes(
        workflow_type=source.workflow_type,
        workflow_id=source.workflow_id,
        task_queue=source.task_queue,
        cron_schedule=source.cron_schedule,
        attempt=1,
        parent_workflow_namespace=chain.namespace,
    )
    present = {field.name: value for field, value in source.ListFields()}
    for name in _PASSED_ON:
        if name in present:
            getattr(result, name).CopyFrom(present[name])
    memo, attributes = without_nulls(source.memo, source.search_attributes)
    if memo.fields:
        result.memo.CopyFrom(memo)
    if attributes.indexed_fields:
        result.search_attributes.CopyFrom(attributes)
    _ancestors(result, chain)
    versioning.inherit(result, chain.versioning)
    if parent.HasField("priority"):
        result.priority.CopyFrom(parent.priority)
    if source.HasField("priority"):
        # Field by field: what the command leaves open stays as the parent has it.
        result.priority.MergeFrom(source.priority)
    return result


def _ancestors(result: WorkflowExecutionStartedEventAttributes, chain: Chain) -> None:
    parent = chain.attributes
    result.parent_workflow_execution.workflow_id = parent.workflow_id
    result.parent_workflow_execution.run_id = chain.run_id
    result.root_workflow_execution.CopyFrom(
        parent.root_workflow_execution
        if parent.HasField("root_workflow_execution")
        else result.parent_workflow_execution
    )
