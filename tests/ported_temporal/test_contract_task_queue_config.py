"""What operators set for a task queue: rates, and weights of fairness keys."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.enums.v1 import RateLimitSource, TaskQueueType
from dbosify.api.taskqueue.v1 import TaskQueue, TaskQueueConfig
from dbosify.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    UpdateTaskQueueConfigRequest,
)
from dbosify.client import Client
from tests.ported_temporal.contract import refusal_of
from tests.ported_temporal.scaffold import new_worker, random_id
from tests.ported_temporal.test_contract_fairness import order_of

ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
WORKFLOWS = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
LIMIT = "update_queue_rate_limit"
LIMIT_OF_KEYS = "update_fairness_key_rate_limit_default"
SET, UNSET = "set_fairness_weight_overrides", "unset_fairness_weight_overrides"
SOME = 4
"""Activities that a queue's rate lets begin one after the other."""


def limit(rate: float | None, reason: str = "") -> Any:
    """A change of a rate; None takes it away."""
    update = UpdateTaskQueueConfigRequest.RateLimitUpdate(reason=reason)
    if rate is not None:
        update.rate_limit.requests_per_second = rate
    return update


async def change(client: Client, queue: str, **changes: Any) -> TaskQueueConfig:
    """Change what is set for a queue's activities, unless told otherwise."""
    request = UpdateTaskQueueConfigRequest(
        **{
            "namespace": client.namespace,
            "identity": "me",
            "task_queue": queue,
            "task_queue_type": ACTIVITIES,
            **changes,
        }
    )
    answer = await client.workflow_service.update_task_queue_config(request)
    return answer.config


async def described(
    client: Client, queue: str, *, report_config: bool = True
) -> DescribeTaskQueueResponse:
    """A queue of activities, as operators see it."""
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=ACTIVITIES,
            report_config=report_config,
        )
    )


async def test_a_rate_is_kept_and_shown_with_its_reason(client: Client) -> None:
    queue = random_id("queue")
    assert not (await described(client, queue)).HasField("config")
    config = await change(client, queue, **{LIMIT: limit(5, "slow")})
    kept = config.queue_rate_limit
    assert kept.rate_limit.requests_per_second == 5
    assert (kept.metadata.reason, kept.metadata.update_identity) == ("slow", "me")
    assert kept.metadata.update_time.seconds
    both = await change(client, queue, **{LIMIT_OF_KEYS: limit(2.5, "each")})
    assert both.queue_rate_limit == kept
    found = await described(client, queue)
    assert found.config == both
    assert found.effective_rate_limit.requests_per_second == 5
    api = RateLimitSource.RATE_LIMIT_SOURCE_API
    assert found.effective_rate_limit.rate_limit_source == api
    assert not (await described(client, queue, report_config=False)).HasField("config")


async def test_a_rate_is_taken_away_and_the_reason_stays(client: Client) -> None:
    queue = random_id("queue")
    await change(client, queue, **{LIMIT: limit(5, "slow")})
    config = await change(client, queue, **{LIMIT: limit(None, "enough")})
    assert not config.queue_rate_limit.HasField("rate_limit")
    assert config.queue_rate_limit.metadata.reason == "enough"
    effective = (await described(client, queue)).effective_rate_limit
    system = RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM
    assert effective.rate_limit_source == system


