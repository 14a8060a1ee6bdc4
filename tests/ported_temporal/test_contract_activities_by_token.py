"""What the service answers those who speak for an activity: by its token or by its id.

An activity may hand itself over to somebody who heartbeats, completes, fails or cancels
it from outside. Each of these four requests exists twice: with the token of an attempt,
or with the ids of workflow, run and activity.
"""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from dbosify.activity import Info
from dbosify.api.enums.v1 import PendingActivityState, RetryState
from dbosify.api.errordetails.v1 import NotFoundFailure
from dbosify.api.failure.v1 import (
    ApplicationFailureInfo,
    CanceledFailureInfo,
    Failure,
    ServerFailureInfo,
    TerminatedFailureInfo,
)
from dbosify.api.workflowservice import v1
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.activity_history import (
    pending,
    story_after_end,
)
from tests.ported_temporal.contract import (
    ALREADY_COMPLETED,
    IDENTITY,
    UNKNOWN_RUN_ID,
    Refusal,
    invalid,
    payloads,
    refusal_of,
    unknown_namespace,
    unknown_run,
    unknown_workflow,
)
from tests.ported_temporal.desk import Desk, handed_over, worker_with
from tests.ported_temporal.kitchen_sink import (
    Action,
    ExecuteActivity,
    KitchenSinkWorkflow,
    Script,
)
from tests.ported_temporal.one_activity import OneActivityWorkflow, Retries
from tests.ported_temporal.scaffold import new_worker, random_id

pytestmark = pytest.mark.needs("async completion")

SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
CANCEL_REQUESTED = PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED

OH_NO = Failure(
    message="oh no", application_failure_info=ApplicationFailureInfo(type="Trouble")
)

BY_TOKEN: dict[str, Callable[..., Message]] = {
    "record_activity_task_heartbeat": v1.RecordActivityTaskHeartbeatRequest,
    "respond_activity_task_completed": v1.RespondActivityTaskCompletedRequest,
    "respond_activity_task_failed": v1.RespondActivityTaskFailedRequest,
    "respond_activity_task_canceled": v1.RespondActivityTaskCanceledRequest,
}

BY_ID: dict[str, Callable[..., Message]] = {
    "record_activity_task_heartbeat_by_id": v1.RecordActivityTaskHeartbeatByIdRequest,
    "respond_activity_task_completed_by_id": (
        v1.RespondActivityTaskCompletedByIdRequest
    ),
    "respond_activity_task_failed_by_id": v1.RespondActivityTaskFailedByIdRequest,
    "respond_activity_task_canceled_by_id": v1.RespondActivityTaskCanceledByIdRequest,
}

ALL = {**BY_TOKEN, **BY_ID}

COMPLETE_BY_ID = "respond_activity_task_completed_by_id"
"""The only one that doesn't mind that no attempt is under way."""

each_by_token = pytest.mark.parametrize("rpc", BY_TOKEN)
each_by_id = pytest.mark.parametrize("rpc", BY_ID)
each = pytest.mark.parametrize("rpc", ALL)


async def send(client: Client, rpc: str, **fields: Any) -> Any:
    """Make one of the eight requests; one that fails says why unless told what."""
    if "failed" in rpc:
        fields.setdefault("failure", OH_NO)
    fields = {"namespace": client.namespace, "identity": IDENTITY, **fields}
    request = ALL[rpc](**fields)
    return await getattr(client.workflow_service, rpc)(request)


def naming(rpc: str, info: Info) -> dict[str, Any]:
    """How a request names an attempt, or the activity."""
    if rpc in BY_TOKEN:
        return {"task_token": info.task_token}
    return {
        "workflow_id": info.workflow_id,
        "run_id": info.workflow_run_id,
        "activity_id": info.activity_id,
    }


def variant(verb: str, by: str) -> str:
    """The request with that verb in its name."""
    return next(rpc for rpc in (BY_TOKEN if by == "token" else BY_ID) if verb in rpc)


both_ways = pytest.mark.parametrize("by", ["token", "id"])

GONE = Refusal(
    RPCStatusCode.NOT_FOUND,
    "invalid activityID or activity already timed out or "
    "invoking workflow is completed",
    NotFoundFailure(),
)
"""The attempt that the token names is not, or no longer, under way."""


def not_pending(activity_id: str) -> Refusal:
    """The workflow has no open activity of that id."""
    return Refusal(
        RPCStatusCode.NOT_FOUND,
        f"cannot find pending activity with ActivityID {activity_id}, "
        "check workflow execution history for more details",
        NotFoundFailure(),
    )


