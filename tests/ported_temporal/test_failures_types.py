"""Which exceptions fail a run instead of the workflow task they were raised in.

By default an unknown exception, or a replay that takes another path, is taken for a
bug: the task fails and is tried again, and the run waits for better code. Worker,
workflow class and dynamic configuration can each declare such an error final.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pytest

from dbosify import workflow
from dbosify.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from dbosify.common import RawValue
from dbosify.exceptions import ApplicationError
from dbosify.worker import UnsandboxedWorkflowRunner
from tests.ported_temporal.scaffold import (
    assert_task_fail_eventually,
    new_worker,
    random_id,
)

Trouble: TypeAlias = Literal["raise", "nondeterminism"]
Place: TypeAlias = Literal["run", "signal", "update"]

SHOWS: dict[Trouble, str] = {
    "raise": "Intentional exception",
    "nondeterminism": "Nondeterminism",
}
"""What the failure's message says of each trouble."""


class IntentionalError(Exception):
    """What nothing knows unless told.

    The workers here have no sandbox: inside one this would be another class than the
    one which the worker was told of.
    """


async def make(trouble: Trouble) -> None:
    """Raise, or wait in a way that replay will not repeat."""
    if trouble == "raise":
        raise IntentionalError("Intentional exception")
    if not workflow.unsafe.is_replaying():
        await asyncio.sleep(0.01)


class Troubled:
    """Makes trouble in ``run``, else waits for a message to make trouble."""

    async def make_or_wait(self, trouble: Trouble | None) -> None:
        if trouble is not None:
            await make(trouble)
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    async def make_in_signal(self, trouble: Trouble) -> None:
        await make(trouble)

    @workflow.update
    async def make_in_update(self, trouble: Trouble) -> None:
        # Lets the update be accepted by a task that doesn't fail.
        await asyncio.sleep(0.01)
        await make(trouble)


@workflow.defn
class UndeclaredWorkflow(Troubled):
    @workflow.run
    async def run(self, trouble: Trouble | None) -> None:
        await self.make_or_wait(trouble)


@workflow.defn(failure_exception_types=[IntentionalError])
class ExactErrorWorkflow(Troubled):
    @workflow.run
    async def run(self, trouble: Trouble | None) -> None:
        await self.make_or_wait(trouble)


@workflow.defn(failure_exception_types=[Exception])
class AnyErrorWorkflow(Troubled):
    @workflow.run
    async def run(self, trouble: Trouble | None) -> None:
        await self.make_or_wait(trouble)


@workflow.defn(failure_exception_types=[workflow.NondeterminismError])
class NondeterminismWorkflow(Troubled):
    @workflow.run
    async def run(self, trouble: Trouble | None) -> None:
        await self.make_or_wait(trouble)


@workflow.defn(dynamic=True)
class DynamicallyConfiguredWorkflow(Troubled):
    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        await self.make_or_wait(
            workflow.payload_converter().from_payload(args[0].payload)
        )

    @workflow.dynamic_config
    def config(self) -> workflow.DynamicWorkflowConfig:
        return workflow.DynamicWorkflowConfig(
            failure_exception_types=[IntentionalError]
        )


@dataclass(frozen=True)
class Declared:
    """Who says which errors are final: a workflow class or the worker."""

    by: type = UndeclaredWorkflow
    by_worker: tuple[type[Exception], ...] = ()


FINAL: dict[str, tuple[Trouble, Declared]] = {
    "raise-worker-exact": ("raise", Declared(by_worker=(IntentionalError,))),
    "raise-worker-any": ("raise", Declared(by_worker=(Exception,))),
    "raise-class-exact": ("raise", Declared(ExactErrorWorkflow)),
    "raise-class-any": ("raise", Declared(AnyErrorWorkflow)),
    "raise-dynamic-config": ("raise", Declared(DynamicallyConfiguredWorkflow)),
    "nondeterminism-worker-exact": (
        "nondeterminism",
        Declared(by_worker=(workflow.NondeterminismError,)),
    ),
    "nondeterminism-worker-any": ("nondeterminism", Declared(by_worker=(Exception,))),
    "nondeterminism-class-exact": ("nondeterminism", Declared(NondeterminismWorkflow)),
    "nondeterminism-class-any": ("nondeterminism", Declared(AnyErrorWorkflow)),
}
"""Every declaration that is meant to turn that trouble into a failed run."""

IN_EVERY_PLACE = pytest.mark.parametrize(
    "place",
    ["run", "signal", pytest.param("update", marks=pytest.mark.needs("updates"))],
)


async def troubled_run(
    client: Client, task_queue: str, of: type, *, trouble: Trouble, place: Place
) -> WorkflowHandle[Any, Any]:
    """Start a workflow and make it meet its trouble in that place."""
    handle = await client.start_workflow(
        of.__name__,
        trouble if place == "run" else None,
        id=random_id(),
        task_queue=task_queue,
    )
    if place == "signal":
        await handle.signal("make_in_signal", trouble)
    elif place == "update":
        await handle.start_update(
            "make_in_update",
            trouble,
            id="my-update-1",
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        )
    return handle


@pytest.mark.oracle_exempt("what the workflow does depends on whether it replays")
@IN_EVERY_PLACE
@pytest.mark.parametrize("trouble", ["raise", "nondeterminism"])
async def test_workflow_failure_types_configured_nothing(
    client: Client, trouble: Trouble, place: Place
) -> None:
    async with new_worker(
        client,
        UndeclaredWorkflow,
        max_cached_workflows=0,
        workflow_runner=UnsandboxedWorkflowRunner(),
    ) as worker:
        handle = await troubled_run(
            client, worker.task_queue, UndeclaredWorkflow, trouble=trouble, place=place
        )
        await assert_task_fail_eventually(handle, message_contains=SHOWS[trouble])
        await handle.terminate()


@pytest.mark.oracle_exempt("what the workflow does depends on whether it replays")
@IN_EVERY_PLACE
@pytest.mark.parametrize(("trouble", "declared"), FINAL.values(), ids=FINAL.keys())
async def test_workflow_failure_types_configured(
    client: Client, trouble: Trouble, declared: Declared, place: Place
) -> None:
    async with new_worker(
        client,
        declared.by,
        max_cached_workflows=0,
        workflow_failure_exception_types=declared.by_worker,
        workflow_runner=UnsandboxedWorkflowRunner(),
    ) as worker:
        handle = await troubled_run(
            client, worker.task_queue, declared.by, trouble=trouble, place=place
        )
        if place == "update" and trouble == "raise":
            update = handle.get_update_handle("my-update-1")
            with pytest.raises(WorkflowUpdateFailedError) as update_failed:
                await update.result()
            cause = update_failed.value.cause
            await handle.terminate()
        else:
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
            cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert SHOWS[trouble] in str(cause)
