"""No request, however bad, breaks an RPC, and a refused one leaves no trace.

Which RPCs there are is read from the registry, and which fields their requests have
from the protobuf descriptors: what is added is tested from its first day.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, TypeAlias

import psycopg
import pytest
import pytest_asyncio
from google.protobuf.message import Message

from dbosify._service import registry
from dbosify._store.url import DatabaseUrl
from dbosify.client import Client
from dbosify.service import RPCError, RPCStatusCode
from tests.unit.face.test_rpc_list import DESCRIPTORS, described
from tests.unit.hostile.requests import fresh, hostile, plain

Contents: TypeAlias = list[tuple[str, int, int]]

PATIENCE = timedelta(seconds=10)
"""More than any of these requests has to wait for."""

A_WHILE = timedelta(seconds=1)
"""Enough for those that wait for what never comes."""

SERVICE_OF = {
    rpc: service
    for service in DESCRIPTORS
    for rpc in described(service)
    if rpc in registry.IMPLEMENTED
}

GAVE_UP = (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED)

OUR_FAULT = frozenset(
    {
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DATA_LOSS,
        *GAVE_UP,
    }
)
"""What a caller is never told because of what it sent."""

AS_TEMPORAL = re.compile(r"something went wrong, please retry \(")
"""So the server answers tokens of pages that it never gave, and the like."""

MAKES_SOMETHING = re.compile(r"start_|create_|execute_|signal_with_start_")

WAITS = re.compile(r"poll_|query_|update_workflow_execution$")
"""These wait for a worker, and there is none, unless what they name isn't there."""

LISTS = [
    rpc
    for rpc in SERVICE_OF
    if rpc.startswith("list_")
    # One needs a schedule, and there is no archive.
    and rpc not in ("list_schedule_matching_times", "list_archived_workflow_executions")
]


class Ground:
    """A database with something of each kind in it, and a client of it."""

    def __init__(self, client: Client, database: psycopg.Connection[Any]) -> None:
        self.client = client
        self._database = database
        self._there = "there"

    async def call(self, rpc: str, request: Message) -> Message:
        """Make a call as the SDK makes it."""
        service = getattr(self.client, SERVICE_OF[rpc])
        timeout = A_WHILE if WAITS.match(rpc) else PATIENCE
        answer: Message = await getattr(service, rpc)(request, timeout=timeout)
        return answer

    def plain(self, rpc: str) -> Message:
        """A request that means something which is there, or else makes it."""
        method = described(SERVICE_OF[rpc])[rpc]
        there = self._there
        if MAKES_SOMETHING.match(rpc) or WAITS.match(rpc):
            there = fresh()
        values = {
            "namespace": self.client.namespace,
            "request_id": fresh(),
            "run_id": "",
            "name": "name",
        }
        for kind in ("workflow", "activity", "schedule", "operation"):
            values[f"{kind}_id"] = there
        for word in ("identity", "signal_name", "query_type", "update_id", "endpoint"):
            values[word] = word
        return plain(method.input_type._concrete_class, values.get)

    async def fill(self) -> None:
        """Start one of each, so that there is something to be hurt."""
        self._there = fresh()
        for rpc in ("start_workflow_execution", "create_schedule"):
            request = self.plain(rpc)
            for kind in ("workflow_id", "schedule_id"):
                if kind in request.DESCRIPTOR.fields_by_name:
                    setattr(request, kind, self._there)
            await self.call(rpc, request)

    def last_transaction(self) -> int:
        """A number that any transaction which writes makes greater."""
        row = self._database.execute(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def contents(self) -> Contents:
        """What is in all tables, told by the transactions that wrote it."""
        tables = self._database.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            " ORDER BY 1"
        ).fetchall()
        each = " UNION ALL ".join(
            f"SELECT '{table}', count(*), coalesce(sum(xmin::text::bigint), 0)::bigint"
            f" FROM {table}"
            for (table,) in tables
        )
        return self._database.execute(each).fetchall()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ground(own_database: str) -> AsyncIterator[Ground]:
    """The ground of all tests here."""
    client = await Client.connect(own_database)
    with psycopg.connect(
        DatabaseUrl.parse(own_database).conninfo, autocommit=True
    ) as database:
        yield Ground(client, database)
    await client.close()


@pytest.mark.parametrize("rpc", sorted(SERVICE_OF))
async def test_no_request_breaks(ground: Ground, rpc: str) -> None:
    await ground.fill()
    broken: dict[str, str] = {}
    before, last = ground.contents(), ground.last_transaction()
    for bad in hostile(lambda: ground.plain(rpc)):
        try:
            await asyncio.wait_for(ground.call(rpc, bad.request), 15)
        except RPCError as error:
            waited = error.status in GAVE_UP and WAITS.match(rpc)
            excused = waited or AS_TEMPORAL.match(error.message)
            if error.status in OUR_FAULT and not excused:
                broken[bad.what] = f"{error.status.name}: {error.message[:200]}"
            # What is waited for has been let in.
            refused = not waited
        except Exception as error:
            broken[bad.what] = f"{type(error).__name__}: {str(error)[:200]}"
            refused = True
        else:
            refused = False
        if ground.last_transaction() != last:
            after, last = ground.contents(), ground.last_transaction()
            if refused and after != before:
                broken.setdefault(bad.what, "refused, and has written")
            before = after
    assert not broken, "\n".join(f"{what} -> {said}" for what, said in broken.items())
    for listing in LISTS:
        await ground.call(listing, ground.plain(listing))
