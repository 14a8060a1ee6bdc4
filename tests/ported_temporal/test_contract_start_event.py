"""What a start leaves behind: its event, its defaults, and the wait before it runs.

The start event is all that a worker, a tool or a later run of the chain knows of the
request, so what it holds, and what it leaves out, is the contract.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dbosify.api.common.v1 import (
    Header,
    Memo,
    Payload,
    Priority,
    RetryPolicy,
    WorkflowType,
)
from dbosify.api.enums.v1 import ContinueAsNewInitiator, TaskQueueKind
from dbosify.api.errordetails.v1 import WorkflowNotReadyFailure
from dbosify.api.history.v1 import WorkflowExecutionStartedEventAttributes
from dbosify.api.query.v1 import WorkflowQuery
from dbosify.api.sdk.v1 import UserMetadata
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflowservice.v1 import QueryWorkflowRequest
from dbosify.client import Client
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import (
    IDENTITY,
    Refusal,
    cancel,
    describe,
    duration,
    execution,
    history_of,
    names_of,
    payloads,
    refusal_of,
    signal,
    start,
    terminate,
)
from tests.ported_temporal.scaffold import assert_eventually, random_id

AN_HOUR = timedelta(hours=1)
A_DAY = timedelta(days=1)
NO_LIMIT = timedelta()
A_CENTURY = timedelta(days=36500)

NEVER = datetime(1, 1, 1, tzinfo=timezone.utc)
"""How the service writes a moment that will not come."""


async def started(
    client: Client, workflow_id: str
) -> WorkflowExecutionStartedEventAttributes:
    """The current run's first event."""
    events = await history_of(client, execution(workflow_id))
    return events[0].workflow_execution_started_event_attributes


async def test_the_start_event_holds_everything_that_was_asked_for(
    client: Client,
) -> None:
    workflow_id = random_id()
    task_queue = random_id("queue")
    memo = Memo(fields={"note": payloads("remember").payloads[0]})
    header = Header(fields={"trace": payloads("abc").payloads[0]})
    metadata = UserMetadata(
        summary=payloads("in short").payloads[0],
        details=payloads("at length").payloads[0],
    )
    answer = await start(
        client,
        workflow_id,
        workflow_type=WorkflowType(name="a type"),
        task_queue=TaskQueue(name=task_queue),
        input=payloads("one", 2),
        header=header,
        memo=memo,
        workflow_execution_timeout=duration(3 * AN_HOUR),
        workflow_run_timeout=duration(2 * AN_HOUR),
        workflow_task_timeout=duration(timedelta(seconds=7)),
        priority=Priority(priority_key=2),
        user_metadata=metadata,
    )
    first, second = await history_of(client, execution(workflow_id))
    assert names_of([first, second]) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    assert [first.event_id, second.event_id] == [1, 2]
    assert first.user_metadata == metadata

    event = first.workflow_execution_started_event_attributes
    assert event.workflow_type.name == "a type"
    assert event.workflow_id == workflow_id
    assert event.task_queue.name == task_queue
    assert event.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_NORMAL
    assert event.input == payloads("one", 2)
    assert event.header == header
    assert event.memo == memo
    assert event.workflow_execution_timeout.ToTimedelta() == 3 * AN_HOUR
    assert event.workflow_run_timeout.ToTimedelta() == 2 * AN_HOUR
    assert event.workflow_task_timeout.ToTimedelta() == timedelta(seconds=7)
    assert event.original_execution_run_id == answer.run_id
    assert event.first_execution_run_id == answer.run_id
    assert event.continued_execution_run_id == ""
    assert event.identity == IDENTITY
    assert event.attempt == 1
    assert event.priority.priority_key == 2
    assert event.cron_schedule == ""
    assert not event.HasField("retry_policy")
    assert not event.HasField("parent_workflow_execution")
    assert event.HasField("first_workflow_task_backoff")
    assert event.first_workflow_task_backoff.ToTimedelta() == timedelta()
    expires = event.workflow_execution_expiration_time.ToDatetime(timezone.utc)
    began = first.event_time.ToDatetime(timezone.utc)
    assert abs(expires - began - 3 * AN_HOUR) < timedelta(seconds=1)

    scheduled = second.workflow_task_scheduled_event_attributes
    assert scheduled.task_queue.name == task_queue
    assert scheduled.attempt == 1
    assert scheduled.start_to_close_timeout.ToTimedelta() == timedelta(seconds=7)


async def test_run_ids_are_lower_case_uuids_that_sort_by_time(client: Client) -> None:
    answer = await start(client, random_id())
    assert str(uuid.UUID(answer.run_id)) == answer.run_id
    assert uuid.UUID(answer.run_id).version == 7


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({}, (NO_LIMIT, NO_LIMIT, 10)),
        ({"execution": AN_HOUR}, (AN_HOUR, AN_HOUR, 10)),
        ({"run": AN_HOUR}, (NO_LIMIT, AN_HOUR, 10)),
        ({"execution": AN_HOUR, "run": A_DAY}, (AN_HOUR, AN_HOUR, 10)),
        ({"execution": A_DAY, "run": AN_HOUR}, (A_DAY, AN_HOUR, 10)),
        ({"task": timedelta(minutes=5)}, (NO_LIMIT, NO_LIMIT, 120)),
        ({"run": timedelta(seconds=4)}, (NO_LIMIT, timedelta(seconds=4), 4)),
        ({"execution": 200 * 365 * A_DAY}, (A_CENTURY, A_CENTURY, 10)),
    ],
)
async def test_timeouts_are_completed_and_capped(
    client: Client,
    given: Mapping[str, timedelta],
    stored: tuple[timedelta, timedelta, int],
) -> None:
    workflow_id = random_id()
    fields = {f"workflow_{name}_timeout": duration(s) for name, s in given.items()}
    await start(client, workflow_id, **fields)
    event = await started(client, workflow_id)
    assert (
        event.workflow_execution_timeout.ToTimedelta(),
        event.workflow_run_timeout.ToTimedelta(),
        event.workflow_task_timeout.ToTimedelta(),
    ) == (stored[0], stored[1], timedelta(seconds=stored[2]))


