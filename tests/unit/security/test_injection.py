"""Nothing that a filter says reaches the database as anything but a value."""

from __future__ import annotations

import pytest

from dbosify.client import Client
from dbosify.service import RPCError, RPCStatusCode
from tests.unit.face.greeting import started

CORPUS = (
    "' OR '1'='1",
    "' OR 1=1 --",
    "'; DROP TABLE dbos.workflow_status; --",
    "') OR true --",
    "x' UNION SELECT NULL --",
    "\\' OR 1=1 --",
    "$$; SELECT pg_sleep(60); $$",
    "%(namespace)s",
    "%s%s%n",
    "{schema}",
    '" OR "1"="1',
    "` OR 1=1 #",
    "/**/OR/**/true",
    "1) OR (SELECT true)",
)


def quoted(text: str) -> str:
    """The text as a value of a filter."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


async def listed(client: Client, query: str) -> list[str]:
    """The ids of the runs that a filter finds."""
    return [run.id async for run in client.list_workflows(query)]


@pytest.mark.parametrize("text", CORPUS)
async def test_a_hostile_value_is_only_compared(client: Client, text: str) -> None:
    handle = await started(client)
    own = f"WorkflowId = {quoted(handle.id)}"
    for name in ("WorkflowType", "RunId", "TaskQueue"):
        assert await listed(client, f"{own} AND {name} = {quoted(text)}") == []
    assert await listed(client, own) == [handle.id]
    await handle.terminate()


@pytest.mark.parametrize("text", CORPUS)
@pytest.mark.parametrize(
    "shape", ["WorkflowType = '{}'", "{} = 'x'", "`{}` = 'x'", "ORDER BY {}"]
)
async def test_what_breaks_out_of_its_place_finds_nothing_or_is_refused(
    client: Client, shape: str, text: str
) -> None:
    handle = await started(client)
    query = f"WorkflowId = {quoted(handle.id)}"
    joint = " " if shape.startswith("ORDER") else " AND "
    found, status = list[str](), RPCStatusCode.INVALID_ARGUMENT
    try:
        found = await listed(client, query + joint + shape.replace("{}", text))
    except RPCError as error:
        status = error.status
    assert (found, status) == ([], RPCStatusCode.INVALID_ARGUMENT)
    assert await listed(client, query) == [handle.id]
    await handle.terminate()
