"""Update-with-start as the client offers it: policies, ids, results, what it joins."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from dbosify import activity, workflow
from dbosify.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowUpdateWithStartInput,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from dbosify.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from dbosify.exceptions import ApplicationError, WorkflowAlreadyStartedError
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.fix_backend import Connect
from tests.ported_temporal.scaffold import new_worker, random_id

FAIL = WorkflowIDConflictPolicy.FAIL
USE_EXISTING = WorkflowIDConflictPolicy.USE_EXISTING
ACCEPTED = WorkflowUpdateStage.ACCEPTED
COMPLETED = WorkflowUpdateStage.COMPLETED

both_stages = pytest.mark.parametrize("stage", [ACCEPTED, COMPLETED])
both_conflicts = pytest.mark.parametrize("conflict", [FAIL, USE_EXISTING])
both_reuses = pytest.mark.parametrize(
    "reuse",
    [WorkflowIDReusePolicy.ALLOW_DUPLICATE, WorkflowIDReusePolicy.REJECT_DUPLICATE],
)


@activity.defn
async def echo(text: str) -> str:
    """Give it back."""
    return text


@workflow.defn
class NumberedWorkflow:
    """Results carry the number that the run, or the update, was given."""

    def __init__(self) -> None:
        self.is_done = False

    @workflow.run
    async def run(self, number: int) -> str:
        await workflow.wait_condition(lambda: self.is_done)
        return f"workflow-result-{number}"

    @workflow.update
    def at_once(self, number: int) -> str:
        return f"update-result-{number}"

    @workflow.update
    async def by_activity(self, number: int) -> str:
        return await workflow.execute_activity(
            echo,
            f"update-result-{number}",
            schedule_to_close_timeout=timedelta(seconds=30),
        )

    @workflow.update
    async def fails(self, number: int) -> str:
        await asyncio.sleep(0)
        raise ApplicationError("this update fails")

    @workflow.signal
    def done(self) -> None:
        self.is_done = True


def operation(
    worker: Worker,
    conflict: WorkflowIDConflictPolicy,
    *,
    workflow_id: str | None = None,
    number: int = 1,
) -> WithStartWorkflowOperation[NumberedWorkflow, str]:
    """The start of a numbered run."""
    return WithStartWorkflowOperation(
        NumberedWorkflow.run,
        number,
        id=workflow_id or random_id(),
        task_queue=worker.task_queue,
        id_conflict_policy=conflict,
    )


async def test_with_start_workflow_operation_cannot_be_reused(client: Client) -> None:
    async with new_worker(client, NumberedWorkflow) as worker:
        start = operation(worker, FAIL)

        async def use() -> WorkflowUpdateHandle[str]:
            return await client.start_update_with_start_workflow(
                NumberedWorkflow.at_once,
                1,
                wait_for_stage=COMPLETED,
                start_workflow_operation=start,
            )

        await use()
        with pytest.raises(
            RuntimeError, match="WithStartWorkflowOperation cannot be reused"
        ):
            await use()
        await (await start.workflow_handle()).terminate()


async def _updates_and_ends(
    client: Client,
    worker: Worker,
    update: Any,
    conflict: WorkflowIDConflictPolicy,
    stage: WorkflowUpdateStage,
) -> None:
    """Update with a start, again on the same id, and on another without waiting."""
    start = operation(worker, conflict)
    assert (
        await client.execute_update_with_start_workflow(
            update, 1, start_workflow_operation=start
        )
        == "update-result-1"
    )
    handle = await start.workflow_handle()
    assert handle.first_execution_run_id
    second = operation(worker, conflict, workflow_id=handle.id, number=2)
    again = client.execute_update_with_start_workflow(
        update, 21, start_workflow_operation=second
    )
    if conflict == FAIL:
        with pytest.raises(WorkflowAlreadyStartedError):
            await again
        with pytest.raises(WorkflowAlreadyStartedError):
            await second.workflow_handle()
    else:
        assert await again == "update-result-21"
        joined = await second.workflow_handle()
        assert joined.first_execution_run_id == handle.first_execution_run_id
    await handle.signal(NumberedWorkflow.done)
    assert await handle.result() == "workflow-result-1"

    third = operation(worker, conflict)
    updated = await client.start_update_with_start_workflow(
        update, 1, wait_for_stage=stage, start_workflow_operation=third
    )
    assert await updated.result() == "update-result-1"
    await (await third.workflow_handle()).terminate()


@both_stages
async def test_non_blocking_update_with_must_create_workflow_semantics(
    client: Client, stage: WorkflowUpdateStage
) -> None:
    async with new_worker(client, NumberedWorkflow) as worker:
        await _updates_and_ends(client, worker, NumberedWorkflow.at_once, FAIL, stage)


@both_stages
async def test_non_blocking_update_with_get_or_create_workflow_semantics(
    client: Client, stage: WorkflowUpdateStage
) -> None:
    async with new_worker(client, NumberedWorkflow) as worker:
        await _updates_and_ends(
            client, worker, NumberedWorkflow.at_once, USE_EXISTING, stage
        )


@both_stages
async def test_blocking_update_with_get_or_create_workflow_semantics(
    client: Client, stage: WorkflowUpdateStage
) -> None:
    async with new_worker(client, NumberedWorkflow, activities=[echo]) as worker:
        await _updates_and_ends(
            client, worker, NumberedWorkflow.by_activity, USE_EXISTING, stage
        )


async def test_update_with_start_sets_first_execution_run_id(client: Client) -> None:
    async with new_worker(client, NumberedWorkflow) as worker:
        started = operation(worker, FAIL)
        assert (
            await client.execute_update_with_start_workflow(
                NumberedWorkflow.at_once, 1, start_workflow_operation=started
            )
            == "update-result-1"
        )
        first = await started.workflow_handle()
        assert first.first_execution_run_id
        refused = operation(worker, FAIL, workflow_id=first.id)
        with pytest.raises(WorkflowAlreadyStartedError):
            await client.execute_update_with_start_workflow(
                NumberedWorkflow.at_once, 1, start_workflow_operation=refused
            )
        with pytest.raises(WorkflowAlreadyStartedError):
            await refused.workflow_handle()
        await first.terminate()

        failing = operation(worker, FAIL, number=0)
        update = await client.start_update_with_start_workflow(
            NumberedWorkflow.fails,
            0,
            wait_for_stage=COMPLETED,
            start_workflow_operation=failing,
        )
        with pytest.raises(WorkflowUpdateFailedError):
            await update.result()
        second = await failing.workflow_handle()
        assert second.first_execution_run_id
        await second.signal(NumberedWorkflow.done)
        assert await second.result() == "workflow-result-0"

        failing = operation(worker, FAIL)
        with pytest.raises(WorkflowUpdateFailedError):
            await client.execute_update_with_start_workflow(
                NumberedWorkflow.fails, 1, start_workflow_operation=failing
            )
        third = await failing.workflow_handle()
        assert third.first_execution_run_id
        await third.terminate()


async def test_update_with_start_workflow_already_started_error(client: Client) -> None:
    async with new_worker(client, NumberedWorkflow) as worker:
        first = operation(worker, FAIL)
        await client.execute_update_with_start_workflow(
            NumberedWorkflow.at_once, 1, start_workflow_operation=first
        )
        handle = await first.workflow_handle()
        second = operation(worker, FAIL, workflow_id=handle.id)
        with pytest.raises(WorkflowAlreadyStartedError):
            await client.start_update_with_start_workflow(
                NumberedWorkflow.at_once,
                1,
                wait_for_stage=ACCEPTED,
                start_workflow_operation=second,
            )
        with pytest.raises(WorkflowAlreadyStartedError) as raised:
            await second.workflow_handle()
        assert raised.value.run_id == handle.first_execution_run_id
        await handle.terminate()


def test_with_start_workflow_operation_requires_conflict_policy() -> None:
    with pytest.raises(ValueError, match="WorkflowIDConflictPolicy"):
        WithStartWorkflowOperation(
            NumberedWorkflow.run,
            1,
            id="an id",
            task_queue="a queue",
            id_conflict_policy=WorkflowIDConflictPolicy.UNSPECIFIED,
        )
    with pytest.raises(TypeError):
        WithStartWorkflowOperation(  # type: ignore[call-overload]
            NumberedWorkflow.run, 1, id="an id", task_queue="a queue"
        )


@dataclass
class WorkflowResult:
    """What a workflow returns."""

    text: str


@dataclass
class UpdateResult:
    """What an update returns."""

    text: str


@workflow.defn
class NoParamWorkflow:
    """Takes nothing."""

    def __init__(self) -> None:
        self.updated = False

    @workflow.run
    async def run(self) -> WorkflowResult:
        await workflow.wait_condition(lambda: self.updated)
        return WorkflowResult("workflow")

    @workflow.update(name="my_update")
    async def update(self) -> UpdateResult:
        self.updated = True
        return UpdateResult("update")


@workflow.defn
class OneParamWorkflow:
    """Echoes its argument."""

    def __init__(self) -> None:
        self.updated = False

    @workflow.run
    async def run(self, text: str) -> WorkflowResult:
        await workflow.wait_condition(lambda: self.updated)
        return WorkflowResult(text)

    @workflow.update(name="my_update")
    async def update(self, text: str) -> UpdateResult:
        self.updated = True
        return UpdateResult(text)


@workflow.defn
class TwoParamWorkflow:
    """Joins its arguments."""

    def __init__(self) -> None:
        self.updated = False

    @workflow.run
    async def run(self, left: str, right: str) -> WorkflowResult:
        await workflow.wait_condition(lambda: self.updated)
        return WorkflowResult(f"{left}-{right}")

    @workflow.update(name="my_update")
    async def update(self, left: str, right: str) -> UpdateResult:
        self.updated = True
        return UpdateResult(f"{left}-{right}")


async def _results(
    client: Client, worker: Worker, run: Any, update: Any, args: list[str]
) -> tuple[Any, Any]:
    """What an update-with-start and its run return; names take their types along."""
    named = isinstance(run, str)
    for_start: Any = {"result_type": WorkflowResult} if named else {}
    for_update: Any = {"result_type": UpdateResult} if named else {}
    start: Any = WithStartWorkflowOperation(
        run,
        args=args,
        id=random_id(),
        task_queue=worker.task_queue,
        id_conflict_policy=FAIL,
        **for_start,
    )
    result = await client.execute_update_with_start_workflow(
        update,
        args=args,
        start_workflow_operation=start,
        **for_update,
    )
    return result, await (await start.workflow_handle()).result()


async def test_workflow_and_update_can_return_dataclass(client: Client) -> None:
    async with new_worker(client, OneParamWorkflow) as worker:
        for run, update in (
            (OneParamWorkflow.run, OneParamWorkflow.update),
            ("OneParamWorkflow", "my_update"),
        ):
            updated, returned = await _results(client, worker, run, update, ["a"])
            assert type(updated) is UpdateResult
            assert type(returned) is WorkflowResult


async def _by_reference_and_by_name(
    client: Client, kind: Any, args: list[str], expected: tuple[str, str]
) -> None:
    async with new_worker(client, kind) as worker:
        for run, update in ((kind.run, kind.update), (kind.__name__, "my_update")):
            assert await _results(client, worker, run, update, args) == (
                UpdateResult(expected[0]),
                WorkflowResult(expected[1]),
            )


async def test_update_with_start_no_param(client: Client) -> None:
    await _by_reference_and_by_name(client, NoParamWorkflow, [], ("update", "workflow"))


async def test_update_with_start_one_param(client: Client) -> None:
    await _by_reference_and_by_name(client, OneParamWorkflow, ["a"], ("a", "a"))


async def test_update_with_start_two_param(client: Client) -> None:
    await _by_reference_and_by_name(
        client, TwoParamWorkflow, ["a", "b"], ("a-b", "a-b")
    )


@workflow.defn
class JoinedWorkflow:
    """Blocks, in its run or its update, until it is told to go on."""

    def __init__(self) -> None:
        self.unblocked = False

    @workflow.run
    async def run(self, blocks: bool) -> None:
        if blocks:
            await workflow.wait_condition(lambda: self.unblocked)

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def update(self, blocks: bool) -> str:
        if blocks:
            await workflow.wait_condition(lambda: self.unblocked)
        return str(workflow.uuid4())

    @workflow.signal
    def unblock(self) -> None:
        self.unblocked = True


@dataclass
class Joining:
    """Two callers who send the same update to the same workflow id."""

    client: Client
    worker: Worker
    workflow_blocks: bool
    update_blocks: bool
    conflict: WorkflowIDConflictPolicy
    reuse: WorkflowIDReusePolicy

    def __post_init__(self) -> None:
        self.workflow_id = random_id()

    async def send(
        self, stage: WorkflowUpdateStage = ACCEPTED
    ) -> tuple[Any, WorkflowUpdateHandle[Any]]:
        """Give handles of the run and of the update."""
        start = WithStartWorkflowOperation(
            JoinedWorkflow.run,
            self.workflow_blocks,
            id=self.workflow_id,
            task_queue=self.worker.task_queue,
            id_conflict_policy=self.conflict,
            id_reuse_policy=self.reuse,
        )
        update = await self.client.start_update_with_start_workflow(
            JoinedWorkflow.update,
            self.update_blocks,
            id="the-update",
            wait_for_stage=stage,
            start_workflow_operation=start,
        )
        return await start.workflow_handle(), update


@pytest.mark.parametrize("blocks", [False, True], ids=["COMPLETES", "BLOCKS"])
@both_conflicts
@both_reuses
async def test_update_with_start_always_attaches_to_completed_update(
    client: Client,
    blocks: bool,
    conflict: WorkflowIDConflictPolicy,
    reuse: WorkflowIDReusePolicy,
) -> None:
    async with new_worker(client, JoinedWorkflow) as worker:
        joining = Joining(client, worker, blocks, False, conflict, reuse)
        first, update = await joining.send(COMPLETED)
        if not blocks:
            await first.result()
        again, same = await joining.send(COMPLETED)
        assert await same.result() == await update.result()
        assert same.workflow_run_id == update.workflow_run_id
        running = WorkflowExecutionStatus.RUNNING
        assert ((await again.describe()).status == running) == blocks
        if blocks:
            await first.terminate()


@both_conflicts
@both_reuses
async def test_update_with_start_attaches_to_non_completed_update_in_running_workflow(
    client: Client,
    conflict: WorkflowIDConflictPolicy,
    reuse: WorkflowIDReusePolicy,
) -> None:
    async with new_worker(client, JoinedWorkflow) as worker:
        joining = Joining(client, worker, True, True, conflict, reuse)
        first, update = await joining.send()
        _, same = await joining.send()
        assert same.workflow_run_id == update.workflow_run_id
        await first.signal(JoinedWorkflow.unblock)
        assert await update.result() == await same.result()
        await first.result()


@both_conflicts
@both_reuses
async def test_update_with_start_does_not_attach_to_non_completed_update_in_closed_workflow(  # noqa: E501
    client: Client,
    conflict: WorkflowIDConflictPolicy,
    reuse: WorkflowIDReusePolicy,
) -> None:
    async with new_worker(client, JoinedWorkflow) as worker:
        joining = Joining(client, worker, False, True, conflict, reuse)
        first, update = await joining.send()
        await first.result()
        if reuse == WorkflowIDReusePolicy.REJECT_DUPLICATE:
            with pytest.raises(WorkflowAlreadyStartedError):
                await joining.send()
        else:
            second, other = await joining.send()
            assert other.workflow_run_id != update.workflow_run_id
            await second.result()


class AddsMetadata(Interceptor):
    """Adds a header of its own to each update with start."""

    def intercept_client(
        self,
        next: OutboundInterceptor,  # noqa: A002 - the SDK's own name
    ) -> OutboundInterceptor:
        return AddsMetadataOutbound(next)


class AddsMetadataOutbound(OutboundInterceptor):
    """What it does to a call."""

    async def start_update_with_start_workflow(
        self,
        input: StartWorkflowUpdateWithStartInput,  # noqa: A002 - the SDK's own name
    ) -> WorkflowUpdateHandle[Any]:
        input.rpc_metadata = {**input.rpc_metadata, "of-interceptor": "yes"}
        return await super().start_update_with_start_workflow(input)


async def _refused_by(
    client: Client, refuse: Any, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> RPCError:
    """What a caller, and its start as well, get from a service that refuses."""
    monkeypatch.setattr(client.workflow_service, "execute_multi_operation", refuse)
    start = WithStartWorkflowOperation(
        NumberedWorkflow.run,
        1,
        id=random_id(),
        task_queue=random_id("queue"),
        id_conflict_policy=FAIL,
    )
    with pytest.raises(RPCError) as raised:
        await client.start_update_with_start_workflow(
            NumberedWorkflow.at_once,
            1,
            wait_for_stage=ACCEPTED,
            start_workflow_operation=start,
            **options,
        )
    with pytest.raises(RPCError, match=raised.value.message):
        await start.workflow_handle()
    return raised.value


async def test_start_update_with_start_empty_details(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*args: Any, **options: Any) -> NoReturn:
        raise RPCError("empty details", RPCStatusCode.INTERNAL, b"")

    error = await _refused_by(client, refuse, monkeypatch)
    assert error.status == RPCStatusCode.INTERNAL
    assert error.message == "empty details"
    assert not error.grpc_status.details


async def test_update_with_start_rpc_metadata_and_timeout_forwarded(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    async def refuse(*args: Any, **options: Any) -> NoReturn:
        calls.append(options)
        raise RPCError("seen enough", RPCStatusCode.INTERNAL, b"")

    client = await connect(interceptors=[AddsMetadata()])
    error = await _refused_by(
        client,
        refuse,
        monkeypatch,
        rpc_metadata={"of-caller": "yes"},
        rpc_timeout=timedelta(seconds=42),
    )
    assert error.message == "seen enough"
    (call,) = calls
    assert call["metadata"] == {"of-caller": "yes", "of-interceptor": "yes"}
    assert call["timeout"] == timedelta(seconds=42)
