"""A mail a month until somebody has enough of it."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow


@activity.defn
async def send_email(text: str) -> None:
    activity.logger.info("Mail: %s", text)


@workflow.defn
class SleepForDaysWorkflow:
    def __init__(self) -> None:
        self._complete = False

    @workflow.run
    async def run(self) -> None:
        while not self._complete:
            await workflow.execute_activity(
                send_email,
                "30 days until the next one",
                start_to_close_timeout=timedelta(seconds=10),
            )
            await workflow.wait(
                [
                    asyncio.create_task(asyncio.sleep(30 * 24 * 3600)),
                    asyncio.create_task(
                        workflow.wait_condition(lambda: self._complete)
                    ),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )

    @workflow.signal
    def complete(self) -> None:
        self._complete = True
