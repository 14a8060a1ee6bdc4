"""Serves the workflow until somebody stops it."""

import asyncio

from dbosify import workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

with workflow.unsafe.imports_passed_through():
    from tests.samples_ported.encryption.codec import ENCRYPTING

TASK_QUEUE = "encryption"


@workflow.defn(name="Workflow")
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"Hello, {name}"


async def main() -> None:
    async with await connect(data_converter=ENCRYPTING) as client:
        await Worker(client, task_queue=TASK_QUEUE, workflows=[GreetingWorkflow]).run()


if __name__ == "__main__":
    asyncio.run(main())
