"""A service with an operation that answers at once and one that a workflow answers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import nexusrpc
from nexusrpc.handler import StartOperationContext, service_handler, sync_operation

from dbosify import nexus, workflow

TASK_QUEUE = "hello-nexus"
ENDPOINT = "hello-nexus-endpoint"


@dataclass
class MyInput:
    name: str


@dataclass
class MyOutput:
    message: str


@nexusrpc.service
class MyNexusService:
    my_sync_operation: nexusrpc.Operation[MyInput, MyOutput]
    my_workflow_run_operation: nexusrpc.Operation[MyInput, MyOutput]


@workflow.defn
class WorkflowStartedByNexusOperation:
    @workflow.run
    async def run(self, given: MyInput) -> MyOutput:
        return MyOutput(f"Hello {given.name} from workflow run operation!")


@service_handler(service=MyNexusService)
class MyNexusServiceHandler:
    @nexus.workflow_run_operation
    async def my_workflow_run_operation(
        self, ctx: nexus.WorkflowRunOperationContext, given: MyInput
    ) -> nexus.WorkflowHandle[MyOutput]:
        return await ctx.start_workflow(
            WorkflowStartedByNexusOperation.run, given, id=str(uuid.uuid4())
        )

    @sync_operation
    async def my_sync_operation(
        self, ctx: StartOperationContext, given: MyInput
    ) -> MyOutput:
        return MyOutput(f"Hello {given.name} from sync operation!")


@workflow.defn
class CallerWorkflow:
    def __init__(self) -> None:
        self._nexus = workflow.create_nexus_client(
            service=MyNexusService, endpoint=ENDPOINT
        )

    @workflow.run
    async def run(self, name: str) -> tuple[MyOutput, MyOutput]:
        at_once = await self._nexus.execute_operation(
            MyNexusService.my_sync_operation, MyInput(name)
        )
        handle = await self._nexus.start_operation(
            MyNexusService.my_workflow_run_operation, MyInput(name)
        )
        return at_once, await handle
