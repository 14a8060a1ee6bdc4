"""Schedules through the client: made, looked at, changed, triggered, listed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from dbosify import workflow
from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleBackfill,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from dbosify.common import (
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributes,
    TypedSearchAttributes,
)
from dbosify.worker import Worker
from tests.ported_temporal.kitchen_sink import KitchenSinkWorkflow
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_eventually,
    ensure_search_attributes_present,
    new_worker,
    random_id,
)
from tests.ported_temporal.schedule_calls import (
    DONE,
    HOURLY,
    PAUSED,
    kitchen_sink,
    made,
    started_by,
    utc,
)

pytestmark = pytest.mark.needs("schedules")

TEXT_KEY = SearchAttributeKey.for_text("DbosifyScheduleText")
KEYWORD_KEY = SearchAttributeKey.for_keyword("DbosifyScheduleKeyword")

EVERY_FIELD = ScheduleCalendarSpec(
    second=(ScheduleRange(1, step=1, end=1),),
    minute=(ScheduleRange(2, 3, 1),),
    hour=(ScheduleRange(4, 8, 2),),
    day_of_month=(ScheduleRange(10, 20, 3),),
    month=(ScheduleRange(1, 1, 1), ScheduleRange(5, 6, 1)),
    year=(ScheduleRange(2080, 2085, 1),),
    day_of_week=(ScheduleRange(1, 5, 1),),
    comment="every field",
)


def a_schedule_with_everything(worker: Worker) -> Schedule:
    """Whatever can be said of a schedule."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            KitchenSinkWorkflow.run,
            DONE,
            id=random_id(),
            task_queue=worker.task_queue,
            execution_timeout=timedelta(hours=1),
            run_timeout=timedelta(minutes=30),
            task_timeout=timedelta(seconds=9),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=2), maximum_attempts=1
            ),
            memo={"action memo": "its value"},
            static_summary="a summary",
            static_details="some details",
        ),
        spec=ScheduleSpec(
            calendars=[EVERY_FIELD],
            intervals=[
                ScheduleIntervalSpec(every=timedelta(days=10), offset=timedelta(days=2))
            ],
            cron_expressions=["0 12 * * MON"],
            skip=[ScheduleCalendarSpec(year=(ScheduleRange(2050, 2050, 1),))],
            start_at=utc(2080, 1, 1),
            jitter=timedelta(seconds=80),
        ),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.BUFFER_ONE,
            catchup_window=timedelta(minutes=5),
            pause_on_failure=True,
        ),
        state=ScheduleState(
            note="a note", paused=True, limited_actions=True, remaining_actions=30
        ),
    )


MONDAY_NOON = ScheduleCalendarSpec(
    second=(ScheduleRange(0, 0, 1),),
    minute=(ScheduleRange(0, 0, 1),),
    hour=(ScheduleRange(12, 12, 1),),
    day_of_month=(ScheduleRange(1, 31, 1),),
    month=(ScheduleRange(1, 12, 1),),
    day_of_week=(ScheduleRange(1, 1, 1),),
)
"""What becomes of the cron expression."""


def as_described(wanted: Schedule, described: Schedule) -> Schedule:
    """A schedule as a description of it has to be."""
    action, shown = wanted.action, described.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    assert isinstance(shown, ScheduleActionStartWorkflow)
    return replace(
        wanted,
        # What travels as payloads is compared apart.
        action=replace(
            action,
            args=shown.args,
            memo=shown.memo,
            static_summary=shown.static_summary,
            static_details=shown.static_details,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=2),
                maximum_interval=timedelta(seconds=200),
                maximum_attempts=1,
            ),
        ),
        spec=replace(
            wanted.spec,
            calendars=[*wanted.spec.calendars, MONDAY_NOON],
            cron_expressions=[],
        ),
    )


