"""Every way to a worker, on every event loop that a process may have."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dbos
import pytest
import temporalio.client
import temporalio.worker

from dbosify._model.protos import ActivityTaskCompletion
from dbosify._runtime.activity_worker import ActivityWorker
from dbosify.client import Client
from dbosify.runtime import MetricBuffer, Runtime, TelemetryConfig
from dbosify.worker import Worker
from tests.fix_postgres import FreshDatabase
from tests.unit.face.greeting import greeted, greets, random_name, served, started
from tests.unit.face.workflows import Patient, greet

SECONDS = 30.0

LOOPS_ARE_CLOSED = pytest.mark.oracle_exempt(
    "the event loops that could ask for the histories are closed by then"
)


async def test_a_url_is_worker_enough(postgres_url: str, client: Client) -> None:
    async with served(postgres_url) as worker:
        assert await greeted(client, worker.task_queue) == "Hello, Ada!"


async def test_a_dbos_config_is_worker_enough(
    postgres_url: str, client: Client
) -> None:
    config: dbos.DBOSConfig = {"name": "face", "system_database_url": postgres_url}
    async with served(config) as worker:
        assert await greeted(client, worker.task_queue) == "Hello, Ada!"


async def test_a_client_is_worker_enough(client: Client) -> None:
    assert await greets(client)


async def test_a_worker_tells_of_its_slots_when_their_use_changes_and_not_else(
    postgres_url: str,
) -> None:
    buffer = MetricBuffer(10_000)
    runtime = Runtime(telemetry=TelemetryConfig(metrics=buffer))
    async with await Client.connect(postgres_url, runtime=runtime) as client:
        assert await greets(client)
    levels = [
        update.value
        for update in buffer.retrieve_updates()
        if update.metric.name == "temporal_worker_task_slots_used"
        and update.attributes["worker_type"] == "ActivityWorker"
    ]
    assert levels == [0, 1, 0]


async def test_the_first_outcome_of_an_attempt_counts(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = ActivityWorker.complete
    outcomes: list[BaseException | None] = []

    async def twice(self: ActivityWorker, first: ActivityTaskCompletion) -> None:
        late = ActivityTaskCompletion(task_token=first.task_token)
        late.result.failed.failure.message = "Worker shutting down"
        both = complete(self, first), complete(self, late)
        outcomes.extend(await asyncio.gather(*both, return_exceptions=True))

    monkeypatch.setattr(ActivityWorker, "complete", twice)
    async with served(client) as worker:
        assert await greeted(client, worker.task_queue) == "Hello, Ada!"
    assert outcomes == [None, None]


async def test_the_official_worker_takes_our_client(client: Client) -> None:
    async with served(client, kind=temporalio.worker.Worker) as worker:
        assert type(worker) is temporalio.worker.Worker
        assert await greeted(client, worker.task_queue) == "Hello, Ada!"


async def test_the_official_worker_takes_the_official_client(
    postgres_url: str,
) -> None:
    official = await temporalio.client.Client.connect(postgres_url)
    async with served(official, kind=temporalio.worker.Worker) as worker:
        assert await greeted(official, worker.task_queue) == "Hello, Ada!"


async def test_a_worker_of_a_url_has_the_namespace_it_is_told(
    postgres_url: str,
) -> None:
    namespace = f"worker_{random_name()[-8:]}"
    async with (
        await Client.connect(postgres_url, namespace=namespace) as client,
        served(postgres_url, namespace=namespace) as worker,
    ):
        assert worker.config()["client"].namespace == namespace
        assert await greeted(client, worker.task_queue) == "Hello, Ada!"


async def test_a_worker_of_a_client_has_the_clients_namespace(client: Client) -> None:
    assert served(client, namespace="default").config()["client"] is client
    with pytest.raises(ValueError, match="namespace is the client's"):
        served(client, namespace="another")


async def test_a_lazy_client_makes_no_worker(postgres_url: str) -> None:
    lazy = await Client.connect(postgres_url, lazy=True)
    with pytest.raises(RuntimeError, match="Lazy clients cannot be used for workers"):
        served(lazy)


async def test_workers_of_one_process_share_its_clients(
    postgres_url: str, client: Client
) -> None:
    shared = random_name("queue")
    async with (
        served(client) as first,
        served(postgres_url) as second,
        served(client, task_queue=shared),
        served(postgres_url, task_queue=shared),
    ):
        queues = [first.task_queue, second.task_queue, shared, shared]
        greetings = await asyncio.gather(*[greeted(client, q) for q in queues * 2])
    assert greetings == ["Hello, Ada!"] * 8


async def test_a_run_goes_to_a_worker_of_its_queue_that_can_take_it(
    client: Client,
) -> None:
    shared = random_name("queue")
    async with (
        Worker(client, task_queue=shared, activities=[greet], build_id="face"),
        served(client, task_queue=shared),
    ):
        # Whoever serves the first has begun by the second.
        greetings = [await greeted(client, shared) for _ in range(2)]
    assert greetings == ["Hello, Ada!"] * 2


async def test_a_worker_that_stops_leaves_its_runs_to_the_others(
    postgres_url: str, client: Client
) -> None:
    async with served(postgres_url) as first:
        handle = await started(client, first.task_queue)
        assert await handle.query("waits")
    async with served(client, task_queue=first.task_queue):
        await handle.signal("say", "done")
        assert await handle.result() == "done"


def in_thread(work: Coroutine[Any, Any, str]) -> str:
    """Run to the end on a new event loop; meant for another thread."""
    return asyncio.run(asyncio.wait_for(work, SECONDS))


@LOOPS_ARE_CLOSED
def test_a_client_serves_one_loop_after_another(postgres_url: str) -> None:
    client = asyncio.run(Client.connect(postgres_url))
    for _ in range(3):
        assert asyncio.run(asyncio.wait_for(greets(client), SECONDS))
    asyncio.run(client.close())


@LOOPS_ARE_CLOSED
def test_workers_run_on_loops_of_several_threads(postgres_url: str) -> None:
    client = asyncio.run(Client.connect(postgres_url))

    async def alone() -> str:
        async with served(client) as worker:
            return await greeted(client, worker.task_queue)

    with ThreadPoolExecutor(3) as threads:
        greetings = list(threads.map(in_thread, [alone() for _ in range(3)]))
    assert greetings == ["Hello, Ada!"] * 3


@LOOPS_ARE_CLOSED
def test_a_worker_serves_clients_of_other_threads_loops(postgres_url: str) -> None:
    task_queue, stop = random_name("queue"), threading.Event()

    async def serve() -> str:
        async with served(postgres_url, task_queue=task_queue):
            await asyncio.to_thread(stop.wait, SECONDS)
        return "served"

    async def ask() -> str:
        async with await Client.connect(postgres_url) as client:
            return await greeted(client, task_queue)

    with ThreadPoolExecutor(3) as threads:
        serving = [threads.submit(in_thread, serve()) for _ in range(2)]
        try:
            assert in_thread(ask()) == "Hello, Ada!"
        finally:
            stop.set()
        assert [worker.result(SECONDS) for worker in serving] == ["served"] * 2


async def test_a_worker_that_has_shut_down_takes_no_more_runs(
    postgres_url: str, client: Client
) -> None:
    worker = served(postgres_url)
    async with worker:
        await greeted(client, worker.task_queue)
        assert worker.is_running
    assert worker.is_shutdown
    with pytest.raises(RuntimeError, match="Already started"):
        await worker.run()
    handle = await started(client, worker.task_queue)
    # What is left to a worker that nobody asks for tasks would be lost.
    async with served(client, task_queue=worker.task_queue):
        await handle.signal(Patient.say, "done")
        assert await asyncio.wait_for(handle.result(), SECONDS) == "done"


async def test_the_same_config_makes_another_worker(
    postgres_url: str, client: Client
) -> None:
    first = served(postgres_url)
    config = dict(first.config())
    async with Worker(**config) as second:  # type: ignore[arg-type]
        assert await greeted(client, second.task_queue) == "Hello, Ada!"


async def test_workers_of_several_applications_may_follow_each_other(
    fresh_database: FreshDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    url = fresh_database()
    config: dbos.DBOSConfig = {"name": "face", "system_database_url": url}
    other: dbos.DBOSConfig = {"name": "other", "system_database_url": url}
    async with await Client.connect(url) as client:
        for target in (config, url, other, config):
            async with served(target) as worker:
                assert await greeted(client, worker.task_queue) == "Hello, Ada!"
    assert "did not start" not in caplog.text
