"""The speed dbosify promises, held against what was measured.

A missed target is a line in the report and never an exit status: a busy machine must
not be able to fail a build.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.results import Results
from bench.rows import ROWS


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a target; nobody passes what was not measured."""

    shown: str
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Target:
    """One promise."""

    text: str
    judge: Callable[[Results], Verdict]


_UNMEASURED = Verdict("not measured", None)


def speedup(results: Results, row: str, *, ours: str, theirs: str) -> float | None:
    """How many times as fast `ours` is: above 1 is better, whatever the row's unit."""
    mine, other = results.median(ours, row), results.median(theirs, row)
    if not mine or not other:
        return None
    return mine / other if ROWS[row].kind == "rate" else other / mine


def _at_least(
    row: str, factor: float, than: str, *, ours: str = "dbosify"
) -> Callable[[Results], Verdict]:
    def judge(results: Results) -> Verdict:
        found = speedup(results, row, ours=ours, theirs=than)
        if found is None:
            return _UNMEASURED
        return Verdict(f"{found:.2f}×", found >= factor)

    return judge


def _time_at_most(row: str, factor: float, of: str) -> Callable[[Results], Verdict]:
    def judge(results: Results) -> Verdict:
        found = speedup(results, row, ours="dbosify", theirs=of)
        if found is None:
            return _UNMEASURED
        return Verdict(f"{1 / found:.2f}×", 1 / found <= factor)

    return judge


def _nowhere_slower(than: str) -> Callable[[Results], Verdict]:
    def judge(results: Results) -> Verdict:
        found = {
            row: factor
            for row in ROWS
            if (factor := speedup(results, row, ours="dbosify", theirs=than))
        }
        if not found:
            return _UNMEASURED
        worst = min(found, key=lambda row: found[row])
        passed = found[worst] >= 1
        # Rows left out could still be worse, so only all of them can pass.
        complete = len(found) == len(ROWS)
        return Verdict(
            f"{found[worst]:.2f}× at worst ({worst})",
            passed if complete or not passed else None,
        )

    return judge


def _transactions_at_most(row: str, limit: float) -> Callable[[Results], Verdict]:
    def judge(results: Results) -> Verdict:
        found = results.transactions("dbosify", row)
        if found is None:
            return _UNMEASURED
        return Verdict(f"{found.committed:.2f}", found.committed <= limit)

    return judge


TARGETS = (
    Target(
        "no row slower than Temporal's dev server in memory",
        _nowhere_slower("temporal-mem"),
    ),
    Target(
        "no-op: at least 4× as fast as Temporal's dev server on a file",
        _at_least("noop", 4, "temporal-file"),
    ),
    Target(
        "one activity: at least 8× as fast as Temporal's dev server on a file",
        _at_least("one-activity", 8, "temporal-file"),
    ),
    Target(
        "sequential activity: at most 1.2× the time of a raw DBOS step",
        _time_at_most("sequential", 1.2, "dbos"),
    ),
    Target(
        "200 parallel activities: at most 0.5× the time of raw DBOS",
        _time_at_most("parallel", 0.5, "dbos"),
    ),
    Target(
        "500 × 3: at least 3× the workflows/s of Temporal's dev server in memory",
        _at_least("many", 3, "temporal-mem"),
    ),
    Target(
        "500 × 3, unsandboxed: at least the workflows/s of raw DBOS",
        _at_least("many", 1, "dbos", ours="dbosify-unsandboxed"),
    ),
    Target(
        "50 sequential: at most 1.2 transactions per activity",
        _transactions_at_most("sequential", 1.2),
    ),
    Target(
        "500 × 3: at most 1.2 transactions per activity",
        _transactions_at_most("many", 1.2),
    ),
)
