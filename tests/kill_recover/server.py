"""A Postgres of one's own, to be killed and started again.

The tests' shared server must not go down under others, so this is an embedded one with
a directory that outlives it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import psycopg

from dbosify._runtime import embedded
from dbosify._runtime.embedded import EmbeddedPostgres
from tests.waiting import eventually

STOP_PATIENCE = 20.0


class Server:
    """A server on a directory.

    Args:
        home: Where its data is.
    """

    def __init__(self, home: Path) -> None:
        """Not running."""
        self._home = home
        self._claim: EmbeddedPostgres | None = None
        self._down = asyncio.Lock()

    async def start(self) -> None:
        """Begin, or begin anew after a crash."""
        before, self._claim = (
            self._claim,
            await asyncio.to_thread(embedded.start, self._home),
        )
        if before is not None:
            before.stop()

    @property
    def url(self) -> str:
        """To connect to it directly."""
        assert self._claim is not None
        return self._claim.url

    @property
    def socket(self) -> str:
        """The path of its socket."""
        host = psycopg.conninfo.conninfo_to_dict(self.url)["host"]
        return f"{host}/{embedded.SOCKET_NAME}"

    async def fail(self, seconds: float = 0.0) -> None:
        """Go down as ``pg_ctl stop -m immediate`` does it, and come back.

        Args:
            seconds: Before it is started again.
        """
        # One that is down already cannot be taken down.
        async with self._down:
            await self._crash()
            await asyncio.sleep(seconds)
            await self.start()

    async def _crash(self) -> None:
        pid_file = self._home / "cluster" / "postmaster.pid"
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)

        async def gone() -> None:
            # The guard takes the file away once the server has ended.
            assert not (self._home / "url").exists()

        await eventually(gone, patience=STOP_PATIENCE)

    async def stop(self) -> None:
        """End for good."""
        if self._claim is not None:
            with suppress(FileNotFoundError):
                await asyncio.to_thread(self._claim.stop)
