"""A filter lifts records about failed workflow tasks to the level of errors."""

import asyncio
import logging
import sys

from dbosify import workflow
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

IDENTIFIER = "__temporal_error_identifier"


def lift_task_failures(record: logging.LogRecord) -> bool:
    """Change the level of records about failed tasks; let all through."""
    if getattr(record, IDENTIFIER, None) == "WorkflowTaskFailure":
        record.levelno, record.levelname = logging.ERROR, "ERROR"
    return True


class Announcing(logging.Handler):
    """Prints the errors that it gets, and says that there was one."""

    def __init__(self) -> None:
        super().__init__()
        self.announced = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.addFilter(lift_task_failures)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR and record.exc_info:
            print(f"{record.levelname}: {record.exc_info[1]}", file=sys.stdout)
            self._loop.call_soon_threadsafe(self.announced.set)


@workflow.defn
class BrokenWorkflow:
    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("This is a bug")


async def main() -> None:
    handler = Announcing()
    logging.getLogger().addHandler(handler)
    try:
        async with (
            await connect() as client,
            Worker(
                client,
                task_queue="hello-change-log-level",
                workflows=[BrokenWorkflow],
            ),
        ):
            handle = await client.start_workflow(
                BrokenWorkflow.run,
                id="hello-change-log-level",
                task_queue="hello-change-log-level",
            )
            await handler.announced.wait()
            await handle.terminate()
    finally:
        logging.getLogger().removeHandler(handler)


if __name__ == "__main__":
    asyncio.run(main())
