"""How a run ends: the closing event, and the next run of its chain if there is one.

Continue-as-new always makes a next run, which takes along what its command says and a
little more. When the other ends make one, and of what, says `chain`.
"""

from __future__ import annotations

from google.protobuf.message import Message
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.history.v1 import (
    WorkflowExecutionCanceledEventAttributes,
    WorkflowExecutionCompletedEventAttributes,
    WorkflowExecutionContinuedAsNewEventAttributes,
    WorkflowExecutionFailedEventAttributes,
)

from dbosify._model import clock
from dbosify._model.effects import Close, NewRun
from dbosify._model.protos import (
    ContinueAsNewInitiator,
    ContinueAsNewWorkflowExecution,
    EventType,
    Failure,
    HistoryEvent,
    Timestamp,
    WorkflowCommand,
    WorkflowExecutionStartedEventAttributes,
    WorkflowExecutionStatus,
)

from . import validate
from .chain import Chain
from .commands import Command
from .machines.announcement import Announcement

_KEPT = (
    "parent_workflow_execution",
    "priority",
    "root_workflow_execution",
    "workflow_execution_expiration_time",
    "workflow_execution_timeout",
)
"""What a run that continues as new leaves to the next besides what its command says."""


def command(source: WorkflowCommand, chain: Chain, now: Timestamp) -> Command:
    """The closing command that `source` stands for."""
    match source.WhichOneof("variant"):
        case "complete_workflow_execution":
            result = _complete(source, chain, now)
        case "fail_workflow_execution":
            result = _fail(source.fail_workflow_execution.failure, chain, now)
        case "cancel_workflow_execution":
            result = _cancel(source)
        case _:
            result = _continue_as_new(
                source.continue_as_new_workflow_execution, chain, now
            )
    if source.HasField("user_metadata"):
        result.metadata = source.user_metadata
    return result


def _terminal(
    event_type: EventType.ValueType,
    field: str,
    attributes: Message,
    title: str,
    close: Close,
) -> Command:
    return Command(
        event_type,
        field,
        attributes,
        Announcement(title),
        terminal=True,
        close=close,
    )


def _complete(source: WorkflowCommand, chain: Chain, now: Timestamp) -> Command:
    completed = WorkflowExecutionCompletedEventAttributes()
    if source.complete_workflow_execution.HasField("result"):
        completed.result.payloads.append(source.complete_workflow_execution.result)
    following = chain.after_success(completed.result, now)
    if following is not None:
        completed.new_execution_run_id = following.run_id
    return _terminal(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        "workflow_execution_completed_event_attributes",
        completed,
        "Complete workflow",
        Close(
            WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
            HistoryEvent(),
            result=completed.result,
            next=following,
        ),
    )


def _cancel(source: WorkflowCommand) -> Command:
    canceled = WorkflowExecutionCanceledEventAttributes()
    if source.cancel_workflow_execution.HasField("details"):
        canceled.details.CopyFrom(source.cancel_workflow_execution.details)
    return _terminal(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        "workflow_execution_canceled_event_attributes",
        canceled,
        "Cancel workflow",
        Close(
            WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED, HistoryEvent()
        ),
    )


def _fail(failure: Failure, chain: Chain, now: Timestamp) -> Command:
    state, following = chain.after_failure(failure, now)
    failed = WorkflowExecutionFailedEventAttributes(
        failure=failure,
        retry_state=state,
        new_execution_run_id=following.run_id if following else "",
    )
    return _terminal(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        "workflow_execution_failed_event_attributes",
        failed,
        "Fail workflow",
        Close(
            WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
            HistoryEvent(),
            failure=failure,
            next=following,
        ),
    )


def _continue_as_new(
    source: ContinueAsNewWorkflowExecution, chain: Chain, now: Timestamp
) -> Command:
    old = chain.started.workflow_execution_started_event_attributes
    event = _continued_event(source, chain)
    started = WorkflowExecutionStartedEventAttributes(
        workflow_type=event.workflow_type,
        task_queue=event.task_queue,
        input=event.input if event.HasField("input") else None,
        header=event.header if event.HasField("header") else None,
        memo=event.memo if event.HasField("memo") else None,
        search_attributes=(
            event.search_attributes if event.HasField("search_attributes") else None
        ),
        first_execution_run_id=old.first_execution_run_id,
        workflow_id=old.workflow_id,
        attempt=1,
        workflow_run_timeout=event.workflow_run_timeout,
        workflow_task_timeout=event.workflow_task_timeout,
        first_workflow_task_backoff=source.backoff_start_interval,
        parent_workflow_namespace=old.parent_workflow_namespace,
        parent_workflow_namespace_id=old.parent_workflow_namespace_id,
        parent_initiated_event_id=old.parent_initiated_event_id,
    )
    present = {field.name: value for field, value in old.ListFields()}
    for name in _KEPT:
        if name in present:
            getattr(started, name).CopyFrom(present[name])
    policy = source if source.HasField("retry_policy") else old
    if policy.HasField("retry_policy"):
        started.retry_policy.CopyFrom(policy.retry_policy)
    chain.link(
        started,
        ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW,
        source.initial_versioning_behavior,
    )
    backoff = clock.seconds(source.backoff_start_interval)
    return _terminal(
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
        "workflow_execution_continued_as_new_event_attributes",
        event,
        "Continue as new workflow",
        Close(
            WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
            HistoryEvent(),
            next=NewRun(chain.next_run_id, started, backoff),
        ),
    )


def _continued_event(
    source: ContinueAsNewWorkflowExecution, chain: Chain
) -> WorkflowExecutionContinuedAsNewEventAttributes:
    old = chain.started.workflow_execution_started_event_attributes
    event = WorkflowExecutionContinuedAsNewEventAttributes(
        new_execution_run_id=chain.next_run_id,
        initial_versioning_behavior=source.initial_versioning_behavior,
    )
    event.workflow_type.name = source.workflow_type or old.workflow_type.name
    event.task_queue.name = source.task_queue or old.task_queue.name
    event.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    event.input.payloads.extend(source.arguments)
    for key, value in source.headers.items():
        event.header.fields[key].CopyFrom(value)
    # Core takes the memo of the start, not the upserted one, if the command has none.
    if source.memo:
        for key, value in source.memo.items():
            event.memo.fields[key].CopyFrom(value)
    elif old.HasField("memo"):
        event.memo.CopyFrom(old.memo)
    attributes = (
        source.search_attributes
        if source.HasField("search_attributes")
        else chain.search_attributes
    )
    if attributes.indexed_fields:
        settled = validate.attribute_values(
            attributes,
            chain.registered,
            command="ContinueAsNewWorkflowExecutionCommand",
            about=(
                f"WorkflowType={event.workflow_type.name}"
                f' TaskQueue=name:"{event.task_queue.name}"'
                "  kind:TASK_QUEUE_KIND_NORMAL"
            ),
        )
        event.search_attributes.CopyFrom(settled)
    event.workflow_run_timeout.CopyFrom(
        source.workflow_run_timeout
        if source.HasField("workflow_run_timeout")
        else old.workflow_run_timeout
    )
    event.workflow_task_timeout.CopyFrom(
        source.workflow_task_timeout
        if source.HasField("workflow_task_timeout")
        else old.workflow_task_timeout
    )
    if source.HasField("backoff_start_interval"):
        event.backoff_start_interval.CopyFrom(source.backoff_start_interval)
    return event
