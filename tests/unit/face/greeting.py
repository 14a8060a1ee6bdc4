"""Proves that a client and its workers work: one workflow, greeted from end to end."""

import uuid
from typing import Any

import temporalio.client
import temporalio.worker

from dbosify.worker import Worker
from tests.unit.face.workflows import (
    Failing,
    Greeting,
    Patient,
    Sleeper,
    Story,
    greet,
)

WORKFLOWS = (Failing, Greeting, Patient, Sleeper, Story)

Pair = tuple[str, str]


def random_name(prefix: str = "face") -> str:
    """A workflow id or task queue that no other test uses."""
    return f"{prefix}-{uuid.uuid4()}"


def served(
    client: Any,
    *,
    task_queue: str | None = None,
    kind: type[temporalio.worker.Worker] = Worker,
    **options: Any,
) -> temporalio.worker.Worker:
    """A worker of all the workflows, on a queue of its own unless told."""
    return kind(
        client,
        task_queue=task_queue or random_name("queue"),
        workflows=WORKFLOWS,
        activities=[greet],
        # The default hashes the code of every loaded module, pytest's too.
        build_id="face",
        **options,
    )


async def greeted(client: temporalio.client.Client, task_queue: str) -> str:
    """The outcome of a greeting on a queue that somebody serves."""
    return await client.execute_workflow(
        Greeting.run, "Ada", id=random_name(), task_queue=task_queue
    )


async def greets(client: temporalio.client.Client) -> bool:
    """Whether a client gets greeted by a worker made of it."""
    async with served(client) as worker:
        return await greeted(client, worker.task_queue) == "Hello, Ada!"


async def started(
    client: temporalio.client.Client, task_queue: str | None = None
) -> temporalio.client.WorkflowHandle[Patient, str]:
    """A run that waits, on a queue that nobody serves unless told otherwise."""
    return await client.start_workflow(
        Patient.run, id=random_name(), task_queue=task_queue or random_name("queue")
    )
