"""What a start must not ask for, and in which words it is told so.

Applications match on these messages (there is no other way to tell the cases apart),
so they are part of the contract; so is that nothing is stored by a refused start.
"""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from dbosify.api.common.v1 import (
    Callback,
    Memo,
    Payload,
    Priority,
    RetryPolicy,
    SearchAttributes,
    TimeSkippingConfig,
    WorkflowType,
)
from dbosify.api.enums.v1 import WorkflowIdConflictPolicy
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.workflow.v1 import OnConflictOptions
from dbosify.client import Client
from dbosify.common import SearchAttributeKey
from dbosify.service import RPCStatusCode
from tests.ported_temporal.contract import (
    MAX_BLOB_SIZE,
    NO_NAMESPACE,
    TOO_LONG,
    Refusal,
    describe,
    duration,
    execution,
    history_of,
    invalid,
    payloads,
    refusal_of,
    start,
    terminate,
    unknown_namespace,
    unknown_workflow,
)
from tests.ported_temporal.scaffold import ensure_search_attributes_present, random_id

BACKWARDS = duration(timedelta(seconds=-1))
A_SECOND = duration(timedelta(seconds=1))

HUGE = payloads("x" * (MAX_BLOB_SIZE + 1))

INT_KEY = SearchAttributeKey.for_int("ContractInt")
TEXT_KEY = SearchAttributeKey.for_text("ContractText")


def attribute(name: str, json: str) -> SearchAttributes:
    """One search attribute, however wrong."""
    payload = Payload(metadata={"encoding": b"json/plain"}, data=json.encode())
    return SearchAttributes(indexed_fields={name: payload})


MISTAKES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "no workflow id": ({"workflow_id": ""}, "WorkflowId is not set on request."),
    "workflow id too long": (
        {"workflow_id": TOO_LONG},
        "WorkflowId exceeds maximum allowed length (1001/1000)",
    ),
    "negative delay": (
        {"workflow_start_delay": BACKWARDS},
        "An invalid WorkflowStartDelaySeconds is set on request. cause: "
        "negative duration",
    ),
    "delay of two signs": (
        {"workflow_start_delay": Duration(seconds=1, nanos=-5)},
        "An invalid WorkflowStartDelaySeconds is set on request. cause: "
        "duration has seconds and nanos with different signs",
    ),
    "cron and delay": (
        {"cron_schedule": "@hourly", "workflow_start_delay": A_SECOND},
        "CronSchedule and WorkflowStartDelay may not be used together.",
    ),
    "cron of six fields": (
        {"cron_schedule": "0 0 12 * * *"},
        "invalid CronSchedule.",
    ),
    "cron that counts too far": (
        {"cron_schedule": "@every 999999999h"},
        "invalid CronSchedule.",
    ),
    "cron of nothing": (
        {"cron_schedule": ", * * * *"},
        "invalid CronSchedule, no time can be found to satisfy the schedule",
    ),
    "cron without a meaning": ({"cron_schedule": "at noon"}, "invalid CronSchedule."),
    "cron at reboot": ({"cron_schedule": "@reboot"}, "invalid CronSchedule."),
    "cron in no known zone": (
        {"cron_schedule": "CRON_TZ=Moon/Tycho 0 12 * * *"},
        "invalid CronSchedule.",
    ),
    "cron that never comes": (
        {"cron_schedule": "0 0 30 2 *"},
        "invalid CronSchedule, no time can be found to satisfy the schedule",
    ),
    "no workflow type": (
        {"workflow_type": WorkflowType()},
        "WorkflowType is not set on request.",
    ),
    "workflow type too long": (
        {"workflow_type": WorkflowType(name=TOO_LONG)},
        "WorkflowType length exceeds limit.",
    ),
    "no task queue": ({"task_queue": None}, "taskQueue is not set"),
    "unnamed task queue": ({"task_queue": TaskQueue()}, "missing task queue name"),
    "task queue too long": (
        {"task_queue": TaskQueue(name=TOO_LONG)},
        "taskQueue length exceeds limit",
    ),
    "reserved task queue": (
        {"task_queue": TaskQueue(name="/_sys/mine")},
        "task queue name cannot start with reserved prefix /_sys/",
    ),
    "negative execution timeout": (
        {"workflow_execution_timeout": BACKWARDS},
        "An invalid WorkflowExecutionTimeoutSeconds is set on request. cause: "
        "negative duration",
    ),
    "negative run timeout": (
        {"workflow_run_timeout": BACKWARDS},
        "An invalid WorkflowRunTimeoutSeconds is set on request. cause: "
        "negative duration",
    ),
    "negative task timeout": (
        {"workflow_task_timeout": BACKWARDS},
        "An invalid WorkflowTaskTimeoutSeconds is set on request. cause: "
        "negative duration",
    ),
    "request id too long": (
        {"request_id": TOO_LONG},
        "RequestId length exceeds limit.",
    ),
    "callbacks without a request": (
        {
            "workflow_id_conflict_policy": (
                WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
            ),
            "on_conflict_options": OnConflictOptions(attach_completion_callbacks=True),
        },
        "attaching request ID is required for attaching completion callbacks",
    ),
    "unknown search attribute": (
        {"search_attributes": attribute("Nope", '"x"')},
        "Namespace default has no mapping defined for search attribute Nope",
    ),
    "search attribute of the service's": (
        {"search_attributes": attribute("WorkflowId", '"x"')},
        "WorkflowId attribute can't be set in SearchAttributes",
    ),
    "negative priority": (
        {"priority": Priority(priority_key=-1)},
        "priority key can't be negative",
    ),
    "fairness key too long": (
        {"priority": Priority(fairness_key="x" * 65)},
        "fairness key length exceeds limit",
    ),
    "negative fairness weight": (
        {"priority": Priority(fairness_weight=-1)},
        "must be greater than zero",
    ),
    "memo too large": (
        {"memo": Memo(fields={"note": HUGE.payloads[0]})},
        "Memo size exceeds limit.",
    ),
    "input too large": ({"input": HUGE}, "Blob data size exceeds limit."),
}
"""Per mistake the fields that make it, and what the service says about it."""

