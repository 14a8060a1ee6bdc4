"""A module says what it owns: by its name, and then by its first sentence."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath

from tests.unit.repo.sources import modules

SAYS_NOTHING = re.compile(r"(^|_)(utils?|helpers?|managers?|base|misc)$")


def test_every_module_opens_with_a_docstring() -> None:
    silent = [m.path for m in modules() if not ast.get_docstring(m.tree)]
    assert not silent


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = []
    for module in modules():
        *packages, stem = PurePosixPath(module.path).with_suffix("").parts
        vague += [name for name in (*packages, stem) if SAYS_NOTHING.search(name)]
    assert not vague
