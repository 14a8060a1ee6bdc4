"""What the ported tests share: workers, patient assertions, histories and logs.

Anything that several areas need lives here, so that an area's file holds nothing but
its workflows and its tests. All waiting goes through :mod:`tests.waiting`.
"""

import logging
import queue
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from temporalio.worker._workflow_instance import _WorkflowLogicFlag

from dbosify.api.common.v1 import WorkflowExecution
from dbosify.api.enums.v1 import EventType
from dbosify.api.history.v1 import HistoryEvent
from dbosify.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from dbosify.api.update.v1 import UpdateRef
from dbosify.api.workflow.v1 import PendingActivityInfo
from dbosify.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest
from dbosify.client import Client, WorkflowHandle
from dbosify.common import SearchAttributeKey
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker, WorkflowRunner
from dbosify.worker.workflow_sandbox import (
    SandboxedWorkflowRunner,
    SandboxRestrictions,
)
from tests.waiting import PATIENCE, eventually

T = TypeVar("T")

SINGLE_BATCH = _WorkflowLogicFlag.PROCESS_WORKFLOW_ACTIVATION_JOBS_AS_SINGLE_BATCH

TEST_ONLY_MODULES = (
    "_pytest",
    "pluggy",
    "pytest",
    "pytest_asyncio",
    "tests.fix_backend",
    "tests.ported_temporal.scaffold",
    "tests.waiting",
)
"""What the sandbox need not load again for every run of a workflow of a test module:
no workflow touches it, and pytest alone would cost more than most of the tests."""


def sandboxed_runner() -> SandboxedWorkflowRunner:
    """The sandbox as users have it, except for what only tests import."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            *TEST_ONLY_MODULES
        )
    )


def random_id(prefix: str = "workflow") -> str:
    """A workflow id or task queue that no other test uses."""
    return f"{prefix}-{uuid.uuid4()}"


def new_worker(
    client: Client,
    *workflows: type,
    activities: Sequence[Callable[..., Any]] = (),
    task_queue: str | None = None,
    workflow_runner: WorkflowRunner | None = None,
    max_cached_workflows: int = 1000,
    workflow_failure_exception_types: Sequence[type[BaseException]] = (),
    **options: Any,
) -> Worker:
    """A worker on a queue of its own; run it with ``async with``.

    Args:
        client: Where the worker gets its tasks.
        workflows: Workflow classes it serves.
        activities: Activities it serves.
        task_queue: A random one unless given.
        workflow_runner: The default sandbox unless given.
        max_cached_workflows: Zero makes every task replay the whole history.
        workflow_failure_exception_types: What fails a run instead of its task.
        options: Any other option of ``Worker``.
    """
    return Worker(
        client,
        task_queue=task_queue or random_id("queue"),
        workflows=workflows,
        activities=activities,
        workflow_runner=workflow_runner or sandboxed_runner(),
        max_cached_workflows=max_cached_workflows,
        workflow_failure_exception_types=workflow_failure_exception_types,
        **options,
    )


def single_batch_worker(
    client: Client, workflow_class: type, task_queue: str
) -> Worker:
    """A worker that runs no code between the jobs of an activation.

    The SDK will do so by default one day; until then the choice is private. Nothing is
    kept in memory between tasks, so that what comes together is met together.
    """
    worker = new_worker(
        client, workflow_class, task_queue=task_queue, max_cached_workflows=0
    )
    worker._set_default_workflow_logic_flag(SINGLE_BATCH, enabled=True)
    return worker


def _forgivable(error: Exception) -> bool:
    """Whether a failed assertion may hold later: an RPC may only have been dropped."""
    return not isinstance(error, RPCError) or error.status == RPCStatusCode.CANCELLED


async def assert_eventually(
    fn: Callable[[], Awaitable[T]], *, timeout: float = PATIENCE
) -> T:
    """Await ``fn()`` again after each AssertionError; give what it returned."""
    return await eventually(
        fn,
        patience=timeout,
        retry_on=(AssertionError, RPCError),
        retry_if=_forgivable,
    )


async def assert_eq_eventually(
    expected: T, fn: Callable[[], Awaitable[T]], *, timeout: float = PATIENCE
) -> None:
    """Await ``fn()`` until it gives ``expected``."""

    async def equal() -> None:
        assert await fn() == expected

    await assert_eventually(equal, timeout=timeout)


async def events_of(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    """The history of the handle's run, as far as it has come."""
    return [event async for event in handle.fetch_history_events()]


