"""What a soak found, as a part of a document."""

from __future__ import annotations

import os
import platform
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kill_recover.soak import Outcome


def of(outcome: Outcome, *, minutes: float, members: int) -> str:
    """The report, in Markdown."""
    worst = f"{max(outcome.takeovers):.1f} s" if outcome.takeovers else "none"
    figures = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": _machine(),
        "worker processes": members,
        "seed": outcome.seed,
        "time": f"{outcome.seconds / 60:.0f} min",
        "faults": outcome.faults.total(),
        "journeys": outcome.journeys.total(),
        "lost": len(outcome.lost),
        "doubled": len(outcome.doubled),
        "worst takeover": worst,
        "slowest journey": f"{outcome.slowest:.0f} s",
    }
    command = f"nox -s soak -- --minutes {minutes:g} --seed {outcome.seed}"
    tables = [
        _table("", figures),
        _table("fault", dict(sorted(outcome.faults.items()))),
        _table("journey", dict(sorted(outcome.journeys.items()))),
    ]
    wrong = [f"- {text}" for text in (*outcome.lost, *outcome.doubled)]
    return "\n".join([f"`{command}`\n", *tables, *wrong, ""])


def _table(title: str, rows: dict[str, object]) -> str:
    lines = [f"| {title} | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {k} | {v} |" for k, v in rows.items()), ""])


def _machine() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return (
        f"{os.cpu_count()} cores, {pages * size / 2**30:.0f} GiB,"
        f" {platform.system()} {platform.machine()},"
        f" Python {platform.python_version()}"
    )
