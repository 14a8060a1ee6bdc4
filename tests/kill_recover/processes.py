"""The reins of a process of this suite: orders, signals, and how it ended."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import tests
from tests.kill_recover.forks import Fork, Template

ROOT = Path(tests.__file__).parent.parent

STARTUP_PATIENCE = 60.0
"""Seconds for a process to import everything and connect, beside several others."""

END_PATIENCE = 15.0
"""Seconds for a process to end when it should, or to stop at its fault point."""

OWN_SETTINGS = (
    "DBOSIFY_FAULT",
    "DBOSIFY_LEASE_SECONDS",
    "KILL_RECOVER_CLOCK",
    "KILL_RECOVER_NAMESPACE",
    "KILL_RECOVER_STORE",
)
"""What only a test sets, whatever stands in the environment of the session."""


class GoneError(Exception):
    """The process ended before it answered."""


class Reins:
    """Holds a process.

    Args:
        process: Itself.
        log: The file with what it writes to stderr.
    """

    def __init__(self, process: Fork, log: Path) -> None:
        """Take hold of it."""
        self._process = process
        self._log = log
        self._turn = asyncio.Lock()

    async def begin(self, settings: dict[str, str]) -> None:
        """Let it connect.

        Args:
            settings: Added to its environment.
        """
        async with self._turn:
            await self._tell(settings)
            await self._answer()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._process.returncode is None

    async def order(self, **order: Any) -> Any:
        """Give an order and wait until it is carried out.

        Raises:
            GoneError: The process ended first.
        """
        async with self._turn:
            await self._tell(order)
            return await self._answer()

    async def _tell(self, content: dict[str, Any]) -> None:
        try:
            self._process.stdin.write(json.dumps(content).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError:
            raise GoneError from None

    async def _answer(self) -> Any:
        said = self._process.stdout.readline()
        try:
            line = await asyncio.wait_for(said, STARTUP_PATIENCE)
        except ConnectionError:
            line = b""
        if not line:
            raise GoneError
        return json.loads(line)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let it stand still for a while."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    async def killed(self) -> None:
        """Wait until it has been killed.

        Raises:
            AssertionError: It goes on, or ended in another way.
        """
        code = await self._ended()
        assert code == -signal.SIGKILL, f"ended with {code}: {self.said}"

    async def stopped(self) -> None:
        """Wait until it has been stopped.

        Raises:
            AssertionError: It goes on, or ended.
        """
        try:
            await asyncio.wait_for(self._process.stands(), END_PATIENCE)
        except asyncio.TimeoutError:
            raise AssertionError(f"was not stopped: {self.said}") from None
        assert self.alive, f"ended: {self.said}"

    async def dismiss(self, patience: float = END_PATIENCE) -> None:
        """Close its stdin, by which it knows to end; wait until it has.

        Args:
            patience: Seconds that it may take.

        Raises:
            AssertionError: It goes on, or ended with an error.
        """
        self._process.stdin.write_eof()
        code = await self._ended(patience)
        assert code == 0, f"ended with {code}: {self.said}"

    async def _ended(self, patience: float = END_PATIENCE) -> int:
        try:
            return await asyncio.wait_for(self._process.wait(), patience)
        except asyncio.TimeoutError:
            raise AssertionError(f"did not end: {self.said}") from None

    async def let_go(self) -> None:
        """Make sure that nothing of it is left."""
        if self.alive:
            with suppress(ProcessLookupError):
                self.send(signal.SIGKILL)
            await self._process.wait()
        self._process.stdin.close()

    @property
    def said(self) -> str:
        """The end of what it wrote to stderr."""
        return self._log.read_text(errors="replace")[-3000:]


class Stable:
    """Where processes come from.

    Args:
        url: Of the database.
        logs: The directory for what they write to stderr.
    """

    def __init__(self, url: str, logs: Path) -> None:
        """Begin with none."""
        self._url = url
        self._logs = logs
        self._template: Template | None = None
        self._count = itertools.count(1)

    @asynccontextmanager
    async def process(self, **settings: str) -> AsyncIterator[Reins]:
        """A process that is connected, and gone when the block ends.

        Args:
            settings: Added to its environment.
        """
        reins = await self._new()
        try:
            await reins.begin(settings)
            yield reins
        finally:
            await reins.let_go()

    async def _new(self) -> Reins:
        if self._template is None:
            environment = {k: v for k, v in os.environ.items() if k not in OWN_SETTINGS}
            self._template = await Template.made(
                *("-m", "tests.kill_recover.program", self._url),
                cwd=ROOT,
                environment=environment,
            )
        log = self._logs / f"{next(self._count)}.log"
        with log.open("wb") as sink:
            return Reins(await self._template.fork(sink.fileno()), log)

    async def close(self) -> None:
        """Let the template go."""
        if self._template is not None:
            await self._template.end()
