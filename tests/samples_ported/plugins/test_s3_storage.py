"""Big payloads go to S3, packed; histories hold where they are."""

import dataclasses
import gzip
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.contrib.aws.s3driver import S3StorageDriver

from dbosify import activity, workflow
from dbosify.api.common.v1 import Payload
from dbosify.client import Client
from dbosify.converter import DataConverter, ExternalStorage, PayloadCodec
from tests.ported_temporal.scaffold import events_of, new_worker, random_id

with workflow.unsafe.imports_passed_through():
    aioboto3 = pytest.importorskip("aioboto3", reason="needs `nox -s plugins`")
    moto = pytest.importorskip("moto.server", reason="needs `nox -s plugins`")
    from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client

BUCKET = "payloads"
LIMIT = 256 * 1024
"""The size in bytes from which payloads are stored, unless told otherwise."""


@dataclasses.dataclass
class Order:
    number: int
    note: str


@activity.defn
async def take_orders(count: int) -> list[Order]:
    """Orders that do not pack well."""
    signs = random.Random(count)
    return [
        Order(number, signs.randbytes(2000).hex()) for number in range(1, count + 1)
    ]


@activity.defn
async def total(orders: list[Order]) -> int:
    """The sum of their numbers."""
    return sum(order.number for order in orders)


@workflow.defn
class OrdersWorkflow:
    @workflow.run
    async def run(self, count: int) -> int:
        limit = timedelta(seconds=20)
        orders = await workflow.execute_activity(
            take_orders, count, start_to_close_timeout=limit
        )
        return await workflow.execute_activity(
            total, orders, start_to_close_timeout=limit
        )


class GzipCodec(PayloadCodec):
    """Packs each payload."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": b"binary/gzip"},
                data=gzip.compress(payload.SerializeToString(), 1),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(gzip.decompress(payload.data))
            if payload.metadata.get("encoding") == b"binary/gzip"
            else payload
            for payload in payloads
        ]


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """A stand-in for S3."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest_asyncio.fixture
async def s3(s3_url: str) -> AsyncIterator[Any]:
    """A client of it, and the bucket."""
    session = aioboto3.Session(
        aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1"
    )
    async with session.client("s3", endpoint_url=s3_url) as client:
        await client.create_bucket(Bucket=BUCKET)
        yield client


async def test_orders_are_kept_in_s3(client: Client, s3: Any) -> None:
    config: Any = client.config()
    driver = S3StorageDriver(client=new_aioboto3_client(s3), bucket=BUCKET)
    config["data_converter"] = dataclasses.replace(
        DataConverter.default,
        payload_codec=GzipCodec(),
        external_storage=ExternalStorage(
            drivers=[driver], payload_size_threshold=LIMIT
        ),
    )
    storing = Client(**config)
    async with new_worker(
        storing, OrdersWorkflow, activities=[take_orders, total]
    ) as worker:
        handle = await storing.start_workflow(
            OrdersWorkflow.run, 200, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.result() == sum(range(201))
    kept = (await s3.list_objects_v2(Bucket=BUCKET))["Contents"]
    assert all(found["Size"] > LIMIT for found in kept)
    assert any(handle.id in found["Key"] for found in kept)
    assert sum(event.ByteSize() for event in await events_of(handle)) < LIMIT
