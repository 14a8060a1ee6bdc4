"""What the service answers about Nexus endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from dbosify.api.errordetails.v1 import NotFoundFailure
from dbosify.api.nexus.v1 import Endpoint, EndpointSpec
from dbosify.api.operatorservice import v1
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import Refusal, invalid, refusal_of
from tests.ported_temporal.scaffold import random_id

pytestmark = pytest.mark.needs("nexus operations")

UNKNOWN = "11111111-1111-1111-1111-111111111111"
BAD_NAME = invalid(
    'endpoint name must match the regex: "^[a-zA-Z][a-zA-Z0-9\\\\-]*[a-zA-Z0-9]$"'
)


def spec_of(client: Client, name: str, **target: Any) -> EndpointSpec:
    """An endpoint of that name."""
    spec = EndpointSpec(name=name)
    spec.target.worker.namespace = target.get("namespace", client.namespace)
    spec.target.worker.task_queue = target.get("task_queue", "queue")
    return spec


async def create(client: Client, spec: EndpointSpec) -> Endpoint:
    """Create it."""
    request = v1.CreateNexusEndpointRequest(spec=spec)
    return (await client.operator_service.create_nexus_endpoint(request)).endpoint


async def delete(client: Client, endpoint_id: str) -> None:
    """Delete it."""
    request = v1.DeleteNexusEndpointRequest(id=endpoint_id, version=99)
    await client.operator_service.delete_nexus_endpoint(request)


async def update(client: Client, endpoint: Endpoint, spec: EndpointSpec) -> Endpoint:
    """Change it."""
    request = v1.UpdateNexusEndpointRequest(
        id=endpoint.id, version=endpoint.version, spec=spec
    )
    return (await client.operator_service.update_nexus_endpoint(request)).endpoint


async def get(client: Client, endpoint_id: str) -> Endpoint:
    """Find it."""
    request = v1.GetNexusEndpointRequest(id=endpoint_id)
    return (await client.operator_service.get_nexus_endpoint(request)).endpoint


async def test_an_endpoint_is_created_changed_and_deleted(client: Client) -> None:
    name = random_id("endpoint")
    created = await create(client, spec_of(client, name))
    assert created.version == 1
    assert created.spec == spec_of(client, name)
    assert created.url_prefix == f"/nexus/endpoints/{created.id}/services"
    assert created.HasField("created_time")

    changed = spec_of(client, name, task_queue="other")
    updated = await update(client, created, changed)
    assert (updated.id, updated.version) == (created.id, 2)
    assert updated.spec == changed

    listed = await client.operator_service.list_nexus_endpoints(
        v1.ListNexusEndpointsRequest(name=name)
    )
    assert [endpoint.id for endpoint in listed.endpoints] == [created.id]

    await delete(client, created.id)
    listed = await client.operator_service.list_nexus_endpoints(
        v1.ListNexusEndpointsRequest(name=name)
    )
    assert not listed.endpoints


async def test_endpoints_are_listed_page_by_page(client: Client) -> None:
    ids = set()
    for _ in range(3):
        ids.add((await create(client, spec_of(client, random_id("endpoint")))).id)
    found: list[str] = []
    token = b""
    while True:
        page = await client.operator_service.list_nexus_endpoints(
            v1.ListNexusEndpointsRequest(page_size=2, next_page_token=token)
        )
        assert len(page.endpoints) <= 2
        found.extend(endpoint.id for endpoint in page.endpoints)
        token = page.next_page_token
        if not token:
            break
    assert ids <= set(found)
    assert len(found) == len(set(found))
    for endpoint_id in ids:
        await delete(client, endpoint_id)


async def test_a_name_is_taken_once(client: Client) -> None:
    name = random_id("endpoint")
    created = await create(client, spec_of(client, name))
    refused = await refusal_of(create(client, spec_of(client, name)))
    assert refused == Refusal(
        RPCStatusCode.ALREADY_EXISTS,
        f"error creating Nexus endpoint. Endpoint with name {name} already registered",
        None,
    )
    await delete(client, created.id)


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("", invalid("endpoint name not set")),
        ("a b", BAD_NAME),
        ("1a", BAD_NAME),
        ("a", BAD_NAME),
        ("a\0b", BAD_NAME),
        ("x'; DROP TABLE dbosify_executions; --", BAD_NAME),
    ],
)
async def test_a_name_has_a_form(client: Client, name: str, refusal: Refusal) -> None:
    assert await refusal_of(create(client, spec_of(client, name))) == refusal


async def test_a_target_is_in_a_namespace_that_there_is(client: Client) -> None:
    spec = spec_of(client, random_id("endpoint"), namespace="nope")
    assert await refusal_of(create(client, spec)) == Refusal(
        RPCStatusCode.FAILED_PRECONDITION,
        "could not verify namespace referenced by target exists: Namespace nope is not"
        " found.",
        None,
    )


async def test_a_version_that_is_not_the_last_is_refused(client: Client) -> None:
    created = await create(client, spec_of(client, random_id("endpoint")))
    stale = Endpoint(id=created.id, version=99)
    assert await refusal_of(update(client, stale, created.spec)) == Refusal(
        RPCStatusCode.FAILED_PRECONDITION,
        "nexus endpoint version mismatch. received: 99 expected 1",
        None,
    )
    await delete(client, created.id)


async def test_an_unknown_endpoint_is_not_found(client: Client) -> None:
    assert await refusal_of(get(client, UNKNOWN)) == Refusal(
        RPCStatusCode.NOT_FOUND,
        f"Nexus endpoint with ID `{UNKNOWN}` not found",
        NotFoundFailure(),
    )
    unknown = Endpoint(id=UNKNOWN, version=1)
    spec = spec_of(client, random_id("endpoint"))
    assert await refusal_of(update(client, unknown, spec)) == Refusal(
        RPCStatusCode.NOT_FOUND,
        f"error updating Nexus endpoint. endpoint ID {UNKNOWN} not found",
        NotFoundFailure(),
    )
