"""Namesake of `temporalio.client`, whose client also connects to Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import dbos
import temporalio.client
import temporalio.common
import temporalio.converter
import temporalio.runtime
import temporalio.service
from temporalio.client import (
    ActivityCancellationDetails as ActivityCancellationDetails,
)
from temporalio.client import (
    ActivityExecution as ActivityExecution,
)
from temporalio.client import (
    ActivityExecutionAsyncIterator as ActivityExecutionAsyncIterator,
)
from temporalio.client import (
    ActivityExecutionCount as ActivityExecutionCount,
)
from temporalio.client import (
    ActivityExecutionCountAggregationGroup as ActivityExecutionCountAggregationGroup,
)
from temporalio.client import (
    ActivityExecutionDescription as ActivityExecutionDescription,
)
from temporalio.client import (
    ActivityExecutionOptions as ActivityExecutionOptions,
)
from temporalio.client import (
    ActivityExecutionStatus as ActivityExecutionStatus,
)
from temporalio.client import (
    ActivityFailureError as ActivityFailureError,
)
from temporalio.client import (
    ActivityHandle as ActivityHandle,
)
from temporalio.client import (
    ActivityOptionsKey as ActivityOptionsKey,
)
from temporalio.client import (
    ActivityOptionsKeys as ActivityOptionsKeys,
)
from temporalio.client import (
    ActivityOptionsUpdate as ActivityOptionsUpdate,
)
from temporalio.client import (
    ActivitySerializationContext as ActivitySerializationContext,
)
from temporalio.client import (
    AnyType as AnyType,
)
from temporalio.client import (
    AsyncActivityCancelledError as AsyncActivityCancelledError,
)
from temporalio.client import (
    AsyncActivityHandle as AsyncActivityHandle,
)
from temporalio.client import (
    AsyncActivityIDReference as AsyncActivityIDReference,
)
from temporalio.client import (
    BackfillScheduleInput as BackfillScheduleInput,
)
from temporalio.client import (
    BuildIdOp as BuildIdOp,
)
from temporalio.client import (
    BuildIdOpAddNewCompatible as BuildIdOpAddNewCompatible,
)
from temporalio.client import (
    BuildIdOpAddNewDefault as BuildIdOpAddNewDefault,
)
from temporalio.client import (
    BuildIdOpMergeSets as BuildIdOpMergeSets,
)
from temporalio.client import (
    BuildIdOpPromoteBuildIdWithinSet as BuildIdOpPromoteBuildIdWithinSet,
)
from temporalio.client import (
    BuildIdOpPromoteSetByBuildId as BuildIdOpPromoteSetByBuildId,
)
from temporalio.client import (
    BuildIdReachability as BuildIdReachability,
)
from temporalio.client import (
    BuildIdVersionSet as BuildIdVersionSet,
)
from temporalio.client import (
    CallableAsyncNoParam as CallableAsyncNoParam,
)
from temporalio.client import (
    CallableAsyncSingleParam as CallableAsyncSingleParam,
)
from temporalio.client import (
    CallableSyncNoParam as CallableSyncNoParam,
)
from temporalio.client import (
    CallableSyncSingleParam as CallableSyncSingleParam,
)
from temporalio.client import (
    Callback as Callback,
)
from temporalio.client import (
    CancelActivityInput as CancelActivityInput,
)
from temporalio.client import (
    CancelNexusOperationInput as CancelNexusOperationInput,
)
from temporalio.client import (
    CancelWorkflowInput as CancelWorkflowInput,
)
from temporalio.client import (
    ClientConfig as ClientConfig,
)
from temporalio.client import (
    ClientConnectConfig as ClientConnectConfig,
)
from temporalio.client import (
    CloudOperationsClient as CloudOperationsClient,
)
from temporalio.client import (
    CompleteAsyncActivityInput as CompleteAsyncActivityInput,
)
from temporalio.client import (
    ConnectConfig as ConnectConfig,
)
from temporalio.client import (
    CountActivitiesInput as CountActivitiesInput,
)
from temporalio.client import (
    CountNexusOperationsInput as CountNexusOperationsInput,
)
from temporalio.client import (
    CountWorkflowsInput as CountWorkflowsInput,
)
from temporalio.client import (
    CreateScheduleInput as CreateScheduleInput,
)
from temporalio.client import (
    DataConverter as DataConverter,
)
from temporalio.client import (
    DeleteScheduleInput as DeleteScheduleInput,
)
from temporalio.client import (
    DescribeActivityInput as DescribeActivityInput,
)
from temporalio.client import (
    DescribeNexusOperationInput as DescribeNexusOperationInput,
)
from temporalio.client import (
    DescribeScheduleInput as DescribeScheduleInput,
)
from temporalio.client import (
    DescribeWorkflowInput as DescribeWorkflowInput,
)
from temporalio.client import (
    DnsLoadBalancingConfig as DnsLoadBalancingConfig,
)
from temporalio.client import (
    FailAsyncActivityInput as FailAsyncActivityInput,
)
from temporalio.client import (
    FetchWorkflowHistoryEventsInput as FetchWorkflowHistoryEventsInput,
)
from temporalio.client import (
    GetNexusOperationResultInput as GetNexusOperationResultInput,
)
from temporalio.client import (
    GetWorkerBuildIdCompatibilityInput as GetWorkerBuildIdCompatibilityInput,
)
from temporalio.client import (
    GetWorkerTaskReachabilityInput as GetWorkerTaskReachabilityInput,
)
from temporalio.client import (
    GrpcCompression as GrpcCompression,
)
from temporalio.client import (
    HeaderCodecBehavior as HeaderCodecBehavior,
)
from temporalio.client import (
    HeartbeatAsyncActivityInput as HeartbeatAsyncActivityInput,
)
from temporalio.client import (
    HttpConnectProxyConfig as HttpConnectProxyConfig,
)
from temporalio.client import (
    Interceptor as Interceptor,
)
from temporalio.client import (
    KeepAliveConfig as KeepAliveConfig,
)
from temporalio.client import (
    ListActivitiesInput as ListActivitiesInput,
)
from temporalio.client import (
    ListNexusOperationsInput as ListNexusOperationsInput,
)
from temporalio.client import (
    ListSchedulesInput as ListSchedulesInput,
)
from temporalio.client import (
    ListWorkflowsInput as ListWorkflowsInput,
)
from temporalio.client import (
    LocalReturnType as LocalReturnType,
)
from temporalio.client import (
    MethodAsyncNoParam as MethodAsyncNoParam,
)
from temporalio.client import (
    MethodAsyncSingleParam as MethodAsyncSingleParam,
)
from temporalio.client import (
    MethodSyncOrAsyncNoParam as MethodSyncOrAsyncNoParam,
)
from temporalio.client import (
    MethodSyncOrAsyncSingleParam as MethodSyncOrAsyncSingleParam,
)
from temporalio.client import (
    MultiParamSpec as MultiParamSpec,
)
from temporalio.client import (
    NexusClient as NexusClient,
)
from temporalio.client import (
    NexusOperationExecution as NexusOperationExecution,
)
from temporalio.client import (
    NexusOperationExecutionAsyncIterator as NexusOperationExecutionAsyncIterator,
)
from temporalio.client import (
    NexusOperationExecutionCancellationInfo as NexusOperationExecutionCancellationInfo,
)
from temporalio.client import (
    NexusOperationExecutionCount as NexusOperationExecutionCount,
)
from temporalio.client import (
    NexusOperationExecutionCountAggregationGroup as NexusOperationExecutionCountAggregationGroup,
)
from temporalio.client import (
    NexusOperationExecutionDescription as NexusOperationExecutionDescription,
)
from temporalio.client import (
    NexusOperationFailureError as NexusOperationFailureError,
)
from temporalio.client import (
    NexusOperationHandle as NexusOperationHandle,
)
from temporalio.client import (
    OutboundInterceptor as OutboundInterceptor,
)
from temporalio.client import (
    ParamType as ParamType,
)
from temporalio.client import (
    PauseActivityInput as PauseActivityInput,
)
from temporalio.client import (
    PauseScheduleInput as PauseScheduleInput,
)
from temporalio.client import (
    PayloadLimitsConfig as PayloadLimitsConfig,
)
from temporalio.client import (
    PendingActivityState as PendingActivityState,
)
from temporalio.client import (
    Plugin as Plugin,
)
from temporalio.client import (
    QueryWorkflowInput as QueryWorkflowInput,
)
from temporalio.client import (
    ReportCancellationAsyncActivityInput as ReportCancellationAsyncActivityInput,
)
from temporalio.client import (
    RetryConfig as RetryConfig,
)
from temporalio.client import (
    ReturnType as ReturnType,
)
from temporalio.client import (
    RPCError as RPCError,
)
from temporalio.client import (
    RPCStatusCode as RPCStatusCode,
)
from temporalio.client import (
    RPCTimeoutOrCancelledError as RPCTimeoutOrCancelledError,
)
from temporalio.client import (
    Schedule as Schedule,
)
from temporalio.client import (
    ScheduleAction as ScheduleAction,
)
from temporalio.client import (
    ScheduleActionExecution as ScheduleActionExecution,
)
from temporalio.client import (
    ScheduleActionExecutionStartWorkflow as ScheduleActionExecutionStartWorkflow,
)
from temporalio.client import (
    ScheduleActionResult as ScheduleActionResult,
)
from temporalio.client import (
    ScheduleActionStartWorkflow as ScheduleActionStartWorkflow,
)
from temporalio.client import (
    ScheduleAlreadyRunningError as ScheduleAlreadyRunningError,
)
from temporalio.client import (
    ScheduleAsyncIterator as ScheduleAsyncIterator,
)
from temporalio.client import (
    ScheduleBackfill as ScheduleBackfill,
)
from temporalio.client import (
    ScheduleCalendarSpec as ScheduleCalendarSpec,
)
from temporalio.client import (
    ScheduleDescription as ScheduleDescription,
)
from temporalio.client import (
    ScheduleHandle as ScheduleHandle,
)
from temporalio.client import (
    ScheduleInfo as ScheduleInfo,
)
from temporalio.client import (
    ScheduleIntervalSpec as ScheduleIntervalSpec,
)
from temporalio.client import (
    ScheduleListAction as ScheduleListAction,
)
from temporalio.client import (
    ScheduleListActionStartWorkflow as ScheduleListActionStartWorkflow,
)
from temporalio.client import (
    ScheduleListDescription as ScheduleListDescription,
)
from temporalio.client import (
    ScheduleListInfo as ScheduleListInfo,
)
from temporalio.client import (
    ScheduleListSchedule as ScheduleListSchedule,
)
from temporalio.client import (
    ScheduleListState as ScheduleListState,
)
from temporalio.client import (
    ScheduleOverlapPolicy as ScheduleOverlapPolicy,
)
from temporalio.client import (
    SchedulePolicy as SchedulePolicy,
)
from temporalio.client import (
    ScheduleRange as ScheduleRange,
)
from temporalio.client import (
    ScheduleSpec as ScheduleSpec,
)
from temporalio.client import (
    ScheduleState as ScheduleState,
)
from temporalio.client import (
    ScheduleUpdate as ScheduleUpdate,
)
from temporalio.client import (
    ScheduleUpdateInput as ScheduleUpdateInput,
)
from temporalio.client import (
    SelfType as SelfType,
)
from temporalio.client import (
    SerializationContext as SerializationContext,
)
from temporalio.client import (
    ServiceClient as ServiceClient,
)
from temporalio.client import (
    SignalWorkflowInput as SignalWorkflowInput,
)
from temporalio.client import (
    StartActivityInput as StartActivityInput,
)
from temporalio.client import (
    StartNexusOperationInput as StartNexusOperationInput,
)
from temporalio.client import (
    StartWorkflowInput as StartWorkflowInput,
)
from temporalio.client import (
    StartWorkflowUpdateInput as StartWorkflowUpdateInput,
)
from temporalio.client import (
    StartWorkflowUpdateWithStartInput as StartWorkflowUpdateWithStartInput,
)
from temporalio.client import (
    StorageDriverActivityInfo as StorageDriverActivityInfo,
)
from temporalio.client import (
    StorageDriverSelectContext as StorageDriverSelectContext,
)
from temporalio.client import (
    StorageDriverStoreContext as StorageDriverStoreContext,
)
from temporalio.client import (
    StorageDriverWorkflowInfo as StorageDriverWorkflowInfo,
)
from temporalio.client import (
    TaskReachabilityType as TaskReachabilityType,
)
from temporalio.client import (
    TerminateActivityInput as TerminateActivityInput,
)
from temporalio.client import (
    TerminateNexusOperationInput as TerminateNexusOperationInput,
)
from temporalio.client import (
    TerminateWorkflowInput as TerminateWorkflowInput,
)
from temporalio.client import (
    TLSConfig as TLSConfig,
)
from temporalio.client import (
    TriggerScheduleInput as TriggerScheduleInput,
)
from temporalio.client import (
    UnpauseActivityInput as UnpauseActivityInput,
)
from temporalio.client import (
    UnpauseScheduleInput as UnpauseScheduleInput,
)
from temporalio.client import (
    UpdateActivityOptionsInput as UpdateActivityOptionsInput,
)
from temporalio.client import (
    UpdateScheduleInput as UpdateScheduleInput,
)
from temporalio.client import (
    UpdateWithStartStartWorkflowInput as UpdateWithStartStartWorkflowInput,
)
from temporalio.client import (
    UpdateWithStartUpdateWorkflowInput as UpdateWithStartUpdateWorkflowInput,
)
from temporalio.client import (
    UpdateWorkerBuildIdCompatibilityInput as UpdateWorkerBuildIdCompatibilityInput,
)
from temporalio.client import (
    WithSerializationContext as WithSerializationContext,
)
from temporalio.client import (
    WithStartWorkflowOperation as WithStartWorkflowOperation,
)
from temporalio.client import (
    WorkerBuildIdVersionSets as WorkerBuildIdVersionSets,
)
from temporalio.client import (
    WorkerTaskReachability as WorkerTaskReachability,
)
from temporalio.client import (
    WorkflowContinuedAsNewError as WorkflowContinuedAsNewError,
)
from temporalio.client import (
    WorkflowExecution as WorkflowExecution,
)
from temporalio.client import (
    WorkflowExecutionAsyncIterator as WorkflowExecutionAsyncIterator,
)
from temporalio.client import (
    WorkflowExecutionCount as WorkflowExecutionCount,
)
from temporalio.client import (
    WorkflowExecutionCountAggregationGroup as WorkflowExecutionCountAggregationGroup,
)
from temporalio.client import (
    WorkflowExecutionDescription as WorkflowExecutionDescription,
)
from temporalio.client import (
    WorkflowExecutionStatus as WorkflowExecutionStatus,
)
from temporalio.client import (
    WorkflowFailureError as WorkflowFailureError,
)
from temporalio.client import (
    WorkflowHandle as WorkflowHandle,
)
from temporalio.client import (
    WorkflowHistory as WorkflowHistory,
)
from temporalio.client import (
    WorkflowHistoryEventAsyncIterator as WorkflowHistoryEventAsyncIterator,
)
from temporalio.client import (
    WorkflowHistoryEventFilterType as WorkflowHistoryEventFilterType,
)
from temporalio.client import (
    WorkflowQueryFailedError as WorkflowQueryFailedError,
)
from temporalio.client import (
    WorkflowQueryRejectedError as WorkflowQueryRejectedError,
)
from temporalio.client import (
    WorkflowSerializationContext as WorkflowSerializationContext,
)
from temporalio.client import (
    WorkflowUpdateFailedError as WorkflowUpdateFailedError,
)
from temporalio.client import (
    WorkflowUpdateHandle as WorkflowUpdateHandle,
)
from temporalio.client import (
    WorkflowUpdateRPCTimeoutOrCancelledError as WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.client import (
    WorkflowUpdateStage as WorkflowUpdateStage,
)
from temporalio.client import (
    _apply_headers as _apply_headers,
)
from temporalio.client import (
    _ClientImpl as _ClientImpl,
)
from temporalio.client import (
    _decode_user_metadata as _decode_user_metadata,
)
from temporalio.client import (
    _encode_user_metadata as _encode_user_metadata,
)
from temporalio.client import (
    _fix_history_enum as _fix_history_enum,
)
from temporalio.client import (
    _fix_history_failure as _fix_history_failure,
)
from temporalio.client import (
    _history_from_json as _history_from_json,
)
from temporalio.client import (
    _pascal_case_match as _pascal_case_match,
)
from typing_extensions import Self

from dbosify._runtime.transport import PostgresServiceClient, service_of_dbos_client


class Client(temporalio.client.Client):
    """Temporal's client, on a Postgres database.

    - `await Client.connect("postgresql://…")` connects by URL;
    - `Client(DBOSClient(…))` uses the database of a DBOS client;
    - `async with` closes it at the end, as does `close`.

    Everything else is `temporalio.client.Client`, which it is a subclass of.
    """

    @classmethod
    async def connect(
        cls,
        target_host: str,
        *,
        namespace: str = "default",
        api_key: str | None = None,
        data_converter: temporalio.converter.DataConverter = (
            temporalio.converter.DataConverter.default
        ),
        plugins: Sequence[temporalio.client.Plugin] = [],
        interceptors: Sequence[temporalio.client.Interceptor] = [],
        default_workflow_query_reject_condition: (
            temporalio.common.QueryRejectCondition | None
        ) = None,
        tls: bool | TLSConfig | None = None,
        retry_config: RetryConfig | None = None,
        keep_alive_config: KeepAliveConfig | None = KeepAliveConfig.default,
        connect_timeout: timedelta | None = None,
        rpc_metadata: Mapping[str, str | bytes] = {},
        identity: str | None = None,
        lazy: bool = False,
        runtime: temporalio.runtime.Runtime | None = None,
        http_connect_proxy_config: HttpConnectProxyConfig | None = None,
        dns_load_balancing_config: DnsLoadBalancingConfig | None = None,
        grpc_compression: GrpcCompression = GrpcCompression.GZIP,
        payload_limits: PayloadLimitsConfig = PayloadLimitsConfig(),  # noqa: B008
        header_codec_behavior: HeaderCodecBehavior = HeaderCodecBehavior.NO_CODEC,
    ) -> Self:
        """Connect to a Postgres database, or to a Temporal server by `host:port`.

        Args:
            target_host: the database's URL. Its schema for `namespace` is created and
                migrated, unless `DBOSIFY_MIGRATE=0` is in the environment.
            namespace: a schema of its own in the database.
            api_key: refused for a database: its credentials stand in the URL.
            data_converter: as Temporal's.
            plugins: as Temporal's.
            interceptors: as Temporal's.
            default_workflow_query_reject_condition: as Temporal's.
            tls: refused for a database: `sslmode` stands in the URL.
            retry_config: without effect on a database.
            keep_alive_config: without effect on a database.
            connect_timeout: without effect on a database; see libpq's.
            rpc_metadata: without effect on a database.
            identity: as Temporal's.
            lazy: connect at the first call.
            runtime: whose metrics workers use.
            http_connect_proxy_config: refused for a database.
            dns_load_balancing_config: without effect on a database.
            grpc_compression: without effect on a database.
            payload_limits: as Temporal's.
            header_codec_behavior: as Temporal's.

        Raises:
            ValueError: the URL, or an option that has no meaning for it.
            RuntimeError: the database cannot be used; one sentence says why.
        """
        client = await super().connect(
            target_host,
            namespace=namespace,
            api_key=api_key,
            data_converter=data_converter,
            plugins=plugins,
            interceptors=interceptors,
            default_workflow_query_reject_condition=(
                default_workflow_query_reject_condition
            ),
            tls=tls,
            retry_config=retry_config,
            keep_alive_config=keep_alive_config,
            connect_timeout=connect_timeout,
            rpc_metadata=rpc_metadata,
            identity=identity,
            lazy=lazy,
            runtime=runtime,
            http_connect_proxy_config=http_connect_proxy_config,
            dns_load_balancing_config=dns_load_balancing_config,
            grpc_compression=grpc_compression,
            payload_limits=payload_limits,
            header_codec_behavior=header_codec_behavior,
        )
        service = client.service_client
        if isinstance(service, PostgresServiceClient):
            # Not the argument: a plugin may have chosen another one.
            service.created_namespace = client.namespace
            if not lazy:
                await service.open(client.namespace)
        return client

    def __init__(
        self,
        service_client: ServiceClient | dbos.DBOSClient,
        *,
        namespace: str = "default",
        data_converter: temporalio.converter.DataConverter = (
            temporalio.converter.DataConverter.default
        ),
        plugins: Sequence[temporalio.client.Plugin] = [],
        interceptors: Sequence[temporalio.client.Interceptor] = [],
        default_workflow_query_reject_condition: (
            temporalio.common.QueryRejectCondition | None
        ) = None,
        header_codec_behavior: HeaderCodecBehavior = HeaderCodecBehavior.NO_CODEC,
    ) -> None:
        """Create a client from a service client, or from a DBOS client's database.

        Args:
            service_client: of another client, or a `dbos.DBOSClient`.
            namespace: as `connect`'s.
            data_converter: as Temporal's.
            plugins: as Temporal's.
            interceptors: as Temporal's.
            default_workflow_query_reject_condition: as Temporal's.
            header_codec_behavior: as Temporal's.
        """
        if isinstance(service_client, dbos.DBOSClient):
            service_client = service_of_dbos_client(service_client, namespace)
        super().__init__(
            service_client,
            namespace=namespace,
            data_converter=data_converter,
            plugins=plugins,
            interceptors=interceptors,
            default_workflow_query_reject_condition=(
                default_workflow_query_reject_condition
            ),
            header_codec_behavior=header_codec_behavior,
        )

    async def close(self) -> None:
        """Close the connections of the running event loop; a later call opens new ones.

        A client of a Temporal server has nothing to close.
        """
        if isinstance(self.service_client, PostgresServiceClient):
            await self.service_client.close()

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close it."""
        await self.close()