async def test_a_retry_policy_is_stored_with_its_defaults(client: Client) -> None:
    workflow_id = random_id()
    interval = duration(timedelta(seconds=3))
    await start(
        client, workflow_id, retry_policy=RetryPolicy(initial_interval=interval)
    )
    assert (await started(client, workflow_id)).retry_policy == RetryPolicy(
        initial_interval=interval,
        backoff_coefficient=2.0,
        maximum_interval=duration(timedelta(seconds=300)),
    )


async def test_an_empty_retry_policy_is_all_defaults(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id, retry_policy=RetryPolicy())
    assert (await started(client, workflow_id)).retry_policy == RetryPolicy(
        initial_interval=duration(timedelta(seconds=1)),
        backoff_coefficient=2.0,
        maximum_interval=duration(timedelta(seconds=100)),
    )


async def test_memo_entries_without_a_value_are_dropped(client: Client) -> None:
    workflow_id = random_id()
    kept = payloads("kept").payloads[0]
    memo = Memo(
        fields={
            "kept": kept,
            "none": Payload(metadata={"encoding": b"binary/null"}),
            "null": Payload(metadata={"encoding": b"json/plain"}, data=b"null"),
        }
    )
    await start(client, workflow_id, memo=memo)
    assert dict((await started(client, workflow_id)).memo.fields) == {"kept": kept}


async def test_a_run_without_timeouts_is_described_as_never_expiring(
    client: Client,
) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    extended = (await describe(client, execution(workflow_id))).workflow_extended_info
    assert extended.run_expiration_time.ToDatetime(timezone.utc) == NEVER
    assert not extended.HasField("execution_expiration_time")


async def test_the_first_task_comes_when_the_start_delay_is_over(
    client: Client,
) -> None:
    workflow_id = random_id()
    delay = timedelta(seconds=1)
    await start(client, workflow_id, workflow_start_delay=duration(delay))
    assert names_of(await history_of(client, execution(workflow_id))) == [
        "WORKFLOW_EXECUTION_STARTED"
    ]

    async def scheduled() -> timedelta:
        events = await history_of(client, execution(workflow_id))
        assert names_of(events)[1:] == ["WORKFLOW_TASK_SCHEDULED"]
        first, second = (e.event_time.ToDatetime(timezone.utc) for e in events)
        return second - first

    assert await assert_eventually(scheduled) >= delay


async def delayed(client: Client, **fields: Any) -> str:
    """Start a run that gets its first task in an hour; give its workflow id."""
    workflow_id = random_id()
    await start(client, workflow_id, workflow_start_delay=duration(AN_HOUR), **fields)
    return workflow_id


async def test_a_delayed_run_is_described_as_running_later(client: Client) -> None:
    workflow_id = await delayed(client)
    described = await describe(client, execution(workflow_id))
    info = described.workflow_execution_info
    assert info.execution_time.ToDatetime() - info.start_time.ToDatetime() == AN_HOUR
    assert not described.HasField("pending_workflow_task")


async def test_a_signal_does_not_end_the_start_delay(client: Client) -> None:
    workflow_id = await delayed(client)
    await signal(client, execution(workflow_id))
    assert names_of(await history_of(client, execution(workflow_id))) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_EXECUTION_SIGNALED",
    ]


async def test_a_cancel_request_ends_the_start_delay(client: Client) -> None:
    workflow_id = await delayed(client)
    await cancel(client, execution(workflow_id))
    assert names_of(await history_of(client, execution(workflow_id))) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


async def test_a_delayed_run_can_be_terminated(client: Client) -> None:
    workflow_id = await delayed(client)
    await terminate(client, execution(workflow_id))
    assert names_of(await history_of(client, execution(workflow_id))) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_EXECUTION_TERMINATED",
    ]


async def test_a_delayed_run_answers_no_queries_yet(client: Client) -> None:
    workflow_id = await delayed(client)
    refused = await refusal_of(
        client.workflow_service.query_workflow(
            QueryWorkflowRequest(
                namespace=client.namespace,
                execution=execution(workflow_id),
                query=WorkflowQuery(query_type="anything"),
            ),
            timeout=timedelta(seconds=5),
        )
    )
    assert refused == Refusal(
        RPCStatusCode.FAILED_PRECONDITION,
        "Workflow task is not scheduled yet.",
        WorkflowNotReadyFailure(),
    )


async def test_a_cron_start_waits_for_its_first_time(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id, cron_schedule="@every 1h")
    [event] = await history_of(client, execution(workflow_id))
    attributes = event.workflow_execution_started_event_attributes
    assert attributes.cron_schedule == "@every 1h"
    assert (
        attributes.initiator
        == ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
    )
    backoff = attributes.first_workflow_task_backoff.ToTimedelta()
    assert timedelta() < backoff <= AN_HOUR
    assert backoff.microseconds == 0
    await terminate(client, execution(workflow_id))
