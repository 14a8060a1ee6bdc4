"""A schedule's life: made, looked at, changed, set off by hand, and deleted."""

import asyncio
from datetime import datetime, timedelta, timezone

from dbosify import workflow
from dbosify.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

TASK_QUEUE = "schedules"


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"Hello, {name}!"


def greet_others(given: ScheduleUpdateInput) -> ScheduleUpdate:
    action = given.description.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    action.args = ["others"]
    return ScheduleUpdate(schedule=given.description.schedule)


async def main() -> None:
    async with (
        await connect() as client,
        Worker(client, task_queue=TASK_QUEUE, workflows=[GreetingWorkflow]),
    ):
        handle = await client.create_schedule(
            "greetings",
            Schedule(
                action=ScheduleActionStartWorkflow(
                    GreetingWorkflow.run,
                    "World",
                    id="scheduled-greeting",
                    task_queue=TASK_QUEUE,
                ),
                spec=ScheduleSpec(
                    intervals=[ScheduleIntervalSpec(every=timedelta(minutes=2))]
                ),
                state=ScheduleState(note="Every other minute."),
            ),
        )
        print("Note:", (await handle.describe()).schedule.state.note)
        await handle.pause(note="Enough for today.")
        print("Paused:", (await handle.describe()).schedule.state.paused)
        await handle.unpause()
        await handle.update(greet_others)
        await handle.trigger()
        print("Triggered:", await result_of_action(1, handle, client))
        now = datetime.now(timezone.utc)
        await handle.backfill(
            ScheduleBackfill(
                start_at=now - timedelta(minutes=10),
                end_at=now - timedelta(minutes=9),
                overlap=ScheduleOverlapPolicy.ALLOW_ALL,
            )
        )
        listed = [each.id async for each in await client.list_schedules()]
        print("Listed:", "greetings" in listed)
        await handle.delete()
        print("Deleted")


async def result_of_action(number: int, handle: ScheduleHandle, client: Client) -> str:
    while True:
        recent = (await handle.describe()).info.recent_actions
        if len(recent) >= number:
            started = recent[number - 1].action
            assert isinstance(started, ScheduleActionExecutionStartWorkflow)
            return str(await client.get_workflow_handle(started.workflow_id).result())
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
