"""What is stored of an activity."""

from __future__ import annotations

import pytest

from dbosify._model.activity import AttemptState, rank
from dbosify._model.protos import Priority


def test_the_numbers_of_states_never_change() -> None:
    # Rows of older releases hold them.
    assert {state.name: state.value for state in AttemptState} == {
        "SCHEDULED": 1,
        "STARTED": 2,
        "BACKOFF": 3,
        "OVER": 4,
    }


@pytest.mark.parametrize(("key", "place"), [(0, 0), (1, -2), (3, 0), (5, 2)])
def test_a_lower_key_comes_first_and_none_is_the_middle(key: int, place: int) -> None:
    assert rank(Priority(priority_key=key)) == place
