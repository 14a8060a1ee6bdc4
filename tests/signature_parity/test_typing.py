"""Type checkers see in dbosify what they see in temporalio."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.signature_parity.upstream import exports, load, public_modules

ROOT = Path(__file__).resolve().parents[2]

PROGRAMS = sorted((Path(__file__).parent / "typing").glob("*.py"))

MYPY = ("mypy", "--config-file", "pyproject.toml")

CHECKERS = [
    pytest.param(MYPY, id="mypy"),
    pytest.param(
        ("pyright",),
        id="pyright",
        marks=pytest.mark.skipif(
            shutil.which("node") is None, reason="pyright needs node"
        ),
    ),
]

COMPLAINT = re.compile(r"^ *(\S+\.py):(\d+)[: ].*(?:error|warning): (.*)")

Complaints = dict[str, dict[int, str]]
"""What a type checker says of each program's lines."""


def imports_of_every_name(package: str) -> str:
    """Writes a program that imports all a package offers, one name on a line."""
    names = [
        f"{path} import {name}"
        for path in public_modules()
        if not isinstance(module := load(f"temporalio{path}"), str)
        for name in exports(module)
    ]
    return "".join(f"from {package}{name} as n{i}\n" for i, name in enumerate(names))


@pytest.fixture(scope="module", params=CHECKERS)
def complaints(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Complaints:
    """Runs a type checker once, over all programs."""
    folder = tmp_path_factory.mktemp("typing")
    for package in ("dbosify", "temporalio"):
        program = imports_of_every_name(package)
        (folder / f"all_of_{package}.py").write_text(program, encoding="utf-8")
    files = [*PROGRAMS, *folder.iterdir()]
    done = subprocess.run(
        [sys.executable, "-m", *request.param, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: Complaints = {file.stem: {} for file in files}
    for line in done.stdout.splitlines():
        # Mistakes of dbosify itself are not what these programs are about.
        if (match := COMPLAINT.match(line)) and Path(match[1]).stem in found:
            found[Path(match[1]).stem][int(match[2])] = match[3]
    return found


def test_a_right_program_has_no_mistakes(complaints: Complaints) -> None:
    assert complaints["right"] == {}


def test_all_mistakes_of_a_wrong_program_are_found(complaints: Complaints) -> None:
    assert complaints["wrong"] == {}


def test_each_name_is_as_visible_as_in_temporalio(complaints: Complaints) -> None:
    ours, theirs = complaints["all_of_dbosify"], complaints["all_of_temporalio"]
    assert theirs, "modules without __all__ also hold names they only imported"
    assert ours.keys() == theirs.keys()
