"""Processes that are forked from a template, as those who asked for them hold them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio import Future, StreamReader, StreamWriter
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path

from tests.kill_recover.template import MOST


class Fork:
    """A child of the template.

    Args:
        pid: Of the process.
        stdout: What it says.
        stdin: What it is told.
    """

    def __init__(self, pid: int, stdout: StreamReader, stdin: StreamWriter) -> None:
        """It lives."""
        self.pid = pid
        self.stdout = stdout
        self.stdin = stdin
        self.returncode: int | None = None
        """As :mod:`subprocess` has it; None while it lives, as far as is known."""
        self._stands = asyncio.Event()
        self._ended = asyncio.Event()

    def told(self, code: int | None) -> None:
        """Take in what became of it.

        Args:
            code: With which it ended; None if it stands still.
        """
        self._stands.set()
        if code is not None:
            self.returncode = code
            self._ended.set()

    async def wait(self) -> int:
        """Wait until it has ended; its code."""
        await self._ended.wait()
        assert self.returncode is not None, "it has ended"
        return self.returncode

    async def stands(self) -> None:
        """Wait until it stands still, or has ended."""
        await self._stands.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal.

        Raises:
            ProcessLookupError: It has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError
        if number == signal.SIGCONT:
            self._stands.clear()
        os.kill(self.pid, number)


class Template:
    """The process that the others are forked from.

    Args:
        process: Itself.
        link: To it.
    """

    def __init__(self, process: Process, link: socket.socket) -> None:
        """Nobody was forked yet."""
        self._process = process
        self._link = link
        self._forks: dict[int, Fork] = {}
        self._births: list[tuple[StreamReader, StreamWriter, Future[Fork]]] = []
        asyncio.get_running_loop().add_reader(link, self._hear)

    @classmethod
    async def made(
        cls, *words: str, cwd: Path, environment: Mapping[str, str]
    ) -> Template:
        """Start one.

        Args:
            words: Its command line, after the interpreter; the number of the link is
                added.
            cwd: Where it is to run.
            environment: What it is to find around it.
        """
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *words, str(its.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                cwd=cwd,
                env=environment,
                pass_fds=[its.fileno()],
            )
        ours.setblocking(False)
        return cls(process, ours)

    async def fork(self, log: int) -> Fork:
        """A new process.

        Args:
            log: The file that it writes its stderr to.
        """
        born: Future[Fork] = asyncio.get_running_loop().create_future()
        ours, its = socket.socketpair()
        with its:
            streams = await asyncio.open_connection(sock=ours)
            self._births.append((*streams, born))
            socket.send_fds(self._link, [b"fork"], [its.fileno(), log])
        return await born

    def _hear(self) -> None:
        message = self._link.recv(MOST)
        if not message:
            asyncio.get_running_loop().remove_reader(self._link)
            return
        told = json.loads(message)
        pid = told["pid"]
        if set(told) == {"pid"}:
            reader, writer, born = self._births.pop(0)
            self._forks[pid] = Fork(pid, reader, writer)
            born.set_result(self._forks[pid])
        else:
            self._forks[pid].told(told.get("code"))

    async def end(self) -> None:
        """Let it go."""
        asyncio.get_running_loop().remove_reader(self._link)
        self._link.close()
        await self._process.wait()
