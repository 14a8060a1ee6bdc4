"""A worker process with the options that everybody has who sets none."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dbosify.client import Client
from dbosify.worker import Worker

QUEUE = "mass"

_CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a process, in MiB."""

    now: float
    peak: float


@dataclass(frozen=True, slots=True)
class Process:
    """A worker process that has begun to work."""

    process: asyncio.subprocess.Process

    def memory(self) -> Memory:
        """Resident memory, as Linux tells it."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = dict(line.split(":", 1) for line in text.splitlines())
        now, peak = (int(found[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return Memory(now, peak)


@asynccontextmanager
async def worker_process(url: str) -> AsyncIterator[Process]:
    """A worker in a process of its own, told to go in the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.mass.worker", url),
        stdout=subprocess.PIPE,
        cwd=_CHECKOUT,
    )
    try:
        assert process.stdout is not None
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError("the worker process did not begin")
        yield Process(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _serve(url: str) -> None:
    from bench.mass.workflows import Long, Waits

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        await Client.connect(url) as client,
        Worker(client, task_queue=QUEUE, workflows=[Waits, Long]),
    ):
        os.write(1, b"ready\n")
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