async def test_schedule_basics(client: Client, worker: Worker) -> None:
    wanted = a_schedule_with_everything(worker)
    async with made(client, wanted, memo={"schedule memo": "its value"}) as handle:
        described = await handle.describe()
        assert described.id == handle.id
        assert described.schedule == as_described(wanted, described.schedule)
        assert await described.memo_value("schedule memo") == "its value"
        action = described.schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        convert = client.data_converter.payload_converter.from_payload
        assert convert(action.args[0], dict)["actions"]
        assert action.memo is not None
        assert convert(action.memo["action memo"], str) == "its value"
        assert action.retry_policy is not None
        assert action.retry_policy.initial_interval == timedelta(seconds=2)

        await check_updates(handle)
        with pytest.raises(ScheduleAlreadyRunningError):
            await client.create_schedule(handle.id, wanted)
        await check_pausing(handle)

        assert (await handle.describe()).info.num_actions == 0
        await handle.trigger()
        run = (await actions_taken(client, handle, 1))[0]
        assert await run.result() == "some result"


async def check_updates(handle: ScheduleHandle) -> None:
    """Updates apply, refuse and leave alone what they are told to."""

    def with_task_timeout(description: ScheduleDescription, seconds: int) -> Schedule:
        action = description.schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        return replace(
            description.schedule,
            action=replace(action, task_timeout=timedelta(seconds=seconds)),
        )

    async def task_timeout() -> timedelta:
        action = (await handle.describe()).schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        assert action.task_timeout is not None
        return action.task_timeout

    await handle.update(
        lambda given: ScheduleUpdate(with_task_timeout(given.description, 7))
    )
    await assert_eq_eventually(timedelta(seconds=7), task_timeout)

    async def to_eight(given: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(with_task_timeout(given.description, 8))

    await handle.update(to_eight)
    await assert_eq_eventually(timedelta(seconds=8), task_timeout)

    updated_at = (await handle.describe()).info.last_updated_at
    assert updated_at is not None
    await handle.update(lambda _: None)

    def refuse(_: ScheduleUpdateInput) -> ScheduleUpdate:
        raise ValueError("no update")

    with pytest.raises(ValueError, match="no update"):
        await handle.update(refuse)
    assert (await handle.describe()).info.last_updated_at == updated_at


async def check_pausing(handle: ScheduleHandle) -> None:
    """Pausing and resuming leave their notes."""

    async def state() -> tuple[bool, str]:
        state = (await handle.describe()).schedule.state
        return state.paused, state.note or ""

    for change, expected in (
        (handle.unpause(), (False, "Unpaused via Python SDK")),
        (handle.pause(), (True, "Paused via Python SDK")),
        (handle.unpause(note="on again"), (False, "on again")),
        (handle.pause(note="off again"), (True, "off again")),
    ):
        await change
        await assert_eq_eventually(expected, state)


async def actions_taken(client: Client, handle: ScheduleHandle, count: int) -> Any:
    """Wait for so many actions; give handles of their workflows."""

    async def taken() -> Any:
        description = await handle.describe()
        assert description.info.num_actions == count
        return started_by(client, description)

    return await assert_eventually(taken)


async def test_schedules_are_listed_page_by_page_and_by_attribute(
    client: Client, worker: Worker
) -> None:
    await ensure_search_attributes_present(client, KEYWORD_KEY)
    mark = random_id("mark")
    attributes = TypedSearchAttributes([SearchAttributePair(KEYWORD_KEY, mark)])
    schedule = Schedule(action=kitchen_sink(worker), spec=HOURLY, state=PAUSED)
    async with (
        made(client, schedule) as first,
        made(client, schedule, search_attributes=attributes) as second,
        made(client, schedule) as third,
        made(client, schedule, search_attributes=attributes) as fourth,
    ):
        four = {first.id, second.id, third.id, fourth.id}

        async def listed(query: str | None = None) -> set[str]:
            found = await client.list_schedules(query, page_size=2)
            return {entry.id async for entry in found}

        async def all_four() -> None:
            assert await listed() >= four

        await assert_eventually(all_four)
        query = f"{KEYWORD_KEY.name} = '{mark}'"
        await assert_eq_eventually({second.id, fourth.id}, lambda: listed(query))


async def test_schedule_calendar_spec_defaults(client: Client, worker: Worker) -> None:
    spec = ScheduleSpec(calendars=[ScheduleCalendarSpec()])
    schedule = Schedule(action=kitchen_sink(worker), spec=spec, state=PAUSED)
    async with made(client, schedule) as handle:
        description = await handle.describe()
        assert description.schedule.spec == spec
        times = description.info.next_action_times
        assert len(times) == 10
        assert {(at.hour, at.minute, at.second) for at in times} == {(0, 0, 0)}
        days = [later - at for at, later in pairwise(times)]
        assert days == [timedelta(days=1)] * 9


async def test_schedule_trigger_immediately(client: Client, worker: Worker) -> None:
    schedule = Schedule(action=kitchen_sink(worker), spec=HOURLY, state=PAUSED)
    async with made(client, schedule, trigger_immediately=True) as handle:
        description = await handle.describe()
        assert description.info.num_actions == 1
        (run,) = started_by(client, description)
        assert await run.result() == "some result"


async def test_schedule_backfill(client: Client, worker: Worker) -> None:
    every_minute = ScheduleSpec(
        intervals=[ScheduleIntervalSpec(every=timedelta(minutes=1))]
    )
    schedule = Schedule(action=kitchen_sink(worker), spec=every_minute, state=PAUSED)
    allow_all = ScheduleOverlapPolicy.ALLOW_ALL
    noon = utc(2020, 1, 20, 12, 0)
    first = ScheduleBackfill(
        start_at=noon - timedelta(minutes=5),
        end_at=noon - timedelta(minutes=3),
        overlap=allow_all,
    )
    async with made(client, schedule, backfill=[first]) as handle:
        await actions_taken(client, handle, 3)
        await handle.backfill(
            ScheduleBackfill(noon, noon + timedelta(minutes=1), overlap=allow_all),
            ScheduleBackfill(
                noon + timedelta(minutes=2, seconds=1),
                noon + timedelta(minutes=3),
                overlap=allow_all,
            ),
        )
        await actions_taken(client, handle, 6)


async def test_schedule_create_limited_actions_validation(
    client: Client, worker: Worker
) -> None:
    action = kitchen_sink(worker)
    with pytest.raises(ValueError, match="are no remaining actions set"):
        await client.create_schedule(
            random_id(),
            Schedule(action, HOURLY, state=ScheduleState(limited_actions=True)),
        )
    with pytest.raises(ValueError, match="are remaining actions set"):
        await client.create_schedule(
            random_id(),
            Schedule(action, HOURLY, state=ScheduleState(remaining_actions=10)),
        )


@pytest.mark.needs("typed search attributes")
async def test_schedule_workflow_search_attribute_update(
    client: Client, worker: Worker
) -> None:
    await ensure_search_attributes_present(client, TEXT_KEY, KEYWORD_KEY)
    own = TypedSearchAttributes([SearchAttributePair(KEYWORD_KEY, "of the schedule")])
    action = kitchen_sink(
        worker,
        typed_search_attributes=TypedSearchAttributes(
            [SearchAttributePair(TEXT_KEY, "typed")]
        ),
        untyped_search_attributes={KEYWORD_KEY.name: ["untyped"]},
    )
    schedule = Schedule(action, HOURLY, state=PAUSED)

    def update(given: ScheduleUpdateInput) -> ScheduleUpdate:
        shown = given.description.schedule.action
        assert isinstance(shown, ScheduleActionStartWorkflow)
        assert not shown.untyped_search_attributes
        assert len(shown.typed_search_attributes) == 2
        assert shown.typed_search_attributes[TEXT_KEY] == "typed"
        assert shown.typed_search_attributes[KEYWORD_KEY] == "untyped"
        assert given.description.typed_search_attributes == own
        changed = shown.typed_search_attributes.updated(
            SearchAttributePair(KEYWORD_KEY, "changed")
        )
        return ScheduleUpdate(
            replace(
                given.description.schedule,
                action=replace(shown, typed_search_attributes=changed),
            )
        )

    async with made(client, schedule, search_attributes=own) as handle:
        await handle.update(update)

        async def changed() -> None:
            description = await handle.describe()
            shown = description.schedule.action
            assert isinstance(shown, ScheduleActionStartWorkflow)
            assert shown.typed_search_attributes[TEXT_KEY] == "typed"
            assert shown.typed_search_attributes[KEYWORD_KEY] == "changed"
            assert description.typed_search_attributes == own

        await assert_eventually(changed)


def texts(**values: str) -> TypedSearchAttributes:
    """The two attributes of these tests, as far as they are given."""
    keys = {"text": TEXT_KEY, "keyword": KEYWORD_KEY}
    return TypedSearchAttributes(
        [SearchAttributePair(keys[name], value) for name, value in values.items()]
    )


@pytest.mark.needs("typed search attributes")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(None, texts(text="a", keyword="b"), id="none-is-noop"),
        pytest.param(
            TypedSearchAttributes.empty, texts(), id="empty-but-non-none-clears"
        ),
        pytest.param(
            texts(text="c", keyword="d"),
            texts(text="c", keyword="d"),
            id="all-new-values-overwrites",
        ),
        pytest.param(
            texts(text="c"),
            texts(text="c"),
            id="partial-new-values-overwrites-and-drops",
        ),
    ],
)
async def test_schedule_search_attribute_update(
    client: Client,
    worker: Worker,
    given: TypedSearchAttributes | None,
    expected: TypedSearchAttributes,
) -> None:
    await ensure_search_attributes_present(client, TEXT_KEY, KEYWORD_KEY)
    schedule = Schedule(kitchen_sink(worker), HOURLY, state=PAUSED)
    before = texts(text="a", keyword="b")
    async with made(client, schedule, search_attributes=before) as handle:

        def update(described: ScheduleUpdateInput) -> ScheduleUpdate:
            assert by_key(described.description) == values(before)
            return ScheduleUpdate(
                described.description.schedule, search_attributes=given
            )

        await handle.update(update)

        async def updated() -> None:
            description = await handle.describe()
            assert by_key(description) == values(expected)
            assert set(untyped(description)) == {
                pair.key.name for pair in expected.search_attributes
            }

        await assert_eventually(updated)


