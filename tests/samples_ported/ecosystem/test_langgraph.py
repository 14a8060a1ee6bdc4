"""LangGraph's nodes and tasks run as activities of workflows."""

import pytest

pytest.importorskip("temporalio.langgraph", reason="needs temporalio-langgraph")

from datetime import timedelta
from typing import Any

from temporalio.contrib.langgraph import LangGraphPlugin, graph

from dbosify import workflow
from dbosify.client import Client
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import random_id, sandboxed_runner
from tests.waiting import eventually

with workflow.unsafe.imports_passed_through():
    import langgraph.checkpoint.memory
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Command, interrupt
    from typing_extensions import TypedDict

TIMEOUT = timedelta(seconds=10)


class State(TypedDict, total=False):
    value: str
    approved: str


async def process(state: State) -> dict[str, str]:
    """Runs in an activity."""
    return {"value": f"Processed: {state['value']}"}


async def review(state: State) -> dict[str, str]:
    """Runs in an activity, and comes back once a person has decided."""
    return {"approved": interrupt(state["value"])}


def processing() -> Any:
    """A graph with one node."""
    made = StateGraph(State)
    made.add_node("process", process, metadata=in_activity())
    made.add_edge(START, "process")
    made.add_edge("process", END)
    return made


def reviewing() -> Any:
    """A graph that waits for a person after its first node."""
    made = processing()
    made.add_node("review", review, metadata=in_activity())
    made.add_edge("process", "review")
    made.add_edge("review", END)
    return made


def in_activity() -> dict[str, Any]:
    """Where a node runs."""
    return {"execute_in": "activity", "start_to_close_timeout": TIMEOUT}


@workflow.defn
class ProcessingWorkflow:
    @workflow.run
    async def run(self, value: str) -> str:
        result = await graph("processing").compile().ainvoke({"value": value})
        return str(result["value"])


@workflow.defn
class ReviewingWorkflow:
    def __init__(self) -> None:
        self._draft: str | None = None
        self._answer: str | None = None

    @workflow.run
    async def run(self, value: str) -> str:
        saver = langgraph.checkpoint.memory.InMemorySaver()
        compiled = graph("reviewing").compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": workflow.info().workflow_id}}
        asked = await compiled.ainvoke({"value": value}, config)
        self._draft = asked["__interrupt__"][0].value
        await workflow.wait_condition(lambda: self._answer is not None)
        result = await compiled.ainvoke(Command(resume=self._answer), config)
        return f"{result['value']}, {result['approved']}"

    @workflow.query
    def draft(self) -> str | None:
        return self._draft

    @workflow.signal
    def answer(self, text: str) -> None:
        self._answer = text


def graph_worker(client: Client, task_queue: str) -> Worker:
    """A worker of both graphs."""
    graphs = {"processing": processing(), "reviewing": reviewing()}
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[ProcessingWorkflow, ReviewingWorkflow],
        plugins=[LangGraphPlugin(graphs=graphs)],
        workflow_runner=sandboxed_runner(),
        max_cached_workflows=0,
    )


@pytest.mark.parametrize("value", ["test query", ""])
async def test_a_node_runs_as_an_activity(client: Client, value: str) -> None:
    name = random_id("graph")
    async with graph_worker(client, name):
        handle = await client.start_workflow(
            ProcessingWorkflow.run, value, id=name, task_queue=name
        )
        assert await handle.result() == f"Processed: {value}"
        history = await handle.fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert scheduled == ["processing.process"]


async def test_a_graph_waits_for_a_person(client: Client) -> None:
    name = random_id("graph")
    async with graph_worker(client, name):
        handle = await client.start_workflow(
            ReviewingWorkflow.run, "a text", id=name, task_queue=name
        )

        async def drafted() -> None:
            assert await handle.query(ReviewingWorkflow.draft) == "Processed: a text"

        await eventually(drafted)
        await handle.signal(ReviewingWorkflow.answer, "fine")
        assert await handle.result() == "Processed: a text, fine"
