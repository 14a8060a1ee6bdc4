"""What the documents say of the tree is true of the tree."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fix_postgres import FreshDatabase
from tests.unit.repo.sources import ROOT, files, modules

DOCUMENTS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "docs/differences.md")

DIFFERENCES = "tests/unit/face/test_differences.py"

NAME_OF_A_FILE = r"[`(]([\w./-]+(?:\.(?:py|sql|md|toml)|/))[`):]"

SECONDS = 50.0


def text_of(path: str) -> str:
    return ROOT.joinpath(path).read_text()


def names_of_tests(path: str) -> set[str]:
    """The names of the tests in a file, wherever in `tests/` it is."""
    [module] = [m for m in modules() if m.is_test and f"/{m.path}".endswith(f"/{path}")]
    return {
        node.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def rows_of_differences() -> list[list[str]]:
    """The cells of each row of the table, without its head."""
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text_of("docs/differences.md").splitlines()
        if line.startswith("|")
    ]
    return rows[2:]


@pytest.mark.parametrize("row", rows_of_differences(), ids=lambda row: row[0][:40])
def test_a_difference_is_shown_by_a_test(row: list[str]) -> None:
    _, _, shown_by = row
    names = re.findall(r"`([^`]+)`", shown_by)
    assert names
    for name in names:
        path, _, test = name.rpartition("::")
        assert test in names_of_tests(path or DIFFERENCES)


def test_every_test_of_a_difference_is_named() -> None:
    document = text_of("docs/differences.md")
    assert not [name for name in names_of_tests(DIFFERENCES) if name not in document]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_files_that_exist(document: str) -> None:
    known = [*files()]
    # A directory is known by what is in it.
    known += [f"{parent}/" for path in files() for parent in Path(path).parents]
    named = re.findall(NAME_OF_A_FILE, text_of(document))
    assert not [
        name
        for name in named
        if not any(f"/{path}".endswith(f"/{name}") for path in known)
    ]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_sessions_that_exist(document: str) -> None:
    sessions = re.findall(r"@nox\.session\ndef (\w+)", text_of("noxfile.py"))
    named = re.findall(r"nox -s (\w+)", text_of(document))
    assert {*named} <= {*sessions}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_links_to_what_exists(document: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text_of(document))
    base = ROOT.joinpath(document).parent
    assert not [link for link in links if not base.joinpath(link).exists()]


def test_the_program_of_the_readme_runs(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    [program] = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)
    file = tmp_path / "hello.py"
    file.write_text(program)
    done = subprocess.run(
        [sys.executable, str(file)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DBOS_SYSTEM_DATABASE_URL": fresh_database(),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Hello, World!\n", "")
