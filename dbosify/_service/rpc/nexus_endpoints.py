"""The endpoints of Nexus: names under which workflows find the handlers' task queues.

A target in another namespace is refused: a namespace is a schema of its own here, and
operations do not leave theirs.
"""

from __future__ import annotations

import re
import uuid

from temporalio.api.nexus.v1 import Endpoint, EndpointSpec
from temporalio.api.operatorservice.v1 import (
    CreateNexusEndpointRequest,
    CreateNexusEndpointResponse,
    DeleteNexusEndpointRequest,
    DeleteNexusEndpointResponse,
    GetNexusEndpointRequest,
    GetNexusEndpointResponse,
    ListNexusEndpointsRequest,
    ListNexusEndpointsResponse,
    UpdateNexusEndpointRequest,
    UpdateNexusEndpointResponse,
)
from temporalio.service import RPCStatusCode

from dbosify._model import limits
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._store import nexus

_NAME = r"^[a-zA-Z][a-zA-Z0-9\-]*[a-zA-Z0-9]$"
_SHOWN = _NAME.replace("\\", 2 * "\\")
"""The name's form as the server shows it, which quotes it."""
_PAGE = 100
_MAX_PAGE = 1000


async def create_nexus_endpoint(
    context: Context, request: CreateNexusEndpointRequest
) -> CreateNexusEndpointResponse:
    """Add an endpoint."""
    _check(context, request.spec)
    endpoint = Endpoint(
        id=str(uuid.uuid4()),
        version=1,
        spec=request.spec,
        created_time=context.around.now(),
    )
    endpoint.url_prefix = f"/nexus/endpoints/{endpoint.id}/services"
    if not await nexus.create_endpoint(context.database, endpoint):
        raise _taken("creating", request.spec)
    return CreateNexusEndpointResponse(endpoint=endpoint)


async def get_nexus_endpoint(
    context: Context, request: GetNexusEndpointRequest
) -> GetNexusEndpointResponse:
    """An endpoint by its id."""
    _check_id(request.id)
    async with context.database.transaction() as connection:
        endpoint = await nexus.hold_endpoint(connection, context.database, request.id)
    if endpoint is None:
        raise errors.not_found(f"Nexus endpoint with ID `{request.id}` not found")
    return GetNexusEndpointResponse(endpoint=endpoint)


async def update_nexus_endpoint(
    context: Context, request: UpdateNexusEndpointRequest
) -> UpdateNexusEndpointResponse:
    """Change an endpoint of which the caller knows the version."""
    _check_id(request.id)
    _check(context, request.spec)
    async with context.database.transaction() as connection:
        endpoint = await nexus.hold_endpoint(connection, context.database, request.id)
        if endpoint is None:
            raise errors.not_found(
                f"error updating Nexus endpoint. endpoint ID {request.id} not found"
            )
        if endpoint.version != request.version:
            raise errors.error(
                RPCStatusCode.FAILED_PRECONDITION,
                "nexus endpoint version mismatch. received:"
                f" {request.version} expected {endpoint.version}",
            )
        endpoint.version += 1
        endpoint.spec.CopyFrom(request.spec)
        endpoint.last_modified_time.CopyFrom(context.around.now())
        if not await nexus.save_endpoint(connection, context.database, endpoint):
            raise _taken("updating", request.spec)
    return UpdateNexusEndpointResponse(endpoint=endpoint)


async def delete_nexus_endpoint(
    context: Context, request: DeleteNexusEndpointRequest
) -> DeleteNexusEndpointResponse:
    """Remove an endpoint, whatever version the caller knows."""
    _check_id(request.id)
    if not await nexus.drop_endpoint(context.database, request.id):
        raise errors.not_found(
            f"error deleting nexus endpoint with ID: {request.id}: not found"
        )
    return DeleteNexusEndpointResponse()


async def list_nexus_endpoints(
    context: Context, request: ListNexusEndpointsRequest
) -> ListNexusEndpointsResponse:
    """Endpoints page by page, or the one of a name."""
    size = min(request.page_size, _MAX_PAGE) if request.page_size > 0 else _PAGE
    try:
        after = request.next_page_token.decode()
    except UnicodeDecodeError:
        raise errors.invalid("invalid next page token") from None
    found = await nexus.list_endpoints(
        context.database,
        name=validate.clean(request.name),
        after=validate.clean(after),
        limit=size + 1,
    )
    response = ListNexusEndpointsResponse(endpoints=found[:size])
    if len(found) > size:
        response.next_page_token = found[size - 1].id.encode()
    return response


def _check_id(endpoint_id: str) -> None:
    if not endpoint_id:
        raise errors.invalid("endpoint ID not set")
    validate.clean(endpoint_id)


def _check(context: Context, spec: EndpointSpec) -> None:
    if not spec.name:
        raise errors.invalid("endpoint name not set")
    if len(spec.name) > limits.current.id_bytes or not re.fullmatch(_NAME, spec.name):
        raise errors.invalid(f'endpoint name must match the regex: "{_SHOWN}"')
    target = spec.target
    if not target.HasField("worker"):
        if target.HasField("external"):
            raise errors.unimplemented(
                "dbosify calls handlers in workers, not at external URLs"
            )
        raise errors.invalid("empty target variant")
    if not target.worker.namespace:
        raise errors.invalid("target namespace not set")
    if not target.worker.task_queue:
        raise errors.invalid("taskQueue is not set")
    validate.length(target.worker.task_queue, "taskQueue")
    if target.worker.namespace != context.namespace:
        raise errors.error(
            RPCStatusCode.FAILED_PRECONDITION,
            "could not verify namespace referenced by target exists: Namespace"
            f" {target.worker.namespace} is not found.",
        )


def _taken(doing: str, spec: EndpointSpec) -> Exception:
    return errors.error(
        RPCStatusCode.ALREADY_EXISTS,
        f"error {doing} Nexus endpoint. Endpoint with name {spec.name} already"
        " registered",
    )
