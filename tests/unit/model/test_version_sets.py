"""Version sets, as the server changes them."""

from __future__ import annotations

import pytest

from dbosify._model import version_sets
from dbosify._model.version_sets import (
    MOST_BUILD_IDS,
    MOST_SETS,
    Contradiction,
    NoSuchBuildId,
    TooMany,
    VersionSets,
)
from dbosify.api.workflowservice.v1 import UpdateWorkerBuildIdCompatibilityRequest

SETS: VersionSets = (("1.0", "1.1"), ("2.0",), ("3.0", "3.1"))

Request = UpdateWorkerBuildIdCompatibilityRequest


def new_set(build_id: str) -> Request:
    return Request(add_new_build_id_in_new_default_set=build_id)


def compatible(build_id: str, beside: str, *, lead: bool = False) -> Request:
    return Request(
        add_new_compatible_build_id=Request.AddNewCompatibleVersion(
            new_build_id=build_id,
            existing_compatible_build_id=beside,
            make_set_default=lead,
        )
    )


def promote_set(build_id: str) -> Request:
    return Request(promote_set_by_build_id=build_id)


def promote(build_id: str) -> Request:
    return Request(promote_build_id_within_set=build_id)


def merge(primary: str, secondary: str) -> Request:
    return Request(
        merge_sets=Request.MergeSets(
            primary_set_build_id=primary, secondary_set_build_id=secondary
        )
    )


@pytest.mark.parametrize(
    ("before", "request_", "after"),
    [
        ((), new_set("1.0"), (("1.0",),)),
        ((("1.0",),), new_set("1.0"), (("1.0",),)),
        (SETS, new_set("4.0"), (*SETS, ("4.0",))),
        (SETS, compatible("2.1", "2.0"), (SETS[0], ("2.0", "2.1"), SETS[2])),
        (
            SETS,
            compatible("2.1", "2.0", lead=True),
            (SETS[0], SETS[2], ("2.0", "2.1")),
        ),
        (SETS, compatible("1.1", "1.0"), SETS),
        (SETS, compatible("3.1", "3.0", lead=True), SETS),
        (SETS, promote_set("1.0"), (SETS[1], SETS[2], SETS[0])),
        (SETS, promote_set("3.0"), SETS),
        (SETS, promote("1.0"), (("1.1", "1.0"), *SETS[1:])),
        (SETS, promote("1.1"), SETS),
        (SETS, merge("1.0", "2.0"), (("1.0", "2.0", "1.1"), SETS[2])),
        (SETS, merge("1.0", "3.0"), (SETS[1], ("1.0", "3.0", "3.1", "1.1"))),
        (SETS, merge("3.0", "1.0"), (SETS[1], ("1.0", "1.1", "3.0", "3.1"))),
        (SETS, merge("1.0", "1.1"), SETS),
    ],
)
def test_a_request_changes_the_sets(
    before: VersionSets, request_: Request, after: VersionSets
) -> None:
    assert version_sets.changed(before, request_) == after


@pytest.mark.parametrize(
    ("request_", "kind", "text"),
    [
        (new_set("1.0"), Contradiction, "version 1.0 already exists"),
        (
            compatible("x", "zz"),
            NoSuchBuildId,
            "targeted compatible_version zz not found",
        ),
        (
            compatible("2.0", "1.0"),
            Contradiction,
            "2.0 requested to be made compatible with 1.0 but both versions exist and"
            " are incompatible",
        ),
        (
            compatible("1.1", "1.0", lead=True),
            Contradiction,
            "version 1.1 already exists and is not default for queue",
        ),
        (
            compatible("1.0", "1.1"),
            Contradiction,
            "version 1.0 already exists and is not default in set",
        ),
        (promote_set("zz"), NoSuchBuildId, "targeted version zz not found"),
        (promote("zz"), NoSuchBuildId, "targeted version zz not found"),
        (merge("zz", "1.0"), NoSuchBuildId, "targeted primary version zz not found"),
        (merge("1.0", "zz"), NoSuchBuildId, "targeted secondary version zz not found"),
    ],
)
def test_a_request_is_refused(
    request_: Request, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as caught:
        version_sets.changed(SETS, request_)
    assert str(caught.value) == text


def test_a_queue_has_so_many_sets_and_no_more() -> None:
    full = tuple((f"{n}.0",) for n in range(MOST_SETS))
    with pytest.raises(TooMany, match=r"sets permitted in .* config \(11/10\)"):
        version_sets.changed(full, new_set("next"))


def test_a_queue_has_so_many_build_ids_and_no_more() -> None:
    full = (tuple(f"1.{n}" for n in range(MOST_BUILD_IDS)),)
    with pytest.raises(TooMany, match=r"build IDs permitted .* config \(101/100\)"):
        version_sets.changed(full, compatible("next", "1.0"))
