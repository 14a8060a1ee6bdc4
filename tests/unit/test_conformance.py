"""The report counts what there is, and no figure gets worse unseen."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from tests import reported
from tests.conformance import accounts, gate, outcomes, report, surfaces
from tests.conformance.accounts import Account
from tests.conformance.outcomes import Outcome
from tests.conformance.report import Report

JUNIT = """\
<testsuites><testsuite>
<testcase classname="tests.area.test_one" name="test_passes[a]"/>
<testcase classname="tests.area.test_one" name="test_passes[b]"/>
<testcase classname="tests.area.test_one" name="test_fails"><failure/></testcase>
<testcase classname="tests.area.test_one" name="test_breaks_later"/>
<testcase classname="tests.area.test_one" name="test_breaks_later"><error/></testcase>
<testcase classname="tests.area.test_one" name="test_waits">
<skipped message="dbosify does not have updates yet"/></testcase>
<testcase classname="tests.area.test_one" name="test_of_the_other">
<skipped message="only against temporal: it asks the server"/></testcase>
</testsuite></testsuites>
"""

SMALL: Report = {
    "sdk": "1",
    "postgres": "a test's",
    "total": {"upstream": 9, "passing": 5, "not_applicable": 1, "missing": 3},
    "areas": {"updates": {"upstream": 9, "passing": 5, "missing": 3}},
    "samples": {"upstream": 2, "passing": 1, "waiting": 0, "missing": 1},
    "rpcs": {"upstream": 3, "covered": 2, "missing": 1},
    "commands": {"upstream": 3, "covered": 2, "missing": 1},
    "jobs": {"upstream": 3, "covered": 2, "missing": 1},
    "names": {"upstream": 3, "covered": 2, "listed_deviations": 1},
    "oracle": {"closed_runs": 100, "accepted": 98, "rejected": 0},
    "missing": {"tests": ["tests/test_a.py::test_b"], "rpcs": []},
}


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, Outcome]:
    """What pytest wrote, as it is read."""
    file = tmp_path / "junit.xml"
    file.write_text(JUNIT, encoding="utf-8")
    return outcomes.read(file)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("test_passes", "passed"),
        ("test_passes[a]", "passed"),
        ("test_fails", "failed"),
        ("test_breaks_later", "failed"),
        ("test_waits", "waiting"),
        ("test_of_the_other", "elsewhere"),
        ("test_that_did_not_run", "waiting"),
        ("test_passes[c]", "waiting"),
    ],
)
def test_a_port_comes_to_what_its_tests_come_to(
    seen: dict[str, Outcome], named: str, expected: str
) -> None:
    assert outcomes.of([f"tests/area/test_one.py::{named}"], seen) == expected


def test_several_tests_have_to_pass_all(seen: dict[str, Outcome]) -> None:
    names = [f"tests/area/test_one.py::test_{name}" for name in ("passes", "fails")]
    assert outcomes.of(names, seen) == "failed"


def test_each_way_of_accounting_is_counted(seen: dict[str, Outcome]) -> None:
    account = Account()
    for entry in (
        {"tests": ["tests/area/test_one.py::test_passes"]},
        {"tests": ["tests/area/test_one.py::test_fails"]},
        {"tests": ["tests/area/test_one.py::test_waits"]},
        {"by_construction": "the SDK's own"},
        {"not_applicable": "no such thing"},
        {"waiting": "a package"},
        {},
    ):
        account.add(entry, seen)
    assert account == Account(
        upstream=7,
        ported=3,
        passing=1,
        failing=1,
        waiting=1,
        by_construction=1,
        not_applicable=1,
        missing=2,
    )


def test_the_manifest_names_only_what_upstream_has() -> None:
    assert accounts.unknown() == []


def test_no_test_of_upstream_is_listed_twice() -> None:
    assert len(accounts.upstream()) == len(set(accounts.upstream()))


def test_the_seams_are_counted_whole() -> None:
    for figures in (surfaces.rpcs(), surfaces.commands(), surfaces.jobs()):
        kinds = ("covered", "not_applicable", "missing")
        assert figures["upstream"] == sum(figures.get(kind, 0) for kind in kinds)
        assert figures["covered"] > 0


def test_the_names_of_the_sdk_are_all_there() -> None:
    assert surfaces.names()["missing"] == 0


def changed(group: str, **figures: int) -> Report:
    """The small report, with other figures."""
    another = copy.deepcopy(SMALL)
    another[group].update(figures)
    return another


def test_the_same_report_is_good() -> None:
    assert list(gate.complaints(SMALL, SMALL)) == []


def test_the_first_report_is_measured_by_nothing() -> None:
    assert list(gate.complaints(SMALL, None)) == []


@pytest.mark.parametrize(
    ("worse", "complaint"),
    [
        (changed("total", passing=4), "total.passing was 5 and is only 4"),
        (changed("total", missing=4), "total.missing was 3 and is 4"),
        (changed("rpcs", covered=1), "rpcs.covered was 2 and is only 1"),
        (changed("samples", failing=1), "samples.failing is 1"),
        (changed("oracle", rejected=1), "oracle.rejected is 1"),
        (
            changed("oracle", accepted=94),
            "the oracle accepted 94 of 100 closed runs, which is less than 95%",
        ),
    ],
)
def test_a_worse_figure_is_refused(worse: Report, complaint: str) -> None:
    assert complaint in list(gate.complaints(worse, SMALL))


def test_an_area_that_is_gone_is_refused() -> None:
    assert list(gate.complaints({**SMALL, "areas": {}}, SMALL)) == [
        "areas.updates.passing was 5 and is only 0"
    ]


def test_a_port_that_turns_out_to_need_none_is_no_loss() -> None:
    another = changed("total", passing=4, not_applicable=2)
    assert list(gate.complaints(another, SMALL)) == []


def test_the_figures_of_the_server_stay_until_they_are_measured_again() -> None:
    older, newer = changed("total", on_server=5), copy.deepcopy(SMALL)
    assert report.keep_server(newer, older)["total"]["on_server"] == 5


def test_the_page_shows_each_area_and_what_is_missing() -> None:
    page = report.page(SMALL)
    assert "| updates | 9 |" in page
    assert "- `tests/test_a.py::test_b`" in page
    assert "Missing rpcs" not in page


def test_the_page_shows_what_passes_on_another_postgres() -> None:
    measured = changed("samples", failing=0)
    measured["total"]["failing"] = 0
    another = {**copy.deepcopy(measured), "postgres": "a container"}
    both = report.with_another_postgres(measured, another)
    assert "| a container | 5 | 1 | 0 | 100 | 98 | 0 |" in report.page(both)
    kept = report.keep_others(measured, both)
    assert report.page(kept) == report.page(both)
    assert report.keep_others(another, both)["beside"] == {}


def test_the_page_is_that_of_its_data() -> None:
    kept = report.load()
    assert kept is not None
    assert report.PAGE.read_text(encoding="utf-8") == report.page(kept)
    assert report.JSON.read_text(encoding="utf-8") == json.dumps(kept, indent=1) + "\n"
    assert reported.get(report.README, "conformance") == report.summary(kept)


def test_a_document_without_a_place_for_a_report_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- one: begin -->\n<!-- one: end -->\nafter\n")
    reported.put(document, "one", "old\n")
    reported.put(document, "one", "new\n")
    assert reported.get(document, "one") == "new\n"
    assert document.read_text().startswith("before\n")
    assert document.read_text().endswith("after\n")
    with pytest.raises(ValueError, match="lacks the lines between which two stands"):
        reported.put(document, "two", "")
