"""GetSystemInfo, GetClusterInfo, DescribeNamespace, and the health check."""

from __future__ import annotations

from temporalio.api.enums.v1 import NamespaceState
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    GetClusterInfoRequest,
    GetClusterInfoResponse,
    GetSystemInfoRequest,
    GetSystemInfoResponse,
)

from dbosify._service import errors, validate
from dbosify._service.context import Context

SERVER_VERSION = "1.32.0"
"""The Temporal server whose contract this service keeps."""

_MAX_COMPLETION = 40 * 1024 * 1024


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


async def describe_namespace(
    context: Context, request: DescribeNamespaceRequest
) -> DescribeNamespaceResponse:
    """The namespace of this context."""
    if request.namespace and request.id:
        raise errors.invalid(
            "GetNamespace operation failed.  Both ID and Name specified in request."
        )
    if not request.namespace and not request.id:
        raise errors.invalid("Namespace not set on request.")
    rows = await context.database.fetch("list_namespaces", {})
    if request.id and rows[0]["id"] != request.id:
        raise errors.namespace_not_found(request.id)
    response = DescribeNamespaceResponse()
    info = response.namespace_info
    info.name = rows[0]["name"]
    info.id = rows[0]["id"]
    info.state = NamespaceState.NAMESPACE_STATE_REGISTERED
    info.capabilities.eager_workflow_start = True
    info.limits.blob_size_limit_error = validate.MAX_BLOB
    info.limits.memo_size_limit_error = validate.MAX_BLOB
    info.limits.workflow_task_completion_size_limit_error = _MAX_COMPLETION
    response.config.SetInParent()
    return response
