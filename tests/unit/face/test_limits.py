"""Limits that were set are the ones that are kept, and that Temporal's errors name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dbosify._model import limits
from dbosify._model.limits import Limits
from dbosify.api.enums.v1 import EventType, WorkflowTaskFailedCause
from dbosify.api.errordetails.v1 import ResourceExhaustedFailure
from dbosify.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    UpdateWorkflowExecutionRequest,
)
from dbosify.client import Client, WorkflowHandle, WorkflowUpdateStage
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.unit.face.greeting import random_name
from tests.unit.face.workflows import Several, Updated, greet
from tests.waiting import eventually

Set = Callable[..., None]


@pytest.fixture
def set_limits(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Puts other limits in force for a test."""

    def put(**changes: int) -> None:
        monkeypatch.setattr(limits, "current", Limits(**changes))

    return put


async def started(
    client: Client, queue: str, workflow: str, *args: object
) -> WorkflowHandle[Any, Any]:
    """A run of a workflow."""
    return await client.start_workflow(
        workflow, args=args, id=random_name(), task_queue=queue
    )


def update_of(
    client: Client, handle: WorkflowHandle[Any, Any], text: str
) -> UpdateWorkflowExecutionRequest:
    """A request that no client repeats by itself."""
    request = UpdateWorkflowExecutionRequest(namespace=client.namespace)
    request.workflow_execution.workflow_id = handle.id
    request.request.meta.update_id = random_name()
    request.request.input.name = "keep"
    request.request.input.args.payloads.add(data=text.encode())
    return request


async def refused(client: Client, **changes: Any) -> RPCError:
    """How a start is refused."""
    request: dict[str, Any] = {"id": random_name(), "task_queue": "any", **changes}
    with pytest.raises(RPCError) as caught:
        await client.start_workflow("Any", **request)
    return caught.value


async def test_the_sizes_of_a_start_are_limited(
    client: Client, set_limits: Set
) -> None:
    set_limits(blob_bytes=1000, memo_bytes=500, id_bytes=100)
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"arg": "x" * 1000}, "Blob data size exceeds limit."),
        ({"memo": {"m": "x" * 500}}, "Memo size exceeds limit."),
        ({"id": "x" * 101}, "WorkflowId exceeds maximum allowed length (101/100)"),
        ({"task_queue": "x" * 101}, "taskQueue length exceeds limit"),
    ]
    for changes, text in mistakes:
        error = await refused(client, **changes)
        assert (error.status, error.message) == (RPCStatusCode.INVALID_ARGUMENT, text)
    shown = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    told = shown.namespace_info.limits
    assert (told.blob_size_limit_error, told.memo_size_limit_error) == (1000, 500)


async def test_updates_in_flight_are_limited_by_their_sizes(
    client: Client, set_limits: Set
) -> None:
    set_limits(update_bytes_in_flight=1000)
    queue = random_name()
    async with Worker(client, task_queue=queue, workflows=[Updated]):
        handle = await started(client, queue, "Updated")

        first = await handle.start_update(
            "keep", "x" * 600, wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        with pytest.raises(RPCError) as caught:
            await client.workflow_service.update_workflow_execution(
                update_of(client, handle, "x" * 600)
            )
        assert caught.value.status == RPCStatusCode.RESOURCE_EXHAUSTED
        assert caught.value.message == (
            "limit on total payload size of in-flight updates has been reached"
            " (1000 bytes)"
        )
        [packed] = caught.value.grpc_status.details
        assert packed.Is(ResourceExhaustedFailure.DESCRIPTOR)

        # There is room again when the first is over.
        await handle.signal("release")
        await first.result()
        assert await handle.execute_update("keep", "y" * 600) == "y" * 600
        await handle.signal("end")
        await handle.result()


async def test_pending_activities_are_limited(client: Client, set_limits: Set) -> None:
    set_limits(pending_activities=2)
    queue = random_name()
    async with Worker(
        client, task_queue=queue, workflows=[Several], activities=[greet]
    ):
        handle = await started(client, queue, "Several", 3)

        async def failed() -> None:
            events = (await handle.fetch_history()).events
            failures = [
                event.workflow_task_failed_event_attributes
                for event in events
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            ]
            assert failures
            last = failures[0]
            assert last.cause == (
                WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PENDING_ACTIVITIES_LIMIT_EXCEEDED
            )
            assert last.failure.message == (
                "PendingActivitiesLimitExceeded: the number of pending activities, 2,"
                " has reached the per-workflow limit of 2"
            )

        await eventually(failed)
        set_limits()
        assert await handle.result() == ["Hello, 0!", "Hello, 1!", "Hello, 2!"]
