"""Updates as users send them: answers, rejections, failures, ids and timeouts."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from dbosify import activity, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from dbosify.common import RawValue
from dbosify.converter import PayloadConverter
from dbosify.exceptions import ActivityError, ApplicationError, CancelledError
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import UnsandboxedWorkflowRunner
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    events_of,
    new_worker,
    random_id,
    workflow_update_exists,
)

ACCEPTED = WorkflowUpdateStage.ACCEPTED


@activity.defn
async def never_ending() -> None:
    """Ends only when it is cancelled."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.1)


@workflow.defn
class UpdatedWorkflow:
    """Waits for ever and answers updates of every kind."""

    def __init__(self) -> None:
        self.last = "<none>"

    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("the condition holds never")

    @workflow.update
    def replace(self, value: str) -> str:
        before, self.last = self.last, value
        return before

    @replace.validator
    def check_replace(self, value: str) -> None:
        if value == "unwanted":
            raise ApplicationError("Rejected")

    @workflow.update
    async def replace_slowly(self, value: str) -> str:
        await asyncio.sleep(0.2)
        self.last = value
        return self.last

    @workflow.update
    async def learn_anything(self) -> str:
        def anything(name: str, args: Sequence[RawValue]) -> str:
            return f"anything - {name}"

        def choosy(name: str, args: Sequence[RawValue]) -> None:
            if name == "reject_me":
                raise ApplicationError("Rejected")

        workflow.set_dynamic_update_handler(anything, validator=choosy)
        return "learned"

    @workflow.update(name="custom name")
    def renamed(self) -> str:
        return self.last

    @workflow.update
    def fails(self) -> NoReturn:
        raise ApplicationError("SyncFail")

    @workflow.update
    async def fails_later(self) -> NoReturn:
        await asyncio.sleep(0.01)
        raise ApplicationError("AsyncFail")

    @workflow.update
    async def cancels_its_activity(self) -> None:
        running = workflow.start_activity(
            never_ending,
            schedule_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=5),
        )
        await asyncio.sleep(0.01)
        running.cancel()
        await running


