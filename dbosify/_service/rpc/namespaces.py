"""Namespaces: registered, described, listed, changed and deleted.

Each is a schema of the database. One that a client or worker created by connecting is
like one that was registered without a description.
"""

from __future__ import annotations

import uuid

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import ArchivalState, NamespaceState, ReplicationState
from temporalio.api.errordetails.v1 import NamespaceAlreadyExistsFailure
from temporalio.api.namespace.v1 import NamespaceInfo
from temporalio.api.operatorservice.v1 import (
    DeleteNamespaceRequest,
    DeleteNamespaceResponse,
)
from temporalio.api.workflowservice.v1 import (
    DeprecateNamespaceRequest,
    DeprecateNamespaceResponse,
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    ListNamespacesRequest,
    ListNamespacesResponse,
    RegisterNamespaceRequest,
    RegisterNamespaceResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from dbosify._model import limits
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._store import namespaces
from dbosify._store.namespaces import Namespace

_CLUSTER = "active"
_SYSTEM = "temporal-system"
"""The server's own namespace; there is none here, and nobody else gets its name."""
_PAGE = 100
_MAX_PAGE = 1000
_SHORTEST_RETENTION = 3600
_MAX_COMPLETION = 40 * 1024 * 1024


async def register_namespace(
    context: Context, request: RegisterNamespaceRequest
) -> RegisterNamespaceResponse:
    """Create a namespace."""
    _check_name(request.namespace)
    if request.is_global_namespace:
        raise errors.invalid("Cannot register global namespace when not enabled")
    _check_retention(request.workflow_execution_retention_period)
    _check_cluster(request.active_cluster_name)
    known = {each.name for each in await namespaces.every(context.database)}
    if request.namespace in known | {_SYSTEM}:
        raise _exists(request.namespace)
    registered = _unregistered()
    registered.namespace_info.description = request.description
    registered.namespace_info.owner_email = request.owner_email
    registered.namespace_info.data.update(request.data)
    registered.config.workflow_execution_retention_ttl.CopyFrom(
        request.workflow_execution_retention_period
    )
    database = await context.around.create_namespace(request.namespace)
    async with database.transaction() as connection:
        held = await namespaces.hold(connection, database)
        if held.registered is not None:
            raise _exists(request.namespace)
        await namespaces.save(connection, database, registered)
    return RegisterNamespaceResponse()


async def describe_namespace(
    context: Context, request: DescribeNamespaceRequest
) -> DescribeNamespaceResponse:
    """A namespace by its name or id."""
    if request.namespace and request.id:
        raise errors.invalid(
            "GetNamespace operation failed.  Both ID and Name specified in request."
        )
    if not request.namespace and not request.id:
        raise errors.invalid("Namespace not set on request.")
    if request.namespace:
        return _view(await namespaces.find(context.database))
    return _view(await _by_id(context, request.id))


async def list_namespaces(
    context: Context, request: ListNamespacesRequest
) -> ListNamespacesResponse:
    """The namespaces of the database, page by page."""
    size = min(request.page_size, _MAX_PAGE) if request.page_size > 0 else _PAGE
    try:
        after = str(uuid.UUID(bytes=request.next_page_token))
    except ValueError:
        if request.next_page_token:
            raise errors.invalid("invalid next page token") from None
        after = ""
    found = [
        each for each in await namespaces.every(context.database) if each.id > after
    ]
    response = ListNamespacesResponse(namespaces=[_view(each) for each in found[:size]])
    if len(found) > size:
        response.next_page_token = uuid.UUID(found[size - 1].id).bytes
    return response


async def update_namespace(
    context: Context, request: UpdateNamespaceRequest
) -> UpdateNamespaceResponse:
    """Change what a namespace is registered as; what is not said stays."""
    _check_name(request.namespace)
    if request.promote_namespace:
        raise errors.invalid(
            "global namespace is not enabled on this cluster, cannot update global"
            f" namespace or promote local namespace: {request.namespace}"
        )
    _check_cluster(request.replication_config.active_cluster_name)
    if request.config.HasField("workflow_execution_retention_ttl"):
        _check_retention(request.config.workflow_execution_retention_ttl)
    if request.delete_bad_binary:
        raise errors.invalid(
            f"Bad binary checksum {request.delete_bad_binary} doesn't exists."
        )
    async with context.database.transaction() as connection:
        held = await namespaces.hold(connection, context.database)
        registered = held.registered or _unregistered()
        _change(registered, request)
        await namespaces.save(connection, context.database, registered)
    view = _view(Namespace(held.name, held.id, registered))
    return UpdateNamespaceResponse(
        namespace_info=view.namespace_info,
        config=view.config,
        replication_config=view.replication_config,
    )


async def deprecate_namespace(
    context: Context, request: DeprecateNamespaceRequest
) -> DeprecateNamespaceResponse:
    """Mark a namespace as one that is not to be used any more; it goes on working."""
    _check_name(request.namespace)
    async with context.database.transaction() as connection:
        held = await namespaces.hold(connection, context.database)
        registered = held.registered or _unregistered()
        registered.namespace_info.state = NamespaceState.NAMESPACE_STATE_DEPRECATED
        await namespaces.save(connection, context.database, registered)
    return DeprecateNamespaceResponse()


async def delete_namespace(
    context: Context, request: DeleteNamespaceRequest
) -> DeleteNamespaceResponse:
    """Delete a namespace with all its runs.

    The server renames it and deletes the runs one by one, hence the name in the answer;
    here everything is gone at once.
    """
    if request.namespace and request.namespace_id:
        raise errors.invalid(
            "Only one of namespace name or Id should be set on request."
        )
    if not request.namespace_id:
        _check_name(request.namespace)
    if request.namespace_id:
        found = await _by_id(context, request.namespace_id)
    else:
        found = await namespaces.find(context.database)
    if found.name == "default":
        raise errors.failed_precondition(
            "the namespace default cannot be deleted: its schema is that of DBOS"
        )
    try:
        await namespaces.drop(context.database, found.name)
    except namespaces.MAY_NOT as error:
        raise errors.error(RPCStatusCode.PERMISSION_DENIED, str(error)) from None
    return DeleteNamespaceResponse(
        deleted_namespace=f"{found.name}-deleted-{found.id[:5]}"
    )


async def _by_id(context: Context, namespace_id: str) -> Namespace:
    for each in await namespaces.every(context.database):
        if each.id == namespace_id:
            return each
    raise errors.namespace_not_found(namespace_id)


def _check_name(name: str) -> None:
    if not name:
        raise errors.invalid("Namespace not set on request.")
    validate.length(name, "Namespace")


def _check_retention(retention: Duration) -> None:
    if retention.seconds < _SHORTEST_RETENTION:
        raise errors.invalid("A valid retention period is not set on request.")


def _check_cluster(name: str) -> None:
    if name not in ("", _CLUSTER):
        raise errors.invalid(f"Invalid cluster name: {name}")


def _exists(name: str) -> RPCError:
    return errors.error(
        RPCStatusCode.ALREADY_EXISTS,
        f'Namespace "{name}" already exists',
        NamespaceAlreadyExistsFailure(),
    )


def _unregistered() -> DescribeNamespaceResponse:
    return DescribeNamespaceResponse(
        namespace_info=NamespaceInfo(state=NamespaceState.NAMESPACE_STATE_REGISTERED)
    )


def _change(
    registered: DescribeNamespaceResponse, request: UpdateNamespaceRequest
) -> None:
    info, wanted = registered.namespace_info, request.update_info
    if wanted.state not in (NamespaceState.NAMESPACE_STATE_UNSPECIFIED, info.state):
        # It may be deprecated, then deleted; there is no way back.
        if wanted.state < info.state or wanted.state not in NamespaceState.values():
            raise errors.invalid("Invalid namespace state update.")
        info.state = wanted.state
    info.description = wanted.description or info.description
    info.owner_email = wanted.owner_email or info.owner_email
    info.data.update(wanted.data)
    if request.config.HasField("workflow_execution_retention_ttl"):
        registered.config.workflow_execution_retention_ttl.CopyFrom(
            request.config.workflow_execution_retention_ttl
        )


def _view(namespace: Namespace) -> DescribeNamespaceResponse:
    view = _unregistered()
    if namespace.registered is not None:
        view.CopyFrom(namespace.registered)
    info, config = view.namespace_info, view.config
    info.name, info.id, info.supports_schedules = namespace.name, namespace.id, True
    can = info.capabilities
    can.eager_workflow_start = can.sync_update = can.async_update = True
    can.standalone_activities = can.standalone_nexus_operation = True
    can.standalone_activity_start_delay = True
    can.standalone_activity_batch_operations = True
    can.standalone_activity_operator_commands = can.workflow_pause = True
    info.limits.blob_size_limit_error = limits.current.blob_bytes
    info.limits.memo_size_limit_error = limits.current.memo_bytes
    info.limits.workflow_task_completion_size_limit_error = _MAX_COMPLETION
    config.bad_binaries.SetInParent()
    config.history_archival_state = ArchivalState.ARCHIVAL_STATE_DISABLED
    config.visibility_archival_state = ArchivalState.ARCHIVAL_STATE_DISABLED
    where = view.replication_config
    where.active_cluster_name = _CLUSTER
    where.clusters.add(cluster_name=_CLUSTER)
    where.state = ReplicationState.REPLICATION_STATE_NORMAL
    return view
