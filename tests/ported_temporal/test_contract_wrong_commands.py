"""Names and times in commands that the server refuses: the task fails, and why."""

from datetime import timedelta

import pytest

from dbosify import workflow
from dbosify.client import Client
from tests.ported_temporal.scaffold import (
    assert_task_fail_eventually,
    new_worker,
    random_id,
)

LONG = "n" * 1001
TOO_LONG = "exceeds length limit. Length=1001 Limit=1000"
A_MOMENT = timedelta(seconds=5)


@workflow.defn
class WrongNamesWorkflow:
    """Gives a command with something in it that the server refuses."""

    @workflow.run
    async def run(self, wrong: str) -> None:
        match wrong:
            case "type of the next run":
                workflow.continue_as_new(workflow=LONG)
            case "queue of the next run":
                workflow.continue_as_new(wrong, task_queue=LONG)
            case "reserved queue of the next run":
                workflow.continue_as_new(wrong, task_queue="/_sys/x")
            case "run timeout of the next run":
                workflow.continue_as_new(wrong, run_timeout=-A_MOMENT)
            case "task timeout of the next run":
                workflow.continue_as_new(wrong, task_timeout=-A_MOMENT)
            case "back-off of the next run":
                workflow.continue_as_new(wrong, backoff_start_interval=-A_MOMENT)
        await workflow.execute_activity(
            LONG if wrong == "type" else "a",
            activity_id=LONG if wrong == "id" else None,
            task_queue=LONG if wrong == "queue" else None,
            start_to_close_timeout=A_MOMENT,
        )


def _of_next_run(text: str) -> str:
    return f"BadContinueAsNewAttributes: {text} WorkflowType=WrongNamesWorkflow"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("id", f"BadScheduleActivityAttributes: activityId {TOO_LONG}"),
        ("type", f"BadScheduleActivityAttributes: activityType {TOO_LONG}"),
        ("queue", "BadScheduleActivityAttributes: taskQueue length exceeds limit"),
        (
            "type of the next run",
            "BadContinueAsNewAttributes: WorkflowType on"
            " ContinueAsNewWorkflowExecutionCommand exceeds length limit."
            f" WorkflowType={LONG} Length=1001 Limit=1000",
        ),
        (
            "queue of the next run",
            _of_next_run(
                "error validating ContinueAsNewWorkflowExecutionCommand TaskQueue:"
                " taskQueue length exceeds limit."
            ),
        ),
        (
            "reserved queue of the next run",
            _of_next_run(
                "error validating ContinueAsNewWorkflowExecutionCommand TaskQueue: task"
                " queue name cannot start with reserved prefix /_sys/."
            ),
        ),
        *(
            (
                f"{name} of the next run",
                _of_next_run(
                    f"Invalid {field} on ContinueAsNewWorkflowExecutionCommand:"
                    " negative duration."
                ),
            )
            for name, field in (
                ("run timeout", "WorkflowRunTimeout"),
                ("task timeout", "WorkflowTaskTimeout"),
                ("back-off", "BackoffStartInterval"),
            )
        ),
    ],
)
async def test_a_wrong_command_fails_the_task(
    client: Client, wrong: str, text: str
) -> None:
    async with new_worker(client, WrongNamesWorkflow) as worker:
        handle = await client.start_workflow(
            WrongNamesWorkflow.run, wrong, id=random_id(), task_queue=worker.task_queue
        )
        message = await assert_task_fail_eventually(handle)
        await handle.terminate()
    # What follows is a Go value, whose spaces change from build to build.
    assert message.split(" TaskQueue=name:")[0] == text
