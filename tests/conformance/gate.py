"""Which figures may not get worse, and what must hold whatever they were."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.report import Report, figures

FALL = frozenset({"missing", "failing", "rejected", "listed_deviations"})
"""They may only go down."""

RISE = frozenset({"passing", "on_server", "covered"})
"""They may only go up."""

MUST_BE_NONE = frozenset({"failing", "failing_on_server", "rejected"})
"""Whatever they were."""

JUDGED = 0.95
"""The least share of closed runs that the oracle has to judge."""


def complaints(new: Report, old: Report | None) -> Iterator[str]:
    """What is wrong with a report.

    Args:
        new: The report.
        old: The one that it is measured by.
    """
    yield from _whatever_was(new)
    after = dict(figures(new))
    for name, before in figures(old or {}):
        kind = name.rpartition(".")[2]
        now = after.get(name, 0)
        if kind in FALL and now > before:
            yield f"{name} was {before} and is {now}"
        # A port that turns out to need none is no loss.
        if kind in RISE and now + _spared(after, name) < before + _spared(old, name):
            yield f"{name} was {before} and is only {now}"


def _spared(source: Report | dict[str, int] | None, name: str) -> int:
    group = name.rpartition(".")[0]
    known = dict(figures(source or {}))
    spared = ("by_construction", "not_applicable")
    return sum(known.get(f"{group}.{kind}", 0) for kind in spared)


def _whatever_was(report: Report) -> Iterator[str]:
    for name, figure in figures(report):
        if name.rpartition(".")[2] in MUST_BE_NONE and figure:
            yield f"{name} is {figure}"
    oracle = report["oracle"]
    if oracle["accepted"] < JUDGED * oracle["closed_runs"]:
        yield (
            f"the oracle accepted {oracle['accepted']} of {oracle['closed_runs']}"
            f" closed runs, which is less than {JUDGED:.0%}"
        )
