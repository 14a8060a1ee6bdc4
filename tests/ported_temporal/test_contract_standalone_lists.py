"""Which activities without a workflow a filter finds, and how lists show them."""

import json

import pytest

from dbosify.api.workflowservice import v1
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import invalid, refusal_of
from tests.ported_temporal.one_standalone import Ids, start
from tests.waiting import eventually

pytestmark = pytest.mark.needs("standalone activities")


async def count(client: Client, query: str) -> v1.CountActivityExecutionsResponse:
    """Count activities."""
    request = v1.CountActivityExecutionsRequest(namespace=client.namespace, query=query)
    return await client.workflow_service.count_activity_executions(request)


BAD_QUERIES = {
    "ActivityId = 3": (
        "invalid expression: invalid value type for search attribute ActivityId of"
        " type Keyword: 3 (type: int64)"
    ),
    "ExecutionStatus = 2": (
        "invalid expression: invalid value type for search attribute ExecutionStatus"
        " of type Keyword: 2 (type: int64)"
    ),
    "Unknown = 'x'": "invalid search attribute: Unknown",
    "garbage": "invalid expression: incomplete expression",
    "ActivityType = 'A' GROUP BY ActivityType": (
        "operation is not supported: 'GROUP BY' clause is not supported for search"
        " attribute ActivityType"
    ),
    "ActivityType = 'A' ORDER BY StartTime": (
        "operation is not supported: 'ORDER BY' clause"
    ),
}


@pytest.mark.parametrize("query", BAD_QUERIES)
async def test_a_filter_that_means_nothing_is_refused(
    client: Client, query: str
) -> None:
    refusal = await refusal_of(count(client, query))
    assert refusal == invalid(f"invalid query: {BAD_QUERIES[query]}")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("ExecutionStatus = 'Completed'", 1),
        ("ExecutionStatus = 'nonsense'", 0),
        ("ActivityType = 'increment'", 2),
        ("WorkflowId = 'x'", 0),
        ("HistoryLength = 3", 0),
        ("CloseTime IS NULL", 1),
        ("StateTransitionCount > 0", 1),
        ("ExecutionDuration < '1h'", 1),
    ],
)
async def test_activities_are_found_by_what_they_are(
    client: Client, condition: str, expected: int
) -> None:
    ids = Ids()
    await start(client, ids)
    await client.workflow_service.respond_activity_task_completed_by_id(
        v1.RespondActivityTaskCompletedByIdRequest(
            namespace=client.namespace, activity_id=ids.activity_id
        )
    )
    await start(client, ids)

    async def counted() -> None:
        query = f"TaskQueue = '{ids.task_queue}' AND {condition}"
        assert (await count(client, query)).count == expected

    await eventually(counted)


async def test_lists_have_pages(client: Client) -> None:
    queue, service = Ids().task_queue, client.workflow_service
    several = [Ids(task_queue=queue) for _ in range(3)]
    for ids in several:
        await start(client, ids)
    query = f"TaskQueue = '{queue}'"

    async def all_there() -> None:
        assert (await count(client, query)).count == len(several)

    await eventually(all_there)
    seen, token = [], b""
    while True:
        request = v1.ListActivityExecutionsRequest(
            namespace="default", query=query, page_size=2, next_page_token=token
        )
        page = await service.list_activity_executions(request)
        seen += [each.activity_id for each in page.executions]
        token = page.next_page_token
        if not token:
            break
    assert seen == [ids.activity_id for ids in reversed(several)]
    bad = v1.ListActivityExecutionsRequest(namespace="default", next_page_token=b"x")
    refusal = await refusal_of(service.list_activity_executions(bad))
    assert refusal.status == RPCStatusCode.UNKNOWN


async def test_an_activity_is_no_workflow(client: Client) -> None:
    ids = Ids()
    await start(client, ids)
    query = f"TaskQueue = '{ids.task_queue}'"
    found = [run async for run in client.list_workflows(query)]
    assert found == []


async def test_groups_are_named_after_statuses(client: Client) -> None:
    ids = Ids()
    await start(client, ids)

    async def grouped() -> None:
        query = f"TaskQueue = '{ids.task_queue}' GROUP BY ExecutionStatus"
        (group,) = (await count(client, query)).groups
        (value,) = group.group_values
        assert json.loads(value.data) == "Running"
        assert value.metadata["type"] == b"Keyword"

    await eventually(grouped, retry_on=(AssertionError, ValueError))
