"""The plainest promises: a run takes arguments, knows itself, and gives its result.

Also here: what workflow code may ask of its surroundings without losing determinism
(clock, identity, random numbers).
"""

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from temporalio.worker._workflow_instance import (
    _DEFAULT_ENABLED_WORKFLOW_LOGIC_FLAGS,
    _WorkflowLogicFlag,
)

from dbosify import activity, workflow
from dbosify.api.common.v1 import WorkflowExecution
from dbosify.api.enums.v1 import EventType
from dbosify.api.history.v1 import HistoryEvent
from dbosify.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from dbosify.client import Client, WorkflowHandle
from dbosify.common import RetryPolicy
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_event_subsequence,
    events_of,
    new_worker,
    random_id,
)

TASK_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED


def of_type(
    events: Sequence[HistoryEvent], kind: "EventType.ValueType"
) -> list[HistoryEvent]:
    """The events of one type, oldest first."""
    return [event for event in events if event.event_type == kind]


def moment_of(event: HistoryEvent) -> datetime:
    """When the event happened."""
    return event.event_time.ToDatetime(tzinfo=timezone.utc)


@workflow.defn
class HelloWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"Hello, {name}!"


async def test_workflow_hello(client: Client) -> None:
    async with new_worker(client, HelloWorkflow) as worker:
        result = await client.execute_workflow(
            HelloWorkflow.run,
            "Temporal",
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "Hello, Temporal!"


async def test_workflow_hello_eager(client: Client) -> None:
    async with new_worker(client, HelloWorkflow) as worker:
        handle = await client.start_workflow(
            HelloWorkflow.run,
            "Temporal",
            id=random_id(),
            task_queue=worker.task_queue,
            request_eager_start=True,
            # A task that is handed over and then lost is given again only after this
            # time, so that the test can't pass by luck.
            task_timeout=timedelta(hours=1),
        )
        result = await handle.result()
    assert handle.__temporal_eagerly_started
    assert result == "Hello, Temporal!"


@activity.defn
async def show_both(param1: int, param2: str) -> str:
    return f"param1: {param1}, param2: {param2}"


@workflow.defn
class MultiParamWorkflow:
    @workflow.run
    async def run(self, param1: int, param2: str) -> str:
        return await workflow.execute_activity(
            show_both,
            args=[param1, param2],
            schedule_to_close_timeout=timedelta(seconds=30),
        )


async def test_workflow_multi_param(client: Client) -> None:
    async with new_worker(client, MultiParamWorkflow, activities=[show_both]) as worker:
        result = await client.execute_workflow(
            MultiParamWorkflow.run,
            args=[123, "val1"],
            id=random_id(),
            task_queue=worker.task_queue,
        )
    assert result == "param1: 123, param2: val1"


def as_json(value: Any) -> Any:
    """The value as it looks after a trip through JSON."""
    return json.loads(json.dumps(value, default=str))


@workflow.defn
class InfoWorkflow:
    @workflow.run
    async def run(self) -> dict[str, Any]:
        info: dict[str, Any] = as_json(asdict(workflow.info()))
        return info


async def test_workflow_info(client: Client) -> None:
    retry_policy = RetryPolicy(
        initial_interval=timedelta(seconds=3),
        backoff_coefficient=4.0,
        maximum_interval=timedelta(seconds=5),
        maximum_attempts=6,
    )
    async with new_worker(client, InfoWorkflow) as worker:
        handle = await client.start_workflow(
            InfoWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            retry_policy=retry_policy,
        )
        info = await handle.result()

    assert info["attempt"] == 1
    assert info["cron_schedule"] is None
    assert info["execution_timeout"] is None
    assert info["run_timeout"] is None
    assert info["namespace"] == client.namespace
    assert info["retry_policy"] == as_json(asdict(retry_policy))
    assert info["run_id"] == handle.result_run_id
    assert uuid.UUID(info["run_id"]).version == 7
    assert info["task_queue"] == worker.task_queue
    assert info["task_timeout"] == "0:00:10"
    assert info["workflow_id"] == handle.id
    assert info["workflow_type"] == "InfoWorkflow"
    events = await events_of(handle)
    assert datetime.fromisoformat(info["workflow_start_time"]) == moment_of(events[0])
    first_task = of_type(events, TASK_STARTED)[0]
    assert datetime.fromisoformat(info["start_time"]) == moment_of(first_task)


@dataclass(frozen=True)
class Clocks:
    """What every clock of a workflow showed at the same point of its code."""

    now: str
    time: float
    time_ns: int
    loop_time: float

    @staticmethod
    def read() -> "Clocks":
        return Clocks(
            now=workflow.now().isoformat(),
            time=workflow.time(),
            time_ns=workflow.time_ns(),
            loop_time=asyncio.get_running_loop().time(),
        )


@workflow.defn
class AsyncUtilWorkflow:
    def __init__(self) -> None:
        self._status = "starting"
        self._event = asyncio.Event()
        self._condition = False

    @workflow.run
    async def run(self) -> tuple[Clocks, Clocks]:
        start = Clocks.read()
        self._status = "sleeping"
        await asyncio.sleep(0.1)
        self._status = "waiting for the event"
        await self._event.wait()
        self._status = "waiting for the condition"
        await workflow.wait_condition(lambda: self._condition)
        self._status = "done"
        return start, Clocks.read()

    @workflow.signal
    def set_event(self) -> None:
        self._event.set()

    @workflow.signal
    def meet_condition(self) -> None:
        self._condition = True

    @workflow.query
    def status(self) -> str:
        return self._status


async def test_workflow_async_utils(client: Client) -> None:
    async with new_worker(client, AsyncUtilWorkflow) as worker:
        handle = await client.start_workflow(
            AsyncUtilWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )

        async def status() -> str:
            return await handle.query(AsyncUtilWorkflow.status)

        await assert_eq_eventually("waiting for the event", status)
        await handle.signal(AsyncUtilWorkflow.set_event)
        await assert_eq_eventually("waiting for the condition", status)
        await handle.signal(AsyncUtilWorkflow.meet_condition)
        start, end = await handle.result()
        assert await status() == "done"

    tasks = of_type(await events_of(handle), TASK_STARTED)
    started_at = tasks[0].event_time
    started = moment_of(tasks[0]).replace(microsecond=0)
    assert datetime.fromisoformat(start.now).replace(microsecond=0) == started
    assert start.time == started_at.ToNanoseconds() / 1e9
    assert start.time_ns == started_at.ToNanoseconds()
    assert start.loop_time == start.time
    assert end.time_ns > start.time_ns
    assert end.time_ns == tasks[-1].event_time.ToNanoseconds()


@dataclass
class OptionalParam:
    value: str


@workflow.defn
class OptionalParamWorkflow:
    @workflow.run
    async def run(
        self,
        some_param: OptionalParam | None = OptionalParam(value="default"),  # noqa: B008
    ) -> OptionalParam | None:
        assert some_param is None or isinstance(some_param, OptionalParam)
        return some_param


async def test_workflow_optional_param(client: Client) -> None:
    async with new_worker(client, OptionalParamWorkflow) as worker:

        async def result_of(*args: OptionalParam | None) -> OptionalParam | None:
            result: OptionalParam | None = await client.execute_workflow(
                "OptionalParamWorkflow",
                args=args,
                id=random_id(),
                task_queue=worker.task_queue,
                result_type=OptionalParam | None,  # type: ignore[arg-type]
            )
            return result

        assert await result_of() == OptionalParam(value="default")
        assert await result_of(None) is None
        assert await result_of(OptionalParam(value="given")) == OptionalParam("given")


def where_am_i() -> str:
    """Say who runs this, as code shared by workflows and others would ask."""
    return "in workflow" if workflow.in_workflow() else "not in workflow"


@workflow.defn
class InWorkflowUtilWorkflow:
    @workflow.run
    async def run(self) -> str:
        return where_am_i()


async def test_in_workflow_util(client: Client) -> None:
    assert where_am_i() == "not in workflow"
    async with new_worker(client, InWorkflowUtilWorkflow) as worker:
        result = await client.execute_workflow(
            InWorkflowUtilWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
    assert result == "in workflow"


@workflow.defn
class LoopIsRunningWorkflow:
    @workflow.run
    async def run(self) -> bool:
        return asyncio.get_running_loop().is_running()


async def test_workflow_loop_is_running(client: Client) -> None:
    async with new_worker(client, LoopIsRunningWorkflow) as worker:
        assert await client.execute_workflow(
            LoopIsRunningWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )


@workflow.defn
class UUIDWorkflow:
    def __init__(self) -> None:
        self._result = "not generated"

    @workflow.run
    async def run(self) -> None:
        self._result = str(workflow.uuid4())

    @workflow.query
    def result(self) -> str:
        return self._result


async def test_workflow_uuid(client: Client) -> None:
    task_queue = random_id("queue")

    def uncached_worker() -> Any:
        return new_worker(
            client, UUIDWorkflow, task_queue=task_queue, max_cached_workflows=0
        )

    async def closed_run() -> WorkflowHandle[UUIDWorkflow, None]:
        handle = await client.start_workflow(
            UUIDWorkflow.run, id=random_id(), task_queue=task_queue
        )
        await handle.result()
        return handle

    async with uncached_worker():
        first, second = await closed_run(), await closed_run()
        value = await first.query(UUIDWorkflow.result)
        other_value = await second.query(UUIDWorkflow.result)
        assert uuid.UUID(value).version == 4
        assert value != other_value
        assert await first.query(UUIDWorkflow.result) == value
        assert await second.query(UUIDWorkflow.result) == other_value
    async with uncached_worker():
        assert await first.query(UUIDWorkflow.result) == value
        assert await second.query(UUIDWorkflow.result) == other_value


@workflow.defn
class UUID7Workflow:
    def __init__(self) -> None:
        self._result: tuple[str, int] = ("not generated", 0)

    @workflow.run
    async def run(self) -> None:
        self._result = str(workflow.uuid7()), workflow.time_ns() // 1_000_000

    @workflow.query
    def result(self) -> tuple[str, int]:
        return self._result


async def test_workflow_uuid7(client: Client) -> None:
    task_queue = random_id("queue")

    def uncached_worker() -> Any:
        return new_worker(
            client, UUID7Workflow, task_queue=task_queue, max_cached_workflows=0
        )

    async def closed_run() -> WorkflowHandle[UUID7Workflow, None]:
        handle = await client.start_workflow(
            UUID7Workflow.run, id=random_id(), task_queue=task_queue
        )
        await handle.result()
        return handle

    async with uncached_worker():
        first, second = await closed_run(), await closed_run()
        answer = await first.query(UUID7Workflow.result)
        other_answer = await second.query(UUID7Workflow.result)
        assert answer[0] != other_answer[0]
        assert await first.query(UUID7Workflow.result) == answer
    async with uncached_worker():
        assert await first.query(UUID7Workflow.result) == answer
        assert await second.query(UUID7Workflow.result) == other_answer

    text, millis = answer
    generated = uuid.UUID(text)
    assert generated.version == 7
    assert generated.variant == uuid.RFC_4122
    assert generated.int >> 80 == millis


@activity.defn
async def do_nothing() -> None:
    pass


@dataclass(frozen=True)
class Seeds:
    """Where the random numbers of a run came from."""

    before: int
    after: int
    announced: list[int]
    numbers: list[float]


@workflow.defn
class RandomSeedWorkflow:
    def __init__(self) -> None:
        self._may_finish = False

    @workflow.run
    async def run(self) -> Seeds:
        announced: list[int] = []
        before = workflow.random_seed()
        workflow.register_random_seed_callback(announced.append)
        random = workflow.new_random()
        numbers = [random.random()]
        await workflow.execute_activity(
            do_nothing, start_to_close_timeout=timedelta(seconds=10)
        )
        await workflow.wait_condition(lambda: self._may_finish)
        numbers.append(random.random())
        return Seeds(before, workflow.random_seed(), announced, numbers)

    @workflow.signal
    def finish(self) -> None:
        self._may_finish = True


@pytest.mark.needs("resets")
async def test_random_seed_functionality(client: Client) -> None:
    async with new_worker(
        client, RandomSeedWorkflow, activities=[do_nothing]
    ) as worker:
        handle = await client.start_workflow(
            RandomSeedWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await assert_event_subsequence(
            handle,
            [
                EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
                EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
            ],
        )
        task_after_activity = of_type(await events_of(handle), TASK_STARTED)[-1]
        reset = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(
                    workflow_id=handle.id, run_id=handle.result_run_id or ""
                ),
                reason="new numbers, please",
                request_id=str(uuid.uuid4()),
                workflow_task_finish_event_id=task_after_activity.event_id,
            )
        )
        continued = client.get_workflow_handle(
            handle.id, run_id=reset.run_id, result_type=Seeds
        )
        await continued.signal(RandomSeedWorkflow.finish)
        seeds: Seeds = await continued.result()

    assert isinstance(seeds.before, int)
    assert seeds.after != seeds.before
    assert seeds.announced == [seeds.after]
    assert len(set(seeds.numbers)) == 2


def test_single_batch_workflow_activation_jobs_default_disabled() -> None:
    flag = _WorkflowLogicFlag.PROCESS_WORKFLOW_ACTIVATION_JOBS_AS_SINGLE_BATCH
    assert flag not in _DEFAULT_ENABLED_WORKFLOW_LOGIC_FLAGS
