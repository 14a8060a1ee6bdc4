"""Namespaces: registered, described, listed, changed, deprecated and deleted."""

import uuid
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from dbosify.api.enums.v1 import ArchivalState, NamespaceState
from dbosify.api.errordetails.v1 import NamespaceAlreadyExistsFailure
from dbosify.api.namespace.v1 import NamespaceConfig, UpdateNamespaceInfo
from dbosify.api.operatorservice.v1 import DeleteNamespaceRequest
from dbosify.api.replication.v1 import NamespaceReplicationConfig
from dbosify.api.workflowservice.v1 import (
    DeprecateNamespaceRequest,
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    ListNamespacesRequest,
    RegisterNamespaceRequest,
    StartWorkflowExecutionRequest,
    UpdateNamespaceRequest,
)
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import (
    Refusal,
    refusal_of,
    start_request,
    unknown_namespace,
)

DAY = timedelta(days=1)
INVALID = RPCStatusCode.INVALID_ARGUMENT


def random_namespace() -> str:
    """A namespace that no other test uses."""
    return f"contract_{uuid.uuid4().hex[:12]}"


def lasting(retention: timedelta) -> Duration:
    """A retention period as requests have it."""
    duration = Duration()
    duration.FromTimedelta(retention)
    return duration


async def register(client: Client, **said: object) -> str:
    """Register a namespace with more than its name."""
    namespace = random_namespace()
    request = RegisterNamespaceRequest(
        namespace=namespace,
        workflow_execution_retention_period=lasting(DAY),
        **said,  # type: ignore[arg-type]
    )
    await client.workflow_service.register_namespace(request)
    return namespace


async def described(client: Client, namespace: str) -> DescribeNamespaceResponse:
    """What a namespace is."""
    return await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=namespace)
    )


async def test_a_namespace_is_described_as_it_was_registered(client: Client) -> None:
    namespace = await register(
        client, description="For shops", owner_email="a@b.c", data={"team": "blue"}
    )
    found = await described(client, namespace)
    info = found.namespace_info
    assert info.name == namespace
    assert info.state == NamespaceState.NAMESPACE_STATE_REGISTERED
    assert (info.description, info.owner_email) == ("For shops", "a@b.c")
    assert dict(info.data) == {"team": "blue"}
    assert info.supports_schedules
    assert info.capabilities.sync_update
    assert info.limits.blob_size_limit_error == 2 * 1024 * 1024
    assert found.config.workflow_execution_retention_ttl.ToTimedelta() == DAY
    off = ArchivalState.ARCHIVAL_STATE_DISABLED
    assert found.config.history_archival_state == off
    assert found.replication_config.active_cluster_name == "active"
    by_id = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(id=info.id)
    )
    assert by_id == found


async def test_workflows_start_in_a_namespace_that_was_registered(
    client: Client,
) -> None:
    request = start_request(client, "somewhere")
    request.namespace = await register(client)
    assert (await client.workflow_service.start_workflow_execution(request)).run_id
    await client.workflow_service.deprecate_namespace(
        DeprecateNamespaceRequest(namespace=request.namespace)
    )
    found = await described(client, request.namespace)
    deprecated = NamespaceState.NAMESPACE_STATE_DEPRECATED
    assert found.namespace_info.state == deprecated
    again = StartWorkflowExecutionRequest()
    again.CopyFrom(request)
    again.workflow_id, again.request_id = "elsewhere", str(uuid.uuid4())
    assert (await client.workflow_service.start_workflow_execution(again)).run_id


async def test_a_namespace_is_registered_once(client: Client) -> None:
    namespace = await register(client)
    again = RegisterNamespaceRequest(
        namespace=namespace, workflow_execution_retention_period=lasting(DAY)
    )
    refusal = await refusal_of(client.workflow_service.register_namespace(again))
    assert refusal == Refusal(
        RPCStatusCode.ALREADY_EXISTS,
        f'Namespace "{namespace}" already exists',
        NamespaceAlreadyExistsFailure(),
    )
    again.namespace = "temporal-system"
    refusal = await refusal_of(client.workflow_service.register_namespace(again))
    assert refusal.status == RPCStatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"namespace": ""}, "Namespace not set on request."),
        ({"namespace": "n" * 1001}, "Namespace length exceeds limit."),
        (
            {"is_global_namespace": True},
            "Cannot register global namespace when not enabled",
        ),
        ({"active_cluster_name": "other"}, "Invalid cluster name: other"),
        (
            {"workflow_execution_retention_period": lasting(timedelta(minutes=59))},
            "A valid retention period is not set on request.",
        ),
    ],
    ids=["no name", "long name", "global", "cluster", "retention"],
)
async def test_a_wrong_registration_is_refused(
    client: Client, request_: dict[str, object], text: str
) -> None:
    namespace = random_namespace()
    request = RegisterNamespaceRequest(
        **{  # type: ignore[arg-type]
            "namespace": namespace,
            "workflow_execution_retention_period": lasting(DAY),
            **request_,
        }
    )
    refusal = await refusal_of(client.workflow_service.register_namespace(request))
    assert refusal == Refusal(INVALID, text)
    refusal = await refusal_of(described(client, namespace))
    assert refusal.status == RPCStatusCode.NOT_FOUND


