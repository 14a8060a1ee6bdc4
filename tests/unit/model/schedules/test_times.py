"""The times of a spec: calendars, intervals, zones, exclusions, limits, jitter."""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from temporalio.api.schedule.v1 import ScheduleSpec, StructuredCalendarSpec

from dbosify._model import clock
from dbosify._model.protos import Timestamp
from dbosify._model.schedules.calendars import compiled, matches
from dbosify._model.schedules.spec import canonical
from dbosify._model.schedules.times import SECOND, Times, times_of
from tests.unit.model.schedules.test_spec import cron, every

UTC = timezone.utc
NEW_YORK = "America/New_York"


def at(text: str) -> int:
    """A moment in nanoseconds; UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND


def stamp(text: str) -> Timestamp:
    """A moment as specs hold it."""
    return clock.timestamp(at(text))


def of(spec: ScheduleSpec, seed: str = "a schedule") -> Times:
    """The times of any spec."""
    spec = canonical(spec)
    zone: tzinfo = ZoneInfo(spec.timezone_name) if spec.timezone_name else UTC
    return times_of(spec, zone, seed)


def following(spec: ScheduleSpec, after: str, count: int = 3) -> list[str]:
    """The next nominal times, in UTC."""
    result: list[str] = []
    firing = of(spec).next_after(at(after))
    while firing is not None and len(result) < count:
        moment = datetime.fromtimestamp(firing.nominal // SECOND, tz=UTC)
        result.append(moment.strftime("%Y-%m-%d %H:%M:%S"))
        firing = of(spec).next_after(firing.at)
    return result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 12 * * *", ["2026-03-01 12:30:00", "2026-03-02 12:30:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 31 * *", ["2026-03-31 00:00:00", "2026-05-31 00:00:00"]),
        ("0 0 * * mon", ["2026-03-02 00:00:00", "2026-03-09 00:00:00"]),
        ("0 0 13 * fri", ["2026-03-13 00:00:00", "2026-11-13 00:00:00"]),
        ("*/25 23 * * *", ["2026-03-01 23:00:00", "2026-03-01 23:25:00"]),
        (
            "*/40 59 23 31 12 * *",
            ["2026-12-31 23:59:00", "2026-12-31 23:59:40"],
        ),
        ("0 0 1 1 * 2027,2030", ["2027-01-01 00:00:00", "2030-01-01 00:00:00"]),
    ],
)
def test_calendars_match_in_order(text: str, expected: list[str]) -> None:
    assert following(cron(text), "2026-03-01 12:00:00", 2) == expected


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 1 1 * 2020"])
def test_a_calendar_that_never_matches_has_no_times(text: str) -> None:
    assert following(cron(text), "2026-03-01") == []


def test_a_calendar_with_an_empty_field_has_no_times() -> None:
    spec = ScheduleSpec(structured_calendar=[StructuredCalendarSpec()])
    assert following(spec, "2026-03-01") == []
    assert following(ScheduleSpec(), "2026-03-01") == []


def test_calendars_end_with_the_century() -> None:
    assert following(cron("@yearly"), "2099-06-01") == ["2100-01-01 00:00:00"]
    assert following(cron("@yearly"), "2150-06-01") == []


def test_calendars_begin_with_time_itself() -> None:
    first = of(cron("@daily")).next_after(-62135596800 * SECOND)
    assert first is not None
    assert datetime.fromtimestamp(first.at // SECOND, tz=UTC).year == 1


def test_intervals_count_from_1970() -> None:
    spec = ScheduleSpec(interval=[every(3600, 600), every(5400.9)])
    assert following(spec, "2026-03-01 00:10:00", 4) == [
        "2026-03-01 01:10:00",
        "2026-03-01 01:30:00",
        "2026-03-01 02:10:00",
        "2026-03-01 03:00:00",
    ]


def test_a_time_follows_the_second_that_has_begun() -> None:
    firing = of(cron("* * * * * * *")).next_after(at("2026-03-01") + 1)
    assert firing is not None
    assert firing.at == at("2026-03-01 00:00:01")


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        (
            f"TZ={NEW_YORK} 30 2 * * *",  # which 8 March 2026 does not have
            "2026-03-07",
            ["2026-03-07 07:30:00", "2026-03-09 06:30:00"],
        ),
        (
            f"TZ={NEW_YORK} 30 1 * * *",  # which 1 November 2026 has twice
            "2026-11-01 00:00:00",
            ["2026-11-01 05:30:00", "2026-11-01 06:30:00", "2026-11-02 06:30:00"],
        ),
        (
            "TZ=Europe/Berlin 30 2 * * *",  # which 25 October 2026 has twice
            "2026-10-24 12:00:00",
            ["2026-10-25 01:30:00", "2026-10-26 01:30:00"],
        ),
        (
            "TZ=Asia/Kathmandu 0 0 * * *",
            "2026-01-01",
            ["2026-01-01 18:15:00", "2026-01-02 18:15:00"],
        ),
        (
            "TZ=Australia/Lord_Howe 45 1 * * *",  # it goes back by half an hour
            "2026-04-03 20:00:00",
            ["2026-04-04 15:15:00", "2026-04-05 15:15:00"],
        ),
        (
            "TZ=Australia/Lord_Howe 45 3 * * *",  # and forth again, at a half hour
            "2026-10-02 00:00:00",
            ["2026-10-02 17:15:00", "2026-10-03 16:45:00"],
        ),
        (
            "TZ=America/Santiago 0 0 * * *",  # a midnight that 6 September lacks
            "2026-09-04 12:00:00",
            ["2026-09-05 04:00:00", "2026-09-07 03:00:00"],
        ),
    ],
)
def test_calendars_follow_the_clocks_of_their_zone(
    text: str, after: str, expected: list[str]
) -> None:
    assert following(cron(text), after, len(expected)) == expected


def test_every_hour_of_a_short_and_of_a_long_day_fires() -> None:
    hourly = cron(f"TZ={NEW_YORK} 0 * * * *")
    for day in ("2026-03-08 04:00:00", "2026-11-01 03:00:00"):
        moments = [at(text) for text in following(hourly, day, 8)]
        steps = {later - one for one, later in pairwise(moments)}
        assert steps == {3600 * SECOND}


def test_excluded_times_are_left_out() -> None:
    spec = cron("0 * * * *", zone=NEW_YORK)
    spec.exclude_calendar.add(hour="0-11,13-23", minute="*", second="*")
    assert following(spec, "2026-01-01", 2) == [
        "2026-01-01 17:00:00",
        "2026-01-02 17:00:00",
    ]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2027-05-03 07:08:09", True),
        ("2026-05-03 07:08:09", False),
        ("2027-06-03 07:08:09", False),
        ("2027-05-10 07:08:09", False),
        ("2027-05-04 07:08:09", False),
        ("2027-05-03 06:08:09", False),
        ("2027-05-03 07:09:09", False),
        ("2027-05-03 07:08:10", False),
    ],
)
def test_a_calendar_matches_if_every_field_does(moment: str, expected: bool) -> None:
    (spec,) = canonical(cron("9 8 7 3-9 5 mon 2027")).structured_calendar
    assert matches(compiled(spec), UTC, at(moment) // SECOND) is expected


def test_a_spec_that_excludes_everything_ends() -> None:
    spec = ScheduleSpec(interval=[every(1)])
    spec.exclude_calendar.add(hour="*", minute="*", second="*")
    assert following(spec, "2026-01-01") == []


def test_start_and_end_are_times_themselves() -> None:
    spec = cron("0 * * * *")
    spec.start_time.CopyFrom(stamp("2026-01-01 10:00:00"))
    spec.end_time.CopyFrom(stamp("2026-01-01 11:00:00"))
    assert following(spec, "2020-01-01") == [
        "2026-01-01 10:00:00",
        "2026-01-01 11:00:00",
    ]
    assert following(spec, "2026-01-01 10:00:00") == ["2026-01-01 11:00:00"]


def test_a_start_within_a_second_counts_from_its_beginning() -> None:
    spec = ScheduleSpec(interval=[every(1)])
    spec.start_time.CopyFrom(stamp("2026-01-01 10:00:00"))
    spec.start_time.nanos = 500_000_000
    spec.end_time.CopyFrom(stamp("2026-01-01 10:00:01"))
    spec.end_time.nanos = 999_999_999
    assert following(spec, "2020-01-01") == [
        "2026-01-01 10:00:00",
        "2026-01-01 10:00:01",
    ]


def delays(spec: ScheduleSpec, seed: str = "a schedule") -> list[int]:
    """How late the first hundred times come."""
    firings = of(spec, seed).between(at("2026-01-01"), at("2030-01-01"))
    return [firing.at - firing.nominal for firing in islice(firings, 100)]


def test_jitter_spreads_times_and_is_the_same_again() -> None:
    spec = cron("0 * * * *")
    spec.jitter.FromTimedelta(timedelta(minutes=10))
    first = delays(spec)
    assert first == delays(spec)
    assert first != delays(spec, "another schedule")
    assert len(set(first)) > 90
    assert 0 <= min(first) < 60 * SECOND
    assert 540 * SECOND < max(first) < 600 * SECOND


def test_jitter_reaches_no_further_than_the_next_time() -> None:
    spec = ScheduleSpec(interval=[every(60)])
    spec.jitter.FromTimedelta(timedelta(days=1))
    assert 50 * SECOND < max(delays(spec)) < 60 * SECOND
    nominal = [
        firing.nominal
        for firing in of(spec).between(at("2026-01-01"), at("2026-01-02"))
    ]
    assert ascending_minutes(nominal)


def ascending_minutes(moments: Iterable[int]) -> bool:
    """Whether no minute is missing or twice there."""
    listed = list(moments)
    return listed == list(range(listed[0], listed[-1] + 1, 60 * SECOND))


def test_the_last_time_has_all_of_its_jitter() -> None:
    spec = cron("0 0 1 1 * 2027")
    spec.jitter.FromTimedelta(timedelta(days=60))
    assert 0 < delays(spec)[0] < 60 * 86400 * SECOND


def test_a_range_excludes_its_start_and_includes_its_end() -> None:
    hours = of(cron("0 * * * *"))
    found = hours.between(at("2026-01-01 01:00:00"), at("2026-01-01 03:00:00"))
    assert [firing.at for firing in found] == [
        at("2026-01-01 02:00:00"),
        at("2026-01-01 03:00:00"),
    ]
