"""Fixtures that only the ported tests use."""

from collections.abc import AsyncIterator

import pytest_asyncio

from dbosify.client import Client
from dbosify.worker import Worker
from tests.ported_temporal.kitchen_sink import KitchenSinkWorkflow
from tests.ported_temporal.scaffold import new_worker


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def worker(client: Client) -> AsyncIterator[Worker]:
    """A worker of the kitchen sink, for tests that only look at it through a client."""
    async with new_worker(client, KitchenSinkWorkflow) as worker:
        yield worker
