"""Code that changes while runs are open: patches, in all their phases.

The workers of these tests follow each other on one queue and keep nothing in memory, so
that each of them has to rebuild what the one before has left.
"""

from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowHandle
from dbosify.worker import Replayer, Worker
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_eventually,
    events_of,
    new_worker,
    random_id,
)

PATCH = "my-patch"
TEN_SECONDS = timedelta(seconds=10)

pytestmark = pytest.mark.oracle_exempt("workers of one queue run different code")


@activity.defn
async def pre_patch() -> str:
    return "pre-patch"


@activity.defn
async def post_patch() -> str:
    return "post-patch"


class _Patching:
    """What the versions share: the result is kept for those who ask later."""

    result = "unset"

    async def old(self) -> None:
        self.result = await workflow.execute_activity(
            pre_patch, schedule_to_close_timeout=TEN_SECONDS
        )

    async def new(self) -> None:
        self.result = await workflow.execute_activity(
            post_patch, schedule_to_close_timeout=TEN_SECONDS
        )


@workflow.defn(name="patching")
class UnpatchedWorkflow(_Patching):
    @workflow.run
    async def run(self) -> None:
        await self.old()

    @workflow.query
    def get_result(self) -> str:
        return self.result


@workflow.defn(name="patching")
class PatchedWorkflow(_Patching):
    @workflow.run
    async def run(self) -> None:
        if workflow.patched(PATCH):
            await self.new()
        else:
            await self.old()

    @workflow.query
    def get_result(self) -> str:
        return self.result


@workflow.defn(name="patching")
class DeprecatedWorkflow(_Patching):
    @workflow.run
    async def run(self) -> None:
        workflow.deprecate_patch(PATCH)
        await self.new()

    @workflow.query
    def get_result(self) -> str:
        return self.result


@workflow.defn(name="patching")
class CompletedWorkflow(_Patching):
    """The patch is over: nothing tells that there ever was one."""

    @workflow.run
    async def run(self) -> None:
        await self.new()

    @workflow.query
    def get_result(self) -> str:
        return self.result


class Releases:
    """One release of the code after the other on the same queue."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._task_queue = random_id("queue")

    def release(self, code: type, **options: Any) -> Worker:
        """A worker that runs this code and remembers no run."""
        return new_worker(
            self._client,
            code,
            activities=[pre_patch, post_patch],
            task_queue=self._task_queue,
            max_cached_workflows=0,
            **options,
        )

    async def start(self, workflow_type: str) -> WorkflowHandle[Any, Any]:
        """A run of whatever code is out."""
        return await self._client.start_workflow(
            workflow_type, id=random_id(), task_queue=self._task_queue
        )

    async def executed(self) -> WorkflowHandle[Any, Any]:
        """A run of the code that is out, finished."""
        handle = await self.start("patching")
        await handle.result()
        return handle


async def result_of(handle: WorkflowHandle[Any, Any]) -> Any:
    """What a closed run tells, which is what its replay comes to."""
    return await handle.query("get_result")


async def test_workflow_patch(client: Client) -> None:
    releases = Releases(client)
    async with releases.release(UnpatchedWorkflow):
        before = await releases.executed()
        assert await result_of(before) == "pre-patch"
    async with releases.release(PatchedWorkflow):
        assert await result_of(before) == "pre-patch"
        patched = await releases.executed()
        assert await result_of(patched) == "post-patch"
    async with releases.release(DeprecatedWorkflow):
        assert await result_of(patched) == "post-patch"
        deprecated = await releases.executed()
        assert await result_of(deprecated) == "post-patch"
    async with releases.release(CompletedWorkflow):
        assert await result_of(deprecated) == "post-patch"
        completed = await releases.executed()
        assert await result_of(completed) == "post-patch"
    await each_history_replays_only_where_it_may(
        before=before, patched=patched, deprecated=deprecated, completed=completed
    )


async def each_history_replays_only_where_it_may(
    **runs: WorkflowHandle[Any, Any],
) -> None:
    """The official replayer agrees on which code may follow which."""
    fits: list[tuple[type, set[str]]] = [
        (UnpatchedWorkflow, {"before"}),
        (PatchedWorkflow, {"before", "patched", "deprecated"}),
        (DeprecatedWorkflow, {"patched", "deprecated", "completed"}),
        (CompletedWorkflow, {"deprecated", "completed"}),
    ]
    histories = {name: await run.fetch_history() for name, run in runs.items()}
    for code, expected in fits:
        accepted = set()
        for name, history in histories.items():
            result = await Replayer(workflows=[code]).replay_workflow(
                history, raise_on_replay_failure=False
            )
            if result.replay_failure is None:
                accepted.add(name)
        assert accepted == expected, code.__name__


@workflow.defn(name="memoizing")
class UnpatchedMemoWorkflow:
    def __init__(self) -> None:
        self.waiting = True
        self.done: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: not self.waiting)
        self.done.append("some-value")
        return self.done

    @workflow.signal
    def stop_waiting(self) -> None:
        self.waiting = False

    @workflow.query
    def is_waiting(self) -> bool:
        return self.waiting


@workflow.defn(name="memoizing")
class PatchedMemoWorkflow:
    """Asks before and after the wait; the answers must be the same."""

    def __init__(self) -> None:
        self.waiting = True
        self.done: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        if workflow.patched(PATCH):
            self.done.append("pre-patch")
        await workflow.wait_condition(lambda: not self.waiting)
        self.done.append("some-value")
        if workflow.patched(PATCH):
            self.done.append("post-patch")
        return self.done

    @workflow.signal
    def stop_waiting(self) -> None:
        self.waiting = False

    @workflow.query
    def is_waiting(self) -> bool:
        return self.waiting


async def assert_waits(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until the run's first task is done."""

    async def answered() -> None:
        types = [event.event_type for event in await events_of(handle)]
        assert EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in types

    await assert_eventually(answered)


