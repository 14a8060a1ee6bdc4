"""An activity that takes a while says that it is still there."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@activity.defn
def compose_slowly(name: str) -> str:
    for beat in range(3):
        activity.heartbeat(beat)
        time.sleep(0.1)
    return f"Hello, {name}!"


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            compose_slowly,
            name,
            start_to_close_timeout=timedelta(seconds=10),
            heartbeat_timeout=timedelta(seconds=2),
        )


async def main() -> None:
    async with await connect() as client:
        with ThreadPoolExecutor(5) as threads:
            async with Worker(
                client,
                task_queue="hello-activity-heartbeat",
                workflows=[GreetingWorkflow],
                activities=[compose_slowly],
                activity_executor=threads,
            ):
                result = await client.execute_workflow(
                    GreetingWorkflow.run,
                    "World",
                    id="hello-activity-heartbeat",
                    task_queue="hello-activity-heartbeat",
                )
    print(f"Result: {result}")


if __name__ == "__main__":
    asyncio.run(main())
