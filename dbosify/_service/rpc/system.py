"""What the service as a whole is and can do."""

from __future__ import annotations

from temporalio.api.workflowservice.v1 import (
    GetClusterInfoRequest,
    GetClusterInfoResponse,
    GetSystemInfoRequest,
    GetSystemInfoResponse,
)

from dbosify._service.context import Context

SERVER_VERSION = "1.32.0"
"""The Temporal server whose contract this service keeps."""


async def get_system_info(
    context: Context, request: GetSystemInfoRequest
) -> GetSystemInfoResponse:
    """What this service can do."""
    response = GetSystemInfoResponse(server_version=SERVER_VERSION)
    capabilities = response.capabilities
    capabilities.signal_and_query_header = True
    capabilities.internal_error_differentiation = True
    capabilities.activity_failure_include_heartbeat = True
    capabilities.encoded_failure_attributes = True
    capabilities.upsert_memo = True
    capabilities.eager_workflow_start = True
    capabilities.sdk_metadata = True
    capabilities.count_group_by_execution_status = True
    capabilities.supports_schedules = True
    capabilities.nexus = True
    return response


async def get_cluster_info(
    context: Context, request: GetClusterInfoRequest
) -> GetClusterInfoResponse:
    """Where this service keeps its data."""
    return GetClusterInfoResponse(
        server_version=SERVER_VERSION,
        cluster_name="active",
        persistence_store="postgres",
        visibility_store="postgres",
        history_shard_count=1,
    )
