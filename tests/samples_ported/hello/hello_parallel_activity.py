"""Five activities at once."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect


@activity.defn
async def say_hello(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class SayHelloWorkflow:
    @workflow.run
    async def run(self) -> list[str]:
        greetings = await asyncio.gather(
            *(
                workflow.execute_activity(
                    say_hello,
                    f"user{number}",
                    start_to_close_timeout=timedelta(seconds=5),
                )
                for number in range(1, 6)
            )
        )
        return sorted(greetings)


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue="hello-parallel-activity",
            workflows=[SayHelloWorkflow],
            activities=[say_hello],
        ),
    ):
        result = await client.execute_workflow(
            SayHelloWorkflow.run,
            id="hello-parallel-activity",
            task_queue="hello-parallel-activity",
        )
    print("\n".join(result))


if __name__ == "__main__":
    asyncio.run(main())
