"""What becomes of sets of compatible build ids."""

import pytest

from dbosify._model import version_sets
from dbosify._model.version_sets import Exists, Unknown

SETS = [["1.0", "1.1"], ["2.0"]]


def test_a_new_default_is_a_set_of_its_own() -> None:
    assert version_sets.add_default(SETS, "3.0") == [*SETS, ["3.0"]]
    assert version_sets.add_default([], "1.0") == [["1.0"]]


def test_what_is_the_default_already_stays_so() -> None:
    assert version_sets.add_default(SETS, "2.0") == SETS
    with pytest.raises(Exists, match=r"^version 1\.0 already exists$"):
        version_sets.add_default(SETS, "1.0")


def test_a_compatible_one_is_the_default_of_its_set() -> None:
    added = version_sets.add_compatible(SETS, "1.2", existing="1.0", default=False)
    assert added == [["1.0", "1.1", "1.2"], ["2.0"]]
    again = version_sets.add_compatible(added, "1.2", existing="1.0", default=False)
    assert again == added


def test_its_set_may_become_the_default() -> None:
    added = version_sets.add_compatible(SETS, "1.2", existing="1.0", default=True)
    assert added == [["2.0"], ["1.0", "1.1", "1.2"]]
    assert added == version_sets.add_compatible(
        added, "1.2", existing="1.0", default=True
    )


def test_a_compatible_one_must_be_new_and_have_a_set() -> None:
    with pytest.raises(Unknown, match="targeted compatible_version zz not found"):
        version_sets.add_compatible(SETS, "1.2", existing="zz", default=False)
    with pytest.raises(Exists, match="both versions exist and are incompatible"):
        version_sets.add_compatible(SETS, "2.0", existing="1.0", default=False)


def test_sets_and_ids_are_promoted_to_the_end() -> None:
    assert version_sets.promote_set(SETS, "1.0") == [["2.0"], ["1.0", "1.1"]]
    assert version_sets.promote_within(SETS, "1.0") == [["1.1", "1.0"], ["2.0"]]
    for promote in (version_sets.promote_set, version_sets.promote_within):
        with pytest.raises(Unknown, match="targeted version zz not found"):
            promote(SETS, "zz")


def test_a_merged_set_keeps_the_default_of_the_first() -> None:
    assert version_sets.merge(SETS, "1.0", "2.0") == [["1.0", "2.0", "1.1"]]
    assert version_sets.merge(SETS, "2.0", "1.1") == [["1.0", "1.1", "2.0"]]
    assert version_sets.merge(SETS, "1.0", "1.1") == SETS
