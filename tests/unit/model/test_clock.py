"""Times, from one form to another."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from dbosify._model import clock

NOW = Timestamp(seconds=1_700_000_000, nanos=123_456_789)


def test_nanoseconds_are_kept() -> None:
    nanoseconds = 1_700_000_000_123_456_789
    assert clock.timestamp(nanoseconds) == NOW
    assert clock.nanoseconds(NOW) == nanoseconds


def test_milliseconds_are_cut_off_not_rounded() -> None:
    assert clock.milliseconds(NOW) == 1_700_000_000_123
    assert clock.milliseconds(Timestamp(seconds=1, nanos=999_999_999)) == 1_999


def test_seconds_are_good_enough_to_compare() -> None:
    assert clock.seconds(NOW) == pytest.approx(1_700_000_000.123456789)
    assert clock.seconds(Duration(seconds=-2, nanos=-500_000_000)) == -2.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, Duration()),
        (1.5, Duration(seconds=1, nanos=500_000_000)),
        (0.1, Duration(nanos=100_000_000)),
        (0.000_000_000_6, Duration(nanos=1)),
        (10**9, Duration(seconds=10**9)),
        (-0.000_000_1, Duration(nanos=-100)),
        (-1.5, Duration(seconds=-1, nanos=-500_000_000)),
    ],
)
def test_durations_are_rounded_to_nanoseconds(value: float, expected: Duration) -> None:
    assert clock.duration(value) == expected


def test_a_time_kept_as_a_float_comes_back_to_the_microsecond() -> None:
    kept = clock.seconds(Timestamp(seconds=1_700_000_000, nanos=123_456_000))
    assert clock.of_seconds(kept) == Timestamp(seconds=1_700_000_000, nanos=123_456_000)


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (Duration(), NOW),
        (Duration(seconds=2), Timestamp(seconds=1_700_000_002, nanos=123_456_789)),
        (
            Duration(nanos=900_000_000),
            Timestamp(seconds=1_700_000_001, nanos=23_456_789),
        ),
    ],
)
def test_a_delay_later_is_a_time_that_carries_over(
    delay: Duration, expected: Timestamp
) -> None:
    assert clock.later(NOW, delay) == expected


def test_what_no_timestamp_can_say_becomes_the_nearest() -> None:
    last = 2**63 - 1
    assert clock.timestamp(last * 10**9 + 10**12).seconds == last
    assert clock.timestamp(-(2**63) * 10**9).seconds == -last
