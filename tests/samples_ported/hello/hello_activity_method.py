"""Activities are methods of an object that brings what they need."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


class Database:
    """What the activities need."""

    async def greeting_for(self, name: str) -> str:
        return f"Hello, {name}, from the database!"


class Activities:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def look_up(self, name: str) -> str:
        return await self._database.greeting_for(name)


@workflow.defn
class LookUpWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity_method(
            Activities.look_up, name, start_to_close_timeout=timedelta(seconds=10)
        )


async def main() -> None:
    activities = Activities(Database())
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="hello-activity-method",
            workflows=[LookUpWorkflow],
            activities=[activities.look_up],
        ),
    ):
        result = await client.execute_workflow(
            LookUpWorkflow.run,
            "World",
            id="hello-activity-method",
            task_queue="hello-activity-method",
        )
    print(f"Result: {result}")


if __name__ == "__main__":
    asyncio.run(main())
