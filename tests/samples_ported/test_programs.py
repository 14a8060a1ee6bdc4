"""Programs about one feature each print what they promise."""

import importlib
from collections.abc import Sequence

import pytest

from tests.fix_oracle import Knows
from tests.samples_ported.dsl.worker import DSLWorkflow
from tests.samples_ported.encryption.codec import ENCRYPTING
from tests.samples_ported.encryption.worker import GreetingWorkflow
from tests.samples_ported.processes import worker_process
from tests.samples_ported.worker_multiprocessing.work import ParallelWorkflow


def needing(features: Sequence[str], name: str, printed: str) -> object:
    """A program that features are needed for."""
    return pytest.param(name, printed, id=name, marks=pytest.mark.needs(*features))


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        (
            "context_propagation",
            "Asked by test-user\n"
            "Hello, some-name, from test-user! Signalled by test-user.\n",
        ),
        ("custom_converter", "Greeting Hello, Temporal\n"),
        ("custom_decorator", "Result: activity cancelled!\n"),
        needing(
            ["local activities"],
            "eager_workflow_start",
            "Eagerly started: True\nHello Temporal!\n",
        ),
        ("polling.frequent", "Result after 5 calls\n"),
        ("polling.infrequent", "Result after 5 calls\n"),
        needing(
            ["child workflows"], "polling.periodic_sequence", "Result after 5 calls\n"
        ),
        ("pydantic_models", "The same models: True\n"),
        (
            "worker_specific_queues",
            "Checksums: 1\nOwn queues of each: 1 1 1 1 1\nFiles left: 0\n",
        ),
    ],
)
async def test_a_program_prints_its_result(
    environment: None, capsys: pytest.CaptureFixture[str], name: str, printed: str
) -> None:
    program = importlib.import_module(f"tests.samples_ported.{name}")
    await program.main()
    assert capsys.readouterr().out == printed


async def starter_prints(
    package: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package's starter prints that while its worker runs beside it."""
    starter = importlib.import_module(f"tests.samples_ported.{package}.starter")
    with worker_process(f"{package}.worker"):
        await starter.main()
    assert capsys.readouterr().out == printed


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
