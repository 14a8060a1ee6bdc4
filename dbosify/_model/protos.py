"""The protobuf types of both seams, under one roof.

This is the only module of the pure layers that names private `temporalio` modules;
a contract test pins each of them, so an SDK release that moves one fails there first.
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.activity.v1 import ActivityExecutionOutcome
from temporalio.api.common.v1 import (
    ActivityType,
    Callback,
    Header,
    Link,
    Memo,
    Payload,
    Payloads,
    Priority,
    RetryPolicy,
    SearchAttributes,
    WorkflowExecution,
    WorkflowType,
)
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import (
    ActivityExecutionStatus,
    ApplicationErrorCategory,
    CancelExternalWorkflowExecutionFailedCause,
    CommandType,
    ContinueAsNewInitiator,
    ContinueAsNewVersioningBehavior,
    EventType,
    NexusHandlerErrorRetryBehavior,
    NexusOperationCancellationState,
    ParentClosePolicy,
    PendingNexusOperationState,
    RetryState,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
    TimeoutType,
    VersioningBehavior,
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
    NexusOperationScheduledEventAttributes,
    StartChildWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)
from temporalio.api.nexus.v1 import Link as NexusLink
from temporalio.api.nexus.v1 import Request as NexusRequest
from temporalio.api.nexus.v1 import Response as NexusResponse
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Outcome as UpdateOutcome
from temporalio.api.update.v1 import Request as UpdateRequest
from temporalio.api.workflow.v1 import PendingNexusOperationInfo
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
from temporalio.bridge.proto.nexus import (
    NexusOperationCancellationType,
    NexusTask,
    NexusTaskCancelReason,
    NexusTaskCompletion,
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
    ScheduleNexusOperation,
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
    "ActivityExecutionOutcome",
    "ActivityExecutionResult",
    "ActivityExecutionStatus",
    "ActivityHeartbeat",
    "ActivityResolution",
    "ActivityTask",
    "ActivityTaskCancelRequestedEventAttributes",
    "ActivityTaskCompletion",
    "ActivityTaskScheduledEventAttributes",
    "ActivityType",
    "ApplicationErrorCategory",
    "Callback",
    "CancelExternalWorkflowExecutionFailedCause",
    "ChildWorkflowCancellationType",
    "ChildWorkflowResult",
    "CommandType",
    "ContinueAsNewInitiator",
    "ContinueAsNewVersioningBehavior",
    "ContinueAsNewWorkflowExecution",
    "Duration",
    "EventType",
    "EvictionReason",
    "Failure",
    "Header",
    "History",
    "HistoryEvent",
    "InitializeWorkflow",
    "Link",
    "MarkerRecordedEventAttributes",
    "Memo",
    "NamespaceInfo",
    "NexusHandlerErrorRetryBehavior",
    "NexusLink",
    "NexusOperationCancellationState",
    "NexusOperationCancellationType",
    "NexusOperationScheduledEventAttributes",
    "NexusRequest",
    "NexusResponse",
    "NexusTask",
    "NexusTaskCancelReason",
    "NexusTaskCompletion",
    "ParentClosePolicy",
    "Payload",
    "Payloads",
    "PendingNexusOperationInfo",
    "PendingNexusOperationState",
    "Priority",
    "QueryResult",
    "RemoveFromCache",
    "RequestCancelExternalWorkflowExecution",
    "RetryPolicy",
    "RetryState",
    "ScheduleActivity",
    "ScheduleLocalActivity",
    "ScheduleNexusOperation",
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
    "VersioningBehavior",
    "WorkerDeploymentVersion",
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
