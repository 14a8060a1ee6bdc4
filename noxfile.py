"""The checks of this repository: `nox` before a commit, `nox -s tests` before a merge.

All sessions share one environment, `.nox/environment`. It is made on first use and
again when `pyproject.toml` has changed, so that from the second run on nothing is
spent on installing. Nothing is needed besides Python, pip and nox.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
# An environment for each session would install the same packages eight times over.
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "imports", "unit"]

ROOT = Path(__file__).parent
PROJECT = ROOT / "pyproject.toml"
ENVIRONMENT = ROOT / ".nox" / "environment"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")

AGAINST = (("--against", "temporal"), ("--against", "dbosify"))
BESIDE = tuple(("--postgres", way) for way in ("testcontainers", "embedded", "url"))
"""Arguments of the session `conformance` with which it writes a report."""

PLUGINS = ROOT / ".nox" / "plugins"
OLDEST = ROOT / ".nox" / "oldest"

IN_PARALLEL = ("-n", "auto", "--maxprocesses", "4")
"""More processes than these only wait for the one Postgres."""

MOSTLY_WAITING = ("-n", "4")
"""For tests that wait more than they compute, also where there are fewer processors."""

ON_OLDEST = (
    "tests/signature_parity",
    "tests/unit/face",
    "tests/unit/store",
    "tests/samples_ported/test_hello.py",
    "tests/ported_temporal/test_workflow_basic.py",
    "tests/ported_temporal/test_activities.py",
    "tests/ported_temporal/test_signals_queries.py",
    "tests/ported_temporal/test_updates.py",
    "tests/ported_temporal/test_timers.py",
    "tests/ported_temporal/test_visibility.py",
)
"""What shows that a release of what we depend on is one that we can depend on."""

DISASTERS = "tests/kill_recover/test_disasters.py"
"""Each keeps a fleet and a database of its own busy: too much for a machine that others
use, where its journeys miss their deadlines."""

FLEET = "tests/kill_recover/test_fleet.py"
"""It times what six processes do, so it has the machine to itself."""

ENVIRONMENTS = (
    "tests/unit/face/test_abandoned.py",
    "tests/unit/face/test_differences.py",
    "tests/unit/face/test_hello_example.py",
    "tests/unit/postgres",
    "tests/unit/security",
    "tests/unit/store/test_many_runs.py",
    "tests/unit/store/test_migrate.py",
    "tests/unit/test_embedded.py",
    "tests/unit/test_idle.py",
    "tests/unit/test_oracle.py",
    "tests/unit/test_schedules_in_skipped_time.py",
    "tests/unit/test_testing_environment.py",
    "tests/unit/test_time_skipping.py",
)
"""Unit tests that start servers, processes, databases or clocks of their own: a tenth
of them, and half of the time."""


def install(
    session: nox.Session,
    environment: Path = ENVIRONMENT,
    *,
    groups: Sequence[str] = ("dev", "conformance"),
    constraints: Sequence[str] = (),
) -> None:
    """Make an environment unless the one that is there will do.

    Args:
        session: Which runs pip.
        environment: Where.
        groups: The dependency groups of the project that it gets, besides the project.
        constraints: Releases that it must have of what it gets anyway.
    """
    asked = " ".join((sys.version, *groups, *constraints))
    wanted = hashlib.sha256(PROJECT.read_bytes() + asked.encode()).hexdigest()
    stamp = environment / "made-for"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    project = nox.project.load_toml(PROJECT)
    python = str(environment / BIN.name / "python")
    session.run(sys.executable, "-m", "venv", "--clear", str(environment))
    session.run(
        *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("-e", ".[embedded]", *constraints),
        *nox.project.dependency_groups(project, *groups),
    )
    stamp.write_text(wanted)


def run(
    session: nox.Session,
    program: str,
    *arguments: str,
    success_codes: tuple[int, ...] = (0,),
    environment: Path = ENVIRONMENT,
) -> None:
    """Run a program of an environment, with the environment first on the path."""
    if environment == ENVIRONMENT:
        install(session)
    started = time.monotonic()
    programs = environment / BIN.name
    session.run(
        str(programs / program),
        *arguments,
        env={
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(environment),
            # Compiling the SDK in each of the many processes would time nothing else.
            "PYTHONDONTWRITEBYTECODE": None,
        },
        success_codes=success_codes,
    )
    session.log(f"{program} took {time.monotonic() - started:.0f} s")


def test(session: nox.Session, *arguments: str) -> None:
    """Run pytest; what follows `--` on the command line comes last and wins."""
    run(session, "python", "-m", "pytest", *arguments, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, and generated files that are what their generator writes."""
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")
    run(session, "python", "scripts/generate_face.py", "--check")
    run(session, "python", "scripts/generate_rpcs.py", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly, in the library and in everything around it."""
    run(session, "mypy", *session.posargs)


@nox.session
def imports(session: nox.Session) -> None:
    """Who imports whom, as `.importlinter` has it."""
    run(session, "lint-imports")


@nox.session
def unit(session: nox.Session) -> None:
    """The tests of single parts, and those of the rules about the code."""
    others = [f"--ignore={path}" for path in ENVIRONMENTS]
    test(session, *IN_PARALLEL, "tests/unit", *others)


@nox.session
def environments(session: nox.Session) -> None:
    """The unit tests that need servers, databases or clocks of their own."""
    test(session, *IN_PARALLEL, *ENVIRONMENTS)


@nox.session
def parity(session: nox.Session) -> None:
    """Every name and signature of the SDK."""
    test(session, "tests/signature_parity")


@nox.session
def parity_range(session: nox.Session) -> None:
    """Names, signatures and basics on the oldest releases that the project allows.

    The newest are those in the environment of the other sessions.
    """
    oldest = tuple(_oldest(nox.project.load_toml(PROJECT)["project"]["dependencies"]))
    install(session, OLDEST, groups=("dev",), constraints=oldest)
    run(
        session,
        *("python", "-m", "pytest", *IN_PARALLEL, *ON_OLDEST, *session.posargs),
        environment=OLDEST,
    )


def _oldest(requirements: Sequence[str]) -> Iterator[str]:
    for requirement in requirements:
        found = re.match(r"([\w-]+(?:\[[\w,]+\])?)>=([\w.]+)", requirement)
        if found is None:
            raise ValueError(f"{requirement} has no oldest release")
        yield f"{found[1]}=={found[2]}"


@nox.session
def plugins(session: nox.Session) -> None:
    """The samples whose packages have an environment of their own."""
    _plugins(session, *session.posargs)


def _plugins(session: nox.Session, *arguments: str) -> None:
    install(session, PLUGINS, groups=("plugins",))
    run(
        session,
        *("python", "-m", "pytest", "-n", "2", "tests/samples_ported/plugins"),
        *arguments,
        success_codes=(0, 1) if arguments else (0,),
        environment=PLUGINS,
    )


@nox.session
def conformance(session: nox.Session) -> None:
    """What users of Temporal rely on; `-- --against temporal` asks the real server.

    Writes docs/conformance.md, and fails if a figure is worse than it was. With
    `-- --postgres testcontainers` it only adds what passes on that Postgres. With
    other arguments it only runs the tests.
    """
    install(session)
    asked = tuple(session.posargs)
    if asked not in ((), *BESIDE, *AGAINST):
        test(session, *MOSTLY_WAITING, "tests/ported_temporal", "tests/samples_ported")
        return
    against = ("--against", "temporal" if asked == AGAINST[0] else "dbosify")
    program = ("-m", "tests.conformance", *against)
    suites = session.run(str(BIN / "python"), *program, "--suites", silent=True)
    found = ROOT / ".nox" / "-".join(("conformance", *asked)).replace("--", "")
    junit, of_plugins, oracle, postgres = (
        f"{found}{suffix}" for suffix in (".xml", "-plugins.xml", ".json", ".txt")
    )
    run(
        session,
        *("python", "-m", "pytest", *MOSTLY_WAITING, f"--junitxml={junit}"),
        *(f"--oracle-report={oracle}", f"--postgres-report={postgres}"),
        *(*str(suites).split(), *asked),
        # What fails is in the report, and the report says so in the end.
        success_codes=(0, 1),
    )
    _plugins(session, f"--junitxml={of_plugins}", *asked)
    run(
        session,
        *("python", *program, *(("--beside",) if asked in BESIDE else ())),
        *("--junit", junit, "--junit", of_plugins),
        *("--oracle", oracle, "--postgres", postgres),
    )


@nox.session
def kill_recover(session: nox.Session) -> None:
    """Workers killed at every point that matters; then a fleet, by itself."""
    apart = [f"--ignore={path}" for path in (DISASTERS, FLEET)]
    test(session, *IN_PARALLEL, "tests/kill_recover", *apart)
    test(session, FLEET)


@nox.session
def disasters(session: nox.Session) -> None:
    """Every kind of journey while its processes, network and database fail."""
    test(session, "-n", "2", DISASTERS)


@nox.session
def soak(session: nox.Session) -> None:
    """Faults in a random order for `-- --minutes N`; the report goes into the docs."""
    report = ("--write", "docs/reliability.md")
    run(session, "python", "-m", "tests.kill_recover.soak", *report, *session.posargs)


@nox.session
def schedules_under_fire(session: nox.Session) -> None:
    """200 schedules a second for two minutes, while worker after worker is killed."""
    program = "tests.kill_recover.under_fire"
    run(session, "python", "-m", program, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests."""
    test(session, *IN_PARALLEL, "tests")


@nox.session
def mass(session: nox.Session) -> None:
    """What 100,000 runs that wait do to a worker; fails when a promise is broken."""
    run(session, "python", "-m", "bench.mass", *session.posargs)


@nox.session
def verifytypes(session: nox.Session) -> None:
    """How complete the public types are; needs Node.js, which it may download."""
    run(session, "pyright", "--verifytypes", "dbosify", "--ignoreexternal")


@nox.session
def audit(session: nox.Session) -> None:
    """Known holes in what we depend on; asks a database on the network."""
    environment = ROOT / ".nox" / "audit"
    session.run(sys.executable, "-m", "venv", "--clear", str(environment))
    python = str(environment / "bin" / "python")
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    session.run(python, *install, "pip-audit", ".[embedded]")
    session.run(python, "-m", "pip_audit", "--skip-editable", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against Temporal's server and plain DBOS."""
    run(session, "python", "-m", "bench", *session.posargs)