async def test_weights_are_set_and_unset_one_by_one(client: Client) -> None:
    queue = random_id("queue")
    config = await change(client, queue, **{SET: {"a": 2.0, "b": 0.5}})
    assert dict(config.fairness_weight_overrides) == {"a": 2.0, "b": 0.5}
    config = await change(client, queue, **{SET: {"c": 4.0}, UNSET: ["a", "never"]})
    assert dict(config.fairness_weight_overrides) == {"b": 0.5, "c": 4.0}
    assert (await described(client, queue)).config == config


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {LIMIT: limit(1), "task_queue_type": WORKFLOWS},
            "Setting rate limit on workflow task queues is not allowed.",
        ),
        (
            {LIMIT_OF_KEYS: limit(1), "task_queue_type": WORKFLOWS},
            "Setting fairness key rate limit on workflow task queues is not allowed.",
        ),
        (
            {LIMIT: limit(-1)},
            "RequestsPerSecond for UpdateQueueRateLimit rate limit must be"
            " non-negative.",
        ),
        (
            {LIMIT_OF_KEYS: limit(-1)},
            "RequestsPerSecond for UpdateFairnessKeyRateLimitDefault rate limit must be"
            " non-negative.",
        ),
        (
            {LIMIT: limit(1, "r" * 1001)},
            "UpdateQueueRateLimit.Reason field too long (max 1000 characters).",
        ),
        (
            {"identity": "i" * 1001},
            "Identity field too long (max 1000 characters).",
        ),
        (
            {"task_queue": "/_sys/x"},
            "invalid task queue partition name /_sys/x",
        ),
        (
            {SET: {"a": 2.0}, UNSET: ["a"]},
            'fairness weight override key "a" present in both set and unset lists',
        ),
        (
            {SET: {"a": 0.0}},
            'invalid fairness weight weight for key "a": must be greater than zero',
        ),
        ({SET: {"": 1.0}}, "fairness weight override key must not be empty"),
        ({UNSET: [""]}, "fairness weight override key must not be empty"),
        ({SET: {"k" * 65: 1.0}}, "fairness key length exceeds limit"),
        (
            {SET: {f"k{n}": 1.0 for n in range(1001)}},
            "too many fairness weight overrides in request: got 1001, maximum 1000",
        ),
    ],
)
async def test_a_wrong_change_is_refused(
    client: Client, changes: dict[str, Any], text: str
) -> None:
    queue = random_id("queue")
    refusal = await refusal_of(change(client, queue, **changes))
    assert refusal.message == text


@activity.defn
async def begins() -> float:
    """When it began."""
    return time.monotonic()


@workflow.defn
class AllAtOnce:
    """Starts some activities together."""

    @workflow.run
    async def run(self, queue: str) -> list[float]:
        return list(
            await asyncio.gather(
                *(
                    workflow.execute_activity(
                        begins,
                        task_queue=queue,
                        start_to_close_timeout=timedelta(seconds=30),
                    )
                    for _ in range(SOME)
                )
            )
        )


@pytest.mark.only_against("dbosify", reason="a server spreads a queue over parts")
async def test_the_rate_holds_for_all_workers_of_the_queue(client: Client) -> None:
    queue = random_id("queue")
    await change(client, queue, **{LIMIT: limit(2)})
    async with (
        new_worker(client, AllAtOnce, activities=[begins], task_queue=queue),
        new_worker(client, activities=[begins], task_queue=queue),
    ):
        moments = await client.execute_workflow(
            AllAtOnce.run, queue, id=random_id(), task_queue=queue
        )
    assert max(moments) - min(moments) > (SOME - 1) / 2 * 0.8


@pytest.mark.only_against("dbosify", reason="a server spreads a queue over parts")
async def test_a_workers_queue_stands_still_until_an_operator_lets_it_go(
    client: Client,
) -> None:
    queue = random_id("queue")
    await change(client, queue, **{LIMIT: limit(0, "stop")})
    async with new_worker(client, AllAtOnce, activities=[begins], task_queue=queue):
        handle = await client.start_workflow(
            AllAtOnce.run, queue, id=random_id(), task_queue=queue
        )
        let_go = time.monotonic()
        await change(client, queue, **{LIMIT: limit(None, "go")})
        assert min(await handle.result()) > let_go


@pytest.mark.only_against("dbosify", reason="a server spreads a queue over parts")
async def test_a_weight_that_is_set_comes_before_that_of_activities(
    client: Client,
) -> None:
    queue = random_id("queue")
    await change(client, queue, **{SET: {"b": 3.0}})
    names_a, names_b = [f"a{n}" for n in range(6)], [f"b{n}" for n in range(6)]
    begun = await order_of(client, (names_a, 1.0), (names_b, 1.0), queue=queue)
    assert len([name for name in begun[:6] if name[0] == "b"]) >= 4
