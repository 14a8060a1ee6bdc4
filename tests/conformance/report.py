"""The report as data, and as the page that people read.

Figures are named with dots (`areas.updates.passing`), so that two reports compare
figure by figure whatever else changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from tests import reported
from tests.conformance import accounts, surfaces
from tests.conformance.outcomes import Outcomes
from tests.oracle.verdicts import NEVER_RAN

Report: TypeAlias = dict[str, Any]

ROOT = Path(__file__).parents[2]
JSON = ROOT / "docs" / "conformance.json"
PAGE = ROOT / "docs" / "conformance.md"
README = ROOT / "README.md"

COLUMNS = (
    "upstream",
    "semantic",
    "ported",
    "passing",
    "on_server",
    "waiting",
    "by_construction",
    "not_applicable",
    "missing",
)

INTRODUCTION = """\
# Conformance

How much of Temporal's Python SDK and server dbosify is, as counted by `nox -s
conformance`. The page is written by that session, which fails when a figure gets worse.

- *upstream*: tests of Temporal's Python SDK; *semantic* are those about what a program
  sees, the others are about single objects or the Rust core.
- *ported*: those that tests of dbosify stand for; *passing* on Postgres, *on server*
  passing on Temporal's development server, where it may try four times. A test that
  only makes sense on one of the two counts there only.
- *waiting*: ported, and skipped until a feature is built.
- *by construction*: about objects of the SDK that dbosify does not touch.
- *not applicable*: about what dbosify does not have; each has its reason in
  `tests/ported_temporal/manifest.toml`.
- *missing*: nobody has said what becomes of them.
"""


def made(seen: Outcomes, oracle: Mapping[str, Any], postgres: str) -> Report:
    """The report of a run on Postgres.

    Args:
        seen: What became of each test.
        oracle: What the replay oracle wrote.
        postgres: On which Postgres.
    """
    areas = accounts.areas(seen)
    figures = {name: asdict(account) for name, account in areas.items()}
    return {
        "sdk": version("temporalio"),
        "postgres": postgres,
        "total": asdict(accounts.total(areas.values())),
        "areas": figures,
        "samples": _without_semantic(asdict(accounts.samples(seen))),
        "rpcs": surfaces.rpcs(),
        "commands": surfaces.commands(),
        "jobs": surfaces.jobs(),
        "names": surfaces.names(),
        "oracle": _judged(oracle),
        "missing": {
            "tests": accounts.unaccounted(),
            "rpcs": surfaces.missing_rpcs(),
            "commands and jobs": surfaces.missing_commands_and_jobs(),
        },
    }


def with_server(report: Report, seen: Outcomes) -> Report:
    """The report, with what passes on Temporal's server."""
    asked = {
        test: outcome
        for test, outcome in seen.items()
        if test.startswith(accounts.ROOTS)
    }
    found = accounts.areas(asked)
    for area, account in found.items():
        report["areas"].setdefault(area, {})["on_server"] = account.passing
    everything = accounts.total(found.values())
    samples = accounts.samples(asked)
    report["total"]["on_server"] = everything.passing
    report["samples"]["on_server"] = samples.passing
    report["failing_on_server"] = everything.failing + samples.failing
    return report


def keep_server(report: Report, older: Report) -> Report:
    """The report, with the figures of the server that an older one has."""
    groups = [(report[name], older[name]) for name in ("total", "samples")]
    for area, account in report["areas"].items():
        groups.append((account, older["areas"].get(area, {})))
    for new, old in groups:
        if "on_server" in old:
            new["on_server"] = old["on_server"]
    report["failing_on_server"] = older.get("failing_on_server", 0)
    return report


def with_another_postgres(report: Report, other: Report) -> Report:
    """The report, with what another one found on its Postgres."""
    beside = {**report.get("beside", {}), other["postgres"]: _on_postgres(other)}
    beside.pop(report["postgres"], None)
    return {**report, "beside": beside}


def keep_others(report: Report, older: Report) -> Report:
    """The report, with what an older one knows of other Postgres servers."""
    beside = dict(older.get("beside", {}))
    beside.pop(report["postgres"], None)
    return {**report, "beside": beside}


def _on_postgres(report: Report) -> dict[str, int]:
    """The figures that may depend on the Postgres."""
    oracle = report["oracle"]
    return {
        "passing": report["total"]["passing"],
        "samples": report["samples"]["passing"],
        "failing": report["total"]["failing"] + report["samples"]["failing"],
        "closed_runs": oracle["closed_runs"],
        "accepted": oracle["accepted"],
        "rejected": oracle["rejected"],
    }


def _without_semantic(account: dict[str, int]) -> dict[str, int]:
    return {name: figure for name, figure in account.items() if name != "semantic"}


def _judged(oracle: Mapping[str, Any]) -> dict[str, int]:
    # What never ran has nothing to replay.
    closed = [
        run
        for run in oracle.get("runs", ())
        if run["closed"] and run["reason"] != NEVER_RAN
    ]
    return {
        "closed_runs": len(closed),
        "accepted": sum(run["outcome"] == "accepted" for run in closed),
        "rejected": int(oracle.get("rejected", 0)),
    }


def figures(report: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, int]]:
    """All numbers of a report, each under its dotted name."""
    for name, value in report.items():
        here = f"{path}.{name}".lstrip(".")
        if isinstance(value, dict):
            yield from figures(value, here)
        elif isinstance(value, int):
            yield here, value


def load(path: Path = JSON) -> Report | None:
    """The last report, if there is one."""
    if not path.exists():
        return None
    report: Report = json.loads(path.read_text(encoding="utf-8"))
    return report


def write(report: Report) -> None:
    """Write the page, the data beside it, and the figures in the README."""
    JSON.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(report), encoding="utf-8")
    reported.put(README, "conformance", summary(report))


def summary(report: Report) -> str:
    """What the README says of it."""
    total, samples, oracle = report["total"], report["samples"], report["oracle"]
    ported, passing, on_server = total["ported"], total["passing"], total["on_server"]
    runnable = samples["upstream"] - samples["not_applicable"]
    lines = (
        f"- {total['upstream']} tests of Temporal's Python SDK:",
        f"  - {ported} ported, of which {passing} pass, and {on_server} on Temporal's"
        " own server as well (the others make sense here only),",
        f"  - {total['by_construction']} about objects of the SDK that are used as they"
        " are,",
        f"  - {total['not_applicable']} about what there is not without its Rust core"
        " or server;",
        f"- {samples['passing']} of the {runnable} samples that can be run;",
        f"- {report['rpcs']['covered']} RPCs, {report['names']['covered']} names of the"
        " SDK;",
        f"- {oracle['accepted']} of {oracle['closed_runs']} closed runs accepted by the"
        " official replayer.",
    )
    return "\n".join(lines) + "\n"


def page(report: Report) -> str:
    """The report as Markdown."""
    areas = {**report["areas"], "all": report["total"]}
    lines = [
        INTRODUCTION,
        f"temporalio {report['sdk']}; Postgres: {report['postgres']}.\n",
        "## Temporal's tests\n",
        _row("area", *(column.replace("_", " ") for column in COLUMNS)),
        _row("---", *("---:" for _ in COLUMNS)),
        *(_row(area, *_cells(account)) for area, account in areas.items()),
        "\n## The rest\n",
        *_others(report),
        *_servers(report),
    ]
    for kind, names in report["missing"].items():
        if names:
            lines += [f"\n## Missing {kind}\n", *(f"- `{name}`" for name in names)]
    return "\n".join(lines) + "\n"


def _others(report: Report) -> Iterator[str]:
    yield _row("", "upstream", "covered", "not applicable", "missing")
    yield _row("---", *["---:"] * 4)
    samples = {
        **report["samples"],
        "covered": report["samples"]["passing"],
        "missing": report["samples"]["missing"] + report["samples"]["waiting"],
    }
    for title, group in (
        ("samples", samples),
        ("RPCs", report["rpcs"]),
        ("commands of workflows", report["commands"]),
        ("jobs of activations", report["jobs"]),
        ("names of the SDK", report["names"]),
    ):
        columns = ("upstream", "covered", "not_applicable", "missing")
        yield _row(title, *(str(group.get(column, "")) for column in columns))
    oracle = report["oracle"]
    yield (
        f"\nOf {oracle['closed_runs']} closed runs the official replayer accepted"
        f" {oracle['accepted']} and rejected {oracle['rejected']}; the others are"
        " made not to replay. All names of the SDK but"
        f" {report['names']['listed_deviations']} are its own objects."
    )


def _servers(report: Report) -> Iterator[str]:
    if not report.get("beside"):
        return
    columns = ("passing", "samples", "failing", "closed_runs", "accepted", "rejected")
    yield "\n## On which Postgres\n"
    yield "The figures above are those of the first.\n"
    yield _row("Postgres", *(column.replace("_", " ") for column in columns))
    yield _row("---", *("---:" for _ in columns))
    servers = {report["postgres"]: _on_postgres(report), **report.get("beside", {})}
    for server, found in servers.items():
        yield _row(server, *(str(found.get(column, "")) for column in columns))


def _cells(account: Mapping[str, int]) -> Iterator[str]:
    for column in COLUMNS:
        yield str(account.get(column, ""))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
