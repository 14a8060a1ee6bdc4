"""Says hello: a workflow, an activity, a worker and a client, in one process.

Uses the Postgres that `DBOS_SYSTEM_DATABASE_URL` names, or starts the embedded one.
"""

import asyncio
import os
import uuid
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.testing import WorkflowEnvironment
from dbosify.worker import Worker


@activity.defn
async def compose(name: str) -> str:
    """Does the work: it may fail, take long, or run on another machine."""
    return f"Hello, {name}!"


@workflow.defn
class Greeting:
    """Decides what is to be done: it survives every crash."""

    @workflow.run
    async def run(self, name: str) -> str:
        """Let somebody compose the greeting."""
        return await workflow.execute_activity(
            compose, name, start_to_close_timeout=timedelta(seconds=10)
        )


async def main(db_url: str) -> None:
    """Serve the workflow, and run it once."""
    async with (
        Worker(db_url, task_queue="hello", workflows=[Greeting], activities=[compose]),
        await Client.connect(db_url) as client,
    ):
        greeting = await client.execute_workflow(
            Greeting.run, "World", id=f"hello-{uuid.uuid4()}", task_queue="hello"
        )
        print(greeting)


async def main_on_embedded_postgres() -> None:
    """The same, on a Postgres that ends with the program."""
    async with await WorkflowEnvironment.start_local() as env:
        await main(env.client.service_client.config.target_host)


if __name__ == "__main__":
    url = os.environ.get("DBOS_SYSTEM_DATABASE_URL")
    asyncio.run(main(url) if url else main_on_embedded_postgres())
