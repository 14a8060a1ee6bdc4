"""The command: `python -m bench` measures, prints a table and writes the report.

Only a complete, full-length run replaces the published results; a part of one would put
numbers of different days side by side.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.machine import describe_machine
from bench.peers.face import PEERS, STANDARD_PEERS
from bench.report import markdown, terminal_table
from bench.results import Results
from bench.rows import ROWS
from bench.session import Session

_HERE = Path(__file__).resolve().parent


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        wanted = text.split(",")
        for name in wanted:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"{name!r} is none of {', '.join(known)}"
                )
        # In the order of the report, which is also the order of the run.
        return [name for name in known if name in wanted]

    return names


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few short rounds: checks the harness, measures nothing",
    )
    parser.add_argument(
        "--peers",
        type=_some_of([*PEERS]),
        default=STANDARD_PEERS,
        metavar="NAME,…",
        help=f"some of {', '.join(PEERS)} (default: all but the unthrottled)",
    )
    parser.add_argument(
        "--rows",
        type=_some_of([*ROWS]),
        default=[*ROWS],
        metavar="NAME,…",
        help=f"some of {', '.join(ROWS)} (default: all)",
    )
    parser.add_argument(
        "--postgres",
        metavar="URL",
        help="a Postgres to make databases in, instead of the embedded one",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        help="where databases and files go (default: the system's temporary directory)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="write results.json and RESULTS.md there, however much was run",
    )
    return parser.parse_args(arguments)


def _measure(options: argparse.Namespace) -> Results:
    with tempfile.TemporaryDirectory(
        prefix="bench-", dir=options.data_dir, ignore_cleanup_errors=True
    ) as directory:
        scratch = Path(directory)
        session = Session(
            rows=options.rows,
            quick=options.quick,
            postgres_url=options.postgres,
            scratch=scratch,
        )
        findings = {}
        for peer in options.peers:
            print(f"{PEERS[peer].title} …", file=sys.stderr, flush=True)
            findings[peer] = session.run_peer(peer)
        machine = describe_machine(scratch, session.postgres_facts)
    return Results(quick=options.quick, machine=machine, findings=findings)


def _destination(options: argparse.Namespace) -> Path | None:
    if options.output is not None:
        return Path(options.output)
    complete = {*options.peers} >= {*STANDARD_PEERS} and options.rows == [*ROWS]
    return _HERE if complete and not options.quick else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status tells whether it worked, never how fast."""
    options = _parse(arguments)
    # Die as on Ctrl-C, so that the servers started here don't outlive us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    results = _measure(options)
    print(terminal_table(results))
    for error in results.errors:
        print(f"failed: {error}", file=sys.stderr)
    destination = _destination(options)
    if destination is not None:
        destination.mkdir(parents=True, exist_ok=True)
        raw = json.dumps(results.to_json(), indent=1, ensure_ascii=False)
        (destination / "results.json").write_text(raw + "\n")
        (destination / "RESULTS.md").write_text(markdown(results))
    return 1 if results.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
