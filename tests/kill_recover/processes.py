"""The reins of a process of this suite: orders, signals, and how it ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tests

ROOT = Path(tests.__file__).parent.parent

STARTUP_PATIENCE = 30.0
"""Seconds for a process to import everything and connect, beside several others."""

END_PATIENCE = 15.0
"""Seconds for a process to end when it should, or to stop at its fault point."""

OWN_SETTINGS = ("DBOSIFY_FAULT", "DBOSIFY_LEASE_SECONDS")
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

    @staticmethod
    async def take(
        module: str, *arguments: str, log: Path, settings: dict[str, str]
    ) -> Reins:
        """Start a module of this package as a process.

        Args:
            module: Its name inside the package.
            arguments: Of its command line.
            log: Where its stderr goes.
            settings: Added to the environment.
        """
        inherited = {k: v for k, v in os.environ.items() if k not in OWN_SETTINGS}
        with log.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"tests.kill_recover.{module}",
                *arguments,
                stdin=PIPE,
                stdout=PIPE,
                stderr=sink,
                cwd=ROOT,
                env=inherited | settings,
            )
        return Reins(process, log)

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
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(order).encode() + b"\n")
                await self._process.stdin.drain()
            except ConnectionError:
                raise GoneError from None
            return await self._answer()

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
        assert found is not None
        assert found.si_code == os.CLD_STOPPED, f"ended: {self.said}"

    async def dismiss(self) -> None:
        """Close its stdin, by which it knows to end; wait until it has.

        Raises:
            AssertionError: It goes on, or ended with an error.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = await self._ended()
        assert code == 0, f"ended with {code}: {self.said}"

    async def _ended(self) -> int:
        try:
            return await asyncio.wait_for(self._process.wait(), END_PATIENCE)
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
