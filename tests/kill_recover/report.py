"""What a soak found, as a part of a document."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kill_recover.soak import Outcome

BEGIN, END = "<!-- soak: begin -->\n", "<!-- soak: end -->\n"
"""Between these lines of the document it stands, written by nobody's hand."""


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


def put(document: Path, text: str) -> None:
    """Replace the report in a document.

    Raises:
        ValueError: It has no place for one.
    """
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{document} lacks the lines between which the report stands")
    document.write_text(before + BEGIN + text + END + after, encoding="utf-8")
