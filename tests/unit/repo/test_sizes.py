"""Nothing grows beyond what one can read in a sitting."""

from __future__ import annotations

import ast

from tests.unit.repo.sources import Module, modules

LONGEST_FILE = 600
LONGEST_TEST_FILE = 700
LONGEST_FUNCTION = 60

SIGNATURE_IS_TEMPORALS = frozenset(
    {
        "dbosify/client.py::Client.connect",
        "dbosify/testing.py::WorkflowEnvironment.start_local",
        "dbosify/testing.py::WorkflowEnvironment.start_time_skipping",
        "dbosify/worker/__init__.py::Worker.__init__",
    }
)
"""Their parameters alone fill a page and are not ours: only their bodies count."""


def test_no_file_is_longer_than_allowed() -> None:
    too_long = {
        module.path: module.lines
        for module in modules()
        if module.lines > (LONGEST_TEST_FILE if module.is_test else LONGEST_FILE)
    }
    assert not too_long


def test_no_function_is_longer_than_allowed() -> None:
    lengths = {
        f"{module.path}::{name}": length(module, name, function)
        for module in modules()
        if not module.is_test
        for name, function in module.functions()
    }
    too_long = {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION}
    assert not too_long


def test_each_exception_for_a_signature_is_still_needed() -> None:
    whole = {
        f"{module.path}::{name}": lines_of(function, function)
        for module in modules()
        for name, function in module.functions()
    }
    needed = {name for name in SIGNATURE_IS_TEMPORALS if whole[name] > LONGEST_FUNCTION}
    assert needed == SIGNATURE_IS_TEMPORALS


def length(
    module: Module, name: str, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> int:
    """How many lines of a function somebody has to read."""
    if f"{module.path}::{name}" not in SIGNATURE_IS_TEMPORALS:
        return lines_of(function, function)
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return lines_of(body[0], body[-1])


def lines_of(first: ast.stmt, last: ast.stmt) -> int:
    """How many lines there are from one statement to another."""
    assert last.end_lineno is not None
    return last.end_lineno - first.lineno + 1
