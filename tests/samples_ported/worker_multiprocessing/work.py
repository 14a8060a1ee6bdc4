"""What is to be done, apart from the program: each process imports it anew."""

import asyncio
import os
from datetime import timedelta

from dbosify import activity, workflow

WORKFLOW_QUEUE = "multiprocessing-workflows"
ACTIVITY_QUEUE = "multiprocessing-activities"


@activity.defn
async def who() -> int:
    await asyncio.sleep(0.2)
    return os.getpid()


@workflow.defn
class ParallelWorkflow:
    @workflow.run
    async def run(self, times: int) -> list[int]:
        return await asyncio.gather(
            *(
                workflow.execute_activity(
                    who,
                    task_queue=ACTIVITY_QUEUE,
                    start_to_close_timeout=timedelta(seconds=10),
                )
                for _ in range(times)
            )
        )