async def test_workflow_update_handlers_happy(client: Client) -> None:
    async with new_worker(client, UpdatedWorkflow) as worker:
        handle = await client.start_workflow(
            UpdatedWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.execute_update(UpdatedWorkflow.replace, "a") == "<none>"
        assert await handle.execute_update(UpdatedWorkflow.replace_slowly, "b") == "b"
        assert await handle.execute_update(UpdatedWorkflow.learn_anything) == "learned"
        assert await handle.execute_update("unheard") == "anything - unheard"
        assert await handle.execute_update(UpdatedWorkflow.renamed) == "b"
        untyped = client.get_workflow_handle(handle.id)
        assert await untyped.execute_update("replace_slowly", "c") == "c"
        await handle.terminate()


async def failure_of(update: Any) -> BaseException | None:
    """What an update failed with."""
    with pytest.raises(WorkflowUpdateFailedError) as raised:
        await update
    return raised.value.cause


async def test_workflow_update_handlers_unhappy(client: Client) -> None:
    async with new_worker(client, UpdatedWorkflow, activities=[never_ending]) as worker:
        handle = await client.start_workflow(
            UpdatedWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        undecodable = PayloadConverter.default.to_payload("x")
        undecodable.metadata["encoding"] = b"unheard of"
        told = [
            str(cause)
            for cause in [
                await failure_of(handle.execute_update("whargarbl")),
                await failure_of(
                    handle.execute_update(UpdatedWorkflow.replace, "unwanted")
                ),
                await failure_of(handle.execute_update(UpdatedWorkflow.fails)),
                await failure_of(handle.execute_update(UpdatedWorkflow.fails_later)),
                await failure_of(handle.execute_update("replace", args=["a", "b"])),
                await failure_of(
                    handle.execute_update("replace", RawValue(undecodable))
                ),
            ]
        ]
        assert "'whargarbl' expected but not found" in told[0]
        assert told[1:4] == ["Rejected", "SyncFail", "AsyncFail"]
        assert "takes 2 positional arguments but 3 were given" in told[4]
        assert told[5].endswith("Failed decoding arguments")
        cancelled = await failure_of(
            handle.execute_update(UpdatedWorkflow.cancels_its_activity)
        )
        assert isinstance(cancelled, ActivityError)
        assert isinstance(cancelled.cause, CancelledError)
        await handle.execute_update(UpdatedWorkflow.learn_anything)
        assert str(await failure_of(handle.execute_update("reject_me"))) == "Rejected"
        await handle.terminate()


bad_validators = 0
bad_handlers = 0


@workflow.defn(sandboxed=False)
class ClumsyWorkflow:
    """Its validator and its handler break their task before they work."""

    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("the condition holds never")

    @workflow.update
    async def awkward(self) -> str:
        global bad_handlers
        if bad_handlers < 1:
            bad_handlers += 1
            raise RuntimeError("not yet")
        return "done"

    @awkward.validator
    def check_awkward(self) -> None:
        global bad_validators
        if bad_validators < 2:
            bad_validators += 1
            workflow.start_activity(
                never_ending, start_to_close_timeout=timedelta(seconds=1)
            )


async def test_workflow_update_task_fails(client: Client) -> None:
    global bad_validators, bad_handlers
    bad_validators = bad_handlers = 0
    async with new_worker(
        client,
        ClumsyWorkflow,
        activities=[never_ending],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ) as worker:
        handle = await client.start_workflow(
            ClumsyWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            task_timeout=timedelta(seconds=1),
        )
        assert await handle.execute_update(ClumsyWorkflow.awkward) == "done"
        await handle.terminate()
    assert (bad_validators, bad_handlers) == (2, 1)


@workflow.defn
class SeesUpdateWorkflow:
    """Returns at once; a query tells whether it was updated."""

    def __init__(self) -> None:
        self.updated = False

    @workflow.run
    async def run(self) -> str:
        return "workflow-done"

    @workflow.update
    async def update(self) -> str:
        self.updated = True
        return "update-done"

    @workflow.query
    def was_updated(self) -> bool:
        return self.updated


async def test_workflow_update_respects_first_execution_run_id(client: Client) -> None:
    workflow_id = random_id()
    async with new_worker(client, SeesUpdateWorkflow, UpdatedWorkflow) as worker:
        first = await client.start_workflow(
            SeesUpdateWorkflow.run, id=workflow_id, task_queue=worker.task_queue
        )
        await first.result()
        second = await client.start_workflow(
            UpdatedWorkflow.run, id=workflow_id, task_queue=worker.task_queue
        )
        with pytest.raises(RPCError, match="workflow execution not found") as raised:
            await first.execute_update("replace", "a")
        assert raised.value.status == RPCStatusCode.NOT_FOUND
        await second.terminate()


async def test_workflow_update_before_worker_start(client: Client) -> None:
    queue = random_id("queue")
    handle = await client.start_workflow(
        SeesUpdateWorkflow.run, id=random_id(), task_queue=queue
    )
    assert not await workflow_update_exists(client, handle.id, "the-update")
    sending = asyncio.create_task(
        handle.execute_update(SeesUpdateWorkflow.update, id="the-update")
    )

    async def admitted() -> bool:
        return await workflow_update_exists(client, handle.id, "the-update")

    await assert_eq_eventually(True, admitted)
    async with new_worker(
        client, SeesUpdateWorkflow, task_queue=queue, max_cached_workflows=0
    ):
        assert await handle.result() == "workflow-done"
        assert await sending == "update-done"
        assert await handle.query(SeesUpdateWorkflow.was_updated)


@workflow.defn
class GatedWorkflow:
    """An update that waits for a signal."""

    def __init__(self) -> None:
        self.open = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.open)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return "workflow-done"

    @workflow.update
    async def update(self) -> str:
        await workflow.wait_condition(lambda: self.open)
        return "update-done"

    @workflow.signal
    def unlock(self) -> None:
        self.open = True


async def test_workflow_update_separate_handle(client: Client) -> None:
    async with new_worker(client, GatedWorkflow) as worker:
        handle = await client.start_workflow(
            GatedWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        first: WorkflowUpdateHandle[str] = await handle.start_update(
            GatedWorkflow.update, wait_for_stage=ACCEPTED
        )
        assert first.workflow_run_id == handle.first_execution_run_id
        again = client.get_workflow_handle(
            handle.id, run_id=handle.first_execution_run_id
        )
        second: WorkflowUpdateHandle[str] = again.get_update_handle_for(
            GatedWorkflow.update, first.id
        )
        results = asyncio.gather(first.result(), second.result())
        await handle.signal(GatedWorkflow.unlock)
        assert set(await results) == {"update-done"}
        assert await handle.result() == "workflow-done"


async def test_workflow_update_timeout_or_cancel(client: Client) -> None:
    queue = random_id("queue")
    handle = await client.start_workflow(
        GatedWorkflow.run, id=random_id(), task_queue=queue
    )
    with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):
        await handle.start_update(
            GatedWorkflow.update,
            wait_for_stage=ACCEPTED,
            rpc_timeout=timedelta(milliseconds=1),
        )
    sending = asyncio.create_task(
        handle.start_update(
            GatedWorkflow.update, id="to be cancelled", wait_for_stage=ACCEPTED
        )
    )

    async def admitted() -> bool:
        return await workflow_update_exists(client, handle.id, "to be cancelled")

    await assert_eq_eventually(True, admitted)
    sending.cancel()
    with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):
        await sending
    async with new_worker(client, GatedWorkflow, task_queue=queue):
        update = await handle.start_update(
            GatedWorkflow.update, wait_for_stage=ACCEPTED
        )
        with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):
            await update.result(rpc_timeout=timedelta(milliseconds=1))
        waiting = asyncio.create_task(update.result())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):
            await waiting
        await handle.signal(GatedWorkflow.unlock)
        assert await handle.result() == "workflow-done"


