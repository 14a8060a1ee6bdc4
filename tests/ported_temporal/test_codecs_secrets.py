"""Where a codec hides what users write, the service never sees it.

A workflow puts one secret everywhere that payloads go. Neither its history nor what
describe tells may contain it anywhere; code and clients still read it all.
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from dbosify import activity, workflow
from dbosify.api.common.v1 import Payload
from dbosify.client import Client, WorkflowFailureError, WorkflowHandle
from dbosify.common import HeaderCodecBehavior, RetryPolicy
from dbosify.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)
from dbosify.exceptions import ApplicationError
from tests.ported_temporal.scaffold import (
    assert_eventually,
    assert_pending_activity_exists_eventually,
    new_worker,
    random_id,
)

SECRET = "the cat's name"
TEN_SECONDS = timedelta(seconds=10)


class HidingCodec(PayloadCodec):
    """Stands for encryption: nothing of what it has written can be read."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": b"binary/hidden"},
                data=payload.SerializeToString()[::-1],
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        assert all(p.metadata["encoding"] == b"binary/hidden" for p in payloads)
        return [Payload.FromString(payload.data[::-1]) for payload in payloads]


def hiding(client: Client) -> Client:
    """The same client with a codec, for headers and failures too."""
    config: Any = client.config()
    config["data_converter"] = dataclasses.replace(
        DataConverter.default,
        payload_codec=HidingCodec(),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
    config["header_codec_behavior"] = HeaderCodecBehavior.CODEC
    return Client(**config)


@activity.defn
async def keep(secret: str) -> str:
    """Fails once with the secret, and leaves it in a heartbeat for its next attempt."""
    assert secret == SECRET
    info = activity.info()
    if info.attempt == 1:
        activity.heartbeat(secret)
        raise ApplicationError(secret, secret, type="Once")
    (left,) = info.heartbeat_details
    assert left == SECRET
    return secret


@activity.defn
async def wait_for_release(secret: str) -> None:
    """Hangs with the secret in its heartbeat until it is cancelled."""
    activity.heartbeat(secret)
    try:
        await asyncio.sleep(60)
    finally:
        raise ApplicationError(secret, secret, non_retryable=True)


@workflow.defn
class SecretiveWorkflow:
    """Puts what it is told into everything that payloads can be put into."""

    def __init__(self) -> None:
        self._told = ""

    @workflow.run
    async def run(self, secret: str) -> str:
        assert secret == workflow.memo_value("start") == SECRET
        workflow.upsert_memo({"later": secret})
        workflow.set_current_details(secret)
        await workflow.wait_condition(lambda: bool(self._told))
        await workflow.sleep(0.001, summary=secret)
        kept: str = await workflow.execute_activity(
            keep,
            secret,
            start_to_close_timeout=TEN_SECONDS,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=1)),
            summary=secret,
        )
        assert kept == SECRET
        if workflow.info().continued_run_id is None:
            self._told = ""
            workflow.continue_as_new(secret, memo={"start": secret})
        await workflow.execute_activity(
            wait_for_release,
            secret,
            start_to_close_timeout=TEN_SECONDS,
            heartbeat_timeout=TEN_SECONDS,
            cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
        )
        return secret

    @workflow.signal
    def tell(self, secret: str) -> None:
        assert secret == SECRET
        self._told = secret

    @workflow.query
    def ask(self, secret: str) -> str:
        assert secret == SECRET
        return secret


async def assert_hidden(handle: WorkflowHandle[Any, Any]) -> None:
    """Nothing that the service can tell about a run has the secret in it."""
    described = await handle.describe()
    for message in (
        described.raw_description,
        *[event async for event in handle.fetch_history_events()],
    ):
        assert SECRET.encode() not in message.SerializeToString()


async def test_what_a_codec_hides_stands_nowhere_in_the_service(
    client: Client,
) -> None:
    own = hiding(client)
    async with new_worker(
        own, SecretiveWorkflow, activities=[keep, wait_for_release]
    ) as worker:
        handle = await own.start_workflow(
            SecretiveWorkflow.run,
            SECRET,
            id=random_id(),
            task_queue=worker.task_queue,
            memo={"start": SECRET},
            static_summary=SECRET,
            static_details=SECRET,
        )
        first = own.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
        assert await first.query(SecretiveWorkflow.ask, SECRET) == SECRET
        described = await first.describe()
        assert await described.static_summary() == SECRET
        assert await described.static_details() == SECRET
        assert await described.memo() == {"start": SECRET, "later": SECRET}
        await first.signal(SecretiveWorkflow.tell, SECRET)

        async def continued() -> None:
            later = await own.get_workflow_handle(handle.id).describe()
            assert later.run_id != handle.first_execution_run_id

        await assert_eventually(continued)
        await assert_hidden(first)
        second = own.get_workflow_handle(handle.id)
        await second.signal(SecretiveWorkflow.tell, SECRET)
        await assert_pending_activity_exists_eventually(second, "2")
        await assert_hidden(second)
        await second.cancel()
        with pytest.raises(WorkflowFailureError) as failed:
            await second.result()
        await assert_hidden(second)
    assert failed.value.cause is not None
