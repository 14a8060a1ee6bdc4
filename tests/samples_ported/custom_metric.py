"""An interceptor measures how long attempts waited, beside the SDK's own metrics."""

import asyncio
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from dbosify import activity, workflow
from dbosify.runtime import PrometheusConfig, Runtime, TelemetryConfig
from dbosify.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
)
from tests.samples_ported.connection import connect

TASK_QUEUE = "custom-metric"
METRIC = "custom_activity_schedule_to_start_latency"
TEN_SECONDS = timedelta(seconds=10)


class Measuring(Interceptor):
    def intercept_activity(
        self, next: ActivityInboundInterceptor
    ) -> ActivityInboundInterceptor:
        return MeasuringActivities(next)


class MeasuringActivities(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        waited = activity.metric_meter().create_histogram_timedelta(
            METRIC, "Time between the schedule of an attempt and its start.", "duration"
        )
        waited.record(
            info.started_time - info.current_attempt_scheduled_time,
            {"workflow_type": info.workflow_type or ""},
        )
        return await self.next.execute_activity(input)


@activity.defn
def print_message() -> None:
    print("Hello from an activity")


@workflow.defn
class TwoActivitiesWorkflow:
    @workflow.run
    async def run(self) -> None:
        first = workflow.start_activity(
            print_message, start_to_close_timeout=TEN_SECONDS
        )
        second = workflow.start_activity(
            print_message, start_to_close_timeout=TEN_SECONDS
        )
        await asyncio.gather(first, second)


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def scraped(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        return str(answer.read().decode())


async def main() -> None:
    address = free_address()
    runtime = Runtime(
        telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address))
    )
    with ThreadPoolExecutor(1) as executor:
        async with (
            await connect(runtime=runtime) as client,
            Worker(
                client,
                task_queue=TASK_QUEUE,
                workflows=[TwoActivitiesWorkflow],
                activities=[print_message],
                activity_executor=executor,
                interceptors=[Measuring()],
                max_concurrent_activities=1,
            ),
        ):
            await client.execute_workflow(
                TwoActivitiesWorkflow.run, id="custom-metric", task_queue=TASK_QUEUE
            )
            found = await asyncio.to_thread(scraped, address)
    (count,) = [
        line.rpartition(" ")[2]
        for line in found.splitlines()
        if line.startswith(f"{METRIC}_count{{")
    ]
    print("Measured attempts:", count)
    own = "temporal_workflow_completed{"
    print("The SDK's own:", any(line.startswith(own) for line in found.splitlines()))


if __name__ == "__main__":
    asyncio.run(main())
