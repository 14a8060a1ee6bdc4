"""What became of each test in a run, read from pytest's JUnit file.

An upstream test is ported to one test of ours or to several, each perhaps with many
parameters; what it comes to is decided here too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal[
    "passed", "failed", "waiting", "elsewhere", "skipped", "not run"
]
"""``waiting`` is for a feature that is not built, ``elsewhere`` for a test that makes
sense against the other backend only."""

Outcomes: TypeAlias = Mapping[str, Outcome]


def read(path: Path) -> dict[str, Outcome]:
    """The outcome of each test, by its id as pytest prints it."""
    found: dict[str, Outcome] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        module = case.get("classname", "").replace(".", "/")
        name = f"{module}.py::{case.get('name')}"
        # A test that passes and whose fixture then fails is written twice.
        found[name] = worst((found.get(name, "not run"), _outcome(case)))
    return found


def _outcome(case: ElementTree.Element) -> Outcome:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    if skipped is None:
        return "passed"
    reason = skipped.get("message", "")
    if reason.startswith("dbosify does not have"):
        return "waiting"
    return "elsewhere" if reason.startswith("only against") else "skipped"


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """What several tests come to together: each of them has to pass."""
    found = set(outcomes)
    order: tuple[Outcome, ...] = ("failed", "waiting", "skipped", "passed", "elsewhere")
    return next((outcome for outcome in order if outcome in found), "not run")


def of(named: Iterable[str], outcomes: Outcomes) -> Outcome:
    """What an upstream test comes to whose ports are named, with or without parameters.

    A name that the run does not know counts: the port has to have run.
    """
    return worst(_of_one(name, outcomes) for name in named)


def _of_one(name: str, outcomes: Outcomes) -> Outcome:
    if name in outcomes:
        return outcomes[name]
    cases = [found for test, found in outcomes.items() if test.startswith(f"{name}[")]
    # A test that was not run is as little proof as one that waits.
    return worst(cases) if cases else "waiting"
