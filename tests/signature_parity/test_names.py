"""Every public module and name of temporalio is in dbosify, and is the same object."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.signature_parity.upstream import DEVIATIONS, exports, load, public_modules

ROOT = Path(__file__).resolve().parents[2]

MODULES = public_modules()

BROUGHT_ALONG = """
import importlib, sys, types
for name in sys.argv[1:]:
    theirs = importlib.import_module(f"temporalio.{name}")
    ours = importlib.import_module(f"dbosify.{name}")
    for child, value in vars(theirs).items():
        path = f"{name}.{child}"
        if isinstance(value, types.ModuleType) and not child.startswith("_"):
            if value.__name__ == f"temporalio.{path}":
                assert getattr(ours, child).__name__ == f"dbosify.{path}", path
"""
"""Needs an interpreter of its own: importing a submodule leaves it in its package."""


def shared_exports() -> Iterator[tuple[str, object, object]]:
    """Pairs what each name stands for in dbosify and in temporalio."""
    for path in MODULES:
        ours, theirs = load(f"dbosify{path}"), load(f"temporalio{path}")
        if isinstance(ours, str) or isinstance(theirs, str):
            continue
        for name, value in exports(theirs).items():
            yield f"{path}.{name}".strip("."), getattr(ours, name, None), value


@pytest.mark.parametrize("path", MODULES)
def test_each_public_module_has_a_namesake_with_all_its_names(path: str) -> None:
    ours, theirs = load(f"dbosify{path}"), load(f"temporalio{path}")
    if isinstance(theirs, str):
        assert ours == theirs, "an integration that isn't installed says so"
        return
    assert not isinstance(ours, str), ours
    assert ours.__doc__
    assert exports(theirs).keys() <= vars(ours).keys()


def is_namesake(ours: object, theirs: object) -> bool:
    """Whether both are modules, of one name but for the package."""
    names = [getattr(each, "__name__", "") for each in (ours, theirs)]
    both = isinstance(ours, ModuleType) and isinstance(theirs, ModuleType)
    return both and names[0].partition(".")[2] == names[1].partition(".")[2]


def test_all_names_but_the_listed_ones_are_the_same_objects() -> None:
    different = {
        path
        for path, ours, theirs in shared_exports()
        if ours is not theirs and not is_namesake(ours, theirs)
    }
    assert different == DEVIATIONS.keys()


def test_packages_bring_the_submodules_along_that_upstream_brings() -> None:
    # Anything of temporalio loads much of its api; no program may count on which.
    areas = [path[1:] for path in MODULES if path.count(".") == 1 and path != ".api"]
    script = [sys.executable, "-c", BROUGHT_ALONG, *areas]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_generated_files_are_fresh() -> None:
    script = [sys.executable, "scripts/generate_face.py", "--check"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
