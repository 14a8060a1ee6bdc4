"""UpdateTaskQueueConfig: rates of a task queue, and weights of its fairness keys.

A queue's rate holds for the activities that all workers together begin, and comes
before the rate that workers were given. Weights set here come before those of
activities. The rate of each fairness key is kept and shown only.
"""

from __future__ import annotations

from typing import TypeAlias

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimitConfig, TaskQueueConfig
from temporalio.api.workflowservice.v1 import (
    UpdateTaskQueueConfigRequest,
    UpdateTaskQueueConfigResponse,
)

from dbosify._model import clock
from dbosify._model.protos import Timestamp
from dbosify._service import errors, validate
from dbosify._service.context import Context
from dbosify._store import queue_configs

_Update: TypeAlias = UpdateTaskQueueConfigRequest.RateLimitUpdate

_WORKFLOWS = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
_LONGEST = 1000
_MOST_WEIGHTS = 1000
_LONGEST_KEY = 64
_MILLISECOND = 1_000_000


async def update_task_queue_config(
    context: Context, request: UpdateTaskQueueConfigRequest
) -> UpdateTaskQueueConfigResponse:
    """Change what is set for the tasks of a kind in a task queue."""
    _check(request)
    queue, kind = request.task_queue, int(request.task_queue_type)
    async with context.database.transaction() as connection:
        config = await queue_configs.hold(
            connection, context.database, queue, kind=kind
        )
        _change(config, request, context.around.now())
        await queue_configs.save(
            connection, context.database, queue, kind=kind, config=config
        )
    return UpdateTaskQueueConfigResponse(config=config)


def _check(request: UpdateTaskQueueConfigRequest) -> None:
    queue = validate.clean(request.task_queue)
    if queue.startswith("/_sys/"):
        raise errors.invalid(f"invalid task queue partition name {queue}")
    _check_length("Identity", request.identity)
    of_workflows = request.task_queue_type == _WORKFLOWS
    for name, field, what in (
        ("UpdateQueueRateLimit", "update_queue_rate_limit", "rate limit"),
        (
            "UpdateFairnessKeyRateLimitDefault",
            "update_fairness_key_rate_limit_default",
            "fairness key rate limit",
        ),
    ):
        if not request.HasField(field):  # type: ignore[arg-type]
            continue
        if of_workflows:
            raise errors.invalid(
                f"Setting {what} on workflow task queues is not allowed."
            )
        _check_rate(name, getattr(request, field))
    _check_weights(request)


def _check_length(what: str, text: str) -> None:
    if len(text.encode()) > _LONGEST:
        raise errors.invalid(f"{what} field too long (max {_LONGEST} characters).")


def _check_rate(name: str, update: _Update) -> None:
    if update.rate_limit.requests_per_second < 0:
        raise errors.invalid(
            f"RequestsPerSecond for {name} rate limit must be non-negative."
        )
    _check_length(f"{name}.Reason", update.reason)


def _check_weights(request: UpdateTaskQueueConfigRequest) -> None:
    wanted = request.set_fairness_weight_overrides
    unwanted = request.unset_fairness_weight_overrides
    for count in (len(wanted), len(unwanted)):
        if count > _MOST_WEIGHTS:
            raise errors.invalid(
                "too many fairness weight overrides in request: got"
                f" {count}, maximum {_MOST_WEIGHTS}"
            )
    for key in (*wanted, *unwanted):
        if not key:
            raise errors.invalid("fairness weight override key must not be empty")
        if len(key.encode()) > _LONGEST_KEY:
            raise errors.invalid("fairness key length exceeds limit")
    for key, weight in wanted.items():
        if weight <= 0:
            raise errors.invalid(
                f'invalid fairness weight weight for key "{key}": must be greater than'
                " zero"
            )
    for key in unwanted:
        if key in wanted:
            raise errors.invalid(
                f'fairness weight override key "{key}" present in both set and unset'
                " lists"
            )


def _change(
    config: TaskQueueConfig, request: UpdateTaskQueueConfigRequest, now: Timestamp
) -> None:
    moment = clock.timestamp(clock.milliseconds(now) * _MILLISECOND)
    for field, limit in (
        ("update_queue_rate_limit", config.queue_rate_limit),
        (
            "update_fairness_key_rate_limit_default",
            config.fairness_keys_rate_limit_default,
        ),
    ):
        if request.HasField(field):  # type: ignore[arg-type]
            _limit(limit, getattr(request, field), request.identity, at=moment)
    weights = config.fairness_weight_overrides
    for key in request.unset_fairness_weight_overrides:
        weights.pop(key, None)
    weights.update(request.set_fairness_weight_overrides)
    if len(weights) > _MOST_WEIGHTS:
        raise errors.invalid(
            f"too many fairness weight overrides: {len(weights)}, maximum"
            f" {_MOST_WEIGHTS}"
        )


def _limit(
    limit: RateLimitConfig, update: _Update, identity: str, *, at: Timestamp
) -> None:
    limit.ClearField("rate_limit")
    if update.HasField("rate_limit"):
        limit.rate_limit.CopyFrom(update.rate_limit)
    limit.metadata.reason = update.reason
    limit.metadata.update_identity = identity
    limit.metadata.update_time.CopyFrom(at)
