"""Lists and counts of runs: what filters find, and in which order.

Four runs with and without search attributes are there for all queries; `abcd` below
means all four of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
import pytest_asyncio

from dbosify.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    ScanWorkflowExecutionsRequest,
)
from dbosify.client import Client, WorkflowExecutionStatus
from dbosify.common import SearchAttributePair, TypedSearchAttributes
from dbosify.service import RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.attribute_keys import (
    BOOL,
    DOUBLE,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    MOMENT,
    TEXT,
    ensure_keys,
)
from tests.ported_temporal.contract import Refusal, refusal_of
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    Fail,
    KitchenSinkWorkflow,
    Result,
    Script,
)
from tests.ported_temporal.scaffold import assert_eq_eventually, random_id

JANUARY_1 = datetime(2024, 1, 1, tzinfo=timezone.utc)

ATTRIBUTES = {
    "a": TypedSearchAttributes(
        [
            SearchAttributePair(KEYWORD, "alpha"),
            SearchAttributePair(INT, 1),
            SearchAttributePair(DOUBLE, 1.5),
            SearchAttributePair(BOOL, True),
            SearchAttributePair(MOMENT, JANUARY_1),
            SearchAttributePair(TEXT, "Hello big-World"),
            SearchAttributePair(KEYWORD_LIST, ["red", "green"]),
        ]
    ),
    "b": TypedSearchAttributes(
        [
            SearchAttributePair(KEYWORD, "beta"),
            SearchAttributePair(INT, 2),
            SearchAttributePair(DOUBLE, 2.5),
            SearchAttributePair(BOOL, False),
            SearchAttributePair(MOMENT, JANUARY_1 + timedelta(days=1)),
            SearchAttributePair(TEXT, "hello there"),
            SearchAttributePair(KEYWORD_LIST, ["green"]),
        ]
    ),
    "c": TypedSearchAttributes(
        [SearchAttributePair(KEYWORD, "100%_it's"), SearchAttributePair(INT, -3)]
    ),
    "d": TypedSearchAttributes.empty,
}

SCRIPTS = {
    "a": Script([Action(result=Result("done"))]),
    "b": Script([Action(await_signal=AwaitSignal("never"))]),
    "c": Script([Action(fail=Fail("as told"))]),
    "d": Script([Action(await_signal=AwaitSignal("never"))]),
}


@dataclass(frozen=True, slots=True)
class Family:
    """The four runs: completed, open, failed and terminated."""

    prefix: str
    queue: str

    @property
    def own(self) -> str:
        """The condition that only they meet."""
        return f"WorkflowId STARTS_WITH '{self.prefix}'"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def family(client: Client, worker: Worker) -> Family:
    """Start them, and wait until they are what they should be."""
    await ensure_keys(client)
    family = Family(random_id("family"), worker.task_queue)
    for name, script in SCRIPTS.items():
        await client.start_workflow(
            KitchenSinkWorkflow.run,
            script,
            id=f"{family.prefix}-{name}",
            task_queue=worker.task_queue,
            search_attributes=ATTRIBUTES[name],
        )
    await client.get_workflow_handle(f"{family.prefix}-d").terminate()
    query = f"{family.own} AND ExecutionStatus != 'Running'"
    await assert_eq_eventually(set("acd"), lambda: found(client, family, query))
    return family


async def found(client: Client, family: Family, query: str) -> set[str]:
    """The runs of the family that a query finds."""
    runs = client.list_workflows(f"({query}) AND {family.own}")
    return {run.id[-1] async for run in runs}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # Keywords
        ("SharedKeyword = 'alpha'", "a"),
        ('SharedKeyword = "alpha"', "a"),
        ("`SharedKeyword` = 'alpha'", "a"),
        ("SharedKeyword = 'Alpha'", ""),
        ("SharedKeyword != 'alpha'", "bc"),
        ("SharedKeyword <> 'alpha'", "bc"),
        ("SharedKeyword > 'alpha'", "b"),
        ("SharedKeyword <= 'alpha'", "ac"),
        ("SharedKeyword BETWEEN 'alpha' AND 'beta'", "ab"),
        ("SharedKeyword NOT BETWEEN 'alpha' AND 'beta'", "c"),
        ("SharedKeyword IN ('alpha', 'beta', 'gamma')", "ab"),
        ("SharedKeyword NOT IN ('alpha', 'gamma')", "bc"),
        ("SharedKeyword STARTS_WITH 'al'", "a"),
        ("SharedKeyword starts_with '100%_'", "c"),
        ("SharedKeyword STARTS_WITH '%'", ""),
        ("SharedKeyword NOT STARTS_WITH 'al'", "bc"),
        ("SharedKeyword = '100%_it''s'", "c"),
        ("SharedKeyword = '100%_it\\'s'", "c"),
        ("SharedKeyword IS NULL", "d"),
        ("SharedKeyword IS NOT NULL", "abc"),
        ("NOT SharedKeyword = 'alpha'", "bc"),
        ("NOT (SharedKeyword IS NULL)", "abc"),
        # Lists of keywords
        ("SharedKeywordList = 'green'", "ab"),
        ("SharedKeywordList != 'red'", "bcd"),
        ("SharedKeywordList IN ('red', 'blue')", "a"),
        ("SharedKeywordList NOT IN ('red', 'blue')", "bcd"),
        ("SharedKeywordList IS NULL", "cd"),
        # Texts
        ("SharedText = 'HELLO'", "ab"),
        ("SharedText = 'there world'", "ab"),
        ("SharedText = 'worl'", ""),
        ("SharedText = 'big'", "a"),
        ("SharedText != 'world'", "bcd"),
        ("SharedText IS NOT NULL", "ab"),
        # Numbers
        ("SharedInt = 1", "a"),
        ("SharedInt = 1.0", "a"),
        ("SharedInt = -3", "c"),
        ("SharedInt != 1", "bc"),
        ("SharedInt > 0", "ab"),
        ("SharedInt >= 2", "b"),
        ("SharedInt < 2", "ac"),
        ("SharedInt IN (1, 2, 7)", "ab"),
        ("SharedInt NOT IN (1, 7)", "bc"),
        ("SharedInt BETWEEN -3 AND 1", "ac"),
        ("SharedDouble = 1.5", "a"),
        ("SharedDouble > 1", "ab"),
        ("SharedDouble BETWEEN 2 AND 3", "b"),
        # Truths
        ("SharedBool = true", "a"),
        ("SharedBool != TRUE", "b"),
        ("SharedBool IN (true, false)", "ab"),
        ("SharedBool IS NULL", "cd"),
        # Times
        ("SharedDatetime > '2024-01-01T12:00:00Z'", "b"),
        ("SharedDatetime < '2024-01-01T09:00:00.5+09:00'", "a"),
        ("SharedDatetime > 1704100000000000000", "b"),
        (
            "SharedDatetime BETWEEN '2023-12-31T00:00:00Z' AND '2024-01-01T01:00:00Z'",
            "a",
        ),
        ("SharedDatetime IS NULL", "cd"),
        # What every run has
        ("ExecutionStatus = 'Running'", "b"),
        ("ExecutionStatus = 'WORKFLOW_EXECUTION_STATUS_COMPLETED'", "a"),
        ("ExecutionStatus = 2", "a"),
        ("ExecutionStatus IN ('Failed', 'Terminated')", "cd"),
        ("ExecutionStatus != 'Running'", "acd"),
        ("ExecutionStatus < 'Completed'", "b"),
        ("ExecutionStatus BETWEEN 'Running' AND 'Completed'", "ab"),
        ("RootWorkflowId STARTS_WITH 'family'", "abcd"),
        ("TaskQueue != 'none' AND TaskQueue > 'a'", "abcd"),
        ("TemporalNamespaceDivision IS NULL", "abcd"),
        ("RunId > '0' AND RunId < 'g'", "abcd"),
        ("CloseTime IS NULL", "b"),
        ("WorkflowType = 'kitchen_sink'", "abcd"),
        ("StartTime > '2024-01-01T00:00:00Z'", "abcd"),
        ("StartTime > '2224-01-01T00:00:00Z'", ""),
        ("ExecutionTime > '2024-01-01T00:00:00Z'", "abcd"),
        ("ExecutionDuration < '1h30m'", "acd"),
        ("ExecutionDuration > '01:30:00'", ""),
        ("ExecutionDuration > 1", "acd"),
        ("HistoryLength > 0", "acd"),
        ("HistorySizeBytes > 100", "acd"),
        ("StateTransitionCount > 0", "acd"),
        ("ParentWorkflowId IS NULL", "abcd"),
        ("TemporalWorkflowType = 'kitchen_sink'", "abcd"),
        ("ScheduledById IS NULL", "abcd"),
        ("TemporalScheduledById = 'nobody'", ""),
        # Words between conditions
        ("SharedInt = 1 OR SharedInt = 2", "ab"),
        ("SharedInt = 1 || SharedInt = 2", "ab"),
        ("SharedInt > 0 AND SharedBool = true", "a"),
        ("SharedInt > 0 && SharedBool = true", "a"),
        ("SharedInt = 1 or (SharedInt = 2 and SharedBool = false)", "ab"),
        ("NOT (SharedInt = 1 OR SharedInt = 2)", "c"),
        ("  SharedInt = 1  ", "a"),
        ("SharedInt = 1e0", "a"),
        ("SharedDouble = 15e-1", "a"),
        ("SharedInt < 99999999999999999999", "abc"),
        ("StartTime > '0000-01-01T00:00:00Z'", "abcd"),
        ("NOT SharedText = 'hello'", "cd"),
        ("NOT (SharedKeyword = 'alpha' OR SharedInt IS NULL)", "bc"),
    ],
)
async def test_a_filter_finds_what_it_says(
    client: Client, family: Family, query: str, expected: str
) -> None:
    assert await found(client, family, query) == set(expected)


async def test_open_runs_come_first_then_the_last_closed(
    client: Client, family: Family
) -> None:
    runs = [run async for run in client.list_workflows(family.own)]
    assert runs[0].id.endswith("b")
    closes = [run.close_time for run in runs[1:] if run.close_time is not None]
    assert len(closes) == 3
    assert closes == sorted(closes, reverse=True)


async def test_a_row_says_what_a_list_needs(client: Client, family: Family) -> None:
    rows = {run.id[-1]: run async for run in client.list_workflows(family.own)}
    done = rows["a"]
    description = await client.get_workflow_handle(done.id).describe()
    assert done.status == WorkflowExecutionStatus.COMPLETED
    assert done.workflow_type == "kitchen_sink"
    assert done.task_queue == family.queue
    assert done.run_id == description.run_id
    assert done.history_length == description.history_length == 5
    assert done.start_time == description.start_time
    assert done.close_time == description.close_time
    assert values_of(done.typed_search_attributes) == values_of(ATTRIBUTES["a"])
    assert (done.root_id, done.root_run_id) == (done.id, done.run_id)
    assert done.parent_id is None
    still_open = rows["b"]
    assert still_open.close_time is None
    assert still_open.history_length == 0


def values_of(attributes: TypedSearchAttributes) -> dict[str, object]:
    """Attributes by name, without those that a server adds."""
    pairs = {pair.key.name: pair.value for pair in attributes}
    return {name: value for name, value in pairs.items() if name.startswith("Shared")}


async def test_pages_follow_each_other_without_gaps(
    client: Client, family: Family
) -> None:
    token, ids = b"", []
    for _ in range(4):
        page = await listed(client, family.own, page_size=1, next_page_token=token)
        ids += [info.execution.workflow_id[-1] for info in page.executions]
        token = page.next_page_token
        if not token:
            break
    whole = await listed(client, family.own)
    assert ids == [info.execution.workflow_id[-1] for info in whole.executions]
    assert sorted(ids) == list("abcd")


async def listed(
    client: Client, query: str, *, page_size: int = 0, next_page_token: bytes = b""
) -> ListWorkflowExecutionsResponse:
    """One page."""
    return await client.workflow_service.list_workflow_executions(
        ListWorkflowExecutionsRequest(
            namespace=client.namespace,
            query=query,
            page_size=page_size,
            next_page_token=next_page_token,
        )
    )


@pytest.mark.parametrize("token", [b"x", b"[]", b'["a", "b", "c"]', b"\xff"])
async def test_a_token_of_nobodys_is_refused(client: Client, token: bytes) -> None:
    refusal = await refusal_of(listed(client, "", next_page_token=token))
    assert refusal.status == RPCStatusCode.UNKNOWN
    assert refusal.message.startswith("something went wrong, please retry (")


async def test_a_scan_is_a_list(client: Client, family: Family) -> None:
    scanned = await client.workflow_service.scan_workflow_executions(
        ScanWorkflowExecutionsRequest(namespace=client.namespace, query=family.own)
    )
    assert scanned.executions == (await listed(client, family.own)).executions


async def test_runs_are_counted_by_status(client: Client, family: Family) -> None:
    counted = await client.workflow_service.count_workflow_executions(
        CountWorkflowExecutionsRequest(
            namespace=client.namespace, query=f"{family.own} GROUP BY ExecutionStatus"
        )
    )
    assert counted.count == 4
    groups = [
        (json.loads(group.group_values[0].data), group.count)
        for group in counted.groups
    ]
    assert groups == [
        ("Running", 1),
        ("Completed", 1),
        ("Failed", 1),
        ("Terminated", 1),
    ]
    value = counted.groups[0].group_values[0]
    assert dict(value.metadata) == {"encoding": b"json/plain", "type": b"Keyword"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [("SharedInt > 0", 2), ("SharedInt > 100", 0), ("CloseTime IS NOT NULL", 3)],
)
async def test_runs_are_counted(
    client: Client, family: Family, query: str, expected: int
) -> None:
    counted = await client.count_workflows(f"{query} AND {family.own}")
    assert counted.count == expected
    assert not counted.groups


async def test_nothing_counted_has_no_groups(client: Client, family: Family) -> None:
    query = f"WorkflowType = 'none' AND {family.own} GROUP BY ExecutionStatus"
    counted = await client.count_workflows(query)
    assert counted.count == 0
    assert not counted.groups


REFUSED: Sequence[tuple[str, str]] = (
    ("Nope = 1", "invalid search attribute: Nope"),
    ("Memo = 'x'", "invalid search attribute: Memo"),
    ("workflowid = 'x'", "invalid search attribute: workflowid"),
    ("WorkflowId", "invalid expression: incomplete expression"),
    (
        "WorkflowId = x",
        "operation is not supported: column name on the right side of comparison"
        ' expression (did you forget to quote "x"?)',
    ),
    (
        "SharedInt = '1'",
        "invalid expression: invalid value type for search attribute SharedInt of type"
        ' Int: "1" (type: string)',
    ),
    (
        "SharedBool = 1",
        "invalid expression: invalid value type for search attribute SharedBool of type"
        " Bool: 1 (type: int64)",
    ),
    (
        "WorkflowId = 1",
        "invalid expression: invalid value type for search attribute WorkflowId of type"
        " Keyword: 1 (type: int64)",
    ),
    (
        "SharedDatetime = true",
        "invalid expression: invalid value type for search attribute SharedDatetime of"
        " type Datetime: true (type: bool)",
    ),
    (
        "StartTime > '2024-01-01'",
        "invalid expression: unable to parse datetime '2024-01-01'",
    ),
    (
        "ExecutionDuration > 'zzz'",
        "invalid expression: invalid duration value for search attribute"
        " ExecutionDuration: zzz",
    ),
    (
        "ExecutionDuration > 1.5",
        "invalid expression: unexpected value type float64 for search attribute"
        " ExecutionDuration",
    ),
    (
        "ExecutionStatus = 'RUNNING'",
        "invalid expression: invalid ExecutionStatus value 'RUNNING'",
    ),
    ("ExecutionStatus = 99", "invalid expression: invalid ExecutionStatus value 99"),
    (
        "SharedKeyword LIKE 'a%'",
        "operation is not supported: operator 'LIKE' not supported for Keyword type"
        " search attribute 'SharedKeyword'",
    ),
    (
        "SharedText > 'a'",
        "operation is not supported: operator '>' not supported for Text type search"
        " attribute 'SharedText'",
    ),
    (
        "SharedText IN ('a')",
        "operation is not supported: operator 'IN' not supported for Text type search"
        " attribute 'SharedText'",
    ),
    (
        "SharedKeywordList STARTS_WITH 'a'",
        "operation is not supported: operator 'STARTS_WITH' not supported for"
        " KeywordList type search attribute 'SharedKeywordList'",
    ),
    (
        "ExecutionStatus STARTS_WITH 'Running'",
        'invalid expression: right-hand side of "starts_with" operator must be a'
        " literal string (got: Running)",
    ),
    (
        "ExecutionStatus NOT STARTS_WITH 'Running'",
        'invalid expression: right-hand side of "not starts_with" operator must be a'
        " literal string (got: Running)",
    ),
    (
        "SharedBool BETWEEN true AND false",
        "invalid expression: cannot do range condition on search attribute 'SharedBool'"
        " of type Bool",
    ),
    (
        "1 = 1",
        "invalid expression: must be a column name but was *sqlparser.SQLVal",
    ),
    (
        "f(WorkflowId) = 'a'",
        "invalid expression: must be a column name but was *sqlparser.FuncExpr",
    ),
    (
        "SharedInt + 1 = 2",
        "invalid expression: must be a column name but was *sqlparser.BinaryExpr",
    ),
    (
        "WorkflowId = NULL",
        "invalid expression: unexpected value type *sqlparser.NullVal",
    ),
    (
        "WorkflowId = (SELECT 1 FROM x)",
        "invalid expression: unexpected value type *sqlparser.Subquery",
    ),
    (
        "SharedBool IS TRUE",
        "invalid expression: 'IS' operator can only be used as 'IS NULL' or"
        " 'IS NOT NULL'",
    ),
    (
        "EXISTS (SELECT 1 FROM x)",
        "operation is not supported: expression of type *sqlparser.ExistsExpr",
    ),
    (
        "WorkflowId = 'a' ORDER BY StartTime",
        "operation is not supported: 'ORDER BY' clause",
    ),
    (
        "WorkflowId = 'a' ORDER BY SharedText",
        "operation is not supported: unable to sort by search attribute type Text",
    ),
    (
        "WorkflowId = 'a' LIMIT 3",
        "operation is not supported: 'LIMIT' clause",
    ),
    (
        "GROUP BY WorkflowType",
        "operation is not supported: 'GROUP BY' clause is not supported for search"
        " attribute WorkflowType",
    ),
    (
        "GROUP BY ExecutionStatus, WorkflowType",
        "operation is not supported: 'GROUP BY' clause supports only a single field",
    ),
    ("SharedInt > 1e400", 'invalid expression: unable to parse value "1e400"'),
    (
        "ExecutionDuration > '9999999h'",
        "invalid expression: invalid duration value for search attribute"
        " ExecutionDuration: 9999999h",
    ),
    (
        "WorkflowId = -'a'",
        "invalid expression: unary operator not supported in \"-'a'\"",
    ),
    ("SharedInt = ~1", 'operation is not supported: unary operator "~"'),
    (
        "!SharedBool",
        "operation is not supported: expression of type *sqlparser.UnaryExpr",
    ),
    ("@a = 1", "invalid search attribute: @a"),
    (
        "WorkflowId NOT LIKE 'a'",
        "operation is not supported: operator 'NOT LIKE' not supported for Keyword type"
        " search attribute 'WorkflowId'",
    ),
    ("GROUP BY", "malformed SQL query: syntax error at position 30"),
    (
        "(ORDER BY StartTime)",
        "malformed SQL query: syntax error at position 34 near 'order'",
    ),
    ("WorkflowId =", "malformed SQL query: syntax error at position 40"),
    ("(WorkflowId = 'a'", "malformed SQL query: syntax error at position 45"),
    ("WorkflowId IN ()", "malformed SQL query: syntax error at position 44"),
    ("WorkflowId IN 'a'", "malformed SQL query: syntax error at position 45 near 'a'"),
    ("WorkflowId == 'a'", "malformed SQL query: syntax error at position 41"),
)
"""Queries and what is said of them."""


@pytest.mark.parametrize(("query", "reason"), REFUSED, ids=[q for q, _ in REFUSED])
async def test_a_bad_filter_is_told_what_is_wrong(
    client: Client, family: Family, query: str, reason: str
) -> None:
    counted = CountWorkflowExecutionsRequest(namespace=client.namespace, query=query)
    for refusal in (
        await refusal_of(listed(client, query)),
        await refusal_of(client.workflow_service.count_workflow_executions(counted)),
    ):
        assert refusal.status == RPCStatusCode.INVALID_ARGUMENT
        assert refusal.message == f"invalid query: {reason}"
        assert refusal.detail is None


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE x; --", "\\", "%s", "%(name)s", "{schema}", "a\\'b", "$1", "𝒳\t\n"],
)
async def test_what_users_write_is_only_ever_a_value(
    client: Client, family: Family, text: str
) -> None:
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    assert await found(client, family, f"SharedKeyword = '{quoted}'") == set()
    assert await found(client, family, f"SharedKeyword != '{quoted}'") == set("abc")


@pytest.mark.only_against("dbosify", "a server takes filters of 4 MB and any depth")
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("(" * 300_000, "it is longer than 262144 bytes"),
        ("WorkflowId = '" + "x" * 300_000 + "'", "it is longer than 262144 bytes"),
        (
            "(" * 5_000 + "WorkflowId = 'a'" + ")" * 5_000,
            "malformed SQL query: it is nested too deeply",
        ),
        ("WorkflowId = '\0'", "malformed SQL query: it has a NUL character"),
    ],
    ids=["junk", "a literal", "parentheses", "NUL"],
)
async def test_what_would_take_too_long_is_not_read(
    client: Client, query: str, reason: str
) -> None:
    assert await refusal_of(listed(client, query)) == Refusal(
        RPCStatusCode.INVALID_ARGUMENT, f"invalid query: {reason}"
    )
