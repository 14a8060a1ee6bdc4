"""The checks of this repository: `nox` before a commit, `nox -s tests` before a merge.

All sessions share one environment, `.nox/environment`. It is made on first use and
again when `pyproject.toml` has changed, so that from the second run on nothing is
spent on installing. Nothing is needed besides Python, pip and nox.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
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

IN_PARALLEL = ("-n", "auto", "--maxprocesses", "4")
"""More processes than these only wait for the one Postgres."""

MOSTLY_WAITING = ("-n", "4")
"""For tests that wait more than they compute, also where there are fewer processors."""

ENVIRONMENTS = (
    "tests/unit/face/test_abandoned.py",
    "tests/unit/face/test_differences.py",
    "tests/unit/face/test_hello_example.py",
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


def install(session: nox.Session) -> None:
    """Make the environment unless the one that is there will do."""
    wanted = hashlib.sha256(PROJECT.read_bytes() + sys.version.encode()).hexdigest()
    stamp = ENVIRONMENT / "made-for"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    groups = nox.project.dependency_groups(
        nox.project.load_toml(PROJECT), "dev", "conformance"
    )
    python = str(BIN / "python")
    session.run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))
    session.run(
        *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("-e", ".[embedded]", *groups),
    )
    stamp.write_text(wanted)


def run(
    session: nox.Session,
    program: str,
    *arguments: str,
    success_codes: tuple[int, ...] = (0,),
) -> None:
    """Run a program of the environment, with the environment first on the path."""
    install(session)
    started = time.monotonic()
    session.run(
        str(BIN / program),
        *arguments,
        env={
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(ENVIRONMENT),
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
def conformance(session: nox.Session) -> None:
    """What users of Temporal rely on; `-- --against temporal` asks the real server.

    Writes docs/conformance.md, and fails if a figure is worse than it was. With other
    arguments it only runs the tests.
    """
    install(session)
    if {*session.posargs} - {"--against", "temporal", "dbosify"}:
        test(session, *MOSTLY_WAITING, "tests/ported_temporal", "tests/samples_ported")
        return
    program = ("-m", "tests.conformance")
    against = "temporal" if "temporal" in session.posargs else "dbosify"
    asked = (*program, "--suites", "--against", against)
    suites = session.run(str(BIN / "python"), *asked, silent=True)
    found = ROOT / ".nox" / against
    junit, oracle, postgres = (
        str(found.with_suffix(suffix)) for suffix in (".xml", ".json", ".txt")
    )
    run(
        session,
        *("python", "-m", "pytest", *MOSTLY_WAITING, f"--junitxml={junit}"),
        *(f"--oracle-report={oracle}", f"--postgres-report={postgres}"),
        *(*str(suites).split(), *session.posargs),
        # What fails is in the report, and the report says so in the end.
        success_codes=(0, 1),
    )
    run(
        session,
        *("python", *program, "--against", against),
        *("--junit", junit, "--oracle", oracle, "--postgres", postgres),
    )


@nox.session
def kill_recover(session: nox.Session) -> None:
    """Workers killed at every point that matters."""
    test(session, *IN_PARALLEL, "tests/kill_recover")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests."""
    test(session, *IN_PARALLEL, "tests")


@nox.session
def verifytypes(session: nox.Session) -> None:
    """How complete the public types are; needs Node.js, which it may download."""
    run(session, "pyright", "--verifytypes", "dbosify", "--ignoreexternal")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against Temporal's server and plain DBOS."""
    run(session, "python", "-m", "bench", *session.posargs)
