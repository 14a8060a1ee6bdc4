"""How much of the machine is in use, read from Linux's own files.

Where they are missing (macOS, Windows) the load average stands for the processors and
memory counts as free: slots are then bounded by their maximum. A container's own limit
on memory counts, as it does for Temporal's core.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """What is in use, each from 0 to 1."""

    memory: float
    cpu: float


class Gauge:
    """Measures; the use of processors is that since the last time.

    Args:
        proc: where the kernel shows itself.
        cgroup: where it shows the limits of this container.
    """

    def __init__(
        self,
        proc: Path = Path("/proc"),
        cgroup: Path = Path("/sys/fs/cgroup"),
    ) -> None:
        self._proc = proc
        self._cgroup = cgroup
        self._busy, self._total = 0, 0
        self._cpu()

    def measure(self) -> Usage:
        """What is in use now."""
        return Usage(max(self._memory(), self._container_memory()), self._cpu())

    def _memory(self) -> float:
        lines = _read(self._proc / "meminfo").splitlines()
        sizes = {key: int(rest.split()[0]) for key, _, rest in _parts(lines)}
        total = sizes.get("MemTotal", 0)
        return 1 - sizes.get("MemAvailable", total) / total if total else 0.0

    def _container_memory(self) -> float:
        limit = _read(self._cgroup / "memory.max").strip()
        used = _read(self._cgroup / "memory.current").strip()
        return int(used) / int(limit) if limit.isdigit() and used.isdigit() else 0.0

    def _cpu(self) -> float:
        first = _read(self._proc / "stat").partition("\n")[0].split()[1:9]
        if len(first) < 5:
            return _load()
        ticks = [int(number) for number in first]
        total = sum(ticks)
        busy = total - ticks[3] - ticks[4]  # idle, and waiting for a disk
        spent, self._total = total - self._total, total
        worked, self._busy = busy - self._busy, busy
        return worked / spent if spent > 0 else 0.0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


def _parts(lines: list[str]) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in lines if ":" in line]


def _load() -> float:
    if not hasattr(os, "getloadavg"):
        return 0.0
    return min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
