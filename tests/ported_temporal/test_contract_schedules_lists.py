"""Filters in lists and counts of schedules, and the attributes that they go by."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from dbosify.api.workflowservice.v1 import (
    CountSchedulesRequest,
    ListSchedulesRequest,
)
from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleState,
)
from dbosify.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from dbosify.service import RPCError, RPCStatusCode
from tests.ported_temporal.attribute_keys import (
    INT,
    KEYWORD,
    KEYWORD_LIST,
    TEXT,
    ensure_keys,
)
from tests.ported_temporal.contract import Refusal, refusal_of
from tests.ported_temporal.scaffold import assert_eq_eventually, random_id

ATTRIBUTES = {
    "a": TypedSearchAttributes(
        [
            SearchAttributePair(KEYWORD, "alpha"),
            SearchAttributePair(INT, 1),
            SearchAttributePair(TEXT, "Every hour"),
            SearchAttributePair(KEYWORD_LIST, ["red", "green"]),
        ]
    ),
    "b": TypedSearchAttributes([SearchAttributePair(KEYWORD, "beta")]),
    "c": TypedSearchAttributes.empty,
}


async def listed(client: Client, prefix: str, query: str) -> set[str]:
    """The schedules of the three that a query finds."""
    answer = await client.workflow_service.list_schedules(
        ListSchedulesRequest(
            namespace=client.namespace,
            query=f"({query}) AND ScheduleId STARTS_WITH '{prefix}'",
        )
    )
    return {entry.schedule_id[-1] for entry in answer.schedules}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prefix(client: Client) -> AsyncIterator[str]:
    """Three schedules whose ids begin so; only b is paused."""
    await ensure_keys(client)
    prefix = random_id("schedule")
    handles = [
        await client.create_schedule(
            f"{prefix}-{name}",
            Schedule(
                ScheduleActionStartWorkflow(
                    "nobody's", id=random_id(), task_queue=random_id("queue")
                ),
                ScheduleSpec(
                    intervals=[ScheduleIntervalSpec(every=timedelta(days=9999))]
                ),
                state=ScheduleState(paused=name == "b"),
            ),
            search_attributes=attributes,
        )
        for name, attributes in ATTRIBUTES.items()
    ]
    told = "SchedulePaused = true OR SchedulePaused = false"
    await assert_eq_eventually(set("abc"), lambda: listed(client, prefix, told))
    yield prefix
    for handle in handles:
        await handle.delete()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SharedKeyword = 'alpha'", "a"),
        ("SharedKeyword != 'alpha'", "b"),
        ("SharedKeyword IS NULL", "c"),
        ("SharedKeyword IN ('alpha', 'beta')", "ab"),
        ("SharedKeyword STARTS_WITH 'be'", "b"),
        ("SharedInt BETWEEN 0 AND 2", "a"),
        ("SharedText = 'HOUR'", "a"),
        ("SharedKeywordList = 'green'", "a"),
        ("NOT SharedKeywordList = 'green'", "bc"),
        ("TemporalSchedulePaused = true", "b"),
        ("SchedulePaused = false", "ac"),
        ("ScheduleId != 'some'", "abc"),
        ("SharedInt = 1 OR SchedulePaused = true", "ab"),
    ],
)
async def test_a_filter_finds_the_schedules_that_it_describes(
    client: Client, prefix: str, query: str, expected: str
) -> None:
    assert await listed(client, prefix, query) == set(expected)
    counted = await client.workflow_service.count_schedules(
        CountSchedulesRequest(
            namespace=client.namespace,
            query=f"({query}) AND ScheduleId STARTS_WITH '{prefix}'",
        )
    )
    assert counted.count == len(expected)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        *(
            (
                f"{name} IS NULL",
                f'invalid query filter for schedules: cannot filter on "{name}"',
            )
            for name in (
                *("WorkflowId", "ExecutionStatus", "StartTime"),
                *("TemporalScheduleId", "BuildIds"),
            )
        ),
        ("zzz = 1", "invalid query: invalid search attribute: zzz"),
        (
            "SharedInt = 'x'",
            "invalid query: invalid expression: invalid value type for search attribute"
            ' SharedInt of type Int: "x" (type: string)',
        ),
    ],
)
async def test_a_bad_filter_of_schedules_is_told_what_is_wrong(
    client: Client, prefix: str, query: str, text: str
) -> None:
    refusal = Refusal(RPCStatusCode.INVALID_ARGUMENT, text)
    service, namespace = client.workflow_service, client.namespace
    lists = ListSchedulesRequest(namespace=namespace, query=query)
    assert await refusal_of(service.list_schedules(lists)) == refusal
    counts = CountSchedulesRequest(namespace=namespace, query=query)
    assert await refusal_of(service.count_schedules(counts)) == refusal


WRONG = TypedSearchAttributes(
    [SearchAttributePair(SearchAttributeKey.for_keyword(INT.name), "abc")]
)
UNKNOWN = TypedSearchAttributes(
    [SearchAttributePair(SearchAttributeKey.for_keyword("RegisteredNowhere"), "abc")]
)


@pytest.mark.parametrize("of_action", [False, True], ids=["own", "of the action"])
@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (WRONG, "invalid value for search attribute SharedInt of type Int: abc"),
        (
            UNKNOWN,
            "Namespace default has no mapping defined for search attribute"
            " RegisteredNowhere",
        ),
    ],
    ids=["mistyped", "unknown"],
)
async def test_a_schedule_is_told_what_is_wrong_with_its_attributes(
    client: Client, attributes: TypedSearchAttributes, text: str, of_action: bool
) -> None:
    await ensure_keys(client)
    none = TypedSearchAttributes.empty
    action = ScheduleActionStartWorkflow(
        "nobody's",
        id=random_id(),
        task_queue=random_id("queue"),
        typed_search_attributes=attributes if of_action else none,
    )
    with pytest.raises(RPCError) as refused:
        await client.create_schedule(
            random_id("schedule"),
            Schedule(action, ScheduleSpec()),
            search_attributes=none if of_action else attributes,
        )
    assert refused.value.status == RPCStatusCode.INVALID_ARGUMENT
    assert refused.value.message == text
