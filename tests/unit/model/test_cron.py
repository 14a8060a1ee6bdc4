"""Cron strings: which are taken, and when they fire."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dbosify._model import cron
from dbosify._model.protos import Timestamp


def moment(text: str) -> int:
    """A time of UTC, in seconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())


def fires(schedule: str, after: str, times: int = 1) -> list[str]:
    """The next fire times, in UTC."""
    parsed = cron.parse(schedule)
    last = moment(after)
    found = []
    for _ in range(times):
        following = parsed.first_from(last, last)
        assert following is not None
        last = following
        found.append(datetime.fromtimestamp(last, timezone.utc).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2026-03-04 10:20", ["03-04 10:21", "03-04 10:22"]),
        ("*/20 * * * *", "2026-03-04 10:20", ["03-04 10:40", "03-04 11:00"]),
        ("5/25 9-10 * * *", "2026-03-04 09:40", ["03-04 09:55", "03-04 10:05"]),
        ("0 0,,12 * * *", "2026-03-04 10:20", ["03-04 12:00", "03-05 00:00"]),
        ("0 9 * * MON-FRI", "2026-03-06 09:00", ["03-09 09:00", "03-10 09:00"]),
        ("0 9 * jan,Mar 0", "2026-01-25 10:00", ["03-01 09:00", "03-08 09:00"]),
        ("0 0 ? 2-12/5 *", "2026-02-28 10:00", ["07-01 00:00", "07-02 00:00"]),
        ("0 0 31 * *", "2026-03-31 00:00", ["05-31 00:00", "07-31 00:00"]),
        ("@hourly", "2026-03-04 10:20", ["03-04 11:00", "03-04 12:00"]),
        ("@daily", "2026-03-04 10:20", ["03-05 00:00", "03-06 00:00"]),
        ("@midnight", "2026-03-04 10:20", ["03-05 00:00", "03-06 00:00"]),
        ("@weekly", "2026-03-04 10:20", ["03-08 00:00", "03-15 00:00"]),
        ("@monthly", "2026-03-04 10:20", ["04-01 00:00", "05-01 00:00"]),
        ("@yearly", "2026-03-04 10:20", ["01-01 00:00", "01-01 00:00"]),
        ("@annually", "2026-03-04 10:20", ["01-01 00:00", "01-01 00:00"]),
        ("@every 90m", "2026-03-04 10:20", ["03-04 11:50", "03-04 13:20"]),
        ("@every 1h30m", "2026-03-04 10:20", ["03-04 11:50", "03-04 13:20"]),
        (
            "CRON_TZ=Asia/Kolkata 0 12 * * *",
            "2026-03-04 10:20",
            ["03-05 06:30", "03-06 06:30"],
        ),
        ("TZ=UTC  @daily", "2026-03-04 10:20", ["03-05 00:00", "03-06 00:00"]),
        ("TZ=Local @daily", "2026-03-04 10:20", ["03-05 00:00", "03-06 00:00"]),
        (" +5  *-3 * * * ", "2026-03-04 10:20", ["03-04 11:05", "03-04 12:05"]),
        ("TZ= @daily", "2026-03-04 10:20", ["03-05 00:00", "03-06 00:00"]),
    ],
)
def test_a_schedule_fires(schedule: str, after: str, expected: list[str]) -> None:
    assert fires(schedule, after, times=2) == expected


def test_either_day_field_is_enough_if_both_say_something() -> None:
    assert fires("0 0 13 * FRI", "2026-03-01 00:00", times=3) == [
        "03-06 00:00",
        "03-13 00:00",
        "03-20 00:00",
    ]
    # A stride says something, too; a star does not, in whatever list it stands.
    assert fires("0 0 */15 * FRI", "2026-03-01 00:00") == ["03-06 00:00"]
    assert fires("0 0 13,* * FRI", "2026-03-01 00:00") == ["03-06 00:00"]


def test_an_hour_that_is_skipped_has_no_times() -> None:
    assert fires("TZ=America/New_York 30 2 * * *", "2026-03-07 08:00", times=2) == [
        "03-09 06:30",
        "03-10 06:30",
    ]


def test_an_hour_that_comes_twice_has_its_times_twice() -> None:
    schedule = "TZ=America/New_York */30 1,2 * * *"
    assert fires(schedule, "2026-11-01 05:00", times=5) == [
        "11-01 05:30",
        "11-01 06:00",
        "11-01 06:30",
        "11-01 07:00",
        "11-01 07:30",
    ]


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("1s", 1),
        ("1.5h", 5400),
        (".5m", 30),
        ("1h1m1s", 3661),
        ("2500ms", 2),
        ("+3s", 3),
        # Whatever is less than a second is one.
        ("0", 1),
        ("0s", 1),
        ("500ms", 1),
        ("-2h", 1),
        ("7ns", 1),
    ],
)
def test_a_distance_is_written_as_go_writes_it(duration: str, seconds: int) -> None:
    assert cron.parse(f"@every {duration}") == cron.Every(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "at noon",
        "* * * *",
        "* * * * * *",
        "@reboot",
        "@every",
        "@every soon",
        "@every 1d",
        "@every ",
        "@every 1h ",
        "@every 999999999h",
        "@hourly ",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "*/-1 * * * *",
        "*/99999999999999999999999 * * * *",
        "0 0 L * *",
        "0 0 * * 5#2",
        "5/0 * * * *",
        "CRON_TZ=+01:00 * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 7",
        "5-2 * * * *",
        "*/0 * * * *",
        "-1 * * * *",
        "1- * * * *",
        "x * * * *",
        "* * * * someday",
        "mon * * * *",
        "CRON_TZ=Moon/Tycho 0 12 * * *",
        "TZ=../etc/passwd 0 12 * * *",
        "TZ=America/New_York",
    ],
)
def test_what_the_server_does_not_take_is_refused(text: str) -> None:
    with pytest.raises(cron.BadCron):
        cron.parse(text)


def test_some_schedules_never_fire() -> None:
    assert not cron.ever_fires("0 0 30 2 *")
    assert not cron.ever_fires(", * * * *")
    assert cron.ever_fires("0 0 29 2 *")
    assert cron.ever_fires("@every 1h")


@pytest.mark.parametrize(
    ("schedule", "scheduled", "now", "waits"),
    [
        ("@every 10s", 100.0, 100.0, 10),
        ("@every 10s", 100.7, 100.7, 10),
        ("@every 10s", 100.7, 103.2, 7),
        ("@every 10s", 100.0, 110.0, 0),
        ("@every 10s", 100.0, 139.0, 1),
        ("@every 10s", 100.0, 95.5, 5),
        ("* * * * *", 60.0, 60.0, 60),
        ("* * * * *", 60.0, 119.5, 1),
        ("* * * * *", 60.0, 600.0, 0),
    ],
)
def test_a_chain_waits_whole_seconds_for_its_next_run(
    schedule: str, scheduled: float, now: float, waits: int
) -> None:
    def stamp(value: float) -> Timestamp:
        return Timestamp(seconds=int(value), nanos=round(value % 1 * 1e9))

    assert cron.backoff(schedule, stamp(scheduled), stamp(now)) == waits


def test_a_chain_without_a_next_time_waits_for_nothing() -> None:
    now = Timestamp(seconds=moment("2097-01-01"))
    assert cron.backoff("0 0 29 2 *", now, now) is None
