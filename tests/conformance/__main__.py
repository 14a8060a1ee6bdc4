"""`python -m tests.conformance`: the report of a run of pytest, and whether it is good.

`nox -s conformance` runs the tests and then this. The figures are measured by those
that are there already, in `docs/conformance.json`, and replaces them if none is worse.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.conformance import accounts, gate, outcomes, report


def main() -> int:
    """Read what a run left, print the report and write it."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance")
    parser.add_argument("--suites", action="store_true", help="print what to run")
    parser.add_argument("--against", default="dbosify")
    parser.add_argument("--junit", type=Path, action="append", default=[])
    parser.add_argument(
        "--beside",
        action="store_true",
        help="only add what passes on this Postgres, beside the others",
    )
    parser.add_argument("--oracle", type=Path)
    parser.add_argument("--postgres", type=Path)
    given = parser.parse_args()
    if given.suites:
        print("\n".join(accounts.suites(given.against)))
        return 0
    needed = [*given.junit] or [None]
    if given.against == "dbosify":
        needed += [given.oracle, given.postgres]
    if None in needed:
        parser.error("--junit is needed; for dbosify --oracle and --postgres as well")
    seen: dict[str, outcomes.Outcome] = {}
    for junit in given.junit:
        seen.update(outcomes.read(junit))
    return _measure(given, seen)


def _measure(given: argparse.Namespace, seen: dict[str, outcomes.Outcome]) -> int:
    old = report.load()
    if given.against == "dbosify":
        oracle = json.loads(given.oracle.read_text(encoding="utf-8"))
        new = report.made(seen, oracle, given.postgres.read_text(encoding="utf-8"))
        if given.beside:
            new = report.with_another_postgres(old or new, new)
        elif old is not None:
            new = report.keep_others(report.keep_server(new, old), old)
    elif old is None:
        print("there is no report yet: run against dbosify first", file=sys.stderr)
        return 1
    else:
        new = report.with_server(report.load() or {}, seen)
    print(report.page(new))
    wrong = [
        *gate.complaints(new, old),
        *(f"{name} is no test of upstream's" for name in accounts.unknown()),
        *(f"{name} failed" for name, outcome in seen.items() if outcome == "failed"),
    ]
    for complaint in wrong:
        print(f"conformance: {complaint}", file=sys.stderr)
    if wrong:
        return 1
    report.write(new)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
