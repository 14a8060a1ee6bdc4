"""Workflows that want to say more than a service takes."""

from datetime import timedelta

import pytest

from dbosify import activity, workflow
from dbosify.api.enums.v1 import WorkflowTaskFailedCause
from dbosify.client import Client, WorkflowFailureError, WorkflowHandle
from dbosify.exceptions import TimeoutError as WorkflowTimeoutError
from dbosify.exceptions import TimeoutType
from tests.ported_temporal.scaffold import (
    assert_task_fail_eventually,
    events_of,
    new_worker,
    random_id,
)

TOO_MUCH = 3 * 1024 * 1024


@activity.defn
async def measure(received: str) -> int:
    """How much has come."""
    return len(received)


@workflow.defn
class WordyWorkflow:
    """Says very much, by one way or another, until it is told not to."""

    def __init__(self) -> None:
        self.is_brief = False

    @workflow.run
    async def run(self, way: str) -> str:
        said = "" if self.is_brief else "x" * TOO_MUCH
        if way == "activity":
            await workflow.execute_activity(
                measure, said, schedule_to_close_timeout=timedelta(seconds=10)
            )
            said = ""
        elif way == "memo":
            workflow.upsert_memo({"said": said})
            said = ""
        return said

    @workflow.signal
    def be_brief(self) -> None:
        self.is_brief = True


async def causes(handle: WorkflowHandle[WordyWorkflow, str]) -> set[int]:
    """Why tasks of the run have failed."""
    return {
        event.workflow_task_failed_event_attributes.cause
        for event in await events_of(handle)
        if event.HasField("workflow_task_failed_event_attributes")
    }


async def test_oversized_payload_fails_task_with_error_log(client: Client) -> None:
    async with new_worker(client, WordyWorkflow, activities=[measure]) as worker:
        handle = await client.start_workflow(
            WordyWorkflow.run,
            "result",
            id=random_id(),
            task_queue=worker.task_queue,
            execution_timeout=timedelta(seconds=3),
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, WorkflowTimeoutError)
        assert failed.value.cause.type is TimeoutType.START_TO_CLOSE
        assert (
            WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PAYLOADS_TOO_LARGE
            in (await causes(handle))
        )


@pytest.mark.parametrize("way", ["result", "activity", "memo"])
async def test_a_workflow_that_says_less_goes_on(client: Client, way: str) -> None:
    async with new_worker(client, WordyWorkflow, activities=[measure]) as worker:
        handle = await client.start_workflow(
            WordyWorkflow.run, way, id=random_id(), task_queue=worker.task_queue
        )
        await assert_task_fail_eventually(
            handle,
            message_contains="[TMPRL1103] Attempted to upload payloads with size that"
            " exceeded the error limit.",
        )
        await handle.signal(WordyWorkflow.be_brief)
        assert await handle.result() == ""
