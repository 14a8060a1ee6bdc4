"""One call of an activity, made by the kitchen sink on a worker of its own.

Tests of activities care about the activity and the worker that runs it; who asked for
it is the same each time. The modules ``test_activities*`` and ``test_retries_timeouts``
make their calls here.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import pytest

from dbosify.client import WorkflowFailureError, WorkflowHandle
from dbosify.exceptions import ActivityError
from dbosify.worker import SharedStateManager, Worker
from tests.ported_temporal.kitchen_sink import (
    Action,
    ExecuteActivity,
    KitchenSinkWorkflow,
    Script,
)
from tests.ported_temporal.scaffold import random_id


async def start_call(
    caller: Worker, called: Worker, name: str, *args: Any, **options: Any
) -> WorkflowHandle[Any, Any]:
    """Start a run that calls one activity.

    Args:
        caller: The worker of the kitchen sink.
        called: The worker of the activity.
        name: The activity's name.
        args: What the activity is called with.
        options: Further fields of ``ExecuteActivity``.
    """
    step = ExecuteActivity(name, task_queue=called.task_queue, args=args, **options)
    return await caller.client.start_workflow(
        KitchenSinkWorkflow.run,
        Script([Action(execute_activity=step)]),
        id=random_id(),
        task_queue=caller.task_queue,
    )


async def call(
    caller: Worker, called: Worker, name: str, *args: Any, **options: Any
) -> Any:
    """Call an activity through a workflow; give its result."""
    handle = await start_call(caller, called, name, *args, **options)
    return await handle.result()


async def failed_call(handle: WorkflowHandle[Any, Any]) -> BaseException:
    """Wait until the run failed because its activity did; give why that one did."""
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    activity_error = failed.value.cause
    assert isinstance(activity_error, ActivityError)
    assert activity_error.cause is not None
    return activity_error.cause


@contextmanager
def process_pool() -> Iterator[dict[str, Any]]:
    """Options of a worker that runs its activities in another process."""
    # A forked child would inherit the threads' locks of this process but not the
    # threads that would release them.
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(1, context) as pool:
        yield {
            "activity_executor": pool,
            "shared_state_manager": SharedStateManager.create_from_multiprocessing(
                manager
            ),
            "max_concurrent_activities": 1,
        }
