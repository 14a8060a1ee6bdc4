"""Signals and queries: how a run receives messages and answers questions.

What happens to messages around the end of a run is told in
``test_signals_queries_closing``, the built-in stack traces in
``test_signals_queries_stack_trace``.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import pytest
from temporalio.worker._workflow_instance import _WorkflowLogicFlag

from dbosify import workflow
from dbosify.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from dbosify.common import QueryRejectCondition, RawValue, SearchAttributeKey
from dbosify.exceptions import ApplicationError
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.kitchen_sink import (
    Action,
    EchoQuery,
    KitchenSinkWorkflow,
    Result,
    Script,
)
from tests.ported_temporal.scaffold import captured_logs, new_worker, random_id


def text_of(raw: RawValue) -> str:
    """The string inside an argument of a dynamic handler."""
    text: str = workflow.payload_converter().from_payload(raw.payload, str)
    return text


@workflow.defn
class NotebookWorkflow:
    """Notes down the latest signal; each way of declaring a handler is here once."""

    def __init__(self) -> None:
        self.latest = ""

    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("waits forever")

    @workflow.signal
    def plain(self, text: str) -> None:
        self.latest = f"plain: {text}"

    @workflow.signal(dynamic=True)
    def any_other(self, name: str, args: Sequence[RawValue]) -> None:
        self.latest = f"{name}: {text_of(args[0])}"

    @workflow.signal(name="Custom Name")
    def renamed(self, text: str) -> None:
        self.latest = f"renamed: {text}"

    @workflow.query
    def plain_query(self) -> str:
        return self.latest

    @workflow.query(dynamic=True)
    def any_other_query(self, name: str, args: Sequence[RawValue]) -> str:
        return f"{name}({text_of(args[0])}) -> {self.latest}"

    @workflow.query(name="Custom Name")
    def renamed_query(self, text: str) -> str:
        return f"renamed({text}) -> {self.latest}"


async def test_workflow_signal_and_query(client: Client) -> None:
    async with new_worker(client, NotebookWorkflow) as worker:
        handle = await client.start_workflow(
            NotebookWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )

        await handle.signal(NotebookWorkflow.plain, "one")
        assert await handle.query(NotebookWorkflow.plain_query) == "plain: one"

        await handle.signal("signal2", "two")
        assert await handle.query("query2", "asked") == "query2(asked) -> signal2: two"

        await handle.signal("Custom Name", "three")
        assert (
            await handle.query("Custom Name", "by name")
            == "renamed(by name) -> renamed: three"
        )

        await handle.signal(NotebookWorkflow.renamed, "four")
        assert (
            await handle.query(NotebookWorkflow.renamed_query, "by method")
            == "renamed(by method) -> renamed: four"
        )


@workflow.defn
class LateHandlersWorkflow:
    """Installs its handlers only when signals tell it to."""

    def __init__(self) -> None:
        self.received: list[str] = []

    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("waits forever")

    @workflow.query
    def received_so_far(self) -> list[str]:
        return self.received

    @workflow.signal
    def install_signal_handler(self) -> None:
        def on_signal(text: str) -> None:
            self.received.append(f"late: {text}")

        workflow.set_signal_handler("late", on_signal)

    @workflow.signal
    def install_query_handler(self) -> None:
        def answer(text: str) -> str:
            return f"late answer to {text}"

        workflow.set_query_handler("late", answer)

    @workflow.signal
    def install_dynamic_signal_handler(self) -> None:
        def on_any(name: str, args: Sequence[RawValue]) -> None:
            self.received.append(f"dynamic {name}: {text_of(args[0])}")

        workflow.set_dynamic_signal_handler(on_any)

    @workflow.signal
    def install_dynamic_query_handler(self) -> None:
        def answer_any(name: str, args: Sequence[RawValue]) -> str:
            return f"dynamic answer to {name}({text_of(args[0])})"

        workflow.set_dynamic_query_handler(answer_any)


async def test_workflow_signal_and_query_handlers(client: Client) -> None:
    async with new_worker(client, LateHandlersWorkflow) as worker:
        handle = await client.start_workflow(
            LateHandlersWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )

        async def received() -> list[str]:
            return await handle.query(LateHandlersWorkflow.received_so_far)

        await handle.signal("late", "early bird")
        assert await received() == []
        await handle.signal(LateHandlersWorkflow.install_signal_handler)
        assert await received() == ["late: early bird"]
        await handle.signal("late", "on time")
        assert await received() == ["late: early bird", "late: on time"]

        await handle.signal(LateHandlersWorkflow.install_query_handler)
        assert await handle.query("late", "a question") == "late answer to a question"

        await handle.signal("unknown1", "waited")
        await handle.signal("unknown2", "waited too")
        assert len(await received()) == 2
        await handle.signal(LateHandlersWorkflow.install_dynamic_signal_handler)
        assert (await received())[2:] == [
            "dynamic unknown1: waited",
            "dynamic unknown2: waited too",
        ]
        await handle.signal("unknown3", "at once")
        assert (await received())[4:] == ["dynamic unknown3: at once"]

        await handle.signal(LateHandlersWorkflow.install_dynamic_query_handler)
        assert await handle.query("anything", "x") == "dynamic answer to anything(x)"


@workflow.defn
class FailingHandlersWorkflow:
    """Has handlers that raise."""

    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("waits forever")

    @workflow.signal
    def bad_signal(self) -> NoReturn:
        raise ApplicationError("signal fail", 123)

    @workflow.query
    def bad_query(self) -> NoReturn:
        raise ApplicationError("query fail", 456)

    @workflow.query
    def other_query(self) -> str:
        raise AssertionError("only its name matters")


async def test_workflow_signal_and_query_errors(client: Client) -> None:
    async with new_worker(client, FailingHandlersWorkflow) as worker:
        handle = await client.start_workflow(
            FailingHandlersWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.signal(FailingHandlersWorkflow.bad_signal)
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert isinstance(failed.value.cause, ApplicationError)
        assert str(failed.value.cause) == "signal fail"
        assert list(failed.value.cause.details) == [123]

        with pytest.raises(WorkflowQueryFailedError) as raised:
            await handle.query(FailingHandlersWorkflow.bad_query)
        assert str(raised.value) == "query fail"

        with pytest.raises(WorkflowQueryFailedError) as unknown:
            await handle.query("non-existent query")
        assert str(unknown.value) == (
            "Query handler for 'non-existent query' expected but not found, known "
            "queries: [__enhanced_stack_trace __stack_trace "
            "__temporal_workflow_metadata bad_query other_query]"
        )


@workflow.defn
class VarargHandlersWorkflow:
    """Declares its dynamic handlers in the form that came before RawValue."""

    def __init__(self) -> None:
        self.latest = ""

    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("waits forever")

    @workflow.signal(dynamic=True)
    def on_any(self, name: str, *args: Any) -> None:
        self.latest = f"{name}: {args[0]}"

    @workflow.query(dynamic=True)
    def answer_any(self, name: str, *args: Any) -> str:
        return f"{name}({args[0]}) -> {self.latest}"


async def test_workflow_signal_and_query_old_dynamic_style(client: Client) -> None:
    def vararg(self: object, name: str, *args: Any) -> None:
        raise AssertionError("only declared")

    for declare in (workflow.signal, workflow.query):
        with pytest.warns(DeprecationWarning, match=r"use Sequence\[RawValue\]"):
            declare(dynamic=True)(vararg)

    async with new_worker(client, VarargHandlersWorkflow) as worker:
        handle = await client.start_workflow(
            VarargHandlersWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.signal("signal1", "sent")
        answer = await handle.query("query1", "asked")
    assert answer == "query1(asked) -> signal1: sent"


@workflow.defn
class LateVarargHandlersWorkflow:
    """Installs dynamic handlers of the old form when signals tell it to."""

    def __init__(self) -> None:
        self.received: list[str] = []

    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("waits forever")

    @workflow.query
    def received_so_far(self) -> list[str]:
        return self.received

    @workflow.signal
    def install_signal_handler(self) -> None:
        def on_any(name: str, *args: Any) -> None:
            self.received.append(f"{name}: {args[0]}")

        workflow.set_dynamic_signal_handler(on_any)

    @workflow.signal
    def install_query_handler(self) -> None:
        def answer_any(name: str, *args: Any) -> str:
            return f"answer to {name}({args[0]})"

        workflow.set_dynamic_query_handler(answer_any)


async def test_workflow_signal_qnd_query_handlers_old_dynamic_style(
    client: Client,
) -> None:
    async with new_worker(client, LateVarargHandlersWorkflow) as worker:
        handle = await client.start_workflow(
            LateVarargHandlersWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await handle.signal("signal1", "early")
        assert await handle.query(LateVarargHandlersWorkflow.received_so_far) == []
        await handle.signal(LateVarargHandlersWorkflow.install_signal_handler)
        await handle.signal("signal2", "late")
        assert await handle.query(LateVarargHandlersWorkflow.received_so_far) == [
            "signal1: early",
            "signal2: late",
        ]
        await handle.signal(LateVarargHandlersWorkflow.install_query_handler)
        assert await handle.query("query1", "asked") == "answer to query1(asked)"


@dataclass
class Note:
    """What the typed signal takes."""

    text: str
    last: bool = False


@workflow.defn
class TypedSignalWorkflow:
    """Collects notes until the last one."""

    def __init__(self) -> None:
        self.notes: list[Note] = []

    @workflow.run
    async def run(self) -> list[Note]:
        await workflow.wait_condition(lambda: bool(self.notes) and self.notes[-1].last)
        return self.notes

    @workflow.signal
    def note(self, note: Note) -> None:
        self.notes.append(note)


async def test_workflow_bad_signal_param(client: Client) -> None:
    logger = logging.getLogger("temporalio.worker._workflow_instance")
    with captured_logs(logger, level=logging.ERROR) as logs:
        async with new_worker(client, TypedSignalWorkflow) as worker:
            handle = await client.start_workflow(
                TypedSignalWorkflow.run, id=random_id(), task_queue=worker.task_queue
            )
            await handle.signal("note", "no note at all")
            await handle.signal("note", Note(text="good"))
            await handle.signal("note", 123)
            await handle.signal("note", Note(text="enough", last=True))
            assert await handle.result() == [Note("good"), Note("enough", last=True)]

    def about_this_run(record: logging.LogRecord) -> bool:
        return handle.id in record.getMessage()

    complaints = logs.find_all(about_this_run)
    assert complaints
    for complaint in complaints:
        message = complaint.getMessage()
        assert message.startswith("Failed deserializing signal input")
        assert "note" in message
        assert "TypedSignalWorkflow" in message
        context = complaint.__dict__["temporal_workflow"]
        assert context["workflow_type"] == "TypedSignalWorkflow"


@workflow.defn
class SignalReceiverWorkflow:
    """Ends with the value of the first signal."""

    def __init__(self) -> None:
        self.value: str | None = None

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.value is not None)
        assert self.value is not None
        return self.value

    @workflow.signal
    def receive(self, value: str) -> None:
        self.value = value


@workflow.defn
class SignalSenderWorkflow:
    """Signals the workflow whose id it is given."""

    @workflow.run
    async def run(self, receiver_id: str) -> None:
        receiver: workflow.ExternalWorkflowHandle[SignalReceiverWorkflow] = (
            workflow.get_external_workflow_handle_for(
                SignalReceiverWorkflow.run, receiver_id
            )
        )
        await receiver.signal(SignalReceiverWorkflow.receive, "from the other one")


@pytest.mark.needs("external signals")
async def test_workflow_signal_external(client: Client) -> None:
    async with new_worker(
        client, SignalReceiverWorkflow, SignalSenderWorkflow
    ) as worker:
        receiver = await client.start_workflow(
            SignalReceiverWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        await client.execute_workflow(
            SignalSenderWorkflow.run,
            receiver.id,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        assert await receiver.result() == "from the other one"


@workflow.defn
class ClosedButAnsweringWorkflow:
    """Ends at once; answers afterwards."""

    @workflow.run
    async def run(self) -> None:
        self.ended = True

    @workflow.query
    def has_ended(self) -> bool:
        return self.ended


async def test_workflow_query_rpc_timeout(client: Client) -> None:
    async with new_worker(client, ClosedButAnsweringWorkflow) as worker:
        handle = await client.start_workflow(
            ClosedButAnsweringWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await handle.result()
        assert await handle.query(ClosedButAnsweringWorkflow.has_ended)

    with pytest.raises(RPCError) as unanswered:
        await handle.query(
            ClosedButAnsweringWorkflow.has_ended, rpc_timeout=timedelta(seconds=1)
        )
    # Whoever notices the deadline first, client or server, says so in its own way.
    if unanswered.value.status == RPCStatusCode.CANCELLED:
        message = str(unanswered.value).lower()
        assert "timeout" in message or "http2 error" in message
    else:
        assert unanswered.value.status == RPCStatusCode.DEADLINE_EXCEEDED


@workflow.defn
class ConditionAndQueryWorkflow:
    """Its query does what queries mustn't: it sets what a condition looks at."""

    def __init__(self) -> None:
        self.query_seen = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(self.no_query_yet)

    def no_query_yet(self) -> bool:
        assert not self.query_seen
        return False

    @workflow.query
    def mark_seen(self) -> bool:
        self.query_seen = True
        return self.query_seen


