"""Histories are fetched by a list filter, and replayed against the code of today."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.worker import Replayer, Worker
from tests.samples_ported.connection import connect

TASK_QUEUE = "replay"
WORKFLOW_ID = "replay-me"


@activity.defn
async def compose_greeting(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class JustActivity:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            compose_greeting, name, start_to_close_timeout=timedelta(seconds=10)
        )


@workflow.defn
class JustTimer:
    @workflow.run
    async def run(self, name: str) -> str:
        await workflow.sleep(0.02)
        return f"Hello, {name}!"


@workflow.defn
class TimerThenActivity:
    @workflow.run
    async def run(self, name: str) -> str:
        await workflow.sleep(0.02)
        return await workflow.execute_activity(
            compose_greeting, name, start_to_close_timeout=timedelta(seconds=10)
        )


WORKFLOWS = [JustActivity, JustTimer, TimerThenActivity]


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=WORKFLOWS,
            activities=[compose_greeting],
        ),
    ):
        runs = set()
        for kind in WORKFLOWS:
            handle = await client.start_workflow(
                kind.__name__, "World", id=WORKFLOW_ID, task_queue=TASK_QUEUE
            )
            await handle.result()
            runs.add(handle.result_run_id)
        # A server's index of runs is behind its runs by a moment.
        while True:
            listed = client.list_workflows(f'WorkflowId="{WORKFLOW_ID}"')
            histories = [each async for each in listed.map_histories()]
            if runs <= {each.run_id for each in histories}:
                break
            await asyncio.sleep(0.1)
        results = await Replayer(workflows=WORKFLOWS).replay_workflows(
            client.list_workflows(f'WorkflowId="{WORKFLOW_ID}"').map_histories(),
            raise_on_replay_failure=False,
        )
    print("Failures:", len(results.replay_failures))


if __name__ == "__main__":
    asyncio.run(main())
