"""Activities that must follow each other on one machine do, by a queue of its own."""

import asyncio
import hashlib
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

SHARED_QUEUE = "worker-specific-shared"
A_MINUTE = timedelta(minutes=1)


class Machine:
    """One worker with its own disk, known by the name of its own queue."""

    def __init__(self, disk: Path) -> None:
        self.queue = f"worker-specific-{uuid.uuid4()}"
        self._disk = disk / self.queue

    @activity.defn
    async def available_queue(self) -> str:
        return self.queue

    @activity.defn
    def download(self, url: str) -> str:
        self._disk.mkdir(exist_ok=True)
        path = self._disk / activity.info().workflow_run_id  # type: ignore[operator]
        path.write_text(f"the body of {url}")
        return str(path)

    @activity.defn
    def process(self, path: str) -> str:
        assert Path(path).parent == self._disk
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    @activity.defn
    def clean_up(self, path: str) -> None:
        Path(path).unlink()

    def workers(self, client: Client, threads: ThreadPoolExecutor) -> list[Worker]:
        """One for what anybody can do, one for what only this machine can."""
        return [
            Worker(
                client,
                task_queue=SHARED_QUEUE,
                workflows=[FileWorkflow],
                activities=[self.available_queue],
            ),
            Worker(
                client,
                task_queue=self.queue,
                activities=[self.download, self.process, self.clean_up],
                activity_executor=threads,
            ),
        ]


@workflow.defn
class FileWorkflow:
    @workflow.run
    async def run(self, url: str) -> str:
        queue = await workflow.execute_activity_method(
            Machine.available_queue, start_to_close_timeout=A_MINUTE
        )
        path = await workflow.execute_activity_method(
            Machine.download, url, task_queue=queue, start_to_close_timeout=A_MINUTE
        )
        try:
            return await workflow.execute_activity_method(
                Machine.process,
                path,
                task_queue=queue,
                start_to_close_timeout=A_MINUTE,
            )
        finally:
            await workflow.execute_activity_method(
                Machine.clean_up,
                path,
                task_queue=queue,
                start_to_close_timeout=A_MINUTE,
            )


def files_below(disk: Path) -> int:
    """How many files there are on the machines' disks."""
    return len(list(disk.glob("*/*")))


async def queues_used(client: Client, workflow_id: str) -> set[str]:
    """The queues on which a workflow's activities were scheduled."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return {
        event["activityTaskScheduledEventAttributes"]["taskQueue"]["name"]
        for event in history.to_json_dict()["events"]
        if event["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"
    }


async def main() -> None:
    async with await connect() as client, AsyncExitStack() as running:
        disk = running.enter_context(tempfile.TemporaryDirectory())
        threads = running.enter_context(ThreadPoolExecutor(6))
        for _ in range(3):
            own = await running.enter_async_context(await connect())
            for worker in Machine(Path(disk)).workers(own, threads):
                await running.enter_async_context(worker)
        ids = [f"worker-specific-{number}" for number in range(5)]
        checksums = await asyncio.gather(
            *(
                client.execute_workflow(
                    FileWorkflow.run, "http://a", id=id_, task_queue=SHARED_QUEUE
                )
                for id_ in ids
            )
        )
        print("Checksums:", len(set(checksums)))
        used = [await queues_used(client, id_) - {SHARED_QUEUE} for id_ in ids]
        print("Own queues of each:", *map(len, used))
        print("Files left:", files_below(Path(disk)))


if __name__ == "__main__":
    asyncio.run(main())
