"""A client has operations done without a workflow of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import nexusrpc
from nexusrpc.handler import StartOperationContext, service_handler, sync_operation

from dbosify import nexus, workflow
from dbosify.client import Client

TASK_QUEUE = "nexus-standalone-operations"
ENDPOINT = "nexus-standalone-operations-endpoint"
PATIENCE = timedelta(seconds=30)


@dataclass
class EchoInput:
    message: str


@dataclass
class EchoOutput:
    message: str


@dataclass
class HelloInput:
    name: str


@dataclass
class HelloOutput:
    greeting: str


@nexusrpc.service
class GreeterService:
    echo: nexusrpc.Operation[EchoInput, EchoOutput]
    hello: nexusrpc.Operation[HelloInput, HelloOutput]


@workflow.defn
class HelloWorkflow:
    @workflow.run
    async def run(self, given: HelloInput) -> HelloOutput:
        return HelloOutput(f"Hello, {given.name}!")


@service_handler(service=GreeterService)
class GreeterServiceHandler:
    @sync_operation
    async def echo(self, _ctx: StartOperationContext, given: EchoInput) -> EchoOutput:
        return EchoOutput(given.message)

    @nexus.workflow_run_operation
    async def hello(
        self, ctx: nexus.WorkflowRunOperationContext, given: HelloInput
    ) -> nexus.WorkflowHandle[HelloOutput]:
        return await ctx.start_workflow(
            HelloWorkflow.run, given, id=f"hello-{ctx.request_id}"
        )


async def done_for(client: Client, prefix: str) -> tuple[str, str]:
    """What an operation says that is waited for, and one that is looked up again."""
    greeter = client.create_nexus_client(service=GreeterService, endpoint=ENDPOINT)
    echoed = await greeter.execute_operation(
        GreeterService.echo,
        EchoInput("hello"),
        id=f"{prefix}-echo",
        schedule_to_close_timeout=PATIENCE,
    )
    await greeter.start_operation(
        GreeterService.hello,
        HelloInput("Test"),
        id=f"{prefix}-hello",
        schedule_to_close_timeout=PATIENCE,
    )
    again = client.get_nexus_operation_handle(
        f"{prefix}-hello", operation=GreeterService.hello
    )
    return echoed.message, (await again.result()).greeting


async def counted(client: Client) -> tuple[int, set[str]]:
    """How many operations the endpoint had, and which the list shows."""
    query = f'Endpoint = "{ENDPOINT}"'
    count = await client.count_nexus_operations(query)
    shown = {found.operation_id async for found in client.list_nexus_operations(query)}
    return count.count, shown
