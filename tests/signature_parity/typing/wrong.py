"""A program with mistakes that type checkers must find.

Each wrong line says by what it ignores which error it expects: an ignored error that
isn't there is an error too.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from datetime import timedelta

from dbosify import activity, workflow
from dbosify.client import Client
from dbosify.worker import Worker


@activity.defn
async def pack(count: int) -> str:
    return str(count)


@workflow.defn
class Shipping:
    @workflow.run
    async def run(self, count: int) -> str:
        soon = timedelta(seconds=5)
        packed = await workflow.execute_activity(pack, 1, start_to_close_timeout=soon)
        packed.append("")  # type: ignore[attr-defined]
        return packed

    @workflow.signal
    def release(self, count: int) -> None: ...


async def ship(client: Client) -> None:
    handle = await client.start_workflow(Shipping.run, 1, id="id", task_queue="queue")
    await client.start_workflow(
        Shipping.run,
        "1",  # type: ignore[misc]
        id="id",
        task_queue="queue",
    )
    await client.start_workflow(Shipping.run, 1, id="id")  # type: ignore[call-overload]
    await handle.signal(Shipping.release, "1")  # type: ignore[call-overload]
    result: int = await handle.result()  # type: ignore[assignment]
    await handle.results(result)  # type: ignore[attr-defined]
    Worker(client, workflows=[Shipping])  # type: ignore[call-arg]
    await Client.connect("localhost:7233", namespaces="n")  # type: ignore[call-arg]
