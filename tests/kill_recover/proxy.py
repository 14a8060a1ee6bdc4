"""A network between a worker process and its database that can be cut.

Each connection of the process ends here and goes on from here. A *cut* closes them all
and refuses others, as a firewall does that says no. A *silence* keeps them open while
nothing arrives any more, in either direction: what a process sees of a machine that
lost its power or of a router that forgot it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

CHUNK = 65536


class Network:
    """Leads from a port on loopback to a Unix socket.

    Args:
        target: The path of the socket.
    """

    def __init__(self, target: str) -> None:
        """Lead nowhere yet."""
        self._target = target
        self._server: asyncio.Server | None = None
        self._up = True
        self._lines: set[Line] = set()

    @property
    def port(self) -> int:
        """Where it begins."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Network:
        """Open the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        self._break()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """No connection while the block runs."""
        self._up = False
        self._break()
        try:
            yield
        finally:
            self._up = True

    def silence(self) -> None:
        """Let what is connected now never hear anything again; others may connect."""
        for line in self._lines:
            line.silent = True

    def _break(self) -> None:
        for line in self._lines:
            line.close()

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line = Line(reader, writer)
        self._lines.add(line)
        try:
            if self._up:
                await line.lead(self._target)
        finally:
            line.close()
            self._lines.discard(line)


class Line:
    """One connection.

    Args:
        reader: What the process sends.
        writer: To the process.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Not connected to the other side."""
        self._reader = reader
        self._writers = [writer]
        self.silent = False

    async def lead(self, target: str) -> None:
        """Pass everything on until one side closes."""
        try:
            reader, writer = await asyncio.open_unix_connection(target)
        except OSError:
            return
        self._writers.append(writer)
        there = asyncio.create_task(self._pass_on(self._reader, writer))
        back = asyncio.create_task(self._pass_on(reader, self._writers[0]))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            if self.silent:
                # The end that closed is not heard of at the other one.
                await asyncio.wait({there, back})
        finally:
            there.cancel()
            back.cancel()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if not self.silent:
                    writer.write(data)
                    await writer.drain()

    def close(self) -> None:
        """Hang up on both sides."""
        for writer in self._writers:
            writer.close()
