"""The rules that came between version sets and worker deployments are refused."""

import pytest

from dbosify.api.workflowservice.v1 import (
    GetWorkerVersioningRulesRequest,
    UpdateWorkerVersioningRulesRequest,
)
from dbosify.client import Client
from dbosify.service import RPCError, RPCStatusCode


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("get_worker_versioning_rules", GetWorkerVersioningRulesRequest),
        ("update_worker_versioning_rules", UpdateWorkerVersioningRulesRequest),
    ],
)
async def test_they_are_disabled_as_on_a_plain_server(
    client: Client, rpc: str, request_: type
) -> None:
    call = getattr(client.workflow_service, rpc)
    with pytest.raises(RPCError) as refused:
        await call(request_(namespace=client.namespace, task_queue="any"))
    assert refused.value.status == RPCStatusCode.PERMISSION_DENIED
    assert refused.value.message == (
        "Worker versioning v0.2 (Rules-based, deprecated) is disabled on this"
        " namespace."
    )