async def test_workflow_patch_memoized(client: Client) -> None:
    releases = Releases(client)
    async with releases.release(UnpatchedMemoWorkflow):
        before = await releases.start("memoizing")
        await assert_waits(before)
    async with releases.release(PatchedMemoWorkflow):
        after = await releases.start("memoizing")
        await assert_waits(after)
        assert await before.query("is_waiting")
        assert await after.query("is_waiting")
        await before.signal("stop_waiting")
        await after.signal("stop_waiting")
        assert await before.result() == ["some-value"]
        assert await after.result() == ["pre-patch", "some-value", "post-patch"]


@workflow.defn
class TwoPatchesWorkflow:
    """Two changes, one of which came later, and one in a signal's handler."""

    def __init__(self) -> None:
        self._go = False
        self._seen: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        for patch_id in ("one", "two"):
            if workflow.patched(patch_id):
                self._seen.append(patch_id)
        await workflow.wait_condition(lambda: self._go)
        return self._seen

    @workflow.signal
    def go(self) -> None:
        if workflow.patched("three"):
            self._seen.append("three")
        self._go = True

    @workflow.query
    def seen(self) -> list[str]:
        return self._seen


async def test_patches_of_a_run_are_listed_in_a_search_attribute(
    client: Client,
) -> None:
    async with new_worker(client, TwoPatchesWorkflow, max_cached_workflows=0) as worker:
        handle = await client.start_workflow(
            TwoPatchesWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )

        async def change_versions() -> list[str]:
            described = await handle.describe()
            fields = described.raw_info.search_attributes.indexed_fields
            (versions,) = await client.data_converter.decode(
                [fields["TemporalChangeVersion"]]
            )
            return sorted(versions)

        async def seen() -> list[str]:
            return await handle.query(TwoPatchesWorkflow.seen)

        await assert_eq_eventually(["one", "two"], seen)
        await assert_eq_eventually(["one", "two"], change_versions)
        await handle.signal(TwoPatchesWorkflow.go)
        assert await handle.result() == ["one", "two", "three"]
        await assert_eq_eventually(["one", "three", "two"], change_versions)
