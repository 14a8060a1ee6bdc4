"""Shows each difference from Temporal that `docs/differences.md` claims.

With ``--against temporal`` the same tests are expected to fail, every one of them: a
difference that Temporal no longer makes is none.
"""

import asyncio
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import dbos
import pytest

from dbosify import exceptions
from dbosify.api.common.v1 import Payload
from dbosify.api.enums.v1 import (
    EventType,
    PendingActivityState,
    WorkflowTaskFailedCause,
)
from dbosify.api.operatorservice.v1 import DeleteNamespaceRequest
from dbosify.api.schedule.v1 import ScheduleSpec
from dbosify.client import (
    BuildIdOpAddNewDefault,
    Client,
    WorkflowFailureError,
    WorkflowHandle,
)
from dbosify.converter import DataConverter, PayloadCodec
from dbosify.service import RPCError, RPCStatusCode
from dbosify.workflow import NexusOperationCancellationType
from tests.fix_backend import Connect
from tests.ported_temporal.nexus_calls import endpoint_for, served
from tests.ported_temporal.schedule_calls import utc
from tests.ported_temporal.schedule_requests import (
    PAUSED,
    a_schedule,
    created,
    delete,
    matching,
)
from tests.ported_temporal.test_nexus_cancellation import (
    Employs,
    JobsHandler,
    Works,
    begun,
    outcome_of,
    told,
)
from tests.unit.face import differing
from tests.unit.face.differing import (
    Abandons,
    Calls,
    Chain,
    Clumsy,
    Fan,
    Generous,
    Hurries,
    Naps,
    Patient,
    Wordy,
    worker_of,
)
from tests.unit.face.greeting import random_name, started
from tests.unit.repo.sources import ROOT
from tests.waiting import eventually

ABANDON = NexusOperationCancellationType.ABANDON
SOON = 20.0
"""Seconds that are few in comparison to the minute after which Temporal would act."""


@pytest.fixture(autouse=True)
def _differs(request: pytest.FixtureRequest, against: str) -> None:
    """Holds the claim against Temporal itself, if it is there."""
    if against == "temporal":
        request.applymarker(pytest.mark.xfail(strict=True, reason="the difference"))


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fails if the block takes longer."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


async def test_a_chain_of_runs_has_no_pause_between_them(client: Client) -> None:
    async with worker_of(client, random_name("queue")) as worker:
        with at_most(2.5):
            await client.execute_workflow(
                Chain.run, 4, id=random_name(), task_queue=worker.task_queue
            )


async def test_a_short_timer_fires_when_it_is_due(client: Client) -> None:
    async with worker_of(client, random_name("queue")) as worker:
        with at_most(1.5):
            await client.execute_workflow(
                Naps.run, 3, id=random_name(), task_queue=worker.task_queue
            )


@pytest.mark.oracle_exempt("the code fails on purpose, and not always")
async def test_a_failing_workflow_task_is_tried_again_soon(client: Client) -> None:
    async with worker_of(client, random_name("queue")) as worker:
        with at_most(5):
            tries = await client.execute_workflow(
                Clumsy.run, 2, id=random_name(), task_queue=worker.task_queue
            )
    assert tries == 3


class SlowAtFirst(PayloadCodec):
    """Takes long to decode, once: as long as a key server may that has a bad day."""

    slept = False

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Leave them as they are."""
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Leave them as they are, some time."""
        if not self.slept:
            self.slept = True
            there = asyncio.Event()
            asyncio.get_running_loop().call_later(2.5, there.set)
            await there.wait()
        return list(payloads)


async def test_a_workflow_task_may_take_longer_than_its_timeout(
    connect: Connect,
) -> None:
    slow = dataclasses.replace(DataConverter.default, payload_codec=SlowAtFirst())
    client = await connect(data_converter=slow)
    async with worker_of(client, random_name("queue")) as worker:
        handle = await client.start_workflow(
            Chain.run,
            0,
            id=random_name(),
            task_queue=worker.task_queue,
            task_timeout=timedelta(seconds=1),
        )
        await handle.result()
    kinds = [event.event_type async for event in handle.fetch_history_events()]
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT not in kinds


