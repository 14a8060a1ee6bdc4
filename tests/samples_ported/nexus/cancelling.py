"""The first of five greetings is enough; the operations of the others are cancelled."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta

import nexusrpc
from nexusrpc.handler import service_handler

from dbosify import nexus, workflow
from dbosify.exceptions import CancelledError, NexusOperationError
from dbosify.workflow import NexusOperationCancellationType

TASK_QUEUE = "nexus-cancel"
ENDPOINT = "nexus-cancel-endpoint"
LANGUAGES = ["EN", "FR", "DE", "ES", "TR"]


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
    async def run(self, given: HelloInput) -> HelloOutput:
        try:
            # One of them is quick.
            wait = 0.05 if given.language == "DE" else 30
            await workflow.sleep(wait)
        except asyncio.CancelledError:
            # Cleaning up is not to be cancelled as well.
            await asyncio.shield(workflow.sleep(0.05))
            raise
        return HelloOutput(f"Hello {given.name} ({given.language})")


@service_handler(service=HelloService)
class HelloServiceHandler:
    @nexus.workflow_run_operation
    async def hello(
        self, ctx: nexus.WorkflowRunOperationContext, given: HelloInput
    ) -> nexus.WorkflowHandle[HelloOutput]:
        return await ctx.start_workflow(
            HelloHandlerWorkflow.run,
            given,
            id=f"nexus-cancel-{given.language}-{uuid.uuid4()}",
        )


@workflow.defn
class CallerWorkflow:
    @workflow.run
    async def run(self, name: str) -> tuple[str, int]:
        client = workflow.create_nexus_client(service=HelloService, endpoint=ENDPOINT)
        tasks = [
            asyncio.create_task(
                client.execute_operation(
                    HelloService.hello,
                    HelloInput(name, language),
                    schedule_to_close_timeout=timedelta(seconds=20),
                    cancellation_type=NexusOperationCancellationType.WAIT_REQUESTED,
                )
            )
            for language in LANGUAGES
        ]
        done, others = await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        cancelled = 0
        for task in others:
            task.cancel()
        for task in others:
            try:
                await task
            except NexusOperationError as error:
                cancelled += isinstance(error.cause, CancelledError)
        (first,) = done
        return (await first).message, cancelled
