"""What is in the tree, so that the rules need not know how to find it."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]

GENERATED = ("dbosify/api/", "dbosify/contrib/")
"""Written by a script from the SDK: the rules hold for the script."""

_SCRATCH = frozenset({"__pycache__", "build", "dist", "node_modules", "venv"})
_SHOWN_IN_SPITE_OF_THE_DOT = frozenset({".ci", ".github"})


@dataclass(frozen=True, slots=True)
class Module:
    """A Python file.

    Attributes:
        path: From the root, with slashes.
        text: What is in it.
        tree: The same, parsed.
    """

    path: str
    text: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        """Whether it belongs to the tests."""
        return self.path.startswith("tests/")

    @property
    def lines(self) -> int:
        """How long it is."""
        return len(self.text.splitlines())

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """All functions with their dotted names, the inner ones too."""
        return _functions(self.tree, "")


def _functions(
    node: ast.AST, prefix: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{prefix}{child.name}."
            yield name[:-1], child
        elif isinstance(child, ast.ClassDef):
            name = f"{prefix}{child.name}."
        yield from _functions(child, name)


@functools.cache
def files() -> tuple[str, ...]:
    """Every file that belongs to the project, from the root, with slashes."""
    found = []
    for directory, children, names in os.walk(ROOT):
        children[:] = [child for child in children if _belongs(Path(directory, child))]
        found += [
            Path(directory, name).relative_to(ROOT).as_posix()
            for name in names
            # In a second checkout `.git` is a file, and says where the first one is.
            if not name.endswith(".pyc") and name != ".git"
        ]
    return tuple(sorted(found))


def _belongs(directory: Path) -> bool:
    name = directory.name
    if name in _SHOWN_IN_SPITE_OF_THE_DOT:
        return True
    scratch = name in _SCRATCH or name.endswith(".egg-info")
    # An environment may have any name, but it says what it is.
    return not (scratch or name.startswith(".") or (directory / "pyvenv.cfg").exists())


@functools.cache
def modules() -> tuple[Module, ...]:
    """Every Python file that somebody wrote."""
    return tuple(
        Module(path, text, ast.parse(text, path))
        for path in files()
        if path.endswith(".py") and not path.startswith(GENERATED)
        for text in [ROOT.joinpath(path).read_text()]
    )


def library() -> list[Module]:
    """The Python files of dbosify, without the generated ones."""
    return [module for module in modules() if module.path.startswith("dbosify/")]
