"""A workflow changes what it is found by."""

import asyncio
from typing import Any

from dbosify import workflow
from dbosify.api.enums.v1 import IndexedValueType
from dbosify.api.operatorservice.v1 import AddSearchAttributesRequest
from dbosify.client import Client
from dbosify.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from dbosify.service import RPCError, RPCStatusCode
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

CITY = SearchAttributeKey.for_keyword("SampleCity")


@workflow.defn
class MovingWorkflow:
    def __init__(self) -> None:
        self._done = False

    @workflow.run
    async def run(self) -> None:
        await workflow.sleep(0.1)
        workflow.upsert_search_attributes([CITY.value_set("Bern")])
        await workflow.wait_condition(lambda: self._done)

    @workflow.signal
    def finish(self) -> None:
        self._done = True


async def register(client: Client) -> None:
    """Make the attribute known, unless it is."""
    request: Any = AddSearchAttributesRequest(namespace=client.namespace)
    request.search_attributes[CITY.name] = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise


async def main() -> None:
    async with (
        await connect() as client,
        Worker(
            client, task_queue="hello-search-attributes", workflows=[MovingWorkflow]
        ),
    ):
        await register(client)
        handle = await client.start_workflow(
            MovingWorkflow.run,
            id="hello-search-attributes",
            task_queue="hello-search-attributes",
            search_attributes=TypedSearchAttributes([SearchAttributePair(CITY, "Ulm")]),
        )
        seen: list[str | None] = []
        while "Bern" not in seen:
            described = await handle.describe()
            city = described.typed_search_attributes.get(CITY)
            if city not in seen:
                seen.append(city)
            await asyncio.sleep(0.01)
        await handle.signal(MovingWorkflow.finish)
        await handle.result()
    print("Cities:", *seen)


if __name__ == "__main__":
    asyncio.run(main())