@contextmanager
def doomed_worker(address: str, task_queue: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process that can be killed; dbosify notices its death after a second."""
    process = subprocess.Popen(
        [sys.executable, "-m", differing.__name__, address, task_queue],
        cwd=ROOT,
        env={**os.environ, "DBOSIFY_LEASE_SECONDS": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def attempt_begins(handle: WorkflowHandle[Calls, int]) -> None:
    async def begun() -> None:
        pending = (await handle.describe()).raw_description.pending_activities
        assert [activity.state for activity in pending] == [
            PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        ]
        assert pending[0].last_worker_identity == "the dead one"

    await eventually(begun, patience=30)


async def call_a_worker_that_dies(
    client: Client, address: str, *, attempts: int
) -> int:
    """Let a workflow depend on an attempt whose worker is killed, and say what came."""
    activities_queue = random_name("queue")
    workflow_queue = f"{activities_queue}-workflows"
    async with worker_of(client, workflow_queue):
        with doomed_worker(address, activities_queue) as process:
            handle = await client.start_workflow(
                Calls.run,
                args=[attempts, activities_queue],
                id=random_name(),
                task_queue=workflow_queue,
            )
            await attempt_begins(handle)
            process.kill()
        async with worker_of(client, activities_queue):
            return await asyncio.wait_for(handle.result(), SOON)


async def test_an_attempt_whose_worker_died_is_retried_at_once(
    client: Client, backend_address: str
) -> None:
    assert await call_a_worker_that_dies(client, backend_address, attempts=2) == 2


async def test_the_last_attempt_of_a_worker_that_died_times_out_at_once(
    client: Client, backend_address: str
) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await call_a_worker_that_dies(client, backend_address, attempts=1)
    failed = caught.value.cause
    assert isinstance(failed, exceptions.ActivityError)
    assert isinstance(failed.cause, exceptions.TimeoutError)
    assert failed.cause.type == exceptions.TimeoutType.START_TO_CLOSE


async def test_a_run_whose_worker_died_goes_on_when_the_lease_is_over(
    client: Client, backend_address: str
) -> None:
    task_queue = random_name("queue")
    with doomed_worker(backend_address, task_queue) as process:
        handle = await client.start_workflow(
            Patient.run, id=random_name(), task_queue=task_queue
        )
        assert await handle.query(Patient.waits)
        process.kill()
        process.wait()
    with at_most(8):
        async with worker_of(client, task_queue):
            await handle.signal(Patient.tell)
            assert await handle.result() == "was told"


@pytest.mark.only_against(
    "dbosify", reason="Temporal does not tell how a task reached its worker"
)
async def test_all_activities_of_a_task_go_straight_to_free_slots(
    client: Client, postgres_url: str
) -> None:
    async with worker_of(client, random_name("queue")) as worker:
        handle = await client.start_workflow(
            Fan.run, 7, id=random_name(), task_queue=worker.task_queue
        )
        assert await handle.result() == 7
    tools = dbos.DBOSClient(
        system_database_url=postgres_url, serializer=dbos.DBOSPortableJSONSerializer()
    )
    try:
        queued = await asyncio.to_thread(
            tools.list_workflows, workflow_id_prefix=f"{handle.id}/"
        )
    finally:
        tools.destroy()
    assert [status.name for status in queued] == ["Fan"]


async def test_a_local_activity_timed_out_in_the_same_way_when_it_is_replayed(
    client: Client,
) -> None:
    queue = random_name("queue")
    async with worker_of(client, queue, max_cached_workflows=0):
        result = await client.execute_workflow(
            Hurries.run, id=random_name(), task_queue=queue
        )
    assert result == "ActivityError"


@pytest.mark.oracle_exempt("Temporal's own core cannot replay such a run")
async def test_an_abandoned_activity_may_fail_later(client: Client) -> None:
    workflow_id = random_name()
    differing.GATES[workflow_id] = asyncio.Event()
    async with worker_of(client, random_name("queue")) as worker:
        handle = await client.start_workflow(
            Abandons.run, id=workflow_id, task_queue=worker.task_queue
        )

        async def begun() -> None:
            [pending] = (await handle.describe()).raw_description.pending_activities
            assert pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED

        await eventually(begun, retry_on=(AssertionError, ValueError))
        await handle.signal(Abandons.say, "abandon")

        async def abandoned() -> None:
            assert await handle.query(Abandons.has_abandoned)

        await eventually(abandoned)
        differing.GATES[workflow_id].set()

        async def failed() -> None:
            history = await handle.fetch_history()
            assert any(
                event.HasField("activity_task_failed_event_attributes")
                for event in history.events
            )

        await eventually(failed)
        await handle.signal(Abandons.say, "end")
        assert await asyncio.wait_for(handle.result(), SOON) == "outlived it"


@pytest.mark.oracle_exempt("Temporal's own core cannot replay such a run")
async def test_an_abandoned_nexus_operation_may_end_later(client: Client) -> None:
    async with served(client, JobsHandler(), workflows=(Employs, Works)) as (
        worker,
        endpoint,
    ):
        caller, job = await begun(client, worker.task_queue, endpoint, ABANDON)
        assert await outcome_of(caller) == "CancelledError"
        await job.signal(Works.be_done)
        await told(caller, "COMPLETED")
        await caller.signal(Employs.go)
        result = await asyncio.wait_for(caller.result(), SOON)
        assert result == "CancelledError"


async def test_a_nexus_endpoint_leads_to_its_own_namespace(client: Client) -> None:
    with pytest.raises(RPCError, match="is not found") as caught:
        async with endpoint_for(client, "queue", namespace="temporal-system"):
            pass
    assert caught.value.status == RPCStatusCode.FAILED_PRECONDITION


async def test_a_day_without_midnight_has_its_times(client: Client) -> None:
    # In Chile clocks went from Saturday's last second to one o'clock on Sunday.
    schedule_id = await created(
        client,
        a_schedule(
            spec=ScheduleSpec(cron_string=["TZ=America/Santiago 0 20 * * sun"]),
            state=PAUSED,
        ),
    )
    times = await matching(client, schedule_id, utc(2026, 9, 1), utc(2026, 9, 15))
    await delete(client, schedule_id)
    assert [at.day for at in times] == [6, 13]


async def test_connecting_to_a_namespace_creates_it(connect: Connect) -> None:
    client = await connect(namespace=f"created_{random_name()[-8:]}")
    handle = await started(client)
    assert (await handle.describe()).id == handle.id


async def test_version_sets_choose_no_worker(client: Client) -> None:
    queue = random_name("queue")
    operation = BuildIdOpAddNewDefault("1.0")
    await client.update_worker_build_id_compatibility(queue, operation)
    # It runs none of the builds that the queue knows.
    async with worker_of(client, queue):
        await asyncio.wait_for(
            client.execute_workflow(Chain.run, 1, id=random_name(), task_queue=queue), 5
        )


async def test_the_default_namespace_cannot_be_deleted(
    client: Client, against: str
) -> None:
    if against == "temporal":
        pytest.fail("it would be deleted, and the other tests are in it")
    request = DeleteNamespaceRequest(namespace="default")
    with pytest.raises(RPCError, match="cannot be deleted") as caught:
        await client.operator_service.delete_namespace(request)
    assert caught.value.status == RPCStatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("name", ["id", "task_queue"])
async def test_a_nul_character_in_a_name_is_refused(client: Client, name: str) -> None:
    names = {"id": random_name(), "task_queue": random_name("queue")}
    names[name] += "\0"
    with pytest.raises(RPCError, match="NUL") as caught:
        await client.start_workflow(
            Patient.run, id=names["id"], task_queue=names["task_queue"]
        )
    assert caught.value.status == RPCStatusCode.INVALID_ARGUMENT


async def test_an_update_that_is_too_big_is_refused(client: Client) -> None:
    handle = await client.start_workflow(
        Patient.run, id=random_name(), task_queue=random_name("queue")
    )
    with pytest.raises(RPCError, match="Blob data size exceeds limit") as caught:
        await handle.execute_update(
            "update", "x" * 2 * 1024 * 1024, rpc_timeout=timedelta(seconds=2)
        )
    await handle.terminate()
    assert caught.value.status == RPCStatusCode.INVALID_ARGUMENT


async def test_the_limit_of_payloads_cannot_be_turned_off(client: Client) -> None:
    queue = random_name("queue")
    async with worker_of(client, queue, disable_payload_error_limit=True):
        handle = await client.start_workflow(
            Wordy.run, id=random_name(), task_queue=queue
        )

        async def failed() -> None:
            causes = [
                event.workflow_task_failed_event_attributes.cause
                for event in (await handle.fetch_history()).events
                if event.HasField("workflow_task_failed_event_attributes")
            ]
            too_large = (
                WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PAYLOADS_TOO_LARGE
            )
            assert causes == [too_large]

        await eventually(failed)
        await handle.terminate()


async def test_a_task_may_ask_for_more_than_a_message_of_grpc_holds(
    client: Client,
) -> None:
    queue = random_name("queue")
    async with worker_of(client, queue):
        handle = await client.start_workflow(
            Generous.run, 6, id=random_name(), task_queue=queue
        )
        assert await asyncio.wait_for(handle.result(), SOON) == 6 * 1024 * 1024
