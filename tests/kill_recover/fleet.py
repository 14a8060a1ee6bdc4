"""Workers that serve one queue together, on a Postgres and a network of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from dbosify.api.nexus.v1 import EndpointSpec
from dbosify.api.operatorservice.v1 import CreateNexusEndpointRequest
from dbosify.client import Client
from tests.kill_recover import evidence
from tests.kill_recover.orders import NAMESPACE, STORE_VARIABLE
from tests.kill_recover.processes import GoneError, Reins, Stable
from tests.kill_recover.program import CLOCK_VARIABLE
from tests.kill_recover.proxy import Network
from tests.kill_recover.server import Server
from tests.waiting import eventually

QUEUE = "fleet"

ENDPOINT = "desk"
"""Of the Nexus operations that the fleet answers."""

LEASE_PATIENCE = 90.0
"""Seconds for a process to be counted among the living, after any disaster."""


@dataclass(slots=True)
class Member:
    """A worker process.

    Attributes:
        reins: Of the process.
        network: Between it and the database.
        stack: What ends with it.
    """

    reins: Reins
    network: Network
    stack: AsyncExitStack


class Fleet:
    """See the module; made by :func:`fleet_on`.

    Args:
        stable: Where processes come from.
        server: The Postgres of the runs.
        client: On it, by no network that could be cut.
        queues: That every member serves.
        effects_url: Of the database with the table of effects, which no fault strikes.
        settings: Of every member.
    """

    def __init__(
        self,
        stable: Stable,
        server: Server,
        client: Client,
        queues: Sequence[str],
        *,
        effects_url: str,
        settings: dict[str, str],
    ) -> None:
        """Nobody is there yet."""
        self.queues = queues
        self.server = server
        self.client = client
        self.effects_url = effects_url
        self.members: list[Member] = []
        self._stable = stable
        self._settings = settings

    @property
    def url(self) -> str:
        """Of the database of the runs."""
        return self.server.url

    async def hire(self, *, fault: str = "", clock: int = 0) -> Member:
        """Add a process.

        Args:
            fault: Where it will come to grief, as ``DBOSIFY_FAULT`` wants it.
            clock: Seconds by which its clock is ahead.

        Raises:
            GoneError: It came to grief before it served.
        """

        async def hired() -> Member:
            return await self._hire(fault, clock)

        if fault:
            return await hired()
        # Without a database a process ends, or waits for longer than we do.
        trouble = (GoneError, asyncio.TimeoutError)
        return await eventually(hired, retry_on=trouble, patience=LEASE_PATIENCE)

    async def _hire(self, fault: str, clock: int) -> Member:
        async with AsyncExitStack() as stack:
            network = await stack.enter_async_context(Network(self.server.socket))
            settings = self._settings | {
                STORE_VARIABLE: f"postgresql://postgres@127.0.0.1:{network.port}/postgres",
                CLOCK_VARIABLE: str(clock),
            }
            if fault:
                settings["DBOSIFY_FAULT"] = fault
            process = self._stable.process(**settings)
            reins = await stack.enter_async_context(process)
            for queue in self.queues:
                await reins.order(do="serve", queue=queue, nexus=True)
            member = Member(reins, network, stack.pop_all())
        self.members.append(member)
        return member

    async def dismiss(self, member: Member) -> None:
        """Let a process shut down gracefully."""
        self.members.remove(member)
        try:
            await member.reins.dismiss(LEASE_PATIENCE)
        finally:
            await member.stack.aclose()

    async def bury(self, member: Member) -> None:
        """Take a process that has died, or shall die now, off the list."""
        self.members.remove(member)
        await member.stack.aclose()

    async def executor_of(self, member: Member) -> str:
        """By which name the database knows a process.

        Raises:
            GoneError: The process has ended.
            AssertionError: The database does not know it.
        """

        async def known() -> str:
            if not member.reins.alive:
                raise GoneError
            found = (await evidence.leases(self.url)).get(member.reins.pid)
            assert found, f"has no lease: {member.reins.said}"
            return found

        # One that was struck before may have to take a new lease first.
        trouble = (AssertionError, psycopg.OperationalError)
        return await eventually(known, retry_on=trouble, patience=LEASE_PATIENCE)

    async def fill(self, wanted: int) -> None:
        """Replace the dead."""
        for member in [m for m in self.members if not m.reins.alive]:
            await self.bury(member)
        while len(self.members) < wanted:
            await self.hire()

    async def close(self) -> None:
        """End all processes, however they are."""
        await asyncio.gather(*(self.bury(member) for member in list(self.members)))


@asynccontextmanager
async def fleet_on(
    home: Path,
    stable: Stable,
    effects_url: str,
    *,
    settings: dict[str, str],
    queues: Sequence[str] = (QUEUE,),
) -> AsyncIterator[Fleet]:
    """A fleet without members, while the block runs.

    Args:
        home: For the data of its Postgres.
        stable: Where processes come from.
        effects_url: See :class:`Fleet`.
        settings: Of every member.
        queues: That every member serves.
    """
    server = Server(home)
    await server.start()
    try:
        async with await Client.connect(server.url, namespace=NAMESPACE) as client:
            spec = EndpointSpec(name=ENDPOINT)
            spec.target.worker.namespace = NAMESPACE
            spec.target.worker.task_queue = QUEUE
            await client.operator_service.create_nexus_endpoint(
                CreateNexusEndpointRequest(spec=spec)
            )
            fleet = Fleet(
                stable,
                server,
                client,
                queues,
                effects_url=effects_url,
                settings=settings,
            )
            try:
                yield fleet
            finally:
                await fleet.close()
    finally:
        await server.stop()
