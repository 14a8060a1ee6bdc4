"""A batch of records, a bounded number of which is worked on at any moment.

Partitions are children; each keeps a window of grandchildren that outlive its runs and
tell whichever run is the current one when they are done.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.common import WorkflowIDReusePolicy
from dbosify.worker import Worker
from dbosify.workflow import ParentClosePolicy
from tests.samples_ported.connection import connect

TASK_QUEUE = "batch-sliding-window"
RECORDS = 30


@dataclass
class BatchInput:
    page_size: int
    window: int
    partitions: int


@dataclass
class WindowInput:
    page_size: int
    window: int
    start: int
    end: int
    done: int = 0
    running: set[int] = field(default_factory=set)


@dataclass
class Progress:
    done: int
    running: set[int]


@activity.defn
async def count_records() -> int:
    return RECORDS


@workflow.defn
class RecordWorkflow:
    @workflow.run
    async def run(self, record: int, window_id: str) -> None:
        await workflow.sleep(timedelta(milliseconds=workflow.random().randint(1, 50)))
        # Addressed by its id alone, so whichever run of it is open hears of this.
        window = workflow.get_external_workflow_handle(window_id)
        await window.signal("record_done", record)


@workflow.defn
class SlidingWindowWorkflow:
    @workflow.init
    def __init__(self, given: WindowInput) -> None:
        self._running = set(given.running)
        self._early: set[int] = set()
        """Done before their start was reported."""
        self._done = given.done

    @workflow.run
    async def run(self, given: WindowInput) -> int:
        workflow.set_signal_handler("record_done", self._record_done)
        workflow.set_query_handler("progress", self._progress)
        page = range(given.start, min(given.start + given.page_size, given.end))
        for record in page:
            await workflow.wait_condition(lambda: len(self._running) < given.window)
            # The child must have started before this run may end.
            await workflow.start_child_workflow(
                RecordWorkflow.run,
                args=[record, workflow.info().workflow_id],
                id=f"{workflow.info().workflow_id}/record-{record}",
                parent_close_policy=ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
            if record in self._early:
                self._early.remove(record)
            else:
                self._running.add(record)
        if page.stop < given.end:
            workflow.continue_as_new(
                WindowInput(
                    given.page_size,
                    given.window,
                    page.stop,
                    given.end,
                    self._done,
                    self._running,
                )
            )
        await workflow.wait_condition(lambda: not self._running)
        return self._done

    def _record_done(self, record: int) -> None:
        self._done += 1
        if record in self._running:
            self._running.remove(record)
        else:
            self._early.add(record)

    def _progress(self) -> Progress:
        return Progress(self._done, self._running)


@workflow.defn
class BatchWorkflow:
    @workflow.run
    async def run(self, given: BatchInput) -> int:
        records = await workflow.execute_activity(
            count_records, start_to_close_timeout=timedelta(seconds=5)
        )
        own = workflow.info().workflow_id
        size = -(-records // given.partitions)
        windows = [
            workflow.execute_child_workflow(
                SlidingWindowWorkflow.run,
                WindowInput(
                    given.page_size, given.window, start, min(start + size, records)
                ),
                id=f"{own}/{start // size}",
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
            for start in range(0, records, size)
        ]
        return sum(await asyncio.gather(*windows))


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[BatchWorkflow, SlidingWindowWorkflow, RecordWorkflow],
            activities=[count_records],
        ),
    ):
        done = await client.execute_workflow(
            BatchWorkflow.run,
            BatchInput(page_size=4, window=3, partitions=2),
            id="batch-sliding-window",
            task_queue=TASK_QUEUE,
        )
        print("Records:", done)


if __name__ == "__main__":
    asyncio.run(main())
