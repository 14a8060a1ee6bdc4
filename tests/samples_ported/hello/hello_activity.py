"""A workflow calls an activity that is a plain function, in a pool of threads."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@dataclass
class Greeting:
    greeting: str
    name: str


@activity.defn
def compose_greeting(wanted: Greeting) -> str:
    activity.logger.info("Composing for %s", wanted.name)
    return f"{wanted.greeting}, {wanted.name}!"


@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        workflow.logger.info("Greeting %s", name)
        return await workflow.execute_activity(
            compose_greeting,
            Greeting("Hello", name),
            start_to_close_timeout=timedelta(seconds=10),
        )


async def main() -> None:
    async with await connect() as client:
        with ThreadPoolExecutor(5) as threads:
            async with Worker(
                client,
                task_queue="hello-activity",
                workflows=[GreetingWorkflow],
                activities=[compose_greeting],
                activity_executor=threads,
            ):
                result = await client.execute_workflow(
                    GreetingWorkflow.run,
                    "World",
                    id="hello-activity",
                    task_queue="hello-activity",
                )
    print(f"Result: {result}")


if __name__ == "__main__":
    asyncio.run(main())
