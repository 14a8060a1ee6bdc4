"""Signalling, cancelling and terminating: to whom it gets, once, and when too late.

Each of the three treats a run that is over in its own way: a signal and a termination
are refused, a cancel request is accepted and does nothing.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from dbosify.api.common.v1 import Header, Link, RetryPolicy, WorkflowExecution
from dbosify.api.enums.v1 import EventType
from dbosify.client import Client, WorkflowExecutionStatus
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    ALREADY_COMPLETED,
    ANOTHER_CHAIN,
    BAD_RUN_ID,
    IDENTITY,
    MAX_BLOB_SIZE,
    NO_NAMESPACE,
    NO_WORKFLOW_ID,
    TOO_LONG,
    UNKNOWN_RUN_ID,
    Refusal,
    answer_or_refusal,
    cancel,
    describe,
    duration,
    execution,
    history_of,
    invalid,
    names_of,
    payloads,
    refusal_of,
    signal,
    start,
    start_and_close,
    start_script,
    status_of,
    terminate,
    unknown_namespace,
    unknown_run,
    unknown_workflow,
)
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    ContinueAsNew,
    Script,
)
from tests.ported_temporal.scaffold import assert_eventually, random_id

COMPLETED = WorkflowExecutionStatus.COMPLETED
RUNNING = WorkflowExecutionStatus.RUNNING
TERMINATED = WorkflowExecutionStatus.TERMINATED

UNTOUCHED = ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_SCHEDULED"]
"""The history of a run that no worker has seen."""

Verb: TypeAlias = Callable[..., Awaitable[object]]

EVERY_VERB = pytest.mark.parametrize(
    "verb", [signal, cancel, terminate], ids=["signal", "cancel", "terminate"]
)


@EVERY_VERB
async def test_the_target_has_to_be_there(client: Client, verb: Verb) -> None:
    nobody = random_id()
    assert await refusal_of(verb(client, execution(nobody))) == unknown_workflow(nobody)
    assert await refusal_of(
        verb(client, execution(nobody, UNKNOWN_RUN_ID))
    ) == unknown_run(nobody, UNKNOWN_RUN_ID)

    workflow_id = random_id()
    await start(client, workflow_id)
    assert await refusal_of(
        verb(client, execution(workflow_id, UNKNOWN_RUN_ID))
    ) == unknown_run(workflow_id, UNKNOWN_RUN_ID)
    assert names_of(await history_of(client, execution(workflow_id))) == UNTOUCHED


@EVERY_VERB
async def test_the_target_has_to_be_named(client: Client, verb: Verb) -> None:
    assert await refusal_of(verb(client, WorkflowExecution())) == NO_WORKFLOW_ID
    assert (
        await refusal_of(verb(client, execution(random_id(), "not a uuid")))
        == BAD_RUN_ID
    )
    target = execution(random_id())
    assert await refusal_of(verb(client, target, namespace="")) == NO_NAMESPACE
    nowhere = random_id("namespace")
    assert await refusal_of(
        verb(client, target, namespace=nowhere)
    ) == unknown_namespace(nowhere)


@pytest.mark.parametrize("verb", [signal, terminate], ids=["signal", "terminate"])
async def test_a_closed_run_is_past_signals_and_termination(
    client: Client, worker: Worker, verb: Verb
) -> None:
    workflow_id = random_id()
    over = await start_and_close(client, worker, workflow_id, status=COMPLETED)
    for target in (execution(workflow_id), execution(workflow_id, over.run_id)):
        assert await refusal_of(verb(client, target)) == ALREADY_COMPLETED

    successor = await start(client, workflow_id)
    assert (
        await refusal_of(verb(client, execution(workflow_id, over.run_id)))
        == ALREADY_COMPLETED
    )
    assert (
        names_of(await history_of(client, execution(workflow_id, successor.run_id)))
        == UNTOUCHED
    )


@pytest.mark.parametrize("verb", [cancel, terminate], ids=["cancel", "terminate"])
async def test_a_run_of_another_chain_is_left_alone(client: Client, verb: Verb) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    for other in (UNKNOWN_RUN_ID, "not even a uuid"):
        assert (
            await refusal_of(
                verb(client, execution(workflow_id), first_execution_run_id=other)
            )
            == ANOTHER_CHAIN
        )
    assert names_of(await history_of(client, execution(workflow_id))) == UNTOUCHED


@pytest.mark.parametrize(
    ("verb", "status"),
    [(cancel, WorkflowExecutionStatus.CANCELED), (terminate, TERMINATED)],
    ids=["cancel", "terminate"],
)
async def test_the_first_run_of_a_chain_stands_for_its_current_run(
    client: Client, worker: Worker, verb: Verb, status: WorkflowExecutionStatus
) -> None:
    workflow_id = random_id()
    first = await start_script(
        client,
        worker,
        workflow_id,
        Script(
            [
                Action(continue_as_new=ContinueAsNew(1)),
                Action(await_signal=AwaitSignal("never")),
            ]
        ),
    )

    async def in_second_run() -> None:
        described = await describe(client, execution(workflow_id))
        run_id = described.workflow_execution_info.execution.run_id
        assert run_id != first.run_id

    await assert_eventually(in_second_run)
    await verb(client, execution(workflow_id), first_execution_run_id=first.run_id)

    async def ended() -> None:
        assert await status_of(client, execution(workflow_id)) == status

    await assert_eventually(ended)


# Signals


async def test_a_signal_is_stored_as_it_was_sent(client: Client) -> None:
    workflow_id = random_id()
    running = await start(client, workflow_id)
    request_id = str(uuid.uuid4())
    header = Header(fields={"trace": payloads("abc").payloads[0]})
    answer = await signal(
        client,
        execution(workflow_id),
        input=payloads("one", 2),
        header=header,
        request_id=request_id,
    )
    assert answer.link == Link(
        workflow_event=Link.WorkflowEvent(
            namespace=client.namespace,
            workflow_id=workflow_id,
            run_id=running.run_id,
            request_id_ref=Link.WorkflowEvent.RequestIdReference(
                request_id=request_id,
                event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
            ),
        )
    )
    events = await history_of(client, execution(workflow_id))
    # The first task is still to come: there is no need for another one.
    assert names_of(events) == [*UNTOUCHED, "WORKFLOW_EXECUTION_SIGNALED"]
    event = events[-1].workflow_execution_signaled_event_attributes
    assert event.signal_name == "a signal"
    assert event.input == payloads("one", 2)
    assert event.header == header
    assert event.identity == IDENTITY
    assert event.request_id == request_id


async def test_a_signal_wakes_a_run_that_has_nothing_to_do(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    target = execution(workflow_id)
    await start_script(client, worker, workflow_id, Script(action_signal="act"))

    async def idle() -> None:
        assert names_of(await history_of(client, target))[2:] == [
            "WORKFLOW_TASK_STARTED",
            "WORKFLOW_TASK_COMPLETED",
        ]

    await assert_eventually(idle)
    await signal(client, target, signal_name="act", input=payloads(Action()))

    async def handled() -> None:
        assert names_of(await history_of(client, target))[4:] == [
            "WORKFLOW_EXECUTION_SIGNALED",
            *("WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"),
            "WORKFLOW_TASK_COMPLETED",
        ]

    await assert_eventually(handled)


async def test_a_repeated_signal_counts_once_even_when_the_run_is_over(
    client: Client,
) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    request_id = str(uuid.uuid4())
    for _ in range(2):
        await signal(client, execution(workflow_id), request_id=request_id)
    await terminate(client, execution(workflow_id))
    await signal(client, execution(workflow_id), request_id=request_id)
    assert names_of(await history_of(client, execution(workflow_id))) == [
        *UNTOUCHED,
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_EXECUTION_TERMINATED",
    ]


async def test_signals_without_a_request_id_all_count(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    for _ in range(2):
        await signal(client, execution(workflow_id), request_id="")
    assert names_of(await history_of(client, execution(workflow_id)))[2:] == (
        ["WORKFLOW_EXECUTION_SIGNALED"] * 2
    )


async def test_simultaneous_signals_are_all_stored_once(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    request_ids = [str(uuid.uuid4()) for _ in range(8)]
    await asyncio.gather(
        *(
            signal(client, execution(workflow_id), request_id=request_id)
            for request_id in [*request_ids, *request_ids]
        )
    )
    events = await history_of(client, execution(workflow_id))
    assert [event.event_id for event in events] == list(range(1, 11))
    assert sorted(request_ids) == sorted(
        event.workflow_execution_signaled_event_attributes.request_id
        for event in events[2:]
    )


SIGNAL_MISTAKES: Mapping[str, tuple[Mapping[str, Any], Refusal]] = {
    "no name": ({"signal_name": ""}, invalid("SignalName is not set on request.")),
    "name too long": (
        {"signal_name": TOO_LONG},
        invalid("SignalName length exceeds limit."),
    ),
    "request id too long": (
        {"request_id": TOO_LONG},
        invalid("RequestId length exceeds limit."),
    ),
    "input too large": (
        {"input": payloads("x" * (MAX_BLOB_SIZE + 1))},
        invalid("Blob data size exceeds limit."),
    ),
}


@pytest.mark.parametrize(
    ("fields", "refusal"), SIGNAL_MISTAKES.values(), ids=SIGNAL_MISTAKES.keys()
)
async def test_a_mistaken_signal_is_told_what_is_wrong(
    client: Client, fields: Mapping[str, Any], refusal: Refusal
) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    assert await refusal_of(signal(client, execution(workflow_id), **fields)) == refusal
    assert names_of(await history_of(client, execution(workflow_id))) == UNTOUCHED


# Cancel requests


async def test_a_cancel_request_is_stored_as_it_was_sent(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    before = await describe(client, execution(workflow_id))
    assert not before.workflow_extended_info.cancel_requested

    await cancel(client, execution(workflow_id), reason="not needed any more")
    events = await history_of(client, execution(workflow_id))
    assert names_of(events) == [*UNTOUCHED, "WORKFLOW_EXECUTION_CANCEL_REQUESTED"]
    event = events[-1].workflow_execution_cancel_requested_event_attributes
    assert event.cause == "not needed any more"
    assert event.identity == IDENTITY
    assert not event.HasField("external_workflow_execution")
    after = await describe(client, execution(workflow_id))
    assert after.workflow_extended_info.cancel_requested
    assert await status_of(client, execution(workflow_id)) == RUNNING


async def test_a_run_is_asked_to_cancel_only_once(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    request_id = str(uuid.uuid4())
    for each in (request_id, request_id, str(uuid.uuid4()), ""):
        await cancel(client, execution(workflow_id), request_id=each)
    assert names_of(await history_of(client, execution(workflow_id)))[2:] == [
        "WORKFLOW_EXECUTION_CANCEL_REQUESTED"
    ]


async def test_cancelling_a_closed_run_is_accepted_and_does_nothing(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    over = await start_and_close(client, worker, workflow_id, status=COMPLETED)
    before = await history_of(client, execution(workflow_id))
    await cancel(client, execution(workflow_id))
    assert await history_of(client, execution(workflow_id)) == before

    successor = await start(client, workflow_id)
    await cancel(client, execution(workflow_id, over.run_id))
    assert await history_of(client, execution(workflow_id, over.run_id)) == before
    assert (
        names_of(await history_of(client, execution(workflow_id, successor.run_id)))
        == UNTOUCHED
    )


# Termination


async def test_a_termination_is_stored_as_it_was_sent(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    await terminate(
        client,
        execution(workflow_id),
        reason="it has to go",
        details=payloads("one", 2),
    )
    events = await history_of(client, execution(workflow_id))
    assert names_of(events) == [*UNTOUCHED, "WORKFLOW_EXECUTION_TERMINATED"]
    event = events[-1].workflow_execution_terminated_event_attributes
    assert event.reason == "it has to go"
    assert event.details == payloads("one", 2)
    assert event.identity == IDENTITY
    described = await describe(client, execution(workflow_id))
    info = described.workflow_execution_info
    assert info.status == int(TERMINATED)
    assert info.close_time == events[-1].event_time


async def test_a_termination_always_has_a_reason(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    await terminate(client, execution(workflow_id))
    events = await history_of(client, execution(workflow_id))
    event = events[-1].workflow_execution_terminated_event_attributes
    assert event.reason == "terminated by user via frontend"


@pytest.mark.parametrize(
    "fields",
    [
        {"retry_policy": RetryPolicy(initial_interval=duration(timedelta(seconds=1)))},
        {"cron_schedule": "@every 1s"},
    ],
    ids=["retry", "cron"],
)
async def test_nothing_follows_a_terminated_run(
    client: Client, fields: Mapping[str, Any]
) -> None:
    workflow_id = random_id()
    only = await start(client, workflow_id, **fields)
    await terminate(client, execution(workflow_id))
    described = await describe(client, execution(workflow_id))
    info = described.workflow_execution_info
    assert info.execution.run_id == only.run_id
    assert info.status == int(TERMINATED)
    # Only a closed run leaves its id to another one.
    assert (await start(client, workflow_id)).started


async def test_of_simultaneous_terminations_one_is_in_time(client: Client) -> None:
    workflow_id = random_id()
    await start(client, workflow_id)
    outcomes = await asyncio.gather(
        *(
            answer_or_refusal(terminate(client, execution(workflow_id)))
            for _ in range(8)
        )
    )
    assert outcomes.count(ALREADY_COMPLETED) == 7
    events = await history_of(client, execution(workflow_id))
    assert names_of(events) == [*UNTOUCHED, "WORKFLOW_EXECUTION_TERMINATED"]
