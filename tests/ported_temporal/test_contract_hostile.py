"""What is refused in the server's words because no honest caller sends it."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from dbosify.api.common.v1 import RetryPolicy, WorkflowExecution
from dbosify.api.filter.v1 import StartTimeFilter
from dbosify.api.workflowservice.v1 import (
    ListOpenWorkflowExecutionsRequest,
    SignalWorkflowExecutionRequest,
)
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import (
    Refusal,
    invalid,
    refusal_of,
    start_request,
)
from tests.ported_temporal.scaffold import random_id


async def test_a_request_of_more_than_four_mebibytes_is_not_let_in(
    client: Client,
) -> None:
    def signal(workflow_id: str) -> SignalWorkflowExecutionRequest:
        return SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            signal_name="any",
        )

    big = "x" * 4_100_000
    let_in = client.workflow_service.signal_workflow_execution(signal(big))
    assert (await refusal_of(let_in)).status == RPCStatusCode.NOT_FOUND
    too_big = client.workflow_service.signal_workflow_execution(signal(2 * big))
    assert await refusal_of(too_big) == Refusal(
        RPCStatusCode.RESOURCE_EXHAUSTED,
        "grpc: received message after decompression larger than max 4194304",
    )


async def test_a_retry_interval_of_ages_overflows(client: Client) -> None:
    request = start_request(client, random_id())
    ages = Duration(seconds=2**63 - 1, nanos=2**31 - 1)
    request.retry_policy.CopyFrom(RetryPolicy(initial_interval=ages))
    starting = client.workflow_service.start_workflow_execution(request)
    assert await refusal_of(starting) == invalid(
        "invalid MaximumInterval set on retry policy: negative duration"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (253_402_300_800, "10000-01-01T00:00:00Z"),
        (2**63 - 1, "292277026596-12-04T15:30:07Z"),
    ],
)
async def test_a_time_that_nobody_can_write_is_no_filter(
    client: Client, seconds: int, text: str
) -> None:
    listing = client.workflow_service.list_open_workflow_executions(
        ListOpenWorkflowExecutionsRequest(
            namespace=client.namespace,
            start_time_filter=StartTimeFilter(earliest_time=Timestamp(seconds=seconds)),
        )
    )
    assert await refusal_of(listing) == invalid(
        f"invalid query: invalid expression: unable to parse datetime '{text}'"
    )
