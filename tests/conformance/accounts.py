"""Which of upstream's tests and samples are accounted for, and how.

`upstream.toml` says which tests there are, the two manifests what became of each. A
manifest that names what upstream does not have is refused: its figure would be wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tests.conformance import outcomes
from tests.conformance.outcomes import Outcomes

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings tomli along where the standard library has no tomllib
    import tomli as tomllib

TESTS = Path(__file__).parents[1]
UPSTREAM = Path(__file__).with_name("upstream.toml")
PORTED = TESTS / "ported_temporal" / "manifest.toml"
SAMPLES = TESTS / "samples_ported" / "manifest.toml"

ROOTS = ("tests/ported_temporal", "tests/samples_ported")
"""The ports."""


@dataclass(slots=True)
class Account:
    """What became of some of upstream's tests or samples.

    Attributes:
        upstream: How many there are.
        semantic: Those of them that are about what a program sees.
        ported: Those that tests of ours stand for.
        passing: Those whose tests pass.
        waiting: Those whose tests wait for a feature, or did not run.
        failing: Those with a test that fails.
        by_construction: Those about objects of the SDK that dbosify does not touch.
        not_applicable: Those about what dbosify does not have, for a reason.
        missing: The rest.
    """

    upstream: int = 0
    semantic: int = 0
    ported: int = 0
    passing: int = 0
    waiting: int = 0
    failing: int = 0
    by_construction: int = 0
    not_applicable: int = 0
    missing: int = 0

    def __iadd__(self, other: Account) -> Account:
        """Count the others too."""
        for field in fields(self):
            both = getattr(self, field.name) + getattr(other, field.name)
            setattr(self, field.name, both)
        return self

    def add(self, entry: Mapping[str, Any], seen: Outcomes) -> None:
        """Count one, as its manifest has it."""
        self.upstream += 1
        if "tests" in entry:
            self.ported += 1
            found = outcomes.of(entry["tests"], seen)
            if found == "passed":
                self.passing += 1
            elif found == "failed":
                self.failing += 1
            else:
                self.waiting += 1
        elif "by_construction" in entry:
            self.by_construction += 1
        elif "not_applicable" in entry:
            self.not_applicable += 1
        else:
            self.missing += 1


def load(path: Path) -> dict[str, dict[str, Any]]:
    """A manifest, or the list of what there is."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def areas(seen: Outcomes) -> dict[str, Account]:
    """The account of each area of upstream's tests."""
    manifest = load(PORTED)
    found: dict[str, Account] = {}
    for area, kinds in load(UPSTREAM).items():
        account = found[area] = Account(semantic=len(kinds.get("semantic", ())))
        for name in _names(kinds):
            account.add(manifest.get(name, {}), seen)
    return found


def samples(seen: Outcomes) -> Account:
    """The account of Temporal's samples; one that waits for something is missing."""
    account = Account()
    for entry in load(SAMPLES).values():
        account.add(entry, seen)
    return account


def unaccounted() -> list[str]:
    """Upstream's tests about which the manifest says nothing."""
    return sorted(set(upstream()) - load(PORTED).keys())


def unknown() -> list[str]:
    """What the manifest names and upstream does not have."""
    return sorted(load(PORTED).keys() - set(upstream()))


def upstream() -> list[str]:
    """All of upstream's tests."""
    return [name for kinds in load(UPSTREAM).values() for name in _names(kinds)]


def suites(against: str) -> list[str]:
    """What to run: the ports, and of the other tests those that the manifests name.

    Those others are about dbosify itself: Temporal's server is not asked.
    """
    named = {
        name.partition("[")[0]
        for path in (PORTED, SAMPLES)
        for entry in load(path).values()
        for name in entry.get("tests", ())
    }
    beyond = {name for name in named if not name.startswith(ROOTS)}
    return [*ROOTS, *(sorted(beyond) if against == "dbosify" else ())]


def total(accounts: Iterable[Account]) -> Account:
    """All accounts in one."""
    everything = Account()
    for account in accounts:
        everything += account
    return everything


def _names(kinds: Mapping[str, Any]) -> Iterator[str]:
    for names in kinds.values():
        yield from names
