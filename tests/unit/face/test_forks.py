"""A forked child must not use the connections of its parent."""

import asyncio
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest

from dbosify.client import Client
from dbosify.service import RPCError
from dbosify.worker import Worker
from tests.unit.face.greeting import random_name
from tests.unit.face.workflows import greet

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_a_child(attempt: Callable[[], object]) -> str:
    """What a forked child says of its attempt."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def run(sink: Connection) -> None:
        try:
            sink.send(repr(attempt()))
        except BaseException as error:
            sink.send(f"{type(error).__name__}: {error}")

    child = context.Process(target=run, args=(theirs,))
    child.start()
    try:
        assert ours.poll(20), "the child said nothing"
        return str(ours.recv())
    finally:
        child.join(20)


def of_activities(client: Client) -> Worker:
    """A worker that prepares no sandbox, which would not survive a fork."""
    return Worker(
        client, task_queue=random_name("queue"), activities=[greet], build_id="forks"
    )


async def test_a_client_of_the_parent_is_refused_after_a_fork(client: Client) -> None:
    def use() -> None:
        handle = client.get_workflow_handle("unknown")
        try:
            asyncio.run(handle.describe())
        except RPCError:
            raise LookupError("it was answered") from None

    assert in_a_child(use) == "AssertionError: Cannot use client across forks"
    assert (
        in_a_child(lambda: of_activities(client))
        == "AssertionError: Cannot create worker across forks"
    )
    worker = of_activities(client)
    assert (
        in_a_child(lambda: asyncio.run(worker.run()))
        == "AssertionError: Cannot use worker across forks"
    )


async def test_a_forked_child_connects_by_itself(
    client: Client, postgres_url: str
) -> None:
    workflow = await client.start_workflow(
        "Anything", id=random_name(), task_queue=random_name("queue")
    )

    async def connect() -> str:
        own = await Client.connect(postgres_url)
        described = await own.get_workflow_handle(workflow.id).describe()
        return described.id

    assert in_a_child(lambda: asyncio.run(connect())) == repr(workflow.id)
