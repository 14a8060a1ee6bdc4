"""Specs become canonical, and what is wrong with one is told in the server's words."""

from datetime import timedelta

import pytest
from temporalio.api.schedule.v1 import (
    CalendarSpec,
    IntervalSpec,
    Range,
    ScheduleSpec,
    StructuredCalendarSpec,
)

from dbosify._model import clock
from dbosify._model.schedules import durations, ranges
from dbosify._model.schedules.ranges import InvalidSpec
from dbosify._model.schedules.spec import canonical, written_out

ZERO = [Range()]


def cron(*texts: str, zone: str = "", data: bytes = b"") -> ScheduleSpec:
    """A spec of cron strings."""
    return ScheduleSpec(cron_string=texts, timezone_name=zone, timezone_data=data)


def every(seconds: float, phase: float = 0) -> IntervalSpec:
    """An interval; without a phase it has none at all."""
    spec = IntervalSpec(interval=clock.duration(seconds))
    if phase:
        spec.phase.CopyFrom(clock.duration(phase))
    return spec


def weekdays(text: str) -> list[tuple[int, int, int]]:
    """The ranges of a cron string's last field."""
    (calendar,) = canonical(cron(f"0 12 * * {text}")).structured_calendar
    return [(each.start, each.end, each.step) for each in calendar.day_of_week]


def refusal(spec: ScheduleSpec) -> str:
    """What is wrong with a spec."""
    with pytest.raises(InvalidSpec) as refused:
        canonical(spec)
    return str(refused.value)


def test_a_calendar_spec_fills_in_what_it_leaves_out() -> None:
    (calendar,) = canonical(ScheduleSpec(calendar=[CalendarSpec()])).structured_calendar
    assert calendar == StructuredCalendarSpec(
        second=ZERO,
        minute=ZERO,
        hour=ZERO,
        day_of_month=[Range(start=1, end=31)],
        month=[Range(start=1, end=12)],
        day_of_week=[Range(start=0, end=6)],
    )


def test_each_form_of_text_becomes_ranges() -> None:
    text = CalendarSpec(
        second="*/20",
        minute="5",
        hour="3-5,7-9/2",
        day_of_month="10/4",
        month="feb-May",
        year="2027-2030/2",
        day_of_week="MO,fri",
        comment="a comment",
    )
    spec = canonical(ScheduleSpec(exclude_calendar=[text]))
    assert not spec.exclude_calendar
    assert spec.exclude_structured_calendar == [
        StructuredCalendarSpec(
            second=[Range(start=0, end=59, step=20)],
            minute=[Range(start=5)],
            hour=[Range(start=3, end=5), Range(start=7, end=9, step=2)],
            day_of_month=[Range(start=10, end=31, step=4)],
            month=[Range(start=2, end=5)],
            year=[Range(start=2027, end=2030, step=2)],
            day_of_week=[Range(start=1), Range(start=5)],
            comment="a comment",
        )
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-7", [(0, 6, 0)]),
        ("1-7", [(1, 6, 0)]),
        ("3-7", [(0, 0, 0), (3, 6, 0)]),
        ("1-7/2", [(0, 0, 0), (1, 6, 2)]),
        ("3-7/3", [(3, 6, 3)]),
        ("7", [(0, 0, 0)]),
        ("7-7/2", [(0, 0, 0)]),
        ("sun-sat", [(0, 6, 0)]),
        ("*", [(0, 6, 0)]),
    ],
)
def test_sunday_may_be_called_seven(
    text: str, expected: list[tuple[int, int, int]]
) -> None:
    assert weekdays(text) == expected


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ],
)
def test_short_forms_stand_for_cron_strings(short: str, long: str) -> None:
    assert canonical(cron(short)) == canonical(cron(long))


def test_a_cron_string_may_have_seconds_a_year_and_a_comment() -> None:
    six, seven = canonical(
        cron("  5 12 * * * 2030 # six ", "30 5 12 * * * 2030#seven")
    ).structured_calendar
    assert six.second == ZERO
    assert six.year == [Range(start=2030)]
    assert six.comment == "six"
    assert seven.second == [Range(start=30)]
    assert seven.comment == "seven"


def test_every_makes_an_interval() -> None:
    spec = canonical(cron("@every 1h/30m", "@every 1.5h", "@every 1h/"))
    assert not spec.structured_calendar
    assert spec.interval == [every(3600, 1800), every(5400), every(3600)]


