"""An operation has one input; the workflow behind it takes two arguments."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import nexusrpc
from nexusrpc.handler import service_handler

from dbosify import nexus, workflow

TASK_QUEUE = "nexus-multiple-args"
ENDPOINT = "nexus-multiple-args-endpoint"

GREETINGS = {"en": "Hello {} 👋", "es": "¡Hola! {} 👋"}


@dataclass
class HelloInput:
    name: str
    language: str


@dataclass
class HelloOutput:
    message: str


@nexusrpc.service
class HelloService:
    hello: nexusrpc.Operation[HelloInput, HelloOutput]


@workflow.defn
class HelloHandlerWorkflow:
    @workflow.run
    async def run(self, name: str, language: str) -> HelloOutput:
        return HelloOutput(GREETINGS[language].format(name))


@service_handler(service=HelloService)
class HelloServiceHandler:
    @nexus.workflow_run_operation
    async def hello(
        self, ctx: nexus.WorkflowRunOperationContext, given: HelloInput
    ) -> nexus.WorkflowHandle[HelloOutput]:
        return await ctx.start_workflow(
            HelloHandlerWorkflow.run,
            args=[given.name, given.language],
            id=str(uuid.uuid4()),
        )


@workflow.defn
class CallerWorkflow:
    @workflow.run
    async def run(self, name: str, language: str) -> str:
        client = workflow.create_nexus_client(service=HelloService, endpoint=ENDPOINT)
        answer = await client.execute_operation(
            HelloService.hello, HelloInput(name, language)
        )
        return answer.message
