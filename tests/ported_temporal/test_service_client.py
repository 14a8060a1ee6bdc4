"""The client of the service itself: health, lazy connections, and every RPC."""

from contextlib import suppress
from datetime import timedelta
from typing import get_type_hints

import pytest
from temporalio.bridge.services_generated import (
    CloudService,
    OperatorService,
    WorkflowService,
)
from temporalio.bridge.services_generated import (
    TestService as OfTests,
)

from dbosify.client import Client
from dbosify.service import RPCError, RPCStatusCode
from tests.fix_backend import Connect

NOBODY = {
    "dbosify": "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1",
    "temporal": "127.0.0.1:1",
}

SERVICES = (WorkflowService, OperatorService, CloudService, OfTests)


async def test_check_health(client: Client) -> None:
    assert await client.service_client.check_health()
    with pytest.raises(RPCError) as unknown:
        await client.service_client.check_health(service="whatever")
    assert unknown.value.status == RPCStatusCode.NOT_FOUND


async def test_lazy_client(connect: Connect, against: str) -> None:
    # Nothing is there to connect to, and nobody has asked for anything.
    lazy = await Client.connect(NOBODY[against], lazy=True)
    with pytest.raises((RPCError, RuntimeError)):
        await lazy.count_workflows()
    another = await connect(lazy=True)
    await another.count_workflows()


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.__name__)
async def test_rpc_execution_not_unknown(client: Client, service: type) -> None:
    stub = service(client.service_client)
    calls = [getattr(stub, name) for name in dir(stub) if not name.startswith("_")]
    for call in calls:
        request = get_type_hints(call)["req"]()
        # A name that nobody knew would be a ValueError.
        with suppress(RPCError):
            await call(request, timeout=timedelta(milliseconds=1))
