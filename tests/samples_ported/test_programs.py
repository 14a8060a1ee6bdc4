"""Programs about one feature each print what they promise."""

import asyncio
import importlib
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from tests.fix_oracle import Knows
from tests.samples_ported.dsl.worker import DSLWorkflow
from tests.samples_ported.encryption.codec import ENCRYPTING
from tests.samples_ported.encryption.worker import GreetingWorkflow
from tests.samples_ported.processes import printed_by, worker_process
from tests.samples_ported.worker_multiprocessing.work import ParallelWorkflow


def program(name: str, printed: str, *, needs: Sequence[str] = ()) -> object:
    """A program, what it prints, and the features that it needs."""
    marks = [pytest.mark.needs(feature) for feature in needs]
    return pytest.param(name, printed, id=name, marks=marks)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        program(
            "context_propagation",
            "Asked by test-user\n"
            "Hello, some-name, from test-user! Signalled by test-user.\n",
        ),
        program(
            "batch_sliding_window",
            "Records: 30\n",
            needs=["child workflows", "external signals"],
        ),
        program("custom_converter", "Greeting Hello, Temporal\n"),
        program(
            "custom_metric",
            "Hello from an activity\n" * 2
            + "Measured attempts: 2\nThe SDK's own: True\n",
        ),
        program("custom_decorator", "Result: activity cancelled!\n"),
        program(
            "eager_workflow_start",
            "Eagerly started: True\nHello Temporal!\n",
            needs=["local activities"],
        ),
        program(
            "env_config",
            "Staging: overridden-below {'who': 'staging'}\n"
            "Connected: True\nConnected: True\n",
        ),
        program("polling.frequent", "Result after 5 calls\n"),
        program("polling.infrequent", "Result after 5 calls\n"),
        program(
            "polling.periodic_sequence",
            "Result after 5 calls\n",
            needs=["child workflows"],
        ),
        program("pydantic_models", "The same models: True\n"),
        program("replaying", "Failures: 0\n", needs=["visibility"]),
        program(
            "schedules",
            "Note: Every other minute.\nPaused: True\nTriggered: Hello, others!\n"
            "Listed: True\nDeleted\n",
            needs=["schedules"],
        ),
        program(
            "worker_specific_queues",
            "Checksums: 1\nOwn queues of each: 1 1 1 1 1\nFiles left: 0\n",
        ),
    ],
)
async def test_a_program_prints_its_result(
    environment: None, capsys: pytest.CaptureFixture[str], name: str, printed: str
) -> None:
    module = importlib.import_module(f"tests.samples_ported.{name}")
    await module.main()
    assert capsys.readouterr().out == printed


async def starter_prints(
    package: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package's starter prints that while its worker runs beside it."""
    starter = importlib.import_module(f"tests.samples_ported.{package}.starter")
    with worker_process(f"{package}.worker"):
        await starter.main()
    assert capsys.readouterr().out == printed


async def test_trio_async(environment: None, oracle_knows: Knows) -> None:
    pytest.importorskip("trio_asyncio", reason="needs trio-asyncio")
    from tests.samples_ported.trio_async import GreetingsWorkflow

    oracle_knows(GreetingsWorkflow)
    # What Trio puts in asyncio's place has to be there when asyncio is first used.
    assert await asyncio.to_thread(printed_by, "trio_async") == (
        "Hello, some-user! (from asyncio)\nHello, some-user! (from thread)\n"
    )


async def test_encryption(
    environment: None, capsys: pytest.CaptureFixture[str], oracle_knows: Knows
) -> None:
    oracle_knows(GreetingWorkflow, data_converter=ENCRYPTING)
    await starter_prints(
        "encryption",
        "Hello, My Secret Friend\nOthers can read it: False\n",
        capsys,
    )


async def test_dsl(
    environment: None, capsys: pytest.CaptureFixture[str], oracle_knows: Knows
) -> None:
    oracle_knows(DSLWorkflow)
    await starter_prints("dsl", "{'a': 'ONE', 'b': 'TWO', 'both': 'ONE+TWO'}\n", capsys)


async def test_worker_multiprocessing(
    environment: None, capsys: pytest.CaptureFixture[str], oracle_knows: Knows
) -> None:
    oracle_knows(ParallelWorkflow)
    await starter_prints("worker_multiprocessing", "Processes: 2\n", capsys)


@pytest.mark.oracle_exempt("workers of one queue run different code")
async def test_patching(environment: None, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module("tests.samples_ported.patching")
    await module.main()
    assert capsys.readouterr().out == (
        "Initial: pre-patch\n"
        "Patched: pre-patch post-patch\n"
        "Deprecated: post-patch post-patch\n"
        "Complete: post-patch post-patch\n"
    )


@pytest.mark.needs("worker versioning")
@pytest.mark.oracle_exempt("workers of one queue run different code")
async def test_versions_of_a_deployment_follow_each_other(environment: None) -> None:
    with ExitStack() as workers:
        for build_id in ("1.0", "1.1", "2.0"):
            worker = worker_process("worker_versioning.worker", build_id)
            workers.enter_context(worker)
        printed = await asyncio.to_thread(printed_by, "worker_versioning.app")
        assert printed == (
            "AutoUpgrading-1:\n"
            "  some_activity called by v1\n"
            "  some_activity called by v1b\n"
            "AutoUpgrading-2:\n"
            "  some_incompatible_activity called by v1b with hello!\n"
            "Pinned-1:\n"
            "  some_activity called by v1\n"
            "  some_activity called by v1\n"
            "Pinned-2:\n"
            "  some_incompatible_activity called by v2 with hi\n"
        )
