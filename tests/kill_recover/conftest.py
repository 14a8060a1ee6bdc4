"""The database with its table of effects, and the processes on it."""
# ruff: noqa: E402 - assertions are only rewritten in modules not imported yet

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("tests.kill_recover.evidence")

from dbosify.client import Client  # isort: skip
from tests.kill_recover import effects
from tests.kill_recover.arena import Arena
from tests.kill_recover.orders import NAMESPACE
from tests.kill_recover.processes import Stable


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def arena(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Arena]:
    """The rescuer, up and running, on a database where nothing has happened."""
    effects.create_table(postgres_url)
    stable = Stable(postgres_url, tmp_path_factory.mktemp("processes"))
    try:
        async with (
            await Client.connect(postgres_url, namespace=NAMESPACE) as client,
            stable.process() as rescuer,
        ):
            yield Arena(postgres_url, client, stable, rescuer)
    finally:
        await stable.close()
