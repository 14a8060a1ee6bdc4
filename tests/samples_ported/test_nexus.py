"""Operations are answered by handlers and by workflows, and can be cancelled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest

from dbosify.api.nexus.v1 import EndpointSpec, EndpointTarget
from dbosify.api.operatorservice.v1 import (
    CreateNexusEndpointRequest,
    DeleteNexusEndpointRequest,
)
from dbosify.client import Client
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import random_id
from tests.samples_ported.nexus import (
    cancelling,
    hello,
    messaging,
    multiple_args,
    standalone_operations,
)
from tests.samples_ported.nexus.messaging import Language
from tests.waiting import eventually

pytestmark = pytest.mark.needs("nexus operations")


@asynccontextmanager
async def served(
    client: Client, module: ModuleType, handler: object, *workflows: type
) -> AsyncIterator[None]:
    """The endpoint and the worker of a program."""
    target = EndpointTarget()
    target.worker.namespace = client.namespace
    target.worker.task_queue = module.TASK_QUEUE
    made = await client.operator_service.create_nexus_endpoint(
        CreateNexusEndpointRequest(
            spec=EndpointSpec(name=module.ENDPOINT, target=target)
        )
    )
    try:
        async with Worker(
            client,
            task_queue=module.TASK_QUEUE,
            workflows=workflows,
            nexus_service_handlers=[handler],
        ):
            yield
    finally:
        await client.operator_service.delete_nexus_endpoint(
            DeleteNexusEndpointRequest(
                id=made.endpoint.id, version=made.endpoint.version
            )
        )


async def said_by(client: Client, caller: Any, *args: object, queue: str) -> Any:
    """The result of a caller's workflow."""
    return await client.execute_workflow(
        caller.run, args=args, id=random_id("caller"), task_queue=queue
    )


async def test_hello_nexus(client: Client) -> None:
    async with served(
        client,
        hello,
        hello.MyNexusServiceHandler(),
        hello.CallerWorkflow,
        hello.WorkflowStartedByNexusOperation,
    ):
        answers = await said_by(
            client, hello.CallerWorkflow, "world", queue=hello.TASK_QUEUE
        )
    assert [answer.message for answer in answers] == [
        "Hello world from sync operation!",
        "Hello world from workflow run operation!",
    ]


@pytest.mark.parametrize(
    ("language", "expected"), [("en", "Hello Nexus 👋"), ("es", "¡Hola! Nexus 👋")]
)
async def test_nexus_multiple_args(
    client: Client, language: str, expected: str
) -> None:
    async with served(
        client,
        multiple_args,
        multiple_args.HelloServiceHandler(),
        multiple_args.CallerWorkflow,
        multiple_args.HelloHandlerWorkflow,
    ):
        said = await said_by(
            client,
            multiple_args.CallerWorkflow,
            "Nexus",
            language,
            queue=multiple_args.TASK_QUEUE,
        )
    assert said == expected


async def test_nexus_cancel(client: Client) -> None:
    async with served(
        client,
        cancelling,
        cancelling.HelloServiceHandler(),
        cancelling.CallerWorkflow,
        cancelling.HelloHandlerWorkflow,
    ):
        said, cancelled = await said_by(
            client, cancelling.CallerWorkflow, "Nexus", queue=cancelling.TASK_QUEUE
        )
    assert said == "Hello Nexus (DE)"
    assert cancelled == 4


def messaging_served(client: Client) -> Any:
    """The endpoint and worker of greetings."""
    return served(
        client,
        messaging,
        messaging.GreetingServiceHandler(),
        messaging.GreetingWorkflow,
        messaging.EntityCallerWorkflow,
        messaging.OnDemandCallerWorkflow,
    )


async def test_nexus_messaging_with_a_workflow_that_is_there(client: Client) -> None:
    async with messaging_served(client):
        entity = await client.start_workflow(
            messaging.GreetingWorkflow.run,
            id=random_id("entity"),
            task_queue=messaging.TASK_QUEUE,
        )
        said = await said_by(
            client,
            messaging.EntityCallerWorkflow,
            entity.id,
            queue=messaging.TASK_QUEUE,
        )
        assert said == [Language.ENGLISH, Language.ENGLISH, Language.CHINESE]
        await entity.signal(messaging.GreetingWorkflow.approve)
        assert await entity.result() == messaging.GREETINGS[Language.CHINESE]


async def test_nexus_messaging_on_demand(client: Client) -> None:
    async with messaging_served(client):
        said = await said_by(
            client,
            messaging.OnDemandCallerWorkflow,
            random_id("greeting"),
            queue=messaging.TASK_QUEUE,
        )
    assert said == messaging.GREETINGS[Language.ARABIC]


async def test_nexus_standalone_operations(client: Client) -> None:
    prefix = random_id("operation")
    async with served(
        client,
        standalone_operations,
        standalone_operations.GreeterServiceHandler(),
        standalone_operations.HelloWorkflow,
    ):
        said = await standalone_operations.done_for(client, prefix)
        assert said == ("hello", "Hello, Test!")

        async def are_shown() -> None:
            count, shown = await standalone_operations.counted(client)
            assert count == len(shown)
            assert {f"{prefix}-echo", f"{prefix}-hello"} <= shown

        await eventually(are_shown, patience=30)
