"""A program that breaks off while its worker works ends, and says why."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.fix_postgres import FreshDatabase
from tests.unit.repo.sources import ROOT

SECONDS = 30.0
"""The program takes two; before, it took for ever."""


@pytest.mark.parametrize("kind", ["nothing", "activity", "local activity"])
def test_an_error_ends_the_program(fresh_database: FreshDatabase, kind: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.face.abandoned", fresh_database(), kind],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 1
    assert f"left with {kind}, working.done()=False" in ended.stderr
