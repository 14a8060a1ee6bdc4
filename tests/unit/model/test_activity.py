"""What is stored of an activity."""

from __future__ import annotations

from dbosify._model.activity import AttemptState


def test_the_numbers_of_states_never_change() -> None:
    # Rows of older releases hold them.
    assert {state.name: state.value for state in AttemptState} == {
        "SCHEDULED": 1,
        "STARTED": 2,
        "BACKOFF": 3,
        "OVER": 4,
    }