@workflow.defn
class CurrentUpdateWorkflow:
    """Tells in which update its code runs, wherever that is asked."""

    def __init__(self) -> None:
        self.pending: set[asyncio.Task[str]] = set()

    @workflow.run
    async def run(self) -> list[str]:
        assert workflow.current_update_info() is None
        await workflow.wait_condition(lambda: len(self.pending) == 5)
        assert workflow.current_update_info() is None
        return sorted(await asyncio.gather(*self.pending))

    @workflow.update
    async def which(self) -> str:
        info = workflow.current_update_info()
        assert info is not None
        assert info.name == "which"
        self.pending.add(asyncio.create_task(self.id_here()))
        return await self.id_here()

    @which.validator
    def check_which(self) -> None:
        info = workflow.current_update_info()
        assert info is not None
        assert info.name == "which"

    async def id_here(self) -> str:
        await asyncio.sleep(0.01)
        info = workflow.current_update_info()
        assert info is not None
        return info.id


async def test_workflow_current_update(client: Client) -> None:
    ids = [f"update{number}" for number in range(1, 6)]
    async with new_worker(client, CurrentUpdateWorkflow) as worker:
        handle = await client.start_workflow(
            CurrentUpdateWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        answers = await asyncio.gather(
            *(handle.execute_update(CurrentUpdateWorkflow.which, id=i) for i in ids)
        )
        assert answers == ids
        assert await handle.result() == ids


async def test_a_rejected_update_leaves_no_trace(client: Client) -> None:
    async with new_worker(client, UpdatedWorkflow) as worker:
        handle = await client.start_workflow(
            UpdatedWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.execute_update("replace", "a") == "<none>"
        before = await events_of(handle)
        await failure_of(
            handle.execute_update(UpdatedWorkflow.replace, "unwanted", id="tried twice")
        )
        assert await events_of(handle) == before
        again = await handle.execute_update("replace", "b", id="tried twice")
        assert again == "a"
        kinds = [event.event_type for event in await events_of(handle)]
        accepted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
        assert kinds.count(accepted) == 2
        await handle.terminate()
