"""Starts the workflow, and shows what others see of it."""

import asyncio

from tests.samples_ported.connection import connect
from tests.samples_ported.encryption.codec import ENCRYPTING
from tests.samples_ported.encryption.worker import TASK_QUEUE, GreetingWorkflow


async def main() -> None:
    async with await connect(data_converter=ENCRYPTING) as client:
        handle = await client.start_workflow(
            GreetingWorkflow.run,
            "My Secret Friend",
            id="encryption",
            task_queue=TASK_QUEUE,
        )
        print(await handle.result())
        history = await handle.fetch_history()
    seen = b"".join(event.SerializeToString() for event in history.events)
    print("Others can read it:", b"Secret" in seen)


if __name__ == "__main__":
    asyncio.run(main())