REGISTERED_MISTAKES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "of another type": (
        {"search_attributes": attribute(INT_KEY.name, '"x"')},
        "invalid value for search attribute ContractInt of type Int: x",
    ),
    "too large": (
        {"search_attributes": attribute(TEXT_KEY.name, f'"{"x" * 3000}"')},
        "search attribute ContractText value size 3002 exceeds size limit 2048",
    ),
}
"""The like, about search attributes that the namespace has."""

RETRY_MISTAKES: Mapping[str, tuple[RetryPolicy, str]] = {
    "negative initial interval": (
        RetryPolicy(initial_interval=BACKWARDS),
        "invalid InitialInterval set on retry policy: negative duration",
    ),
    "backoff below one": (
        RetryPolicy(backoff_coefficient=0.5),
        "BackoffCoefficient cannot be less than 1 on retry policy.",
    ),
    "negative maximum interval": (
        RetryPolicy(maximum_interval=BACKWARDS),
        "invalid MaximumInterval set on retry policy: negative duration",
    ),
    "maximum interval below the initial one": (
        RetryPolicy(
            initial_interval=duration(timedelta(seconds=2)), maximum_interval=A_SECOND
        ),
        "MaximumInterval cannot be less than InitialInterval on retry policy.",
    ),
    "negative attempts": (
        RetryPolicy(maximum_attempts=-1),
        "MaximumAttempts cannot be negative on retry policy.",
    ),
    "unknown timeout type": (
        RetryPolicy(non_retryable_error_types=["TemporalTimeout:Foo"]),
        "Invalid timeout type value: Foo.",
    ),
}
"""Per mistake the policy that makes it, and what the service says about it."""


@pytest.mark.parametrize(("fields", "message"), MISTAKES.values(), ids=MISTAKES.keys())
async def test_a_mistaken_start_is_told_what_is_wrong_and_stores_nothing(
    client: Client, fields: Mapping[str, Any], message: str
) -> None:
    workflow_id = random_id()
    given = {"workflow_id": workflow_id, **fields}
    refused = await refusal_of(start(client, given.pop("workflow_id"), **given))
    assert refused == invalid(message)
    assert await refusal_of(describe(client, execution(workflow_id))) == (
        unknown_workflow(workflow_id)
    )


@pytest.mark.parametrize(
    ("fields", "message"), REGISTERED_MISTAKES.values(), ids=REGISTERED_MISTAKES.keys()
)
async def test_a_mistaken_search_attribute_is_told_what_is_wrong(
    client: Client, fields: Mapping[str, Any], message: str
) -> None:
    await ensure_search_attributes_present(client, INT_KEY, TEXT_KEY)
    assert await refusal_of(start(client, random_id(), **fields)) == invalid(message)


@pytest.mark.parametrize(
    ("policy", "message"), RETRY_MISTAKES.values(), ids=RETRY_MISTAKES.keys()
)
async def test_a_mistaken_retry_policy_is_told_what_is_wrong(
    client: Client, policy: RetryPolicy, message: str
) -> None:
    refused = await refusal_of(start(client, random_id(), retry_policy=policy))
    assert refused == invalid(message)


async def test_a_policy_of_one_attempt_is_not_looked_at(client: Client) -> None:
    never_used = RetryPolicy(maximum_attempts=1, backoff_coefficient=0.5)
    assert (await start(client, random_id(), retry_policy=never_used)).started


