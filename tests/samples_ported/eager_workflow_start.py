"""A workflow's first task goes straight to the worker in the client's process."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@activity.defn
async def greet(name: str) -> str:
    return f"Hello {name}!"


@workflow.defn
class EagerWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_local_activity(
            greet, name, schedule_to_close_timeout=timedelta(seconds=5)
        )


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="eager-start",
            workflows=[EagerWorkflow],
            activities=[greet],
        ),
    ):
        handle = await client.start_workflow(
            EagerWorkflow.run,
            "Temporal",
            id="eager-start",
            task_queue="eager-start",
            request_eager_start=True,
        )
        print("Eagerly started:", handle.__temporal_eagerly_started)
        print(await handle.result())


if __name__ == "__main__":
    asyncio.run(main())