@pytest.mark.parametrize("prefix", ["TZ", "CRON_TZ"])
def test_the_zone_of_cron_strings_becomes_that_of_the_spec(prefix: str) -> None:
    spec = canonical(cron(f"{prefix}=Europe/Berlin 0 1 * * *"))
    assert spec.timezone_name == "Europe/Berlin"
    again = canonical(cron(f"{prefix}=Europe/Rome 0 1 * * *", zone="Europe/Rome"))
    assert again.timezone_name == "Europe/Rome"
    assert canonical(cron("0 1 * * *", zone="Asia/Tokyo")).timezone_name == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (cron("1 2 3"), "CronString does not have 5-7 fields"),
        (cron("@reboot"), "CronString does not have 5-7 fields"),
        (cron("TZ=UTC"), "CronString has time zone but missing fields"),
        (cron("@every"), "CronString does not have interval after @every"),
        (cron("@every zz"), 'time: invalid duration "zz"'),
        (cron("@every 30"), 'time: missing unit in duration "30"'),
        (cron("@every 5x"), 'time: unknown unit "x" in duration "5x"'),
        (cron("@every 500ms"), "interval is too small"),
        (cron("@every 10s/-1s"), "phase is negative"),
        (cron("@every 10s/10s"), "phase cannot be greater than Interval"),
        (cron("TZ=UTC 1 * * * *", "2 * * * *"), "conflicting timezone names"),
        (cron("TZ=UTC 1 * * * *", zone="Asia/Tokyo"), "conflicting timezone names"),
        (cron("TZ=UTC 1 * * * *", data=b"x"), "conflicting timezone names"),
        (cron("x * * * *"), "Minute is not in range [0-59]"),
        (cron("-5 * * * *"), "Minute Start is not in range [0-59]"),
        (
            cron("5-3 * * * *"),
            "Minute End is before Start or not in range [0-59]",
        ),
        (
            cron("1-x * * * *"),
            "Minute End is before Start or not in range [0-59]",
        ),
        (cron("* 1-2-3 * * *"), "Hour has too many dashes"),
        (cron("* 1/2/3 * * *"), "Hour has too many slashes"),
        (cron("* 1/0 * * *"), "Hour has invalid Step"),
        (cron("* */ * * *"), "Hour missing step value"),
        (cron("* 1/x * * *"), 'strconv.Atoi: parsing "x": invalid syntax'),
        (
            cron("* 1/99999999999999999999 * * *"),
            'strconv.Atoi: parsing "99999999999999999999": value out of range',
        ),
        (cron("* * * * 8"), "DayOfWeek is not in range [0-7]"),
        (cron("* * * ja *"), "Month is not in range [1-12]"),
        (cron("* * * jax *"), "Month is not in range [1-12]"),
        (
            ScheduleSpec(calendar=[CalendarSpec(second="77", day_of_week="9")]),
            "Second is not in range [0-59], DayOfWeek is not in range [0-7]",
        ),
        (
            ScheduleSpec(
                structured_calendar=[
                    StructuredCalendarSpec(
                        second=[Range(start=-1, end=70, step=-2)],
                        day_of_week=[Range(start=7)],
                        comment="y" * 201,
                    )
                ]
            ),
            "invalid calendar spec: Second Start is not in range [0-59], Second End is"
            " before Start or not in range [0-59], Second has invalid Step, DayOfWeek"
            " Start is not in range [0-6], comment is too long",
        ),
        (ScheduleSpec(interval=[IntervalSpec()]), "interval is too small"),
    ],
)
def test_a_wrong_spec_is_refused(spec: ScheduleSpec, expected: str) -> None:
    assert refusal(spec) == expected


def test_a_huge_step_leaves_only_the_first_value() -> None:
    (calendar,) = canonical(cron("5/99999999999 * * * *")).structured_calendar
    assert ranges.values(calendar.minute, ranges.MINUTE) == {5}


def test_describe_writes_ranges_out() -> None:
    spec = written_out(
        ScheduleSpec(
            structured_calendar=[StructuredCalendarSpec(hour=[Range(start=5)])],
            exclude_structured_calendar=[
                StructuredCalendarSpec(minute=[Range(start=9, end=3, step=2)])
            ],
        )
    )
    assert spec.structured_calendar[0].hour == [Range(start=5, end=5, step=1)]
    assert spec.exclude_structured_calendar[0].minute == [Range(start=9, end=9, step=2)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("+2.5s", timedelta(seconds=2.5)),
        ("-.5s", timedelta(seconds=-0.5)),
        ("1.h", timedelta(hours=1)),
        ("1d12h", timedelta(days=1.5)),
        ("3us4\u00b5s", timedelta(microseconds=7)),
        ("0", timedelta(0)),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, expected: timedelta) -> None:
    assert durations.parse(text) == expected / timedelta(microseconds=1) * 1000


@pytest.mark.parametrize("text", ["", "-", "h", "1h x"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec):
        durations.parse(text)


def test_an_exclusion_that_nobody_checked_holds_what_the_field_can() -> None:
    endless = Range(start=-5, end=2**31 - 1, step=1)
    assert ranges.values([endless], ranges.HOUR) == set(range(24))
