"""Raw requests to reset a run, and the workflow whose runs are reset."""

import uuid
from datetime import timedelta
from typing import Any

from dbosify import activity, workflow
from dbosify.api.common.v1 import WorkflowExecution
from dbosify.api.history.v1 import HistoryEvent
from dbosify.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from dbosify.client import Client, WorkflowHandle
from tests.ported_temporal.contract import history_of, names_of


@activity.defn
async def stamp(name: str) -> str:
    """Say that it ran."""
    return f"{name} stamped"


@workflow.defn
class Diary:
    """Writes down what happens to it until it is told to stop."""

    def __init__(self) -> None:
        """Begin with an empty page."""
        self.page: list[str] = []
        self.full = False

    @workflow.run
    async def run(self, first: str) -> list[str]:
        """Have the first entry stamped, and wait for others."""
        workflow.upsert_memo({"pages": 1})
        self.page.append(
            await workflow.execute_activity(
                stamp, first, start_to_close_timeout=timedelta(seconds=30)
            )
        )
        workflow.upsert_memo({"pages": 2})
        await workflow.wait_condition(lambda: self.full)
        return self.page

    @workflow.signal
    def write(self, entry: str) -> None:
        """Write an entry down."""
        self.page.append(entry)

    @workflow.signal
    def close(self) -> None:
        """Make the workflow end."""
        self.full = True

    @workflow.update
    def paste(self, entry: str) -> int:
        """Write an entry down and tell how many there are."""
        self.page.append(entry)
        return len(self.page)

    @workflow.query
    def entries(self) -> list[str]:
        """What was written so far."""
        return self.page


UNHEARD = "unheard of "
"""A task queue of which no worker hears until the test wants it to: with the id."""


@workflow.defn
class Waits:
    """Waits for an activity that takes its time to begin."""

    @workflow.run
    async def run(self) -> str:
        """Wait."""
        return await workflow.execute_activity(
            stamp,
            "hello",
            task_queue=UNHEARD + workflow.info().workflow_id,
            activity_id="unheard",
            start_to_close_timeout=timedelta(seconds=30),
        )

    @workflow.signal
    def poke(self) -> None:
        """Give it something to do."""


@workflow.defn
class Mother:
    """Has a child, which waits until it is told to stop."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self.pokes = 0

    @workflow.run
    async def run(self) -> list[str]:
        """Wait for the child."""
        name = f"child of {workflow.info().workflow_id}"
        child = await workflow.start_child_workflow(Diary.run, "milk", id=name)
        await workflow.wait_condition(lambda: self.pokes > 0)
        return await child

    @workflow.signal
    def poke(self) -> None:
        """Give it something to do."""
        self.pokes += 1


async def reset(client: Client, target: WorkflowExecution, **fields: Any) -> str:
    """Reset a run; tells the id of the new one."""
    complete: dict[str, Any] = {
        "namespace": client.namespace,
        "workflow_execution": target,
        "request_id": str(uuid.uuid4()),
        "reason": "a second try",
    }
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(**{**complete, **fields})
    )
    return answer.run_id


def run_of(handle: WorkflowHandle[Any, Any]) -> WorkflowExecution:
    """The run that a handle was given by whoever started it."""
    return WorkflowExecution(
        workflow_id=handle.id, run_id=handle.first_execution_run_id or ""
    )


async def finishes(client: Client, target: WorkflowExecution) -> list[int]:
    """The numbers of the events by which a run's workflow tasks were completed."""
    events = await history_of(client, target)
    return [
        event.event_id
        for event, name in zip(events, names_of(events), strict=True)
        if name == "WORKFLOW_TASK_COMPLETED"
    ]


def after_reset(events: list[HistoryEvent]) -> list[str]:
    """What followed the reset in a run's history, its first event."""
    names = names_of(events)
    place = max(
        number for number, name in enumerate(names) if name == "WORKFLOW_TASK_FAILED"
    )
    return names[place:]
