"""The protobuf types of both seams, under one roof.

This is the only module of the pure layers that names private `temporalio` modules;
a contract test pins each of them, so an SDK release that moves one fails there first.
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import (
    ActivityType,
    Header,
    Memo,
    Payload,
    Payloads,
    Priority,
    RetryPolicy,
    SearchAttributes,
    WorkflowExecution,
    WorkflowType,
)
from temporalio.api.enums.v1 import (
    ApplicationErrorCategory,
    CancelExternalWorkflowExecutionFailedCause,
    CommandType,
    ContinueAsNewInitiator,
    EventType,
    ParentClosePolicy,
    RetryState,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
    TimeoutType,
    WorkflowExecutionStatus,
    WorkflowIdReusePolicy,
    WorkflowTaskFailedCause,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    ActivityTaskCancelRequestedEventAttributes,
    ActivityTaskScheduledEventAttributes,
    History,
    HistoryEvent,
    MarkerRecordedEventAttributes,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Outcome as UpdateOutcome
from temporalio.api.update.v1 import Request as UpdateRequest
from temporalio.bridge.proto import (
    ActivityHeartbeat,
    ActivityTaskCompletion,
    NamespaceInfo,
)
from temporalio.bridge.proto.activity_result import (
    ActivityExecutionResult,
    ActivityResolution,
)
from temporalio.bridge.proto.activity_task import (
    ActivityCancellationDetails,
    ActivityCancelReason,
    ActivityTask,
)
from temporalio.bridge.proto.child_workflow import (
    ChildWorkflowCancellationType,
    ChildWorkflowResult,
)
from temporalio.bridge.proto.workflow_activation import (
    InitializeWorkflow,
    RemoveFromCache,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import (
    ActivityCancellationType,
    ContinueAsNewWorkflowExecution,
    QueryResult,
    RequestCancelExternalWorkflowExecution,
    ScheduleActivity,
    ScheduleLocalActivity,
    SignalExternalWorkflowExecution,
    StartChildWorkflowExecution,
    UpdateResponse,
    WorkflowCommand,
)
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion

EvictionReason = RemoveFromCache.EvictionReason

__all__ = [
    "ActivityCancelReason",
    "ActivityCancellationDetails",
    "ActivityCancellationType",
    "ActivityExecutionResult",
    "ActivityHeartbeat",
    "ActivityResolution",
    "ActivityTask",
    "ActivityTaskCancelRequestedEventAttributes",
    "ActivityTaskCompletion",
    "ActivityTaskScheduledEventAttributes",
    "ActivityType",
    "ApplicationErrorCategory",
    "CancelExternalWorkflowExecutionFailedCause",
    "ChildWorkflowCancellationType",
    "ChildWorkflowResult",
    "CommandType",
    "ContinueAsNewInitiator",
    "ContinueAsNewWorkflowExecution",
    "Duration",
    "EventType",
    "EvictionReason",
    "Failure",
    "Header",
    "History",
    "HistoryEvent",
    "InitializeWorkflow",
    "MarkerRecordedEventAttributes",
    "Memo",
    "NamespaceInfo",
    "ParentClosePolicy",
    "Payload",
    "Payloads",
    "Priority",
    "QueryResult",
    "RemoveFromCache",
    "RequestCancelExternalWorkflowExecution",
    "RetryPolicy",
    "RetryState",
    "ScheduleActivity",
    "ScheduleLocalActivity",
    "SearchAttributes",
    "SignalExternalWorkflowExecution",
    "SignalExternalWorkflowExecutionFailedCause",
    "StartChildWorkflowExecution",
    "StartChildWorkflowExecutionFailedCause",
    "StartChildWorkflowExecutionInitiatedEventAttributes",
    "TaskQueue",
    "TimeoutType",
    "Timestamp",
    "UpdateOutcome",
    "UpdateRequest",
    "UpdateResponse",
    "UserMetadata",
    "WorkflowActivation",
    "WorkflowActivationCompletion",
    "WorkflowActivationJob",
    "WorkflowCommand",
    "WorkflowExecution",
    "WorkflowExecutionStartedEventAttributes",
    "WorkflowExecutionStatus",
    "WorkflowIdReusePolicy",
    "WorkflowTaskFailedCause",
    "WorkflowType",
]
