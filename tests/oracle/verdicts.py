"""What the oracle found, as plain data that travels between processes and to disk.

Nothing is left out of the count: a run that could not be judged is listed with the
reason, since an oracle that silently skips proves nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Outcome: TypeAlias = Literal["accepted", "rejected", "not judged"]

NOT_YET_RUN = "open, no workflow task completed yet"
NEVER_RAN = "closed before a workflow task ever completed"
NO_CODE = "no worker of the test serves the workflow type"
DELETED = "deleted by the test"
TEST_FAILED = "the test had failed already"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one run.

    Attributes:
        workflow_id: Of the run.
        run_id: Of the run.
        outcome: Whether the Replayer accepted the history, if it was asked.
        workflow_type: Empty if the history was never read.
        reason: Why it was rejected (Temporal's words) or not judged.
        events: How long the history is.
        closed: Whether the run had ended; what there is of an open one is judged too.
    """

    workflow_id: str
    run_id: str
    outcome: Outcome
    workflow_type: str = ""
    reason: str = ""
    events: int = 0
    closed: bool = False

    def __str__(self) -> str:
        """One sentence for a person."""
        name = self.workflow_type or "workflow"
        said = f": {self.reason}" if self.reason else ""
        return f"{name} {self.workflow_id} (run {self.run_id}) {self.outcome}{said}"


class Tally:
    """All verdicts of a session, whichever process they came from."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: list[tuple[str, Verdict]] = []

    def add(self, test: str, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Take the verdicts that a test's report carried."""
        self._found += [(test, Verdict(**fields)) for fields in verdicts]

    def __len__(self) -> int:
        """How many runs were seen."""
        return len(self._found)

    def _with(self, outcome: Outcome) -> list[tuple[str, Verdict]]:
        return [
            (test, found) for test, found in self._found if found.outcome == outcome
        ]

    def lines(self) -> Iterator[str]:
        """The summary for the end of pytest's output."""
        accepted, rejected = self._with("accepted"), self._with("rejected")
        spared = self._with("not judged")
        judged = accepted + rejected
        still_open = sum(not found.closed for _, found in judged)
        yield (
            f"{len(judged)} runs judged ({still_open} of them still open):"
            f" {len(accepted)} accepted, {len(rejected)} rejected;"
            f" {len(spared)} not judged"
        )
        reasons = Counter(found.reason for _, found in spared)
        for reason, count in reasons.most_common():
            yield f"  {count} not judged: {reason}"
        for test, found in rejected:
            yield f"  {test}: {found}"

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        spared = self._with("not judged")
        report = {
            "accepted": len(self._with("accepted")),
            "rejected": len(self._with("rejected")),
            "not_judged": dict(Counter(found.reason for _, found in spared)),
            "runs": [{"test": test, **asdict(found)} for test, found in self._found],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")