async def event_types_of(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The names of the run's events, without their common prefix."""
    return [
        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        for event in await events_of(handle)
    ]


async def assert_task_fail_eventually(
    handle: WorkflowHandle[Any, Any],
    *,
    message_contains: str | None = None,
    timeout: float = PATIENCE,
) -> str:
    """Wait until a workflow task failed, with that in its message; give the message."""

    async def failed() -> str:
        messages = [
            event.workflow_task_failed_event_attributes.failure.message
            for event in await events_of(handle)
            if event.HasField("workflow_task_failed_event_attributes")
        ]
        meant = [text for text in messages if (message_contains or "") in text]
        assert meant, f"no failed task with {message_contains!r} among {messages}"
        return meant[-1]

    return await assert_eventually(failed, timeout=timeout)


async def assert_event_subsequence(
    handle: WorkflowHandle[Any, Any],
    event_types: "Sequence[EventType.ValueType]",
    *,
    timeout: float = PATIENCE,
) -> None:
    """Wait until history holds these events in this order, others between or not."""

    async def contained() -> None:
        remaining = iter([event.event_type for event in await events_of(handle)])
        before = "the start"
        for wanted in event_types:
            name = EventType.Name(wanted)
            assert wanted in remaining, f"no {name} after {before}"
            before = name

    await assert_eventually(contained, timeout=timeout)


async def assert_workflow_exists_eventually(
    client: Client, workflow: Any, workflow_id: str, *, timeout: float = PATIENCE
) -> WorkflowHandle[Any, Any]:
    """Wait until somebody else has started the workflow; give a handle of it."""
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle_for(
        workflow, workflow_id
    )
    not_yet = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION)
    await eventually(
        handle.describe,
        patience=timeout,
        retry_on=RPCError,
        retry_if=lambda error: isinstance(error, RPCError) and error.status in not_yet,
    )
    return handle


async def pending_activity(
    handle: WorkflowHandle[Any, Any], activity_id: str
) -> PendingActivityInfo | None:
    """What describe says of a pending activity, or None if it isn't pending."""
    description = await handle.describe()
    for info in description.raw_description.pending_activities:
        if info.activity_id == activity_id:
            return info
    return None


async def assert_pending_activity_exists_eventually(
    handle: WorkflowHandle[Any, Any], activity_id: str, *, timeout: float = PATIENCE
) -> PendingActivityInfo:
    """Wait until the activity is pending; give what describe says of it."""

    async def pending() -> PendingActivityInfo:
        info = await pending_activity(handle, activity_id)
        assert info is not None, f"activity {activity_id} isn't pending"
        return info

    return await assert_eventually(pending, timeout=timeout)


async def workflow_update_exists(
    client: Client, workflow_id: str, update_id: str
) -> bool:
    """Whether the backend knows of that update."""
    try:
        await client.workflow_service.poll_workflow_execution_update(
            PollWorkflowExecutionUpdateRequest(
                namespace=client.namespace,
                update_ref=UpdateRef(
                    workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                    update_id=update_id,
                ),
            )
        )
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def ensure_search_attributes_present(
    client: Client, *keys: SearchAttributeKey[Any]
) -> None:
    """Register custom search attributes unless they are."""
    wanted = {key.name: key.indexed_value_type for key in keys}

    async def missing() -> dict[str, Any]:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        return {
            name: kind
            for name, kind in wanted.items()
            if name not in known.custom_attributes
        }

    async def all_present() -> None:
        assert not await missing()

    request = AddSearchAttributesRequest(namespace=client.namespace)
    for name, kind in (await missing()).items():
        request.search_attributes[name] = int(kind)  # type: ignore[assignment]
    if request.search_attributes:
        await client.operator_service.add_search_attributes(request)
    await assert_eventually(all_present)


class CapturedLogs:
    """The records that arrived while :func:`captured_logs` was open."""

    def __init__(self) -> None:
        """Start with none."""
        self._arrived: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        self._records: list[logging.LogRecord] = []

    @property
    def records(self) -> list[logging.LogRecord]:
        """All records so far, oldest first."""
        while not self._arrived.empty():
            self._records.append(self._arrived.get_nowait())
        return list(self._records)

    def put(self, record: logging.LogRecord) -> None:
        """Take a record, from any thread."""
        self._arrived.put(record)

    def find_all(
        self, matches: Callable[[logging.LogRecord], bool]
    ) -> list[logging.LogRecord]:
        """Every record that matches."""
        return [record for record in self.records if matches(record)]

    def find(
        self, matches: Callable[[logging.LogRecord], bool]
    ) -> logging.LogRecord | None:
        """The first record that matches, if any."""
        return next(iter(self.find_all(matches)), None)

    def find_log(self, starts_with: str) -> logging.LogRecord | None:
        """The first record whose message starts so, if any."""
        return self.find(lambda record: record.getMessage().startswith(starts_with))


class _Collect(logging.Handler):
    """Hands every record on as it is: formatting would hide its extra fields."""

    def __init__(self, into: CapturedLogs) -> None:
        super().__init__(logging.NOTSET)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.put(record)


@contextmanager
def captured_logs(
    *loggers: logging.Logger | logging.LoggerAdapter[Any], level: int = logging.INFO
) -> Iterator[CapturedLogs]:
    """Collect what these loggers emit, and put their levels back afterwards."""
    captured = CapturedLogs()
    handler = _Collect(captured)
    plain = [
        logger.logger if isinstance(logger, logging.LoggerAdapter) else logger
        for logger in loggers
    ]
    before = [logger.level for logger in plain]
    for logger in plain:
        logger.setLevel(level)
        logger.addHandler(handler)
    try:
        yield captured
    finally:
        for logger, old_level in zip(plain, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(old_level)


@asynccontextmanager
async def deadlock_after(worker: Worker, seconds: int) -> AsyncIterator[Worker]:
    """Run a worker that takes a workflow for stuck after so many seconds.

    The limit is a private setting of the SDK; its two seconds would make each test
    of a stuck workflow wait for nothing.
    """
    inner = worker._workflow_worker
    assert inner is not None
    inner._deadlock_timeout_seconds = seconds
    async with worker:
        yield worker
