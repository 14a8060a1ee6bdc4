"""The manifests of ported tests and programs name only what exists."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings tomli along where the standard library has no tomllib
    import tomli as tomllib

_ROOT = Path(__file__).parents[3]
_TESTS = _ROOT / "tests"
_MANIFESTS = (
    _TESTS / "ported_temporal" / "manifest.toml",
    _TESTS / "samples_ported" / "manifest.toml",
)
_WAYS = {
    "ported_temporal": {"tests", "by_construction", "not_applicable"},
    "samples_ported": {"tests", "not_applicable", "waiting"},
}

of_each = pytest.mark.parametrize("path", _MANIFESTS, ids=lambda path: path.parent.name)


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@of_each
def test_everything_upstream_is_accounted_for_in_one_way(path: Path) -> None:
    ways = _WAYS[path.parent.name]
    odd = {
        name
        for name, entry in _entries(path).items()
        if len(entry) != 1 or not ways & set(entry)
    }
    assert not odd


@of_each
def test_every_test_named_exists(path: Path) -> None:
    named = {
        test for entry in _entries(path).values() for test in entry.get("tests", ())
    }
    files = {test.partition("::")[0] for test in named}
    known = {
        f"{file}::{function}" for file in files for function in _functions(_ROOT / file)
    }
    missing = {test for test in named if test.partition("[")[0] not in known}
    assert not missing
