"""The reins of a process of this suite: orders, signals, and how it ended."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import tests

ROOT = Path(tests.__file__).parent.parent

STARTUP_PATIENCE = 60.0
"""Seconds for a process to import everything and connect, beside several others."""

END_PATIENCE = 15.0
"""Seconds for a process to end when it should, or to stop at its fault point."""

RESERVE = 4
"""Processes that wait for their turn: about as many as a test takes."""

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
        process: Started with pipes.
        log: The file with what it writes to stderr.
    """

    def __init__(self, process: Process, log: Path) -> None:
        """Take hold of it."""
        self._process = process
        self._log = log
        self._turn = asyncio.Lock()

    async def begin(self, settings: dict[str, str]) -> None:
        """Let it come out of the reserve.

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
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(content).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError:
            raise GoneError from None

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), STARTUP_PATIENCE)
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
        wanted = os.WSTOPPED | os.WEXITED | os.WNOWAIT
        waiting = asyncio.to_thread(os.waitid, os.P_PID, self.pid, wanted)
        try:
            found = await asyncio.wait_for(waiting, END_PATIENCE)
        except asyncio.TimeoutError:
            raise AssertionError(f"was not stopped: {self.said}") from None
        except ChildProcessError:
            found = None  # ended, and somebody else has noticed
        stopped = found is not None and found.si_code == os.CLD_STOPPED
        assert stopped, f"ended: {self.said}"

    async def dismiss(self, patience: float = END_PATIENCE) -> None:
        """Close its stdin, by which it knows to end; wait until it has.

        Args:
            patience: Seconds that it may take.

        Raises:
            AssertionError: It goes on, or ended with an error.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
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
            self._process.kill()
            await self._process.wait()

    @property
    def said(self) -> str:
        """The end of what it wrote to stderr."""
        return self._log.read_text(errors="replace")[-3000:]


class Stable:
    """Keeps processes in reserve, so that nobody waits while one imports everything.

    Args:
        url: Of the database.
        logs: The directory for what they write to stderr.
    """

    def __init__(self, url: str, logs: Path) -> None:
        """Begin with none."""
        self._url = url
        self._logs = logs
        self._reserve: deque[Reins] = deque()
        self._count = itertools.count(1)

    @asynccontextmanager
    async def process(self, **settings: str) -> AsyncIterator[Reins]:
        """A process that is connected, and gone when the block ends.

        Args:
            settings: Added to its environment.
        """
        await self._breed(RESERVE + 1)
        reins = self._reserve.popleft()
        try:
            await reins.begin(settings)
            yield reins
        finally:
            await reins.let_go()

    async def _breed(self, wanted: int) -> None:
        while len(self._reserve) < wanted:
            self._reserve.append(await self._new())

    async def _new(self) -> Reins:
        log = self._logs / f"{next(self._count)}.log"
        environment = {k: v for k, v in os.environ.items() if k not in OWN_SETTINGS}
        with log.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.kill_recover.program",
                self._url,
                stdin=PIPE,
                stdout=PIPE,
                stderr=sink,
                cwd=ROOT,
                env=environment,
            )
        return Reins(process, log)

    async def close(self) -> None:
        """Let the reserve go."""
        while self._reserve:
            await self._reserve.popleft().let_go()
