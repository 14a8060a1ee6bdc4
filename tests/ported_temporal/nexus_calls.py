"""What the ported tests of Nexus share: endpoints, and a handler to try things on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dbosify.api.nexus.v1 import EndpointSpec
from dbosify.api.operatorservice.v1 import (
    CreateNexusEndpointRequest,
    DeleteNexusEndpointRequest,
)
from dbosify.client import Client
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import new_worker, random_id


def endpoint_name() -> str:
    """A name that no other test uses."""
    return random_id("endpoint")


@asynccontextmanager
async def endpoint_for(
    client: Client, task_queue: str, *, namespace: str | None = None
) -> AsyncIterator[str]:
    """An endpoint for a task queue, while the block runs; gives its name."""
    name = endpoint_name()
    spec = EndpointSpec(name=name)
    spec.target.worker.namespace = namespace or client.namespace
    spec.target.worker.task_queue = task_queue
    created = await client.operator_service.create_nexus_endpoint(
        CreateNexusEndpointRequest(spec=spec)
    )
    try:
        yield name
    finally:
        await client.operator_service.delete_nexus_endpoint(
            DeleteNexusEndpointRequest(
                id=created.endpoint.id, version=created.endpoint.version
            )
        )


@asynccontextmanager
async def served(
    client: Client, *services: Any, workflows: tuple[type, ...] = (), **options: Any
) -> AsyncIterator[tuple[Worker, str]]:
    """A worker with services, and the name of the endpoint that leads to it."""
    worker = new_worker(client, *workflows, nexus_service_handlers=services, **options)
    async with endpoint_for(client, worker.task_queue) as endpoint, worker:
        yield worker, endpoint
