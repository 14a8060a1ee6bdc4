"""Workflows that are talked to through operations, for those who can't reach them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import nexusrpc
from nexusrpc.handler import StartOperationContext, service_handler, sync_operation

from dbosify import nexus, workflow
from dbosify.client import WorkflowHandle

TASK_QUEUE = "nexus-messaging"
ENDPOINT = "nexus-messaging-endpoint"
ENTITY = "nexus-messaging-entity"


class Language(IntEnum):
    ARABIC = 1
    CHINESE = 2
    ENGLISH = 3


GREETINGS = {
    Language.ARABIC: "مرحبا بالعالم",
    Language.CHINESE: "你好，世界",
    Language.ENGLISH: "Hello, world",
}


@dataclass
class Named:
    """The workflow that is meant."""

    workflow_id: str


@dataclass
class SetLanguage:
    workflow_id: str
    language: Language


@nexusrpc.service
class GreetingService:
    start: nexusrpc.Operation[Named, str]
    language: nexusrpc.Operation[Named, Language]
    set_language: nexusrpc.Operation[SetLanguage, Language]
    approve: nexusrpc.Operation[Named, None]


@workflow.defn
class GreetingWorkflow:
    def __init__(self) -> None:
        self._language = Language.ENGLISH
        self._approved = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(
            lambda: self._approved and workflow.all_handlers_finished()
        )
        return GREETINGS[self._language]

    @workflow.query
    def language(self) -> Language:
        return self._language

    @workflow.update
    def set_language(self, language: Language) -> Language:
        previous, self._language = self._language, language
        return previous

    @workflow.signal
    def approve(self) -> None:
        self._approved = True


def handle_of(workflow_id: str) -> WorkflowHandle[GreetingWorkflow, str]:
    return nexus.client().get_workflow_handle_for(GreetingWorkflow.run, workflow_id)


@service_handler(service=GreetingService)
class GreetingServiceHandler:
    @nexus.workflow_run_operation
    async def start(
        self, ctx: nexus.WorkflowRunOperationContext, given: Named
    ) -> nexus.WorkflowHandle[str]:
        return await ctx.start_workflow(GreetingWorkflow.run, id=given.workflow_id)

    @sync_operation
    async def language(self, ctx: StartOperationContext, given: Named) -> Language:
        return await handle_of(given.workflow_id).query(GreetingWorkflow.language)

    @sync_operation
    async def set_language(
        self, ctx: StartOperationContext, given: SetLanguage
    ) -> Language:
        return await handle_of(given.workflow_id).execute_update(
            GreetingWorkflow.set_language, given.language
        )

    @sync_operation
    async def approve(self, ctx: StartOperationContext, given: Named) -> None:
        await handle_of(given.workflow_id).signal(GreetingWorkflow.approve)


@workflow.defn
class EntityCallerWorkflow:
    """Talks to a workflow that is there."""

    @workflow.run
    async def run(self, workflow_id: str) -> list[Language]:
        client = workflow.create_nexus_client(
            service=GreetingService, endpoint=ENDPOINT
        )
        return [
            await client.execute_operation(
                GreetingService.language, Named(workflow_id)
            ),
            await client.execute_operation(
                GreetingService.set_language,
                SetLanguage(workflow_id, Language.CHINESE),
            ),
            await client.execute_operation(
                GreetingService.language, Named(workflow_id)
            ),
        ]


@workflow.defn
class OnDemandCallerWorkflow:
    """Starts the workflow that it talks to, and waits for what it says in the end."""

    @workflow.run
    async def run(self, workflow_id: str) -> str:
        client = workflow.create_nexus_client(
            service=GreetingService, endpoint=ENDPOINT
        )
        started = await client.start_operation(
            GreetingService.start, Named(workflow_id)
        )
        await client.execute_operation(
            GreetingService.set_language, SetLanguage(workflow_id, Language.ARABIC)
        )
        await client.execute_operation(GreetingService.approve, Named(workflow_id))
        return await started