@each_by_token
@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        (b"", "Task token not set on request."),
        (b"\xff garbage", "Error deserializing task token."),
        (b"[1, 2]", "Error deserializing task token."),
    ],
    ids=["empty", "garbage", "of others"],
)
async def test_a_token_that_is_none_is_refused(
    client: Client, rpc: str, token: bytes, complaint: str
) -> None:
    assert await refusal_of(send(client, rpc, task_token=token)) == invalid(complaint)


@each_by_id
async def test_an_id_that_is_none_is_refused(client: Client, rpc: str) -> None:
    workflow_id = random_id()
    assert await refusal_of(send(client, rpc, workflow_id=workflow_id)) == invalid(
        "ActivityId is not set on request."
    )
    assert await refusal_of(
        send(client, rpc, workflow_id=workflow_id, activity_id="1", run_id="not a uuid")
    ) == invalid("RunId is not valid UUID.")


@each_by_id
async def test_a_workflow_that_is_unknown_is_not_found(
    client: Client, rpc: str
) -> None:
    workflow_id = random_id()
    assert await refusal_of(
        send(client, rpc, workflow_id=workflow_id, activity_id="1")
    ) == unknown_workflow(workflow_id)
    assert await refusal_of(
        send(
            client,
            rpc,
            workflow_id=workflow_id,
            run_id=UNKNOWN_RUN_ID,
            activity_id="1",
        )
    ) == unknown_run(workflow_id, UNKNOWN_RUN_ID)


@pytest.mark.needs("standalone activities")
@each_by_id
async def test_without_a_workflow_a_standalone_activity_is_looked_for(
    client: Client, rpc: str
) -> None:
    activity_id = random_id("activity")
    refusal = await refusal_of(send(client, rpc, activity_id=activity_id))
    assert refusal == Refusal(
        RPCStatusCode.NOT_FOUND,
        f"activity not found for ID: {activity_id}",
        NotFoundFailure(),
    )


