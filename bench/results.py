"""What a run of the benchmark found, as data.

Engines run in processes of their own, so everything here has to survive the trip
through JSON unchanged.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Transactions:
    """How many Postgres transactions an activity costs."""

    activities: int
    committed: float
    """Commits per activity, reads among them, without those of the idle engine."""
    writing: float
    """Of these, the ones that were given a transaction id: they wrote something."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row on one peer: its samples, or why there are none."""

    samples: tuple[float, ...] = ()
    transactions: Transactions | None = None
    error: str | None = None

    @property
    def median(self) -> float | None:
        """The sample in the middle, if there is any."""
        return statistics.median(self.samples) if self.samples else None


Findings = Mapping[str, Mapping[str, Measurement]]
"""Measurements by peer and row."""


@dataclass(frozen=True, slots=True)
class Results:
    """Everything a report is made of."""

    quick: bool
    machine: Mapping[str, Any]
    findings: Findings = field(default_factory=dict)

    def median(self, peer: str, row: str) -> float | None:
        """The median of a row on a peer, if both took part and it worked."""
        measurement = self.findings.get(peer, {}).get(row)
        return measurement.median if measurement else None

    def transactions(self, peer: str, row: str) -> Transactions | None:
        """The transactions counted in a row on a peer, if they were."""
        measurement = self.findings.get(peer, {}).get(row)
        return measurement.transactions if measurement else None

    @property
    def errors(self) -> list[str]:
        """What went wrong, one line for each row of each peer."""
        return [
            f"{peer}, {row}: {measurement.error}"
            for peer, rows in self.findings.items()
            for row, measurement in rows.items()
            if measurement.error is not None
        ]

    def to_json(self) -> dict[str, Any]:
        """The raw numbers, with the medians for readers without a calculator."""
        return {
            "mode": "quick" if self.quick else "full",
            "machine": dict(self.machine),
            "findings": {
                peer: {
                    row: {**dataclasses.asdict(found), "median": found.median}
                    for row, found in rows.items()
                }
                for peer, rows in self.findings.items()
            },
        }


def to_json(measurement: Measurement) -> dict[str, Any]:
    """Prepare a measurement for its way out of the engine's process."""
    return dataclasses.asdict(measurement)


def from_json(value: Mapping[str, Any]) -> Measurement:
    """Read what `to_json` made."""
    transactions = value["transactions"]
    return Measurement(
        samples=tuple(value["samples"]),
        transactions=Transactions(**transactions) if transactions else None,
        error=value["error"],
    )
