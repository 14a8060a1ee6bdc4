"""A worker may decide itself whether code that is new takes a patch."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dbosify import workflow
from dbosify.client import Client, WorkflowHandle
from dbosify.worker import PatchActivationInput
from tests.ported_temporal.scaffold import (
    assert_eventually,
    assert_task_fail_eventually,
    event_types_of,
    new_worker,
    random_id,
)

PATCH = "my-patch"


class Deciding:
    """A callback with a fixed answer that remembers who asked."""

    def __init__(self, answer: Any) -> None:
        self.asked: list[PatchActivationInput] = []
        self._answer = answer

    def __call__(self, asking: PatchActivationInput) -> bool:
        self.asked.append(asking)
        answer: bool = self._answer
        return answer


@workflow.defn
class AskTwiceWorkflow:
    @workflow.run
    async def run(self) -> list[bool]:
        return [workflow.patched(PATCH), workflow.patched(PATCH)]


async def test_workflow_patch_activation_callback(client: Client) -> None:
    deciding = Deciding(True)
    async with new_worker(
        client, AskTwiceWorkflow, patch_activation_callback=deciding
    ) as worker:
        handle = await client.start_workflow(
            AskTwiceWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == [True, True]
    (asked,) = deciding.asked
    assert asked.workflow_info.workflow_id == handle.id
    assert asked.patch_id == PATCH


@pytest.mark.oracle_exempt("the oracle's worker would not decline")
async def test_workflow_patch_activation_callback_can_decline(client: Client) -> None:
    deciding = Deciding(False)
    async with new_worker(
        client, AskTwiceWorkflow, patch_activation_callback=deciding
    ) as worker:
        handle = await client.start_workflow(
            AskTwiceWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == [False, False]
    assert len(deciding.asked) == 1
    assert "MARKER_RECORDED" not in await event_types_of(handle)


async def test_workflow_patch_activation_default_activates(client: Client) -> None:
    async with new_worker(client, AskTwiceWorkflow) as worker:
        handle = await client.start_workflow(
            AskTwiceWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == [True, True]
    assert (await event_types_of(handle)).count("MARKER_RECORDED") == 1


@workflow.defn
class AskAroundTimerWorkflow:
    @workflow.run
    async def run(self) -> list[bool]:
        first = workflow.patched(PATCH)
        await workflow.sleep(timedelta(milliseconds=1))
        return [first, workflow.patched(PATCH)]


@pytest.mark.oracle_exempt("the oracle's worker would not decline")
async def test_workflow_patch_activation_callback_not_recalled_on_replay(
    client: Client,
) -> None:
    deciding = Deciding(False)
    async with new_worker(
        client,
        AskAroundTimerWorkflow,
        patch_activation_callback=deciding,
        max_cached_workflows=0,
    ) as worker:
        result = await client.execute_workflow(
            AskAroundTimerWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    assert result == [False, False]
    assert len(deciding.asked) == 1


@workflow.defn
class DeprecateThenAskWorkflow:
    @workflow.run
    async def run(self) -> bool:
        workflow.deprecate_patch(PATCH)
        return workflow.patched(PATCH)


async def test_workflow_patch_activation_callback_bypassed_for_deprecate(
    client: Client,
) -> None:
    def never(_: PatchActivationInput) -> bool:
        raise AssertionError("nobody should ask")

    async with new_worker(
        client, DeprecateThenAskWorkflow, patch_activation_callback=never
    ) as worker:
        assert await client.execute_workflow(
            DeprecateThenAskWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )


async def assert_task_fails(
    client: Client, callback: Callable[[PatchActivationInput], bool], text: str
) -> None:
    """The callback's worker can't finish the task that asks for a patch."""
    async with new_worker(
        client, AskTwiceWorkflow, patch_activation_callback=callback
    ) as worker:
        handle = await client.start_workflow(
            AskTwiceWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await assert_task_fail_eventually(handle, message_contains=text)
        await handle.terminate("seen enough")


async def test_workflow_patch_activation_callback_must_return_bool(
    client: Client,
) -> None:
    await assert_task_fails(
        client,
        Deciding("yes"),
        "Patch activation callback must return true or false",
    )


def upsert(_: PatchActivationInput) -> bool:
    workflow.upsert_memo({"key": "value"})
    return True


def call_soon(_: PatchActivationInput) -> bool:
    asyncio.get_running_loop().call_soon(lambda: None)
    return True


def wait(_: PatchActivationInput) -> bool:
    waiting = workflow.wait_condition(lambda: True)
    try:
        waiting.send(None)
    finally:
        waiting.close()
    return True


def draw(_: PatchActivationInput) -> bool:
    return workflow.random().random() >= 0


def watch_seed(_: PatchActivationInput) -> bool:
    workflow.register_random_seed_callback(lambda _: None)
    return True


def make_random(_: PatchActivationInput) -> bool:
    workflow.new_random()
    return True


@pytest.mark.parametrize(
    ("callback", "attempted"),
    [
        (upsert, "add command"),
        (call_soon, "schedule task"),
        (wait, "wait condition"),
        (draw, "random"),
        (watch_seed, "register random seed callback"),
        (make_random, "register random seed callback"),
    ],
)
async def test_workflow_patch_activation_callback_is_read_only(
    client: Client, callback: Callable[[PatchActivationInput], bool], attempted: str
) -> None:
    await assert_task_fails(client, callback, f"action attempted: {attempted}")


@workflow.defn(name="rolling-out")
class OldWorkflow:
    def __init__(self) -> None:
        self._go = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._go)
        return "old"

    @workflow.signal
    def go(self) -> None:
        self._go = True


@workflow.defn(name="rolling-out")
class NewWorkflow:
    def __init__(self) -> None:
        self._go = False

    @workflow.run
    async def run(self) -> str:
        which = "new" if workflow.patched(PATCH) else "old"
        await workflow.wait_condition(lambda: self._go)
        return which

    @workflow.signal
    def go(self) -> None:
        self._go = True


async def assert_first_task_done(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until the run waits for its signal."""

    async def done() -> None:
        assert "WORKFLOW_TASK_COMPLETED" in await event_types_of(handle)

    await assert_eventually(done)


async def rolled_out(
    client: Client,
    first: dict[str, Any],
    second: dict[str, Any],
) -> str:
    """The result of a run whose two tasks had workers with these options."""
    task_queue = random_id("queue")

    def worker(workflow_class: type, **options: Any) -> Any:
        return new_worker(
            client,
            workflow_class,
            task_queue=task_queue,
            max_cached_workflows=0,
            **options,
        )

    async with worker(**first):
        handle = await client.start_workflow(
            "rolling-out", id=random_id(), task_queue=task_queue, result_type=str
        )
        await assert_first_task_done(handle)
    async with worker(**second):
        await handle.signal("go")
        result: str = await handle.result()
        return result


@pytest.mark.oracle_exempt("workers of one queue run different code")
async def test_workflow_declined_patch_rolls_out_to_old_worker(client: Client) -> None:
    deciding = Deciding(False)
    result = await rolled_out(
        client,
        {"workflow_class": NewWorkflow, "patch_activation_callback": deciding},
        {"workflow_class": OldWorkflow},
    )
    assert result == "old"
    assert len(deciding.asked) == 1


async def test_workflow_activated_patch_ignores_declining_worker(
    client: Client,
) -> None:
    declining = Deciding(False)
    result = await rolled_out(
        client,
        {"workflow_class": NewWorkflow, "patch_activation_callback": Deciding(True)},
        {"workflow_class": NewWorkflow, "patch_activation_callback": declining},
    )
    assert result == "new"
    assert not declining.asked
