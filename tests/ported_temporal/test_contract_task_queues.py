"""Task queues and the workers on them, as operators see both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from dbosify import activity, workflow
from dbosify.api.enums.v1 import (
    DescribeTaskQueueMode,
    RateLimitSource,
    TaskQueueType,
    WorkerStatus,
)
from dbosify.api.taskqueue.v1 import TaskQueue
from dbosify.api.worker.v1 import WorkerHeartbeat
from dbosify.api.workflowservice.v1 import (
    CountWorkersRequest,
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkerRequest,
    ListWorkersRequest,
)
from dbosify.client import Client
from dbosify.common import Priority
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    invalid,
    not_found,
    refusal_of,
    start,
)
from tests.ported_temporal.scaffold import assert_eventually, random_id

WORKFLOWS = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


A_HEARTBEAT = "the server may learn of a worker a minute after it began"


@activity.defn
async def rests() -> None:
    """Does nothing."""


@workflow.defn
class Waits:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@asynccontextmanager
async def working(client: Client) -> AsyncIterator[Worker]:
    """A worker with activities only."""
    async with Worker(
        client, task_queue=random_id(), activities=[rests], identity="somebody"
    ) as worker:
        yield worker


async def described(
    client: Client,
    queue: str,
    kind: "TaskQueueType.ValueType" = WORKFLOWS,
    *,
    stats: bool = False,
) -> DescribeTaskQueueResponse:
    """What the service says of a task queue."""
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=kind,
            report_stats=stats,
        )
    )


async def test_a_queue_without_workers_has_no_pollers(client: Client) -> None:
    found = await described(client, random_id())
    assert not found.pollers
    assert not found.HasField("stats")
    assert found.versioning_info.current_version == "__unversioned__"
    system = RateLimitSource.RATE_LIMIT_SOURCE_SYSTEM
    assert found.effective_rate_limit.rate_limit_source == system


async def test_a_worker_is_a_poller_of_what_it_works_on(client: Client) -> None:
    async with working(client) as worker:

        async def polls() -> None:
            found = await described(client, worker.task_queue, ACTIVITIES)
            assert [each.identity for each in found.pollers] == ["somebody"]
            [poller] = found.pollers
            assert poller.worker_version_capabilities.build_id
            assert poller.last_access_time.seconds

        await assert_eventually(polls)
        assert not (await described(client, worker.task_queue, WORKFLOWS)).pollers


async def test_what_waits_is_counted(client: Client) -> None:
    queue = random_id()
    for _ in range(2):
        await start(client, random_id(), task_queue=TaskQueue(name=queue))

    async def waits() -> None:
        found = await described(client, queue, stats=True)
        assert found.stats.approximate_backlog_count == 2
        assert found.stats.approximate_backlog_age.ToNanoseconds() > 0
        assert list(found.stats_by_priority_key) == [3]

    await assert_eventually(waits)
    none = await described(client, queue, ACTIVITIES, stats=True)
    assert none.stats.approximate_backlog_count == 0


async def test_activities_that_wait_are_counted_by_priority(client: Client) -> None:
    queue = random_id()
    for key in (1, 1, 5):
        await client.start_activity(
            rests,
            id=random_id(),
            task_queue=queue,
            priority=Priority(priority_key=key),
            start_to_close_timeout=timedelta(seconds=10),
        )

    async def waits() -> None:
        found = await described(client, queue, ACTIVITIES, stats=True)
        assert found.stats.approximate_backlog_count == 3
        by_key = {
            key: stats.approximate_backlog_count
            for key, stats in found.stats_by_priority_key.items()
        }
        assert by_key | {3: 0} == {1: 2, 3: 0, 5: 1}

    await assert_eventually(waits)


async def test_the_other_form_shows_both_kinds_at_once(client: Client) -> None:
    queue = random_id()
    await start(client, random_id(), task_queue=TaskQueue(name=queue))

    async def waits() -> None:
        found = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=queue),
                api_mode=DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
                report_stats=True,
                report_pollers=True,
            )
        )
        types = found.versions_info[""].types_info
        counts = {
            kind: info.stats.approximate_backlog_count for kind, info in types.items()
        }
        assert counts == {WORKFLOWS: 1, ACTIVITIES: 0}

    await assert_eventually(waits)


async def test_a_queue_needs_a_name(client: Client) -> None:
    nameless = await refusal_of(described(client, ""))
    assert nameless == invalid("missing task queue name")
    unnamed = client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(namespace=client.namespace)
    )
    assert await refusal_of(unnamed) == invalid("taskQueue is not set")
    too_long = await refusal_of(described(client, "q" * 1001))
    assert too_long == invalid("taskQueue length exceeds limit")


async def listed(client: Client, query: str) -> list[WorkerHeartbeat]:
    """The workers that meet a query, page by page."""
    request = ListWorkersRequest(namespace=client.namespace, query=query, page_size=1)
    found = []
    while True:
        page = await client.workflow_service.list_workers(request)
        assert [each.worker_instance_key for each in page.workers] == [
            each.worker_heartbeat.worker_instance_key for each in page.workers_info
        ]
        found += [each.worker_heartbeat for each in page.workers_info]
        if not page.next_page_token:
            return found
        request.next_page_token = page.next_page_token


@pytest.mark.only_against("dbosify", reason=A_HEARTBEAT)
async def test_workers_that_run_are_listed(client: Client) -> None:
    async with working(client) as worker:
        query = f"TaskQueue = '{worker.task_queue}'"

        async def is_there() -> None:
            assert [each.worker_identity for each in await listed(client, query)] == [
                "somebody"
            ]

        await assert_eventually(is_there)
        [found] = await listed(client, query)
        assert found.sdk_name == "temporal-python"
        assert found.status == WorkerStatus.WORKER_STATUS_RUNNING
        assert found.host_info.process_id
        assert found.activity_poller_info.current_pollers
        assert not found.workflow_poller_info.current_pollers
        counted = await client.workflow_service.count_workers(
            CountWorkersRequest(namespace=client.namespace, query=query)
        )
        assert counted.count == 1
        one = await client.workflow_service.describe_worker(
            DescribeWorkerRequest(
                namespace=client.namespace,
                worker_instance_key=found.worker_instance_key,
            )
        )
        same = one.worker_info.worker_heartbeat
        assert same.worker_instance_key == found.worker_instance_key
        nothing = await listed(client, f"{query} AND WorkerIdentity = 'another'")
        assert not nothing


async def test_a_query_about_what_workers_do_not_have_finds_none(
    client: Client,
) -> None:
    async with working(client):
        assert not await listed(client, "Nope = 'x'")


@pytest.mark.only_against("dbosify", reason=A_HEARTBEAT)
async def test_an_unknown_worker_is_not_found(client: Client) -> None:
    async with working(client):

        async def is_told() -> None:
            describing = client.workflow_service.describe_worker(
                DescribeWorkerRequest(
                    namespace=client.namespace, worker_instance_key="nope"
                )
            )
            refusal = await refusal_of(describing)
            assert refusal == not_found("Worker nope not found")

        await assert_eventually(is_told)
