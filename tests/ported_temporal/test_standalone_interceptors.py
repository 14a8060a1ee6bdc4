"""What a client's interceptor sees of activities without a workflow."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from dbosify.client import (
    ActivityExecutionCount,
    ActivityExecutionDescription,
    Client,
    Interceptor,
    OutboundInterceptor,
)
from tests.fix_backend import Connect
from tests.ported_temporal.one_standalone import Ids, increment, start

pytestmark = pytest.mark.needs("standalone activities")


@dataclass
class Recording(Interceptor):
    """Keeps what it is asked to do, by the name of the call."""

    calls: dict[str, list[Any]] = field(default_factory=dict)

    def intercept_client(self, following: OutboundInterceptor) -> OutboundInterceptor:
        return RecordingOutbound(following, self.calls)


class RecordingOutbound(OutboundInterceptor):
    """See :class:`Recording`."""

    def __init__(
        self, following: OutboundInterceptor, calls: dict[str, list[Any]]
    ) -> None:
        super().__init__(following)
        self.calls = calls

    def _note(self, name: str, given: Any) -> None:
        self.calls.setdefault(name, []).append(given)

    async def start_activity(self, given: Any) -> Any:
        self._note("start", given)
        return await super().start_activity(given)

    async def describe_activity(self, given: Any) -> ActivityExecutionDescription:
        self._note("describe", given)
        return await super().describe_activity(given)

    async def cancel_activity(self, given: Any) -> None:
        self._note("cancel", given)
        await super().cancel_activity(given)

    async def terminate_activity(self, given: Any) -> None:
        self._note("terminate", given)
        await super().terminate_activity(given)

    def list_activities(self, given: Any) -> Any:
        self._note("list", given)
        return super().list_activities(given)

    async def count_activities(self, given: Any) -> ActivityExecutionCount:
        self._note("count", given)
        return await super().count_activities(given)


@pytest.fixture
def recording() -> Recording:
    """What the tests' client is made with."""
    return Recording()


async def test_start_activity_calls_interceptor(
    connect: Connect, recording: Recording
) -> None:
    client, ids = await connect(interceptors=[recording]), Ids()
    await start(client, ids, start_delay=timedelta(seconds=3))
    (seen,) = recording.calls["start"]
    assert (seen.id, seen.task_queue) == (ids.activity_id, ids.task_queue)
    assert seen.activity_type == "increment"
    assert seen.start_delay == timedelta(seconds=3)


async def test_describe_activity_calls_interceptor(
    connect: Connect, recording: Recording
) -> None:
    client, ids = await connect(interceptors=[recording]), Ids()
    handle = await start(client, ids)
    assert isinstance(await handle.describe(), ActivityExecutionDescription)
    (seen,) = recording.calls["describe"]
    assert seen.activity_id == ids.activity_id


async def test_cancel_activity_calls_interceptor(
    connect: Connect, recording: Recording
) -> None:
    client, ids = await connect(interceptors=[recording]), Ids()
    await (await start(client, ids)).cancel(reason="test cancellation")
    (seen,) = recording.calls["cancel"]
    assert (seen.activity_id, seen.reason) == (ids.activity_id, "test cancellation")


async def test_terminate_activity_calls_interceptor(
    connect: Connect, recording: Recording
) -> None:
    client, ids = await connect(interceptors=[recording]), Ids()
    await (await start(client, ids)).terminate(reason="test termination")
    (seen,) = recording.calls["terminate"]
    assert (seen.activity_id, seen.reason) == (ids.activity_id, "test termination")


async def test_list_activities_calls_interceptor(
    connect: Connect, recording: Recording
) -> None:
    client, ids = await connect(interceptors=[recording]), Ids()
    await start(client, ids)
    query = f'ActivityId = "{ids.activity_id}"'
    async for found in client.list_activities(query):
        assert found.activity_id == ids.activity_id
    assert recording.calls["list"][0].query == query


async def test_count_activities_calls_interceptor(
    connect: Connect, recording: Recording
) -> None:
    client, ids = await connect(interceptors=[recording]), Ids()
    await start(client, ids)
    query = f'ActivityId = "{ids.activity_id}"'
    count = await client.count_activities(query)
    assert isinstance(count, ActivityExecutionCount)
    (seen,) = recording.calls["count"]
    assert seen.query == query


async def test_start_activity_generates_request_id(client: Client) -> None:
    ids = Ids()
    service = client.workflow_service
    real = service.start_activity_execution
    with mock.patch.object(service, "start_activity_execution", wraps=real) as sent:
        await start(client, ids)
        await start(client, Ids())
    first, second = (call.args[0].request_id for call in sent.await_args_list)
    assert len(first) == 36
    assert first != second


async def test_start_activity_rejects_negative_start_delay(client: Client) -> None:
    with pytest.raises(ValueError, match="start_delay must be non-negative"):
        await client.start_activity(
            increment,
            1,
            id=Ids().activity_id,
            task_queue="any",
            start_to_close_timeout=timedelta(seconds=5),
            start_delay=timedelta(seconds=-1),
        )
