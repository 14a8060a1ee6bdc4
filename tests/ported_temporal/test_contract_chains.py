"""Chains: which run follows a run that closed, when it begins, and what it is told.

Retries, cron schedules and timeouts of whole workflows decide that together. Each test
lets a chain come to some length and reads it back run by run, from the first.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from dbosify import exceptions, workflow
from dbosify.api.common.v1 import RetryPolicy
from dbosify.api.enums.v1 import ContinueAsNewInitiator, RetryState, TimeoutType
from dbosify.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from dbosify.common import Priority
from dbosify.common import RetryPolicy as RetryPolicyOption
from dbosify.exceptions import ApplicationError
from dbosify.exceptions import TimeoutType as Kind
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    cancel,
    describe,
    duration,
    execution,
    history_of,
    names_of,
    payloads,
    signal,
    start,
    start_script,
    status_of,
    terminate,
)
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    ContinueAsNew,
    Fail,
    Result,
    Script,
)
from tests.ported_temporal.scaffold import assert_eventually, new_worker, random_id

A_SECOND = duration(timedelta(seconds=1))
AN_HOUR = timedelta(hours=1)

INITIATOR = ContinueAsNewInitiator
CRON = INITIATOR.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
RETRY = INITIATOR.CONTINUE_AS_NEW_INITIATOR_RETRY
CONTINUED = INITIATOR.CONTINUE_AS_NEW_INITIATOR_WORKFLOW

WAITS = Script([Action(await_signal=AwaitSignal("never"))])
SUCCEEDS = Script([Action(result=Result("done"))])
FAILS = Script([Action(fail=Fail(attempt=True))])

TWO_ATTEMPTS = RetryPolicy(initial_interval=A_SECOND, maximum_attempts=2)


@dataclass(frozen=True, slots=True)
class Link:
    """One run of a chain."""

    run_id: str
    events: list[HistoryEvent]

    @property
    def started(self) -> WorkflowExecutionStartedEventAttributes:
        """How it began."""
        return self.events[0].workflow_execution_started_event_attributes

    @property
    def backoff(self) -> timedelta:
        """How long it waited for its first task."""
        return self.started.first_workflow_task_backoff.ToTimedelta()

    @property
    def last(self) -> Any:
        """What its newest event says."""
        event = self.events[-1]
        return getattr(event, event.WhichOneof("attributes") or "")

    @property
    def next_run_id(self) -> str:
        """The run that it says follows it."""
        return str(getattr(self.last, "new_execution_run_id", ""))


async def chain(client: Client, workflow_id: str, first_run_id: str) -> list[Link]:
    """The runs of a chain so far."""
    links: list[Link] = []
    run_id = first_run_id
    while run_id:
        events = await history_of(client, execution(workflow_id, run_id))
        links.append(Link(run_id, events))
        run_id = links[-1].next_run_id
    return links


async def chain_of(
    client: Client, workflow_id: str, first_run_id: str, length: int
) -> list[Link]:
    """The runs of a chain, once there are that many and the last one has begun."""

    async def long_enough() -> list[Link]:
        links = await chain(client, workflow_id, first_run_id)
        assert len(links) >= length
        return links[:length]

    return await assert_eventually(long_enough)


def linked(before: Link, after: Link, initiator: "INITIATOR.ValueType") -> None:
    """Check what every run of a chain says about the one before."""
    assert after.run_id == before.next_run_id
    assert after.started.continued_execution_run_id == before.run_id
    assert after.started.original_execution_run_id == after.run_id
    assert after.started.first_execution_run_id == before.started.first_execution_run_id
    assert after.started.initiator == initiator
    assert after.started.identity == ""


# Cron.


async def test_a_cron_goes_on_with_what_the_run_before_came_to(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    first = await start_script(
        client,
        worker,
        workflow_id,
        SUCCEEDS,
        cron_schedule="@every 1s",
        memo={"fields": {"m": payloads("kept").payloads[0]}},
    )
    links = await chain_of(client, workflow_id, first.run_id, 3)
    await terminate(client, execution(workflow_id))

    assert links[0].started.initiator == CRON
    assert not links[0].started.HasField("last_completion_result")
    for before, after in pairwise(links):
        linked(before, after, CRON)
        assert names_of(before.events)[-1] == "WORKFLOW_EXECUTION_COMPLETED"
        assert after.started.last_completion_result == payloads("done")
        assert after.started.cron_schedule == "@every 1s"
        assert after.started.attempt == 1
        assert after.started.input == payloads(SUCCEEDS)
        assert after.started.memo.fields["m"] == payloads("kept").payloads[0]
        assert timedelta() <= after.backoff <= timedelta(seconds=1)
        assert after.backoff.microseconds == 0
    assert await status_of(client, execution(workflow_id, first.run_id)) == (
        WorkflowExecutionStatus.COMPLETED
    )


@workflow.defn(name="counts_its_runs")
class CountsItsRuns:
    """Counts on from the last result; its second run fails."""

    @workflow.run
    async def run(self) -> int:
        """The number of runs that succeeded, this one included."""
        last = (
            workflow.get_last_completion_result(int)
            if (workflow.has_last_completion_result())
            else 0
        )
        assert last is not None
        failure = workflow.get_last_failure()
        if last == 1 and failure is None:
            raise ApplicationError("not now", non_retryable=True)
        return last + 1


async def test_a_cron_forgets_a_failure_but_never_the_last_result(
    client: Client,
) -> None:
    async with new_worker(client, CountsItsRuns) as worker:
        handle = await client.start_workflow(
            CountsItsRuns.run,
            id=random_id(),
            task_queue=worker.task_queue,
            cron_schedule="@every 1s",
        )
        assert handle.first_execution_run_id is not None
        links = await chain_of(client, handle.id, handle.first_execution_run_id, 4)
        await handle.terminate()

    succeeded, failed, recovered, _ = links
    assert succeeded.last.result == payloads(1)
    linked(succeeded, failed, CRON)
    assert failed.last.failure.message == "not now"
    assert failed.last.retry_state == RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET
    linked(failed, recovered, CRON)
    assert recovered.started.continued_failure.message == "not now"
    assert recovered.started.last_completion_result == payloads(1)
    assert recovered.last.result == payloads(2)
    assert not links[3].started.HasField("continued_failure")


async def test_a_retry_comes_before_the_next_time_of_a_cron(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    first = await start_script(
        client,
        worker,
        workflow_id,
        FAILS,
        cron_schedule="@every 1s",
        retry_policy=TWO_ATTEMPTS,
    )
    one, two, three = await chain_of(client, workflow_id, first.run_id, 3)
    await terminate(client, execution(workflow_id))

    assert one.last.retry_state == RetryState.RETRY_STATE_IN_PROGRESS
    linked(one, two, RETRY)
    assert two.started.attempt == 2
    assert two.started.cron_schedule == "@every 1s"
    assert two.last.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
    linked(two, three, CRON)
    assert three.started.attempt == 1
    assert three.started.continued_failure.message == "attempt 2"


async def test_a_cancelled_cron_is_over(client: Client, worker: Worker) -> None:
    workflow_id = random_id()
    first = await start_script(
        client, worker, workflow_id, WAITS, cron_schedule="@every 1h"
    )
    await cancel(client, execution(workflow_id))
    with pytest.raises(WorkflowFailureError):
        await client.get_workflow_handle(workflow_id).result()
    [only] = await chain(client, workflow_id, first.run_id)
    assert names_of(only.events)[-1] == "WORKFLOW_EXECUTION_CANCELED"


async def test_a_cron_that_continues_as_new_is_no_cron_any_more(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    script = Script([Action(continue_as_new=ContinueAsNew(1)), *SUCCEEDS.actions])
    first = await start_script(
        client, worker, workflow_id, script, cron_schedule="@every 1s"
    )
    assert await client.get_workflow_handle(workflow_id).result() == "done"
    one, two = await chain(client, workflow_id, first.run_id)
    linked(one, two, CONTINUED)
    assert two.started.cron_schedule == ""
    assert two.next_run_id == ""


# Retries.


async def test_a_retry_inherits_the_start_and_is_told_the_failure(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    request: Mapping[str, Any] = {
        "workflow_execution_timeout": duration(AN_HOUR),
        "workflow_run_timeout": duration(AN_HOUR / 2),
        "memo": {"fields": {"m": payloads("kept").payloads[0]}},
        "header": {"fields": {"h": payloads("kept").payloads[0]}},
        "user_metadata": {"summary": payloads("gone").payloads[0]},
    }
    first = await start_script(
        client, worker, workflow_id, FAILS, retry_policy=TWO_ATTEMPTS, **request
    )
    with pytest.raises(WorkflowFailureError) as raised:
        await client.get_workflow_handle(workflow_id, run_id=first.run_id).result()
    assert isinstance(raised.value.cause, ApplicationError)
    assert raised.value.cause.message == "attempt 2"

    one, two = await chain(client, workflow_id, first.run_id)
    linked(one, two, RETRY)
    assert two.backoff == timedelta(seconds=1)
    assert two.started.continued_failure.message == "attempt 1"
    for name in (
        *("input", "memo", "header", "retry_policy", "workflow_type", "task_queue"),
        *("workflow_execution_timeout", "workflow_run_timeout"),
        *("workflow_execution_expiration_time", "workflow_task_timeout"),
    ):
        assert getattr(two.started, name) == getattr(one.started, name), name
    assert not two.events[0].HasField("user_metadata")
    first_request = set(
        (
            await describe(client, execution(workflow_id, one.run_id))
        ).workflow_extended_info.request_id_infos
    )
    second_request = set(
        (
            await describe(client, execution(workflow_id, two.run_id))
        ).workflow_extended_info.request_id_infos
    )
    assert first_request.isdisjoint(second_request)


async def test_signals_wait_for_a_retry_to_begin(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    in_an_hour = RetryPolicy(initial_interval=duration(AN_HOUR))
    first = await start_script(
        client, worker, workflow_id, FAILS, retry_policy=in_an_hour
    )
    _, waiting = await chain_of(client, workflow_id, first.run_id, 2)
    await signal(client, execution(workflow_id))
    events = await history_of(client, execution(workflow_id, waiting.run_id))
    assert names_of(events) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_EXECUTION_SIGNALED",
    ]
    await terminate(client, execution(workflow_id))


# Timeouts of runs.


async def test_a_run_that_nobody_works_on_is_out_of_time_all_the_same(
    client: Client,
) -> None:
    workflow_id = random_id()
    first = await start(client, workflow_id, workflow_run_timeout=A_SECOND)
    handle = client.get_workflow_handle(workflow_id, run_id=first.run_id)
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, exceptions.TimeoutError)
    assert raised.value.cause.type == Kind.START_TO_CLOSE
    assert raised.value.cause.message == "Workflow timed out"
    [only] = await chain(client, workflow_id, first.run_id)
    assert names_of(only.events) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_EXECUTION_TIMED_OUT",
    ]
    assert only.last.retry_state == RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET
    described = await describe(client, execution(workflow_id))
    assert described.workflow_execution_info.status == int(
        WorkflowExecutionStatus.TIMED_OUT
    )


async def test_a_run_is_timed_out_once_however_many_ask_for_it(
    client: Client,
) -> None:
    workflow_id = random_id()
    first = await start(
        client, workflow_id, workflow_run_timeout=A_SECOND, retry_policy=TWO_ATTEMPTS
    )

    async def timed_out() -> None:
        statuses = await asyncio.gather(
            *(status_of(client, execution(workflow_id, first.run_id)) for _ in range(8))
        )
        assert set(statuses) == {WorkflowExecutionStatus.TIMED_OUT}

    await assert_eventually(timed_out)
    one, two, *more = await chain(client, workflow_id, first.run_id)
    assert names_of(one.events).count("WORKFLOW_EXECUTION_TIMED_OUT") == 1
    linked(one, two, RETRY)
    assert more == []
    await terminate(client, execution(workflow_id))


async def test_a_worker_loses_its_run_when_the_time_is_up(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    first = await start_script(
        client, worker, workflow_id, WAITS, workflow_run_timeout=A_SECOND
    )
    with pytest.raises(WorkflowFailureError):
        await client.get_workflow_handle(workflow_id).result()
    [only] = await chain(client, workflow_id, first.run_id)
    assert names_of(only.events)[-2:] == [
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_TIMED_OUT",
    ]
    # The worker is none the worse for it.
    again = random_id()
    await start_script(client, worker, again, SUCCEEDS)
    assert await client.get_workflow_handle(again).result() == "done"


async def test_a_run_timeout_is_retried_as_the_policy_says(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    first = await start_script(
        client,
        worker,
        workflow_id,
        WAITS,
        workflow_run_timeout=A_SECOND,
        retry_policy=TWO_ATTEMPTS,
    )
    with pytest.raises(WorkflowFailureError) as raised:
        await client.get_workflow_handle(workflow_id, run_id=first.run_id).result()
    assert isinstance(raised.value.cause, exceptions.TimeoutError)

    one, two = await chain(client, workflow_id, first.run_id)
    assert one.last.retry_state == RetryState.RETRY_STATE_IN_PROGRESS
    linked(one, two, RETRY)
    assert two.started.attempt == 2
    failure = two.started.continued_failure
    assert (failure.message, failure.source) == ("workflow timeout", "Server")
    assert failure.timeout_failure_info.timeout_type == (
        TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    )
    assert two.last.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


async def test_a_cron_goes_on_after_a_run_timeout(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    first = await start_script(
        client,
        worker,
        workflow_id,
        WAITS,
        workflow_run_timeout=A_SECOND,
        cron_schedule="@every 1s",
    )
    one, two = await chain_of(client, workflow_id, first.run_id, 2)
    await terminate(client, execution(workflow_id))
    assert names_of(one.events)[-1] == "WORKFLOW_EXECUTION_TIMED_OUT"
    linked(one, two, CRON)
    assert two.started.continued_failure.message == "workflow timeout"


async def test_nothing_follows_once_the_whole_chain_is_out_of_time(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    first = await start_script(
        client,
        worker,
        workflow_id,
        WAITS,
        workflow_execution_timeout=A_SECOND,
        retry_policy=RetryPolicy(initial_interval=A_SECOND),
    )
    with pytest.raises(WorkflowFailureError):
        await client.get_workflow_handle(workflow_id).result()
    [only] = await chain(client, workflow_id, first.run_id)
    assert only.last.retry_state == RetryState.RETRY_STATE_TIMEOUT


async def test_the_time_of_the_chain_goes_on_through_its_runs(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    script = Script([Action(continue_as_new=ContinueAsNew(1)), *WAITS.actions])
    first = await start_script(
        client,
        worker,
        workflow_id,
        script,
        workflow_execution_timeout=duration(timedelta(seconds=2)),
        retry_policy=TWO_ATTEMPTS,
    )
    with pytest.raises(WorkflowFailureError):
        await client.get_workflow_handle(workflow_id, run_id=first.run_id).result()
    one, two = await chain(client, workflow_id, first.run_id)
    linked(one, two, CONTINUED)
    assert (
        two.started.workflow_execution_expiration_time
        == one.started.workflow_execution_expiration_time
    )
    assert names_of(two.events)[-1] == "WORKFLOW_EXECUTION_TIMED_OUT"
    assert two.last.retry_state == RetryState.RETRY_STATE_TIMEOUT
    lasted = two.events[-1].event_time.ToDatetime() - (
        one.events[0].event_time.ToDatetime()
    )
    assert timedelta(seconds=2) <= lasted < timedelta(seconds=6)


async def test_a_run_that_waits_for_its_start_has_all_its_time_left(
    client: Client,
) -> None:
    workflow_id = random_id()
    await start(
        client,
        workflow_id,
        workflow_start_delay=duration(AN_HOUR),
        workflow_run_timeout=duration(AN_HOUR / 2),
    )
    described = await describe(client, execution(workflow_id))
    began = described.workflow_execution_info.start_time.ToDatetime()
    expires = described.workflow_extended_info.run_expiration_time.ToDatetime()
    assert abs(expires - began - AN_HOUR * 1.5) < timedelta(seconds=1)
    await terminate(client, execution(workflow_id))


async def test_the_time_of_the_chain_limits_that_of_each_run(client: Client) -> None:
    workflow_id = random_id()
    await start(
        client,
        workflow_id,
        workflow_start_delay=duration(AN_HOUR),
        workflow_run_timeout=duration(AN_HOUR),
        workflow_execution_timeout=duration(AN_HOUR * 1.5),
    )
    extended = (await describe(client, execution(workflow_id))).workflow_extended_info
    assert (
        extended.run_expiration_time.ToDatetime()
        == extended.execution_expiration_time.ToDatetime()
    )
    await terminate(client, execution(workflow_id))


async def test_a_policy_may_list_what_is_not_to_be_retried(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    first = await start_script(
        client,
        worker,
        workflow_id,
        WAITS,
        workflow_run_timeout=A_SECOND,
        retry_policy=RetryPolicy(
            initial_interval=A_SECOND,
            non_retryable_error_types=["TemporalTimeout:StartToClose"],
        ),
    )
    with pytest.raises(WorkflowFailureError):
        await client.get_workflow_handle(workflow_id).result()
    [only] = await chain(client, workflow_id, first.run_id)
    assert only.last.retry_state == RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE


# Continue as new.


@workflow.defn(name="goes_on")
class GoesOn:
    """Continues as new, saying much or nothing."""

    @workflow.run
    async def run(self, much: bool | None) -> None:
        """Go on once, or end."""
        if much is None:
            return
        workflow.upsert_memo({"upserted": "gone"})
        if not much:
            workflow.continue_as_new(None)
        workflow.continue_as_new(
            None,
            run_timeout=timedelta(seconds=40),
            task_timeout=timedelta(seconds=4),
            memo={"m": "new"},
            retry_policy=RetryPolicyOption(maximum_attempts=7),
            backoff_start_interval=timedelta(milliseconds=1100),
        )


async def go_on(client: Client, *, much: bool) -> tuple[Link, Link]:
    """A chain of two runs, the first of which was started with everything."""
    async with new_worker(client, GoesOn) as worker:
        handle = await client.start_workflow(
            GoesOn.run,
            much,
            id=random_id(),
            task_queue=worker.task_queue,
            execution_timeout=AN_HOUR,
            run_timeout=AN_HOUR / 2,
            task_timeout=timedelta(seconds=9),
            memo={"m": "old"},
            retry_policy=RetryPolicyOption(maximum_attempts=5),
            priority=Priority(priority_key=2),
            static_summary="only of the first",
        )
        await handle.result()
        assert handle.first_execution_run_id is not None
        links = await chain(client, handle.id, handle.first_execution_run_id)
    one, two = links
    linked(one, two, CONTINUED)
    assert not two.events[0].HasField("user_metadata")
    for name in (
        *("workflow_type", "task_queue", "priority", "workflow_execution_timeout"),
        "workflow_execution_expiration_time",
    ):
        assert getattr(two.started, name) == getattr(one.started, name), name
    for name in ("workflow_run_timeout", "workflow_task_timeout", "memo", "input"):
        assert getattr(two.started, name) == getattr(one.last, name), name
    assert two.started.attempt == 1
    return one, two


async def test_a_run_that_says_nothing_leaves_its_own_options(client: Client) -> None:
    one, two = await go_on(client, much=False)
    for name in ("workflow_run_timeout", "workflow_task_timeout", "retry_policy"):
        assert getattr(two.started, name) == getattr(one.started, name), name
    assert set(two.started.memo.fields) == {"m"}


async def test_a_run_that_goes_on_may_say_everything_anew(client: Client) -> None:
    one, two = await go_on(client, much=True)
    assert two.started.workflow_run_timeout.seconds == 40
    assert two.started.workflow_task_timeout.seconds == 4
    assert two.started.retry_policy.maximum_attempts == 7
    assert two.started.memo.fields["m"] == payloads("new").payloads[0]
    assert two.backoff >= timedelta(milliseconds=1100)
    assert one.last.backoff_start_interval.ToTimedelta() == (
        timedelta(milliseconds=1100)
    )


async def test_a_cancel_request_ends_the_wait_of_a_chain_and_a_signal_does_not(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    in_an_hour = RetryPolicy(initial_interval=duration(AN_HOUR))
    first = await start_script(
        client,
        worker,
        workflow_id,
        Script([Action(fail=Fail("at once"))]),
        retry_policy=in_an_hour,
    )
    _, waiting = await chain_of(client, workflow_id, first.run_id, 2)
    await signal(client, execution(workflow_id))
    await cancel(client, execution(workflow_id))

    async def begun() -> list[str]:
        names = names_of(
            await history_of(client, execution(workflow_id, waiting.run_id))
        )
        assert "WORKFLOW_TASK_STARTED" in names
        return names[:4]

    assert await assert_eventually(begun) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
        "WORKFLOW_TASK_SCHEDULED",
    ]
    await terminate(client, execution(workflow_id))