@each
async def test_an_activity_that_ended_is_not_found(client: Client, rpc: str) -> None:
    desk = Desk()
    two = Script([Action(execute_activity=ExecuteActivity("hand_over", count=2))])
    async with new_worker(
        client, KitchenSinkWorkflow, activities=[desk.hand_over]
    ) as worker:
        handle = await client.start_workflow(
            KitchenSinkWorkflow.run,
            two,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        info = await desk.next_info()
        await send(
            client,
            "respond_activity_task_completed",
            **naming("respond_activity_task_completed", info),
        )
        refusal = await refusal_of(send(client, rpc, **naming(rpc, info)))
        await handle.terminate()
    assert refusal == (GONE if rpc in BY_TOKEN else not_pending(info.activity_id))


@each
async def test_an_activity_of_a_closed_run_is_not_found(
    client: Client, rpc: str
) -> None:
    desk = Desk()
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        await handle.terminate()
        refusal = await refusal_of(send(client, rpc, **naming(rpc, info)))
    assert refusal == ALREADY_COMPLETED


@pytest.mark.parametrize("rpc", [name for name in ALL if name != COMPLETE_BY_ID])
async def test_an_attempt_that_failed_is_gone_while_another_is_awaited(
    client: Client, rpc: str
) -> None:
    desk = Desk()
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(
            client, worker, desk, retries=Retries(initial=60)
        )
        fail = "respond_activity_task_failed"
        await send(client, fail, **naming(fail, info))
        refusal = await refusal_of(send(client, rpc, **naming(rpc, info)))
        await handle.terminate()
    assert refusal == GONE


async def test_an_activity_that_nobody_runs_can_be_completed_by_its_id(
    client: Client,
) -> None:
    desk = Desk()
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(
            client, worker, desk, retries=Retries(initial=60)
        )
        fail = "respond_activity_task_failed"
        await send(client, fail, **naming(fail, info))
        named = naming(COMPLETE_BY_ID, info)
        await send(client, COMPLETE_BY_ID, result=payloads("found"), **named)
        assert await handle.result() == "found"
        story = await story_after_end(handle)
    assert story.names == ["scheduled", "started", "completed"]
    started = story["started"]
    assert started.identity == IDENTITY
    assert started.attempt == 2
    assert started.last_failure.message == "oh no"
    assert story["completed"].identity == IDENTITY


@both_ways
async def test_an_activity_is_completed_from_outside(client: Client, by: str) -> None:
    desk = Desk()
    rpc = variant("completed", by)
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        await send(client, rpc, result=payloads("found"), **naming(rpc, info))
        assert await handle.result() == "found"
        story = await story_after_end(handle)
    assert story.names == ["scheduled", "started", "completed"]
    assert story["completed"].result == payloads("found")
    assert story["completed"].identity == IDENTITY
    assert story["started"].identity != IDENTITY


@both_ways
async def test_an_activity_is_failed_from_outside(client: Client, by: str) -> None:
    desk = Desk()
    rpc = variant("failed", by)
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(
            client, worker, desk, retries=Retries(attempts=1)
        )
        await send(client, rpc, **naming(rpc, info))
        story = await story_after_end(handle)
    failed = story["failed"]
    assert failed.failure == OH_NO
    assert failed.identity == IDENTITY
    assert failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


@both_ways
async def test_a_failure_may_bring_the_last_heartbeat(client: Client, by: str) -> None:
    desk = Desk()
    beat, fail = variant("heartbeat", by), variant("failed", by)
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(
            client, worker, desk, retries=Retries(initial=60)
        )
        await send(client, beat, details=payloads("early"), **naming(beat, info))
        await pending(handle, state=STARTED, heartbeat_details=payloads("early"))
        await send(
            client,
            fail,
            last_heartbeat_details=payloads("late"),
            **naming(fail, info),
        )
        await pending(
            handle, state=SCHEDULED, attempt=2, heartbeat_details=payloads("late")
        )
        await handle.terminate()


async def test_an_attempt_is_failed_only_with_an_application_failure(
    client: Client,
) -> None:
    desk = Desk()
    rpc = variant("failed", "token")
    failure = Failure(message="no", canceled_failure_info=CanceledFailureInfo())
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        refusal = await refusal_of(
            send(client, rpc, failure=failure, **naming(rpc, info))
        )
        await handle.terminate()
    assert refusal == invalid("Failure must have ApplicationFailureInfo.")


@pytest.mark.parametrize(
    "failure",
    [
        Failure(message="no", canceled_failure_info=CanceledFailureInfo()),
        Failure(message="no", terminated_failure_info=TerminatedFailureInfo()),
        Failure(
            message="no",
            server_failure_info=ServerFailureInfo(non_retryable=True),
        ),
    ],
    ids=["canceled", "terminated", "server"],
)
async def test_by_its_id_an_activity_is_failed_with_any_failure_for_good(
    client: Client, failure: Failure
) -> None:
    desk = Desk()
    rpc = variant("failed", "id")
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        await send(client, rpc, failure=failure, **naming(rpc, info))
        story = await story_after_end(handle)
    failed = story["failed"]
    assert failed.failure == failure
    assert failed.retry_state == RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


@both_ways
async def test_nothing_is_cancelled_that_nobody_asked_to_cancel(
    client: Client, by: str
) -> None:
    desk = Desk()
    rpc = variant("canceled", by)
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        refusal = await refusal_of(send(client, rpc, **naming(rpc, info)))
        await handle.terminate()
    assert refusal == invalid(
        "unable to mark activity as canceled without activity being request canceled "
        "first"
    )


@both_ways
async def test_a_heartbeat_tells_of_a_cancellation_which_can_be_confirmed(
    client: Client, by: str
) -> None:
    desk = Desk()
    beat, cancel = variant("heartbeat", by), variant("canceled", by)
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        before = await send(client, beat, **naming(beat, info))
        await handle.signal(OneActivityWorkflow.cancel_activity)
        await pending(handle, state=CANCEL_REQUESTED)
        after = await send(client, beat, **naming(beat, info))
        await send(client, cancel, details=payloads("bye"), **naming(cancel, info))
        assert await handle.result() == ["cancelled", "bye"]
        story = await story_after_end(handle)
    assert (before.cancel_requested, after.cancel_requested) == (False, True)
    assert not after.activity_paused
    assert not after.activity_reset
    assert story.names == ["scheduled", "cancel_requested", "started", "canceled"]
    canceled = story["canceled"]
    assert canceled.details == payloads("bye")
    assert canceled.identity == IDENTITY
    assert canceled.started_event_id == story.ids["started"]
    assert canceled.latest_cancel_requested_event_id == story.ids["cancel_requested"]


@each_by_token
async def test_a_token_needs_no_namespace_but_no_wrong_one(
    client: Client, rpc: str
) -> None:
    desk = Desk()
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        token = info.task_token
        wrong = await refusal_of(send(client, rpc, task_token=token, namespace="nope"))
        await handle.terminate()
        none = await refusal_of(send(client, rpc, task_token=token, namespace=""))
    assert wrong == unknown_namespace("nope")
    assert none == ALREADY_COMPLETED
