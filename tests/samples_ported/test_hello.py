"""The smallest programs print what they promise."""

import importlib
from collections.abc import Sequence

import pytest

from dbosify import activity
from dbosify.client import Client
from dbosify.testing import ActivityEnvironment
from dbosify.worker import Worker
from tests.samples_ported.hello import hello_activity, hello_activity_choice

HELLO = "Result: Hello, World!\n"

TWO_STATES = "RUNNING COMPLETED\n"


def program(name: str, printed: str, *, needs: Sequence[str] = ()) -> object:
    """A program, what it prints, and the features that it needs."""
    marks = [pytest.mark.needs(feature) for feature in needs]
    return pytest.param(name, printed, id=name, marks=marks)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        program("activity", HELLO),
        program("activity_async", HELLO),
        program(
            "activity_choice",
            "Result: Ordered 8 Apples...Ordered 5 Bananas...Ordered 1 Cherries...\n",
        ),
        program("activity_heartbeat", HELLO),
        program("activity_method", "Result: Hello, World, from the database!\n"),
        program("activity_multiprocess", "In another process: True\n"),
        program("activity_retry", "Result: Hello, World, at attempt 4!\n"),
        program(
            "async_activity_completion",
            "Result: Hello, World, from outside!\n",
            needs=["async completion"],
        ),
        program(
            "cancellation",
            "Activity cancelled\nCleaned up\nCause: CancelledError\nStatus: CANCELED\n",
        ),
        program("change_log_level", "ERROR: This is a bug\n"),
        program("child_workflow", HELLO, needs=["child workflows"]),
        program("continue_as_new", "Ended in run 4\n"),
        program(
            "cron", "A later run of the same chain: True\n", needs=["cron schedules"]
        ),
        program(
            "exception",
            "WorkflowFailureError: Workflow execution failed\n"
            "ActivityError: Activity task failed\n"
            "  raised in the activity: False\n"
            "ApplicationError: RuntimeError: Cannot greet World\n"
            "  raised in the activity: True\n",
        ),
        program("local_activity", HELLO, needs=["local activities"]),
        program(
            "parallel_activity", "".join(f"Hello, user{n}!\n" for n in range(1, 6))
        ),
        program("query", "First: Hello, World!\nSecond: Goodbye, World!\n"),
        program(
            "search_attributes", "Cities: Ulm Bern\n", needs=["typed search attributes"]
        ),
        program(
            "standalone_activity",
            "Result: Hello, World!\nResult: Hello, again!\n"
            "Listed: hello-standalone-1 hello-standalone-2\n",
            needs=["standalone activities"],
        ),
        program("signal", f"['Hello, user1', 'Hello, user2']\n{TWO_STATES}"),
        program(
            "update",
            f"Workflow status updated\nHello, World!\n{TWO_STATES}",
            needs=["updates"],
        ),
    ],
)
async def test_a_hello_program_prints_its_result(
    environment: None, capsys: pytest.CaptureFixture[str], name: str, printed: str
) -> None:
    module = importlib.import_module(f"tests.samples_ported.hello.hello_{name}")
    await module.main()
    assert capsys.readouterr().out == printed


@pytest.mark.oracle_exempt("workers of one queue run different code")
async def test_hello_patch(
    environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module("tests.samples_ported.hello.hello_patch")
    await module.main()
    assert capsys.readouterr().out == (
        "Old run: Hello, World!\nNew run: Hello, World! Goodbye, World!\n"
    )


async def test_an_activity_may_be_replaced_by_one_of_the_same_name(
    client: Client,
) -> None:
    @activity.defn(name="compose_greeting")
    async def mocked(wanted: hello_activity.Greeting) -> str:
        return f"{wanted.greeting}, {wanted.name} from mocked activity!"

    async with Worker(
        client,
        task_queue="hello-mocked",
        workflows=[hello_activity.GreetingWorkflow],
        activities=[mocked],
    ):
        result = await client.execute_workflow(
            hello_activity.GreetingWorkflow.run,
            "World",
            id="hello-mocked",
            task_queue="hello-mocked",
        )
    assert result == "Hello, World from mocked activity!"


@pytest.mark.parametrize("fruit", hello_activity_choice.Fruit)
def test_an_activity_runs_without_a_worker(
    fruit: hello_activity_choice.Fruit,
) -> None:
    order = hello_activity_choice.ORDERS[fruit]
    plural = order.__name__.removeprefix("order_").capitalize()
    assert ActivityEnvironment().run(order, 5) == f"Ordered 5 {plural}..."
