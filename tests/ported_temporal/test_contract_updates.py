"""Sending an update and asking for it: ids, stages, answers, refusals, traces.

An update is known by its id for as long as its run is, unless the workflow rejected
it: then nobody remembers it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from dbosify.api.common.v1 import Link, WorkflowExecution
from dbosify.api.enums.v1 import EventType, ResourceExhaustedScope
from dbosify.api.enums.v1 import ResourceExhaustedCause as Cause
from dbosify.api.errordetails.v1 import (
    PermissionDeniedFailure,
    ResourceExhaustedFailure,
    WorkflowNotReadyFailure,
)
from dbosify.api.update.v1 import Input, Meta, Request
from dbosify.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from dbosify.service import RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    ALREADY_COMPLETED,
    ANOTHER_CHAIN,
    BAD_RUN_ID,
    IDENTITY,
    NO_NAMESPACE,
    NO_WORKFLOW_ID,
    TOO_LONG,
    UNKNOWN_RUN_ID,
    Refusal,
    answer_or_refusal,
    closed,
    describe,
    execution,
    history_of,
    invalid,
    names_of,
    not_found,
    payloads,
    refusal_of,
    signal,
    start,
    terminate,
    unknown_run,
    unknown_workflow,
)
from tests.ported_temporal.scaffold import assert_eventually, new_worker, random_id
from tests.ported_temporal.update_requests import (
    ABANDONED,
    ACCEPTED,
    ADMITTED,
    COMPLETED,
    UNSPECIFIED,
    UpdatableWorkflow,
    admitted,
    poll,
    start_updatable,
    success,
    update,
)

MOST_IN_FLIGHT = 10


@pytest_asyncio.fixture(loop_scope="session")
async def updatable(client: Client) -> AsyncIterator[Worker]:
    """A worker of the workflow that takes updates."""
    async with new_worker(client, UpdatableWorkflow) as worker:
        yield worker


@pytest_asyncio.fixture(loop_scope="session")
async def run(client: Client, updatable: Worker) -> AsyncIterator[WorkflowExecution]:
    """An open run of it."""
    target = await start_updatable(client, updatable.task_queue, random_id())
    yield target
    await answer_or_refusal(terminate(client, target))


async def ended(client: Client, target: WorkflowExecution, how: str = "return") -> None:
    """Make the run end and wait until it has."""
    await signal(client, target, signal_name="end", input=payloads(how))
    await closed(client, target.workflow_id)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(input=Input(name="echo")), "Update meta is not set on request."),
        (Request(meta=Meta(update_id="u")), "Update input is not set on request."),
        (Request(meta=Meta(), input=Input()), "Update name is not set on request."),
        (
            Request(meta=Meta(update_id=TOO_LONG), input=Input(name="echo")),
            "UpdateId length exceeds limit.",
        ),
        (None, "Update meta is not set on request."),
    ],
    ids=["meta", "input", "name", "long id", "nothing"],
)
async def test_an_update_has_to_be_complete(
    client: Client, request_: Request | None, message: str
) -> None:
    target = execution(random_id())
    assert await refusal_of(update(client, target, request=request_)) == invalid(
        message
    )


async def test_an_update_has_to_name_its_target(client: Client) -> None:
    assert await refusal_of(update(client, WorkflowExecution())) == NO_WORKFLOW_ID
    assert await refusal_of(update(client, execution("x", "no uuid"))) == BAD_RUN_ID
    assert await refusal_of(update(client, execution("x"), namespace="")) == (
        NO_NAMESPACE
    )
    nobody = random_id()
    assert await refusal_of(update(client, execution(nobody))) == (
        unknown_workflow(nobody)
    )
    assert await refusal_of(update(client, execution(nobody, UNKNOWN_RUN_ID))) == (
        unknown_run(nobody, UNKNOWN_RUN_ID)
    )


async def test_nobody_waits_for_the_admission_only(client: Client) -> None:
    assert await refusal_of(
        update(client, execution(random_id()), stage=ADMITTED)
    ) == Refusal(
        RPCStatusCode.PERMISSION_DENIED,
        "UpdateWorkflowExecution issued asynchronously and waiting on update admitted"
        " is not supported.",
        PermissionDeniedFailure(),
    )


async def test_an_update_is_for_one_chain(
    client: Client, run: WorkflowExecution
) -> None:
    anybody = execution(run.workflow_id)
    assert (
        await refusal_of(update(client, anybody, first_execution_run_id=UNKNOWN_RUN_ID))
        == ANOTHER_CHAIN
    )
    answer = await update(
        client, anybody, "echo", "a", first_execution_run_id=run.run_id
    )
    assert answer.outcome == success("a")


async def test_the_answer_of_a_completed_update(
    client: Client, run: WorkflowExecution
) -> None:
    anybody = execution(run.workflow_id)
    answer = await update(client, anybody, "echo", "a", stage=UNSPECIFIED)
    assert answer.stage == COMPLETED
    assert answer.outcome == success("a")
    assert answer.update_ref.workflow_execution == run
    assert answer.update_ref.update_id, "the service makes one up"
    assert answer.link == Link(
        workflow_event=Link.WorkflowEvent(
            namespace=client.namespace,
            workflow_id=run.workflow_id,
            run_id=run.run_id,
            request_id_ref=Link.WorkflowEvent.RequestIdReference(
                event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
            ),
        )
    )


async def test_the_answer_of_a_rejected_update(
    client: Client, run: WorkflowExecution
) -> None:
    answer = await update(client, run, "refused", update_id="r", stage=ACCEPTED)
    assert answer.stage == COMPLETED
    assert answer.outcome.failure.message == "unwanted"
    assert answer.outcome.failure.application_failure_info.type == "Unwanted"
    assert answer.link == Link(
        workflow=Link.Workflow(
            namespace=client.namespace,
            workflow_id=run.workflow_id,
            run_id=run.run_id,
            reason="Update rejected",
        )
    )


async def test_an_update_may_be_waited_for_until_it_is_accepted(
    client: Client, run: WorkflowExecution
) -> None:
    waiting = await update(client, run, "wait", "a", update_id="w", stage=ACCEPTED)
    assert waiting.stage == ACCEPTED
    assert not waiting.HasField("outcome")
    at_once = await update(client, run, "echo", "a", stage=ACCEPTED)
    assert at_once.stage == COMPLETED, "accepted and completed in one task"
    assert at_once.outcome == success("a")
    await signal(client, run, signal_name="release")
    assert (await poll(client, run, "w", COMPLETED)).outcome == success("a")


async def test_what_history_tells_of_an_update(
    client: Client, run: WorkflowExecution
) -> None:
    await update(client, run, "echo", "a", update_id="u")
    events = await history_of(client, run)
    assert names_of(events)[-3:] == [
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    ]
    took, gave = events[-2:]
    accepted = took.workflow_execution_update_accepted_event_attributes
    assert accepted.protocol_instance_id == "u"
    assert accepted.accepted_request_message_id == "u/request"
    assert accepted.accepted_request_sequencing_event_id == took.event_id - 3
    assert accepted.accepted_request.meta == Meta(update_id="u", identity=IDENTITY)
    assert accepted.accepted_request.input == Input(name="echo", args=payloads("a"))
    completed = gave.workflow_execution_update_completed_event_attributes
    assert completed.meta == Meta(update_id="u", identity=IDENTITY)
    assert completed.outcome == success("a")
    assert completed.accepted_event_id == took.event_id


@pytest.mark.parametrize("name", ["echo", "wait"])
async def test_the_same_id_is_the_same_update(
    client: Client, run: WorkflowExecution, name: str
) -> None:
    first = await update(client, run, name, "a", update_id="u", stage=ACCEPTED)
    again = await update(client, run, name, "b", update_id="u", stage=ACCEPTED)
    assert again == first
    await signal(client, run, signal_name="release")
    assert (await update(client, run, "refused", update_id="u")).outcome == (
        success("a")
    )
    kinds = names_of(await history_of(client, run))
    assert kinds.count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED") == 1


async def test_callers_at_once_share_an_update(
    client: Client, run: WorkflowExecution
) -> None:
    answers = await asyncio.gather(
        *(update(client, run, "echo", str(n), update_id="u") for n in range(8))
    )
    assert len({answer.SerializeToString() for answer in answers}) == 1
    kinds = names_of(await history_of(client, run))
    assert kinds.count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED") == 1


async def test_a_rejected_id_is_free_again(
    client: Client, run: WorkflowExecution
) -> None:
    before = names_of(await history_of(client, run))
    assert (await update(client, run, "refused", update_id="u")).outcome.HasField(
        "failure"
    )
    assert len(names_of(await history_of(client, run))) <= len(before) + 3
    assert await refusal_of(poll(client, run, "u")) == not_found('update "u" not found')
    assert (await update(client, run, "echo", "a", update_id="u")).outcome == (
        success("a")
    )


async def test_a_closed_run_takes_no_update_but_knows_its_own(
    client: Client, run: WorkflowExecution
) -> None:
    anybody = execution(run.workflow_id)
    await update(client, run, "echo", "a", update_id="completed")
    await update(client, run, "wait", "a", update_id="accepted", stage=ACCEPTED)
    await update(client, run, "refused", update_id="rejected")
    await ended(client, run)
    for target in (run, anybody):
        for update_id in ("", "unheard of", "rejected"):
            assert (
                await refusal_of(update(client, target, "echo", update_id=update_id))
                == ALREADY_COMPLETED
            )
        for stage in (ACCEPTED, COMPLETED):
            for update_id, outcome in (
                ("completed", success("a")),
                ("accepted", ABANDONED),
            ):
                answer = await update(client, target, update_id=update_id, stage=stage)
                assert (answer.stage, answer.outcome) == (COMPLETED, outcome)
                polled = await poll(client, target, update_id, stage)
                assert (polled.stage, polled.outcome) == (COMPLETED, outcome)
        for update_id in ("unheard of", "rejected"):
            assert await refusal_of(poll(client, target, update_id)) == not_found(
                f'update "{update_id}" not found'
            )


@pytest.mark.parametrize("how", ["return", "fail", "continue", "terminate"])
@pytest.mark.parametrize("stage", [ACCEPTED, COMPLETED], ids=["accepted", "completed"])
async def test_who_waits_for_an_accepted_update_is_told_of_the_end(
    client: Client, run: WorkflowExecution, how: str, stage: Any
) -> None:
    await update(client, run, "wait", "a", update_id="u", stage=ACCEPTED)
    waiting = asyncio.create_task(poll(client, run, "u", COMPLETED))
    if how == "terminate":
        await terminate(client, run)
    else:
        await signal(client, run, signal_name="end", input=payloads(how))
    assert (await waiting).outcome == ABANDONED
    assert (await poll(client, run, "u", stage)).outcome == ABANDONED
    if how == "continue":
        await terminate(client, execution(run.workflow_id))


async def test_who_waits_for_an_admitted_update_is_told_that_it_is_gone(
    client: Client,
) -> None:
    target = await start_updatable(client, random_id("queue"), random_id())
    sending = asyncio.create_task(refusal_of(update(client, target, update_id="u")))
    await admitted(client, target, "u")
    await terminate(client, target)
    aborted = not_found("workflow update was aborted by closing workflow")
    assert await sending == aborted
    # A server remembers for a while that it was there.
    assert await refusal_of(poll(client, target, "u")) in (
        aborted,
        not_found('update "u" not found'),
    )
    assert await refusal_of(update(client, target, update_id="u")) in (
        aborted,
        ALREADY_COMPLETED,
    )


async def test_too_many_updates_in_flight_are_refused(
    client: Client, run: WorkflowExecution
) -> None:
    await asyncio.gather(
        *(
            update(client, run, "wait", "a", update_id=f"u{n}", stage=ACCEPTED)
            for n in range(MOST_IN_FLIGHT)
        )
    )
    assert await refusal_of(update(client, run, "echo", "a")) == Refusal(
        RPCStatusCode.RESOURCE_EXHAUSTED,
        f"limit on number of concurrent in-flight updates has been reached"
        f" ({MOST_IN_FLIGHT})",
        ResourceExhaustedFailure(
            cause=Cause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
            scope=ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_NAMESPACE,
        ),
    )
    # One that is known is no further one.
    known = await update(client, run, "wait", "b", update_id="u0", stage=ACCEPTED)
    assert known.stage == ACCEPTED
    await signal(client, run, signal_name="release")
    assert (await poll(client, run, "u9", COMPLETED)).outcome == success("a")
    assert (await update(client, run, "echo", "a")).outcome == success("a")


async def test_a_run_whose_task_fails_takes_no_update(client: Client) -> None:
    async with new_worker(client, UpdatableWorkflow) as worker:
        workflow_id = random_id()
        target = execution(workflow_id)
        await start(client, workflow_id, task_queue={"name": worker.task_queue})

        async def attempted_often() -> None:
            pending = (await describe(client, target)).pending_workflow_task
            assert pending.attempt >= 3

        await assert_eventually(attempted_often, timeout=30)
        assert await refusal_of(update(client, target)) == Refusal(
            RPCStatusCode.FAILED_PRECONDITION,
            "Unable to perform workflow execution update due to Workflow Task in failed"
            " state.",
            WorkflowNotReadyFailure(),
        )
        await terminate(client, target)


async def test_waiting_ends_with_the_callers_patience(
    client: Client, run: WorkflowExecution
) -> None:
    await update(client, run, "wait", "a", update_id="u", stage=ACCEPTED)
    handle = client.get_workflow_handle(run.workflow_id).get_update_handle("u")
    with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):
        await handle.result(rpc_timeout=timedelta(milliseconds=300))


async def test_a_poll_names_what_it_asks_for(
    client: Client, run: WorkflowExecution
) -> None:
    assert await refusal_of(poll(client, run, "", update_ref=None)) == invalid(
        "UpdateRef is not set on request."
    )
    assert await refusal_of(poll(client, run, "u")) == not_found('update "u" not found')
    assert await refusal_of(poll(client, run, "")) == not_found('update "" not found')
    nobody = random_id()
    assert await refusal_of(poll(client, execution(nobody), "u")) == (
        unknown_workflow(nobody)
    )
    assert await refusal_of(poll(client, WorkflowExecution(), "u")) == invalid(
        "Can't load workflow execution.  WorkflowId not set."
    )
    assert await refusal_of(poll(client, execution("x", "no uuid"), "u")) == invalid(
        "RunId is not valid UUID."
    )


async def test_a_poll_that_waits_for_nothing_tells_the_stage(client: Client) -> None:
    queue = random_id("queue")
    target = await start_updatable(client, queue, random_id())
    sending = asyncio.create_task(update(client, target, "wait", "a", update_id="u"))
    await admitted(client, target, "u")
    for stage in (UNSPECIFIED, ADMITTED):
        polled = await poll(client, target, "u", stage)
        assert (polled.stage, polled.HasField("outcome")) == (ADMITTED, False)
        assert polled.update_ref.workflow_execution == target
        assert polled.update_ref.update_id == "u"
    async with new_worker(client, UpdatableWorkflow, task_queue=queue):
        assert (await poll(client, target, "u", ACCEPTED)).stage == ACCEPTED
        assert (await poll(client, target, "u")).stage == ACCEPTED
        await signal(client, target, signal_name="release")
        assert (await sending).outcome == success("a")
        for stage in (UNSPECIFIED, ADMITTED, ACCEPTED, COMPLETED):
            polled = await poll(client, target, "u", stage)
            assert (polled.stage, polled.outcome) == (COMPLETED, success("a"))
        await terminate(client, target)


@pytest.mark.parametrize(
    "fields", [{"update_id": "a\0b"}, {"name": "a\0b"}], ids=["id", "name"]
)
async def test_odd_text_breaks_nothing(
    client: Client, run: WorkflowExecution, fields: Mapping[str, str]
) -> None:
    request = Request(
        meta=Meta(update_id=fields.get("update_id", "u")),
        input=Input(name=fields.get("name", "echo"), args=payloads("a")),
    )
    answer = await answer_or_refusal(update(client, run, request=request))
    if isinstance(answer, Refusal):
        assert answer.status == RPCStatusCode.INVALID_ARGUMENT
    assert (await update(client, run, "echo", "b")).outcome == success("b")
