"""The database with its table of effects, and the processes on it."""
# ruff: noqa: E402 - assertions are only rewritten in modules not imported yet

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("tests.kill_recover.evidence")

from dbosify.client import Client  # isort: skip
from dbosify.worker import UnsandboxedWorkflowRunner
from tests.fix_oracle import Knows
from tests.kill_recover import effects
from tests.kill_recover.arena import RESCUER_LEASE, Arena
from tests.kill_recover.orders import NAMESPACE
from tests.kill_recover.processes import Stable
from tests.kill_recover.scenarios import WORKFLOWS


@pytest.fixture(autouse=True)
def code_of_the_programs(oracle_knows: Knows) -> None:
    """Let the oracle judge what the tests themselves start."""
    oracle_knows(*WORKFLOWS, workflow_runner=UnsandboxedWorkflowRunner())


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
            stable.process(**RESCUER_LEASE) as rescuer,
        ):
            yield Arena(postgres_url, client, stable, rescuer)
    finally:
        await stable.close()