async def test_an_update_changes_what_it_names(client: Client) -> None:
    namespace = await register(client, description="old", data={"a": "1"})
    two_days = NamespaceConfig(workflow_execution_retention_ttl=lasting(2 * DAY))
    answer = await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=namespace,
            update_info=UpdateNamespaceInfo(owner_email="o@b.c", data={"b": "2"}),
            config=two_days,
        )
    )
    found = await described(client, namespace)
    assert answer.namespace_info == found.namespace_info
    assert found.namespace_info.description == "old"
    assert found.namespace_info.owner_email == "o@b.c"
    assert dict(found.namespace_info.data) == {"a": "1", "b": "2"}
    assert found.config.workflow_execution_retention_ttl.ToTimedelta() == 2 * DAY


async def test_a_wrong_update_changes_nothing(client: Client) -> None:
    namespace = await register(client, description="old")
    await client.workflow_service.deprecate_namespace(
        DeprecateNamespaceRequest(namespace=namespace)
    )
    before = await described(client, namespace)
    short = NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=5))
    back = UpdateNamespaceInfo(state=NamespaceState.NAMESPACE_STATE_REGISTERED)
    away = NamespaceReplicationConfig(active_cluster_name="other")
    for request, text in (
        (UpdateNamespaceRequest(), "Namespace not set on request."),
        (
            UpdateNamespaceRequest(namespace=namespace, config=short),
            "A valid retention period is not set on request.",
        ),
        (
            UpdateNamespaceRequest(namespace=namespace, update_info=back),
            "Invalid namespace state update.",
        ),
        (
            UpdateNamespaceRequest(namespace=namespace, replication_config=away),
            "Invalid cluster name: other",
        ),
        (
            UpdateNamespaceRequest(namespace=namespace, delete_bad_binary="x"),
            "Bad binary checksum x doesn't exists.",
        ),
        (
            UpdateNamespaceRequest(namespace=namespace, promote_namespace=True),
            "global namespace is not enabled on this cluster, cannot update global"
            f" namespace or promote local namespace: {namespace}",
        ),
    ):
        refusal = await refusal_of(client.workflow_service.update_namespace(request))
        assert refusal == Refusal(INVALID, text)
    assert await described(client, namespace) == before


async def test_pages_of_the_list_hold_every_namespace_once(client: Client) -> None:
    mine = {await register(client) for _ in range(3)}
    found: list[str] = []
    request = ListNamespacesRequest(page_size=2)
    while True:
        page = await client.workflow_service.list_namespaces(request)
        assert len(page.namespaces) <= 2
        found += [each.namespace_info.name for each in page.namespaces]
        if not page.next_page_token:
            break
        request.next_page_token = page.next_page_token
    assert mine | {client.namespace} <= set(found)
    assert len(found) == len(set(found))


async def test_a_namespace_that_was_deleted_is_not_found(client: Client) -> None:
    request = start_request(client, "somewhere")
    request.namespace = await register(client)
    await client.workflow_service.start_workflow_execution(request)
    info = (await described(client, request.namespace)).namespace_info
    answer = await client.operator_service.delete_namespace(
        DeleteNamespaceRequest(namespace=request.namespace)
    )
    assert answer.deleted_namespace == f"{request.namespace}-deleted-{info.id[:5]}"
    gone = unknown_namespace(request.namespace)
    assert await refusal_of(described(client, request.namespace)) == gone


async def test_an_unknown_namespace_cannot_be_deleted(client: Client) -> None:
    namespace = random_namespace()
    deleting = client.operator_service.delete_namespace(
        DeleteNamespaceRequest(namespace=namespace)
    )
    assert await refusal_of(deleting) == unknown_namespace(namespace)


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (
            DeleteNamespaceRequest(),
            Refusal(INVALID, "Namespace not set on request."),
        ),
        (
            DeleteNamespaceRequest(namespace="default", namespace_id="x"),
            Refusal(
                INVALID, "Only one of namespace name or Id should be set on request."
            ),
        ),
    ],
    ids=["neither", "both"],
)
async def test_a_wrong_deletion_is_refused(
    client: Client, request_: DeleteNamespaceRequest, refusal: Refusal
) -> None:
    deleting = client.operator_service.delete_namespace(request_)
    assert await refusal_of(deleting) == refusal
