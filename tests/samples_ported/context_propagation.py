"""A context variable goes along with everything that client and workflow send."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dbosify.client
import dbosify.worker
from dbosify import activity, workflow
from dbosify.converter import PayloadConverter
from tests.samples_ported.connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbosify.api.common.v1 import Payload

HEADER = "__my_user_id"

with workflow.unsafe.imports_passed_through():
    from tests.samples_ported.context_variable import user_id


def headers_of(existing: Mapping[str, Payload]) -> dict[str, Payload]:
    """The headers with the variable's value."""
    payload = PayloadConverter.default.to_payload(user_id.get())
    return {**existing, HEADER: payload}


@contextmanager
def user_of(headers: Mapping[str, Payload]) -> Iterator[None]:
    """Have the variable as the headers say it is."""
    if HEADER not in headers:
        yield
        return
    value = PayloadConverter.default.from_payload(headers[HEADER], str)
    token = user_id.set(value)
    try:
        yield
    finally:
        user_id.reset(token)


class Propagation(dbosify.client.Interceptor, dbosify.worker.Interceptor):
    """Sends the variable along, and puts it back where it arrives."""

    def intercept_client(
        self, following: dbosify.client.OutboundInterceptor
    ) -> dbosify.client.OutboundInterceptor:
        return _Client(following)

    def intercept_activity(
        self, following: dbosify.worker.ActivityInboundInterceptor
    ) -> dbosify.worker.ActivityInboundInterceptor:
        return _Activity(following)

    def workflow_interceptor_class(
        self, _: dbosify.worker.WorkflowInterceptorClassInput
    ) -> type[_Workflow]:
        return _Workflow


class _Client(dbosify.client.OutboundInterceptor):
    async def start_workflow(
        self, start: dbosify.client.StartWorkflowInput
    ) -> dbosify.client.WorkflowHandle[Any, Any]:
        start.headers = headers_of(start.headers)
        return await super().start_workflow(start)

    async def signal_workflow(self, signal: dbosify.client.SignalWorkflowInput) -> None:
        signal.headers = headers_of(signal.headers)
        await super().signal_workflow(signal)

    async def query_workflow(self, query: dbosify.client.QueryWorkflowInput) -> Any:
        query.headers = headers_of(query.headers)
        return await super().query_workflow(query)


class _Activity(dbosify.worker.ActivityInboundInterceptor):
    async def execute_activity(
        self, execute: dbosify.worker.ExecuteActivityInput
    ) -> Any:
        with user_of(execute.headers):
            return await self.next.execute_activity(execute)


class _Workflow(dbosify.worker.WorkflowInboundInterceptor):
    def init(self, outbound: dbosify.worker.WorkflowOutboundInterceptor) -> None:
        self.next.init(_Outbound(outbound))

    async def execute_workflow(
        self, execute: dbosify.worker.ExecuteWorkflowInput
    ) -> Any:
        with user_of(execute.headers):
            return await self.next.execute_workflow(execute)

    async def handle_signal(self, signal: dbosify.worker.HandleSignalInput) -> None:
        with user_of(signal.headers):
            await self.next.handle_signal(signal)

    async def handle_query(self, query: dbosify.worker.HandleQueryInput) -> Any:
        with user_of(query.headers):
            return await self.next.handle_query(query)


class _Outbound(dbosify.worker.WorkflowOutboundInterceptor):
    def start_activity(
        self, start: dbosify.worker.StartActivityInput
    ) -> workflow.ActivityHandle[Any]:
        start.headers = headers_of(start.headers)
        return self.next.start_activity(start)


@activity.defn
async def say_hello(name: str) -> str:
    return f"Hello, {name}, from {user_id.get()}!"


@workflow.defn
class SayHelloWorkflow:
    def __init__(self) -> None:
        self._signalled_by = ""

    @workflow.run
    async def run(self, name: str) -> str:
        await workflow.wait_condition(lambda: bool(self._signalled_by))
        greeting = await workflow.execute_activity(
            say_hello, name, start_to_close_timeout=timedelta(minutes=5)
        )
        return f"{greeting} Signalled by {self._signalled_by}."

    @workflow.signal
    def complete(self) -> None:
        self._signalled_by = user_id.get()

    @workflow.query
    def who_asks(self) -> str:
        return user_id.get()


async def main() -> None:
    async with (
        await connect(interceptors=[Propagation()]) as client,
        dbosify.worker.Worker(
            client,
            task_queue="context-propagation",
            workflows=[SayHelloWorkflow],
            activities=[say_hello],
        ),
    ):
        token = user_id.set("test-user")
        handle = await client.start_workflow(
            SayHelloWorkflow.run,
            "some-name",
            id="context-propagation",
            task_queue="context-propagation",
        )
        print("Asked by", await handle.query(SayHelloWorkflow.who_asks))
        await handle.signal(SayHelloWorkflow.complete)
        user_id.reset(token)
        print(await handle.result())


if __name__ == "__main__":
    asyncio.run(main())
