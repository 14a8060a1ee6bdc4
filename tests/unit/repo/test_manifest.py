"""The manifest of ported tests names only what exists."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings tomli along where the standard library has no tomllib
    import tomli as tomllib

_ROOT = Path(__file__).parents[3]
_MANIFEST = _ROOT / "tests" / "ported_temporal" / "manifest.toml"


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_upstream_test_is_accounted_for_in_one_way() -> None:
    manifest = tomllib.loads(_MANIFEST.read_text(encoding="utf-8"))
    ways = {"tests", "by_construction", "not_applicable"}
    odd = {name for name, entry in manifest.items() if len(ways & set(entry)) != 1}
    assert not odd


def test_every_test_named_exists() -> None:
    manifest = tomllib.loads(_MANIFEST.read_text(encoding="utf-8"))
    named = {test for entry in manifest.values() for test in entry.get("tests", ())}
    files = {test.partition("::")[0] for test in named}
    known = {
        f"{file}::{function}" for file in files for function in _functions(_ROOT / file)
    }
    missing = {test for test in named if test.partition("[")[0] not in known}
    assert not missing
