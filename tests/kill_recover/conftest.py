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
from tests.kill_recover.processes import Reins
from tests.kill_recover.program import NAMESPACE


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def arena(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Arena]:
    """The rescuer, up and running, on a database where nothing has happened."""
    effects.create_table(postgres_url)
    logs = tmp_path_factory.mktemp("processes")
    async with await Client.connect(postgres_url, namespace=NAMESPACE) as client:
        rescuer = await Reins.take(
            "program", postgres_url, log=logs / "rescuer.log", settings={}
        )
        try:
            yield Arena(postgres_url, client, rescuer, logs)
        finally:
            await rescuer.let_go()
