"""Each promise of docs/security.md and docs/reliability.md names a test that exists."""

from __future__ import annotations

import re

import pytest

from tests.unit.face.test_docs import names_of_tests
from tests.unit.repo.sources import ROOT

PAGES = ("docs/security.md", "docs/reliability.md")
PROMISES = [
    line.strip("| ").split(" | ")
    for page in PAGES
    for line in (ROOT / page).read_text().splitlines()
    if line.startswith("| ") and "::" in line
]


def test_there_are_promises() -> None:
    assert len(PROMISES) > 5


@pytest.mark.parametrize("promise", PROMISES, ids=lambda row: row[0][:40])
def test_a_promise_is_shown_by_a_test(promise: list[str]) -> None:
    _, shown_by = promise
    names = re.findall(r"`([^`]+)`", shown_by)
    assert names
    for name in names:
        path, _, test = name.partition("::")
        assert test in names_of_tests(path)
