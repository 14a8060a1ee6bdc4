"""What becomes of starts that wait, under each policy, idle and busy."""

import pytest

from dbosify._model.schedules.overlap import (
    ALLOW_ALL,
    BUFFER_ALL,
    BUFFER_ONE,
    CANCEL_OTHER,
    SKIP,
    TERMINATE_OTHER,
    Round,
    Start,
    sort_out,
)

UNKNOWN = 77


def starts(*policies: int) -> list[Start]:
    """Starts that were due one after another."""
    return [
        Start(number, number, policy, manual=False)
        for number, policy in enumerate(policies)
    ]


def sorted_out(waiting: list[Start], *, running: bool) -> Round:
    """The round, where 0 means BUFFER_ALL."""
    return sort_out(waiting, lambda own: own or BUFFER_ALL, running=running)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (SKIP, {"alone": 0, "skipped": 2}),
        (BUFFER_ONE, {"alone": 0, "kept": [1], "skipped": 1}),
        (BUFFER_ALL, {"alone": 0, "kept": [1, 2]}),
        (0, {"alone": 0, "kept": [1, 2]}),
        (CANCEL_OTHER, {"alone": 2}),
        (TERMINATE_OTHER, {"alone": 2}),
        (ALLOW_ALL, {"overlapping": [0, 1, 2]}),
        (UNKNOWN, {"alone": 0}),
    ],
)
def test_three_starts_while_nothing_runs(
    policy: int, expected: dict[str, object]
) -> None:
    assert told(sorted_out(starts(policy, policy, policy), running=False)) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (SKIP, {"skipped": 2}),
        (BUFFER_ONE, {"kept": [0], "skipped": 1}),
        (BUFFER_ALL, {"kept": [0, 1]}),
        (CANCEL_OTHER, {"kept": [0, 1], "cancel": True}),
        (TERMINATE_OTHER, {"kept": [0, 1], "terminate": True}),
        (ALLOW_ALL, {"overlapping": [0, 1]}),
        (UNKNOWN, {}),
    ],
)
def test_two_starts_while_one_runs(policy: int, expected: dict[str, object]) -> None:
    assert told(sorted_out(starts(policy, policy), running=True)) == expected


def test_ending_what_runs_leaves_no_room_for_overlapping_starts() -> None:
    waiting = starts(ALLOW_ALL, CANCEL_OTHER, SKIP, TERMINATE_OTHER, BUFFER_ONE)
    assert told(sorted_out(waiting, running=True)) == {
        "kept": [1, 3],
        "skipped": 2,
        "cancel": True,
        "terminate": True,
    }


def told(found: Round) -> dict[str, object]:
    """What a round says, starts by their number, without what is empty."""
    everything = {
        "overlapping": [start.nominal for start in found.overlapping],
        "alone": None if found.alone is None else found.alone.nominal,
        "kept": [start.nominal for start in found.kept],
        "skipped": found.skipped,
        "cancel": found.cancel,
        "terminate": found.terminate,
    }
    return {
        name: value
        for name, value in everything.items()
        if value or (name == "alone" and value is not None)
    }
