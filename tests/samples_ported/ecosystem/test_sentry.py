"""What goes wrong is told to Sentry, once, with where it happened."""

import pytest

pytest.importorskip("sentry_sdk", reason="needs sentry-sdk")

from collections.abc import Iterator
from typing import Any

import sentry_sdk

from dbosify.client import Client, WorkflowFailureError
from dbosify.worker import Worker
from tests.ported_temporal.scaffold import random_id, sandboxed_runner
from tests.samples_ported.sentry_reports import (
    SentryInput,
    SentryInterceptor,
    SentryWorkflow,
    maybe_broken,
)


class Kept(sentry_sdk.transport.Transport):
    """Keeps what it should send."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events += filter(None, (item.get_event() for item in envelope.items))


@pytest.fixture
def sent() -> Iterator[list[dict[str, Any]]]:
    """What Sentry is told."""
    kept = Kept()
    sentry_sdk.init(
        dsn="https://key@sentry.invalid/1",
        transport=kept,
        default_integrations=False,
    )
    yield kept.events
    sentry_sdk.init()


async def run(client: Client, given: SentryInput) -> str:
    """The id of a run that is over."""
    name = random_id("sentry")
    async with Worker(
        client,
        task_queue=name,
        workflows=[SentryWorkflow],
        activities=[maybe_broken],
        interceptors=[SentryInterceptor()],
        workflow_runner=sandboxed_runner(),
    ):
        handle = await client.start_workflow(
            SentryWorkflow.run, given, id=name, task_queue=name
        )
        if given.broken:
            with pytest.raises(WorkflowFailureError):
                await handle.result()
        else:
            assert await handle.result() == "Working!"
    return name


async def test_nothing_is_reported_when_all_goes_well(
    client: Client, sent: list[dict[str, Any]]
) -> None:
    await run(client, SentryInput(broken=False))
    assert sent == []


async def test_the_activity_and_the_workflow_report_a_failure(
    client: Client, sent: list[dict[str, Any]]
) -> None:
    workflow_id = await run(client, SentryInput(broken=True))
    of_activity, of_workflow = sent
    assert of_activity["exception"]["values"][0]["value"] == "Activity failed!"
    assert of_activity["tags"] == {
        "temporal.execution_type": "activity",
        "temporal.activity.type": "maybe_broken",
        "temporal.workflow.id": workflow_id,
    }
    assert of_activity["contexts"]["temporal.activity.input"] == {"broken": True}
    assert of_workflow["tags"] == {
        "temporal.execution_type": "workflow",
        "temporal.workflow.type": "SentryWorkflow",
        "temporal.workflow.id": workflow_id,
    }
    # The deepest cause comes first.
    assert of_workflow["exception"]["values"][0]["value"] == "Activity failed!"
