"""What must not be in the tree, wherever it would be convenient."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.unit.repo.sources import ROOT, Module, files, library, modules

PICKLES = frozenset(
    {"cloudpickle", "dill", "jsonpickle", "marshal", "pickle", "shelve"}
)
CLOCK_READERS = frozenset({"now", "today", "utcnow"})
SLEEPERS = frozenset({"asyncio", "time"})

# The brackets keep this very file from being a find.
TRACES = re.compile(
    r"(?<![\w.])/(?:home|root|work|Users)/[\w.]"
    r"|\b(?:cl[a]ude|ch[a]tgpt|c[o]pilot|c[o]dex)\b"
    r"|\b(?:ported|copied|adapted) from\b",
    re.IGNORECASE,
)
"""Where and with what the work was done, or that it is someone else's."""


def test_nothing_names_the_machine_or_the_tools_it_was_written_with() -> None:
    traces = [
        f"{path}:{number}: {found.group()}"
        for path in files()
        for number, line in enumerate(text_of(path).splitlines(), start=1)
        if (found := TRACES.search(line))
    ]
    assert not traces


def text_of(path: str) -> str:
    """What is in a file, as far as it is text."""
    return ROOT.joinpath(path).read_text(errors="replace")


def test_the_library_never_pickles() -> None:
    # Unpickling runs what somebody wrote into the database.
    assert not [
        f"{module.path} imports {name}"
        for module in library()
        for name in imported(module)
        if name.partition(".")[0] in PICKLES
    ]


def imported(module: Module) -> Iterator[str]:
    """The modules that a module imports, wherever it does."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_the_core_reads_no_clock() -> None:
    # `datetime` itself is welcome there, so the import contracts cannot say this.
    assert not [
        f"{module.path}:{node.lineno}"
        for module in library()
        if module.path.startswith(("dbosify/_core/", "dbosify/_model/"))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_READERS
    ]


def test_unit_tests_never_sleep() -> None:
    # They wait for what is to come, with tests.waiting; a workflow's sleep is a timer.
    assert not [
        f"{module.path}:{line}"
        for module in modules()
        if module.path.startswith("tests/unit/")
        for line in sleeps(module.tree)
    ]


def sleeps(node: ast.AST) -> Iterator[int]:
    """The lines on which a sleep is called or imported, outside of workflows."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and is_workflow(child):
            continue
        if (
            isinstance(child, ast.Attribute)
            and child.attr == "sleep"
            and isinstance(child.value, ast.Name)
            and child.value.id in SLEEPERS
        ):
            yield child.lineno
        if isinstance(child, ast.ImportFrom) and child.module in SLEEPERS:
            yield from (child.lineno for name in child.names if name.name == "sleep")
        yield from sleeps(child)


def is_workflow(node: ast.ClassDef) -> bool:
    """Whether the class has the decorator of workflows."""
    return any("workflow.defn" in ast.unparse(each) for each in node.decorator_list)
