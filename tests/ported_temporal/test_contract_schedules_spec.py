"""The service's contract of specs: their canonical form and the times they mean."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from dbosify.api.schedule.v1 import (
    CalendarSpec,
    IntervalSpec,
    Range,
    ScheduleSpec,
    StructuredCalendarSpec,
)
from dbosify.client import Client
from tests.ported_temporal.contract import invalid, refusal_of
from tests.ported_temporal.schedule_calls import utc
from tests.ported_temporal.schedule_requests import (
    PAUSED,
    a_schedule,
    create,
    created,
    delete,
    describe,
    matching,
)

pytestmark = pytest.mark.needs("schedules")


def ranges(text: str) -> list[Range]:
    """Ranges from `start-end/step`, one after another."""
    result = []
    for part in text.split():
        values, _, step = part.partition("/")
        start, _, end = values.partition("-")
        result.append(
            Range(start=int(start), end=int(end or start), step=int(step or 1))
        )
    return result


def calendar(text: str, comment: str = "") -> StructuredCalendarSpec:
    """A calendar of the seven fields, second first and year last."""
    names = ["second", "minute", "hour", "day_of_month", "month", "day_of_week", "year"]
    fields: dict[str, Any] = {
        name: ranges(field.replace(",", " "))
        for name, field in zip(names, text.split("; "), strict=False)
    }
    return StructuredCalendarSpec(comment=comment, **fields)


def interval(every: timedelta, phase: timedelta | None = None) -> IntervalSpec:
    """An interval."""
    spec = IntervalSpec()
    spec.interval.FromTimedelta(every)
    if phase is not None:
        spec.phase.FromTimedelta(phase)
    return spec


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            ScheduleSpec(cron_string=["*/15 9-17 * * mon-fri # office hours"]),
            ScheduleSpec(
                structured_calendar=[
                    calendar(
                        "0; 0-59/15; 9-17; 1-31; 1-12; 1-5", comment="office hours"
                    )
                ]
            ),
        ),
        (
            ScheduleSpec(cron_string=["CRON_TZ=Asia/Tokyo 30 5 12 * jan,Jul 3-7 2030"]),
            ScheduleSpec(
                structured_calendar=[calendar("30; 5; 12; 1-31; 1,7; 0,3-6; 2030")],
                timezone_name="Asia/Tokyo",
            ),
        ),
        (
            ScheduleSpec(cron_string=["@every 1h30m/5m", "@weekly"]),
            ScheduleSpec(
                structured_calendar=[calendar("0; 0; 0; 1-31; 1-12; 0")],
                interval=[interval(timedelta(minutes=90), timedelta(minutes=5))],
            ),
        ),
        (
            ScheduleSpec(
                calendar=[CalendarSpec(hour="8/4", year="2026-2030/2", comment="c")],
                exclude_calendar=[CalendarSpec(month="dec", day_of_month="24-26")],
            ),
            ScheduleSpec(
                structured_calendar=[
                    calendar("0; 0; 8-23/4; 1-31; 1-12; 0-6; 2026-2030/2", comment="c")
                ],
                exclude_structured_calendar=[calendar("0; 0; 0; 24-26; 12; 0-6")],
            ),
        ),
        (
            ScheduleSpec(
                structured_calendar=[
                    StructuredCalendarSpec(
                        hour=[Range(start=5), Range(start=7, step=3)]
                    )
                ]
            ),
            ScheduleSpec(
                structured_calendar=[
                    StructuredCalendarSpec(
                        hour=[
                            Range(start=5, end=5, step=1),
                            Range(start=7, end=7, step=3),
                        ]
                    )
                ]
            ),
        ),
    ],
)
async def test_describe_shows_the_canonical_form(
    client: Client, given: ScheduleSpec, expected: ScheduleSpec
) -> None:
    schedule_id = await created(client, a_schedule(spec=given, state=PAUSED))
    assert (await describe(client, schedule_id)).schedule.spec == expected
    await delete(client, schedule_id)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ScheduleSpec(timezone_name="Nope/Zone"), "unknown time zone Nope/Zone"),
        (ScheduleSpec(timezone_name="../x"), "time: invalid location name"),
        (ScheduleSpec(timezone_data=b"x"), "malformed time zone information"),
        (
            ScheduleSpec(cron_string=["TZ=UTC 1 * * * *", "2 * * * *"]),
            "conflicting timezone names",
        ),
        (
            ScheduleSpec(cron_string=["TZ=UTC"]),
            "CronString has time zone but missing fields",
        ),
        (
            ScheduleSpec(cron_string=["@every 30"]),
            'time: missing unit in duration "30"',
        ),
        (ScheduleSpec(cron_string=["@every zz"]), 'time: invalid duration "zz"'),
        (
            ScheduleSpec(calendar=[CalendarSpec(minute="61", hour="1-2-3")]),
            "Minute is not in range [0-59], Hour has too many dashes",
        ),
        (ScheduleSpec(calendar=[CalendarSpec(hour="*/")]), "Hour missing step value"),
        (
            ScheduleSpec(interval=[interval(timedelta(milliseconds=999))]),
            "interval is too small",
        ),
        (
            ScheduleSpec(interval=[interval(timedelta(1), timedelta(1))]),
            "phase cannot be greater than Interval",
        ),
        (
            ScheduleSpec(
                structured_calendar=[
                    StructuredCalendarSpec(
                        month=[Range(start=0)],
                        day_of_week=[Range(start=3, end=2)],
                        comment="x" * 201,
                    )
                ]
            ),
            "invalid calendar spec: Month Start is not in range [1-12], DayOfWeek End"
            " is before Start or not in range [0-6], comment is too long",
        ),
    ],
)
async def test_a_wrong_spec_is_refused(
    client: Client, spec: ScheduleSpec, message: str
) -> None:
    refusal = await refusal_of(create(client, a_schedule(spec=spec)))
    assert refusal == invalid(f"Invalid schedule spec: {message}")


@pytest.mark.parametrize(
    ("spec", "start", "expected"),
    [
        (
            ScheduleSpec(cron_string=["0 0 13 * fri"]),
            utc(2026, 3, 1),
            ["2026-03-13 00:00", "2026-11-13 00:00", "2027-08-13 00:00"],
        ),
        (
            ScheduleSpec(cron_string=["TZ=America/New_York 30 2 * * *"]),
            utc(2026, 3, 7),
            ["2026-03-07 07:30", "2026-03-09 06:30", "2026-03-10 06:30"],
        ),
        (
            ScheduleSpec(cron_string=["TZ=America/New_York 30 1 * * *"]),
            utc(2026, 11, 1),
            ["2026-11-01 05:30", "2026-11-01 06:30", "2026-11-02 06:30"],
        ),
        (
            ScheduleSpec(cron_string=["TZ=Europe/Berlin 30 2 * * *"]),
            utc(2026, 10, 24, 12),
            ["2026-10-25 01:30", "2026-10-26 01:30", "2026-10-27 01:30"],
        ),
        (
            ScheduleSpec(
                cron_string=["0 */8 * * *"],
                exclude_calendar=[CalendarSpec(hour="0,16")],
            ),
            utc(2026, 1, 1),
            ["2026-01-01 08:00", "2026-01-02 08:00", "2026-01-03 08:00"],
        ),
        (
            ScheduleSpec(interval=[interval(timedelta(hours=7), timedelta(hours=2))]),
            utc(1970, 1, 1, 3),
            ["1970-01-01 09:00", "1970-01-01 16:00", "1970-01-01 23:00"],
        ),
        (ScheduleSpec(cron_string=["0 0 30 2 *"]), utc(2026, 1, 1), []),
        (
            ScheduleSpec(structured_calendar=[StructuredCalendarSpec()]),
            utc(2026, 1, 1),
            [],
        ),
    ],
)
async def test_the_times_of_a_spec(
    client: Client, spec: ScheduleSpec, start: datetime, expected: list[str]
) -> None:
    schedule_id = await created(client, a_schedule(spec=spec, state=PAUSED))
    times = await matching(client, schedule_id, start, start + timedelta(days=700))
    assert [at.strftime("%Y-%m-%d %H:%M") for at in times[:3]] == expected
    await delete(client, schedule_id)


async def test_start_and_end_are_included(client: Client) -> None:
    spec = ScheduleSpec(cron_string=["@hourly"])
    spec.start_time.FromDatetime(utc(2026, 1, 1, 10))
    spec.end_time.FromDatetime(utc(2026, 1, 1, 12))
    schedule_id = await created(client, a_schedule(spec=spec, state=PAUSED))
    times = await matching(client, schedule_id, utc(2025, 1, 1), utc(2027, 1, 1))
    assert [at.hour for at in times] == [10, 11, 12]
    await delete(client, schedule_id)


async def test_jitter_delays_each_time_by_the_same_amount_again(client: Client) -> None:
    spec = ScheduleSpec(cron_string=["@hourly"])
    spec.jitter.FromTimedelta(timedelta(minutes=10))
    schedule_id = await created(client, a_schedule(spec=spec, state=PAUSED))
    span = utc(2026, 1, 1), utc(2026, 1, 5)
    times = await matching(client, schedule_id, *span)
    assert times == await matching(client, schedule_id, *span)
    delays = [at - at.replace(minute=0, second=0, microsecond=0) for at in times]
    assert max(delays) < timedelta(minutes=10)
    assert len(set(delays)) > len(delays) // 2
    assert all(delay.microseconds % 1000 == 0 for delay in delays)
    await delete(client, schedule_id)


async def test_the_next_times_of_a_schedule_are_no_more_than_its_actions(
    client: Client,
) -> None:
    spec = ScheduleSpec(cron_string=["@daily"])
    schedule = a_schedule(spec=spec)
    schedule.state.limited_actions = True
    schedule.state.remaining_actions = 3
    schedule_id = await created(client, schedule)
    assert len((await describe(client, schedule_id)).info.future_action_times) == 3
    await delete(client, schedule_id)


async def test_a_start_within_a_second_counts_from_its_beginning(
    client: Client,
) -> None:
    begin = utc(2026, 1, 1)
    spec = ScheduleSpec(interval=[interval(timedelta(seconds=1))])
    spec.start_time.FromDatetime(begin + timedelta(seconds=0.5))
    spec.end_time.FromDatetime(begin + timedelta(seconds=2.5))
    schedule_id = await created(client, a_schedule(spec=spec, state=PAUSED))
    around = begin - timedelta(seconds=9), begin + timedelta(seconds=9)
    times = await matching(client, schedule_id, *around)
    assert [at.second for at in times] == [0, 1, 2]
    await delete(client, schedule_id)