async def test_a_start_needs_a_namespace_that_is_there(client: Client) -> None:
    assert await refusal_of(start(client, random_id(), namespace="")) == NO_NAMESPACE
    nowhere = random_id("namespace")
    assert await refusal_of(
        start(client, random_id(), namespace=nowhere)
    ) == unknown_namespace(nowhere)


async def test_a_start_may_leave_its_request_id_to_the_service(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id, request_id="")
    described = await describe(client, execution(workflow_id))
    [request_id] = described.workflow_extended_info.request_id_infos
    assert str(uuid.UUID(request_id)) == request_id


async def test_any_positive_priority_is_taken(client: Client) -> None:
    assert (await start(client, random_id(), priority=Priority(priority_key=6))).started


async def test_time_skipping_of_one_run_is_not_offered(client: Client) -> None:
    refused = await refusal_of(
        start(client, random_id(), time_skipping_config=TimeSkippingConfig())
    )
    assert refused == Refusal(
        RPCStatusCode.UNIMPLEMENTED,
        "The Time-Skipping feature is not enabled for namespace.",
    )


@pytest.mark.needs("nexus operations")
async def test_a_callback_goes_only_where_the_service_may_call(client: Client) -> None:
    callback = Callback(nexus=Callback.Nexus(url="http://localhost:1/x"))
    refused = await refusal_of(
        start(client, random_id(), completion_callbacks=[callback])
    )
    assert refused == invalid(
        "invalid url: url does not match any configured callback address: "
        "http://localhost:1/x"
    )


@pytest.mark.parametrize(
    "schedule",
    [
        *("@hourly", "@every 1h30m", "@every -2h", "@every 2500000h"),
        *(" * * * * * ", "*\t* * * *", "+5 * * * *", "1,,2 * * * *", "*/70 * * * *"),
        *("0 0 29 2 *", "0 0 * jan-Dec/2 SUN-SAT", "0 0 ? * 1"),
        *("CRON_TZ=Asia/Tokyo @daily", "TZ=Local 0 0 * * *", "TZ= 0 0 * * *"),
    ],
)
async def test_a_cron_schedule_may_be_written_like_this(
    client: Client, schedule: str
) -> None:
    workflow_id = random_id()
    await start(client, workflow_id, cron_schedule=schedule)
    await terminate(client, execution(workflow_id))


@pytest.mark.parametrize("seconds", [3_153_600_001, 315_576_000_000])
async def test_a_start_is_put_off_for_a_hundred_years_at_most(
    client: Client, seconds: int
) -> None:
    workflow_id = random_id()
    await start(
        client,
        workflow_id,
        workflow_start_delay=Duration(seconds=seconds),
        workflow_run_timeout=Duration(seconds=seconds),
    )
    [event] = await history_of(client, execution(workflow_id))
    attributes = event.workflow_execution_started_event_attributes
    assert attributes.first_workflow_task_backoff.seconds == 3_153_600_000
    await terminate(client, execution(workflow_id))


async def test_a_reuse_policy_that_does_not_exist_fails_on_a_closed_run(
    client: Client,
) -> None:
    unknown: dict[str, Any] = {"workflow_id_reuse_policy": 99}
    workflow_id = random_id()
    assert (await start(client, workflow_id, **unknown)).started
    await terminate(client, execution(workflow_id))
    refused = await refusal_of(start(client, workflow_id, **unknown))
    assert refused.status == RPCStatusCode.INTERNAL


async def test_a_conflict_policy_that_does_not_exist_fails_on_an_open_run(
    client: Client,
) -> None:
    unknown: dict[str, Any] = {"workflow_id_conflict_policy": 99}
    workflow_id = random_id()
    assert (await start(client, workflow_id, **unknown)).started
    refused = await refusal_of(start(client, workflow_id, **unknown))
    assert refused.status == RPCStatusCode.INTERNAL
    await terminate(client, execution(workflow_id))
    assert (await start(client, workflow_id, **unknown)).started


IN_ORDER = (
    *("no workflow id", "cron without a meaning"),
    *("no workflow type", "unnamed task queue", "negative execution timeout"),
    *("negative run timeout", "negative task timeout", "request id too long"),
    *("callbacks without a request", "unknown search attribute"),
    *("negative priority", "input too large"),
)
"""Mistakes that one start can make together, in the order in which they are noticed."""


async def test_of_several_mistakes_the_first_in_the_services_order_is_told(
    client: Client,
) -> None:
    told = []
    for mended in range(len(IN_ORDER)):
        fields: dict[str, Any] = {"workflow_id": random_id()}
        for mistake in IN_ORDER[mended:]:
            fields.update(MISTAKES[mistake][0])
        refused = await refusal_of(start(client, fields.pop("workflow_id"), **fields))
        told.append(refused.message)
    assert told == [MISTAKES[mistake][1] for mistake in IN_ORDER]
