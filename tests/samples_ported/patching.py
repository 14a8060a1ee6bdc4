"""A change of code in all its phases, with the runs of each phase still answering."""

import asyncio
from datetime import timedelta

from dbosify import activity, workflow
from dbosify.client import Client, WorkflowHandle
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

PATCH = "my-patch"
TASK_QUEUE = "patching"


@activity.defn
async def pre_patch() -> str:
    return "pre-patch"


@activity.defn
async def post_patch() -> str:
    return "post-patch"


class _Phase:
    """What all versions of the workflow share."""

    _result = "<no result>"

    async def _do(self, new: bool) -> None:
        self._result = await workflow.execute_activity(
            post_patch if new else pre_patch,
            schedule_to_close_timeout=timedelta(minutes=5),
        )


@workflow.defn(name="patched-workflow")
class Initial(_Phase):
    @workflow.run
    async def run(self) -> None:
        await self._do(new=False)

    @workflow.query
    def result(self) -> str:
        return self._result


@workflow.defn(name="patched-workflow")
class Patched(_Phase):
    @workflow.run
    async def run(self) -> None:
        await self._do(new=workflow.patched(PATCH))

    @workflow.query
    def result(self) -> str:
        return self._result


@workflow.defn(name="patched-workflow")
class Deprecated(_Phase):
    @workflow.run
    async def run(self) -> None:
        workflow.deprecate_patch(PATCH)
        await self._do(new=True)

    @workflow.query
    def result(self) -> str:
        return self._result


@workflow.defn(name="patched-workflow")
class Complete(_Phase):
    @workflow.run
    async def run(self) -> None:
        await self._do(new=True)

    @workflow.query
    def result(self) -> str:
        return self._result


async def run(client: Client, phase: str) -> WorkflowHandle[object, object]:
    """Run the workflow to its end with the code of a phase."""
    handle = await client.start_workflow(
        "patched-workflow", id=f"patching-{phase}", task_queue=TASK_QUEUE
    )
    await handle.result()
    return handle


async def main() -> None:
    async with await connect() as client:
        done: list[WorkflowHandle[object, object]] = []
        for phase in (Initial, Patched, Deprecated, Complete):
            async with Worker(
                client,
                task_queue=TASK_QUEUE,
                workflows=[phase],
                activities=[pre_patch, post_patch],
                max_cached_workflows=0,
            ):
                # Runs of this phase, and of the phase before it, are understood.
                done = [*done[-1:], await run(client, phase.__name__)]
                answers = [await handle.query("result") for handle in done]
                print(f"{phase.__name__}:", *answers)


if __name__ == "__main__":
    asyncio.run(main())