@pytest.mark.parametrize("single_batch", [False, True])
async def test_workflow_query_does_not_run_condition(
    client: Client, single_batch: bool
) -> None:
    worker = new_worker(client, ConditionAndQueryWorkflow)
    worker._set_default_workflow_logic_flag(
        _WorkflowLogicFlag.PROCESS_WORKFLOW_ACTIVATION_JOBS_AS_SINGLE_BATCH,
        enabled=single_batch,
    )
    async with worker:
        handle = await client.start_workflow(
            ConditionAndQueryWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        assert await handle.query(ConditionAndQueryWorkflow.mark_seen)


async def wait() -> None:
    """Wait for a condition, even one that already holds."""
    await workflow.wait_condition(lambda: True)


async def upsert() -> None:
    """Change a search attribute."""
    key = SearchAttributeKey.for_keyword("Whatever")
    workflow.upsert_search_attributes([key.value_set("value")])


async def start_activity() -> None:
    """Schedule an activity."""
    workflow.start_activity("whatever", start_to_close_timeout=timedelta(seconds=1))


async def start_child() -> None:
    """Start a child."""
    await workflow.start_child_workflow("whatever")


async def signal_external() -> None:
    """Signal another workflow."""
    await workflow.get_external_workflow_handle("whatever").signal("whatever")


async def continue_as_new() -> None:
    """End the run in favour of another."""
    workflow.continue_as_new()


async def draw_random() -> None:
    """Advance the run's random numbers."""
    workflow.random().random()


async def watch_seed() -> None:
    """Ask to be told of new seeds."""
    workflow.register_random_seed_callback(lambda _seed: None)


async def set_handler() -> None:
    """Install a handler."""
    workflow.set_query_handler("whatever", lambda: None)


async def patch() -> None:
    """Decide a patch."""
    workflow.patched("whatever")


MISDEEDS: Mapping[str, Callable[[], Awaitable[None]]] = {
    misdeed.__name__: misdeed
    for misdeed in (
        *(wait, upsert, start_activity, start_child, signal_external),
        *(continue_as_new, draw_random, watch_seed, set_handler, patch),
    )
}


@workflow.defn
class MisbehavingQueryWorkflow:
    """Has a query that tries to change the run."""

    @workflow.run
    async def run(self) -> NoReturn:
        await workflow.wait_condition(lambda: False)
        raise AssertionError("waits forever")

    @workflow.query(name="misbehave")
    async def misbehave(self, misdeed: str) -> None:
        await MISDEEDS[misdeed]()


async def test_workflow_queries_doing_bad_things(client: Client) -> None:
    async with new_worker(client, MisbehavingQueryWorkflow) as worker:
        handle = await client.start_workflow(
            MisbehavingQueryWorkflow.run, id=random_id(), task_queue=worker.task_queue
        )
        for misdeed in MISDEEDS:
            with pytest.raises(WorkflowQueryFailedError) as refused:
                await handle.query("misbehave", misdeed)
            assert "While in read-only function, action attempted" in str(
                refused.value
            ), misdeed


async def start_script(
    client: Client, worker: Worker, script: Script
) -> WorkflowHandle[KitchenSinkWorkflow, Any]:
    """Start a kitchen sink with this script."""
    return await client.start_workflow(
        KitchenSinkWorkflow.run,
        script,
        id=random_id(),
        task_queue=worker.task_queue,
    )


async def test_query(client: Client, worker: Worker) -> None:
    handle = await start_script(
        client, worker, Script([Action(echo_query=EchoQuery("some query"))])
    )
    await handle.result()
    assert await handle.query("some query", "some query arg") == "some query arg"
    with pytest.raises(WorkflowQueryFailedError):
        await handle.query("does not exist")


async def test_query_rejected(client: Client, worker: Worker) -> None:
    handle = await start_script(
        client,
        worker,
        Script(
            [Action(echo_query=EchoQuery("some query"))], action_signal="some signal"
        ),
    )
    not_open = QueryRejectCondition.NOT_OPEN

    async def answer() -> str:
        echoed: str = await handle.query(
            "some query", "some query arg", reject_condition=not_open
        )
        return echoed

    assert await answer() == "some query arg"
    await handle.signal("some signal", Action(result=Result("done")))
    assert await handle.result() == "done"
    with pytest.raises(WorkflowQueryRejectedError) as rejected:
        await answer()
    assert rejected.value.status == WorkflowExecutionStatus.COMPLETED


async def test_signal(client: Client, worker: Worker) -> None:
    handle = await start_script(client, worker, Script(action_signal="some signal"))
    await handle.signal("some signal", Action(result=Result("some signal arg")))
    assert await handle.result() == "some signal arg"
