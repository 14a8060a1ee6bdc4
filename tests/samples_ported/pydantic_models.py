"""Models of pydantic go through a workflow and an activity."""

import asyncio
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address

from dbosify import activity, workflow
from dbosify.contrib.pydantic import pydantic_data_converter
from dbosify.worker import Worker
from tests.samples_ported.connection import connect

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel


class Visit(BaseModel):
    address: IPv4Address
    at: datetime


@activity.defn
async def count(visits: list[Visit]) -> int:
    return len({visit.address for visit in visits})


@workflow.defn
class VisitsWorkflow:
    @workflow.run
    async def run(self, visits: list[Visit]) -> list[Visit]:
        workflow.logger.info("Visits from %s", [visit.address for visit in visits])
        await workflow.execute_activity(
            count, visits, start_to_close_timeout=timedelta(minutes=1)
        )
        return visits


async def main() -> None:
    moment = datetime(2000, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    visits = [
        Visit(address=IPv4Address("127.0.0.1"), at=moment),
        Visit(address=IPv4Address("127.0.0.2"), at=moment),
    ]
    async with (
        await connect(data_converter=pydantic_data_converter) as client,
        Worker(
            client,
            task_queue="pydantic-models",
            workflows=[VisitsWorkflow],
            activities=[count],
        ),
    ):
        result = await client.execute_workflow(
            VisitsWorkflow.run,
            visits,
            id="pydantic-models",
            task_queue="pydantic-models",
        )
    print("The same models:", result == visits)


if __name__ == "__main__":
    asyncio.run(main())