def by_key(description: ScheduleDescription) -> dict[str, Any]:
    """A schedule's own typed search attributes."""
    return values(description.typed_search_attributes)


def values(attributes: TypedSearchAttributes) -> dict[str, Any]:
    """Typed search attributes by name; their order means nothing."""
    return {pair.key.name: pair.value for pair in attributes.search_attributes}


def untyped(description: ScheduleDescription) -> SearchAttributes:
    """A schedule's own search attributes as they used to be."""
    return description.search_attributes


@workflow.defn
class LastCompletionWorkflow:
    """Tells what the run before it told."""

    @workflow.run
    async def run(self) -> str:
        """Give a first result, or one made of the last."""
        if not workflow.has_last_completion_result():
            return "My First Result"
        last = workflow.get_last_completion_result(type_hint=str)
        return f"From last completion: {last}"


async def test_schedule_last_completion_result(client: Client) -> None:
    async with new_worker(client, LastCompletionWorkflow) as worker:
        schedule = Schedule(
            ScheduleActionStartWorkflow(
                LastCompletionWorkflow.run,
                id=random_id(),
                task_queue=worker.task_queue,
            ),
            ScheduleSpec(),
        )

        async def results(handle: ScheduleHandle, count: int) -> Sequence[str]:
            runs = await actions_taken(client, handle, count)
            return [await run.result() for run in runs]

        async with made(client, schedule) as handle:
            await handle.trigger()
            assert await results(handle, 1) == ["My First Result"]

            async def triggered_again() -> None:
                # A start is dropped while the id, which ends with the second, runs.
                await handle.trigger()
                assert (await handle.describe()).info.num_actions == 2

            await assert_eventually(triggered_again)
            assert await results(handle, 2) == [
                "My First Result",
                "From last completion: My First Result",
            ]
