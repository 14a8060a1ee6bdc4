"""A workflow file as applications write it: what starts the workflow is in it, too."""

from dbosify import workflow
from dbosify.client import Client
from dbosify.service import RPCError
from dbosify.worker import Worker


@workflow.defn
class Named:
    """Knows its client."""

    @workflow.run
    async def run(self) -> list[str]:
        """What the sandbox let it import."""
        return [kind.__name__ for kind in (Client, RPCError, Worker)]


async def start(client: Client, *, id: str, task_queue: str) -> list[str]:  # noqa: A002
    """Run the workflow."""
    return await client.execute_workflow(Named.run, id=id, task_queue=task_queue)
