"""What becomes of an activity that has too much to say.

Results, heartbeats and failures may be as big as any blob of the service; what is
bigger ends the activity for good, since another attempt would say as much. The
requests are sent by hand: the SDK's own worker counts the bytes itself.
"""

from typing import Any

import pytest

from dbosify.activity import Info
from dbosify.api.enums.v1 import RetryState
from dbosify.api.failure.v1 import ApplicationFailureInfo, Failure, ServerFailureInfo
from dbosify.api.workflowservice import v1
from dbosify.client import Client, WorkflowHandle
from tests.ported_temporal.activity_history import story_after_end
from tests.ported_temporal.contract import IDENTITY, MAX_BLOB_SIZE, payloads
from tests.ported_temporal.desk import Desk, handed_over, worker_with

pytestmark = pytest.mark.needs("async completion")

TOO_MUCH = "x" * (MAX_BLOB_SIZE + 1)


def naming(info: Info) -> dict[str, Any]:
    """What a request says of the attempt it is about, and of who sends it."""
    return {"task_token": info.task_token, "identity": IDENTITY}


async def failure_for_good(handle: WorkflowHandle[Any, Any]) -> Failure:
    """Why the activity failed on its first attempt, which has to be its last."""
    story = await story_after_end(handle)
    assert story.names == ["scheduled", "started", "failed"]
    assert story["started"].attempt == 1
    failed = story["failed"]
    assert failed.identity == IDENTITY
    assert failed.retry_state == RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
    failure: Failure = failed.failure
    return failure


def exceeded(message: str) -> Failure:
    """The failure that the server puts in the place of what was too much."""
    return Failure(
        message=message, server_failure_info=ServerFailureInfo(non_retryable=True)
    )


async def test_a_result_that_is_too_big_is_a_failure(client: Client) -> None:
    desk = Desk()
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        await client.workflow_service.respond_activity_task_completed(
            v1.RespondActivityTaskCompletedRequest(
                result=payloads(TOO_MUCH), **naming(info)
            )
        )
        failure = await failure_for_good(handle)
    assert failure == exceeded("Complete result exceeds size limit.")


async def test_a_heartbeat_that_is_too_big_is_a_failure(client: Client) -> None:
    desk = Desk()
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        answer = await client.workflow_service.record_activity_task_heartbeat(
            v1.RecordActivityTaskHeartbeatRequest(
                details=payloads(TOO_MUCH), **naming(info)
            )
        )
        failure = await failure_for_good(handle)
    assert answer.cancel_requested
    assert failure == exceeded("Heartbeat details exceed size limit.")


async def test_a_failure_that_is_too_big_is_cut(client: Client) -> None:
    too_big = Failure(
        message=TOO_MUCH,
        application_failure_info=ApplicationFailureInfo(type="Trouble"),
    )
    desk = Desk()
    async with worker_with(client, desk) as worker:
        handle, info = await handed_over(client, worker, desk)
        answer = await client.workflow_service.respond_activity_task_failed(
            v1.RespondActivityTaskFailedRequest(failure=too_big, **naming(info))
        )
        failure = await failure_for_good(handle)
    assert list(answer.failures) == [failure]
    cut = failure.cause
    failure.ClearField("cause")
    assert failure == exceeded("Failure exceeds size limit.")
    assert cut.application_failure_info.type == "Trouble"
    # A quarter of the limit is where a server begins to warn of big blobs.
    assert 0 < len(cut.message) <= MAX_BLOB_SIZE // 4
