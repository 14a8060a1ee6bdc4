"""Starting under an id that is taken: every policy, in every state of the id.

Who asks matters as well: the same request must never start two runs, however often
a client that lost the answer repeats it, and simultaneous requests must be told apart
by the service rather than by luck.
"""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any, TypeAlias

import pytest

from dbosify.api.common.v1 import Link, WorkflowType
from dbosify.api.enums.v1 import (
    EventType,
    WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy,
)
from dbosify.api.errordetails.v1 import WorkflowExecutionAlreadyStartedFailure
from dbosify.api.workflow.v1 import OnConflictOptions
from dbosify.api.workflowservice.v1 import (
    StartWorkflowExecutionResponse,
)
from dbosify.client import Client, WorkflowExecutionStatus
from dbosify.service import RPCStatusCode
from dbosify.worker import Worker
from tests.ported_temporal.contract import (
    CLOSED,
    Refusal,
    answer_or_refusal,
    describe,
    duration,
    execution,
    history_of,
    invalid,
    names_of,
    payloads,
    refusal_of,
    start,
    start_and_close,
    start_script,
    status_of,
    terminate,
)
from tests.ported_temporal.kitchen_sink import (
    Action,
    AwaitSignal,
    ContinueAsNew,
    Script,
)
from tests.ported_temporal.scaffold import assert_eventually, random_id

Reuse: TypeAlias = "WorkflowIdReusePolicy.ValueType"
Conflict: TypeAlias = "WorkflowIdConflictPolicy.ValueType"

ANY_REUSE = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED
ALLOW = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
FAILED_ONLY = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
REJECT = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
TERMINATE_RUNNING = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING

ANY_CONFLICT = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED
FAIL = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL
USE_EXISTING = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
REPLACE = WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING

CONFLICT_POLICIES = (ANY_CONFLICT, FAIL, USE_EXISTING, REPLACE)

RUNNING = WorkflowExecutionStatus.RUNNING
COMPLETED = WorkflowExecutionStatus.COMPLETED


class Outcome(Enum):
    """What becomes of a start whose id has been used before, or hasn't."""

    NEW = auto()
    JOINED = auto()
    REPLACED = auto()
    REFUSED_RUNNING = auto()
    REFUSED_FINISHED = auto()
    REFUSED_SUCCEEDED = auto()
    INVALID_WITH_TERMINATE = auto()
    INVALID_WITH_REJECT = auto()


N = Outcome.NEW
J = Outcome.JOINED
R = Outcome.REPLACED
RUN = Outcome.REFUSED_RUNNING
FIN = Outcome.REFUSED_FINISHED
SUC = Outcome.REFUSED_SUCCEEDED
IT = Outcome.INVALID_WITH_TERMINATE
IR = Outcome.INVALID_WITH_REJECT

Table: TypeAlias = Mapping[Reuse, tuple[Outcome, Outcome, Outcome, Outcome]]
"""Per reuse policy the outcomes under the four conflict policies, in their order."""

IF_UNUSED: Table = {
    ANY_REUSE: (N, N, N, N),
    ALLOW: (N, N, N, N),
    FAILED_ONLY: (N, N, N, N),
    REJECT: (N, N, N, IR),
    TERMINATE_RUNNING: (N, IT, IT, IT),
}
IF_RUNNING: Table = {
    ANY_REUSE: (RUN, RUN, J, R),
    ALLOW: (RUN, RUN, J, R),
    FAILED_ONLY: (RUN, RUN, J, R),
    REJECT: (RUN, RUN, J, IR),
    TERMINATE_RUNNING: (R, IT, IT, IT),
}
IF_SUCCEEDED: Table = {
    ANY_REUSE: (N, N, N, N),
    ALLOW: (N, N, N, N),
    FAILED_ONLY: (SUC, SUC, SUC, SUC),
    REJECT: (FIN, FIN, FIN, IR),
    TERMINATE_RUNNING: (N, IT, IT, IT),
}
IF_FAILED: Table = {
    ANY_REUSE: (N, N, N, N),
    ALLOW: (N, N, N, N),
    FAILED_ONLY: (N, N, N, N),
    REJECT: (FIN, FIN, FIN, IR),
    TERMINATE_RUNNING: (N, IT, IT, IT),
}

MESSAGES: Mapping[Outcome, str] = {
    Outcome.REFUSED_RUNNING: (
        "Workflow execution is already running. WorkflowId: {id}, RunId: {run}."
    ),
    Outcome.REFUSED_FINISHED: (
        "Workflow execution already finished. WorkflowId: {id}, RunId: {run}. "
        "Workflow Id reuse policy: reject duplicate workflow Id."
    ),
    Outcome.REFUSED_SUCCEEDED: (
        "Workflow execution already finished successfully. WorkflowId: {id}, RunId: "
        "{run}. Workflow Id reuse policy: allow duplicate workflow Id if last run "
        "failed."
    ),
    Outcome.INVALID_WITH_TERMINATE: (
        "Invalid WorkflowIDReusePolicy: "
        "WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together with "
        "a WorkflowIDConflictPolicy"
    ),
    Outcome.INVALID_WITH_REJECT: (
        "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE "
        "cannot be used together with WorkflowIdConflictPolicy "
        "WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING"
    ),
}


def already_started(
    outcome: Outcome, workflow_id: str, *, run_id: str, start_request_id: str
) -> Refusal:
    """The refusal that names the run which is in the way."""
    return Refusal(
        RPCStatusCode.ALREADY_EXISTS,
        MESSAGES[outcome].format(id=workflow_id, run=run_id),
        WorkflowExecutionAlreadyStartedFailure(
            start_request_id=start_request_id,
            run_id=run_id,
            first_execution_run_id=run_id,
        ),
    )


def started_event_link(client: Client, workflow_id: str, run_id: str) -> Link:
    """A link to the event with which a run begins."""
    return Link(
        workflow_event=Link.WorkflowEvent(
            namespace=client.namespace,
            workflow_id=workflow_id,
            run_id=run_id,
            event_ref=Link.WorkflowEvent.EventReference(
                event_id=1,
                event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
            ),
        )
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """A workflow id and, unless nobody has used it, the run that is in the way."""

    workflow_id: str
    run_id: str = ""
    request_id: str = ""
    open: bool = False


async def taken_by(
    client: Client, worker: Worker, state: WorkflowExecutionStatus | None
) -> Taken:
    """A workflow id whose only run is in that state; with None an unused id."""
    workflow_id = random_id()
    request_id = str(uuid.uuid4())
    if state is None:
        return Taken(workflow_id)
    if state == RUNNING:
        running = await start(client, workflow_id, request_id=request_id)
        return Taken(workflow_id, running.run_id, request_id, open=True)
    over = await start_and_close(
        client, worker, workflow_id, status=state, request_id=request_id
    )
    return Taken(workflow_id, over.run_id, request_id)


async def outcome_of(
    client: Client, taken: Taken, reuse: Reuse, conflict: Conflict
) -> Outcome:
    """Start, check all that is said about it, and tell in a word what came of it."""
    answer = await answer_or_refusal(
        start(
            client,
            taken.workflow_id,
            workflow_id_reuse_policy=reuse,
            workflow_id_conflict_policy=conflict,
        )
    )
    if isinstance(answer, Refusal):
        return _kind_of(answer, taken)
    assert answer.first_execution_run_id == answer.run_id
    assert answer.status == int(RUNNING)
    assert answer.link == started_event_link(client, taken.workflow_id, answer.run_id)
    if answer.run_id == taken.run_id:
        assert not answer.started
        return Outcome.JOINED
    assert answer.started
    if not taken.open:
        return Outcome.NEW
    replaced = execution(taken.workflow_id, taken.run_id)
    assert await status_of(client, replaced) == WorkflowExecutionStatus.TERMINATED
    return Outcome.REPLACED


def _kind_of(refusal: Refusal, taken: Taken) -> Outcome:
    for kind, message in MESSAGES.items():
        if refusal in (
            invalid(message),
            already_started(
                kind,
                taken.workflow_id,
                run_id=taken.run_id,
                start_request_id=taken.request_id,
            ),
        ):
            return kind
    raise AssertionError(f"not a refusal that is known: {refusal}")


@pytest.mark.parametrize(
    ("state", "table"),
    [
        (None, IF_UNUSED),
        (RUNNING, IF_RUNNING),
        (COMPLETED, IF_SUCCEEDED),
        *((state, IF_FAILED) for state in CLOSED if state != COMPLETED),
    ],
    ids=["unused", "running", "completed", "failed", "canceled", "terminated", "late"],
)
async def test_every_policy_has_its_outcome_in_every_state_of_the_id(
    client: Client,
    worker: Worker,
    state: WorkflowExecutionStatus | None,
    table: Table,
) -> None:
    async def outcome(reuse: Reuse, conflict: Conflict) -> Outcome:
        taken = await taken_by(client, worker, state)
        return await outcome_of(client, taken, reuse, conflict)

    async def outcomes(reuse: Reuse) -> tuple[Outcome, ...]:
        return tuple(
            await asyncio.gather(*(outcome(reuse, each) for each in CONFLICT_POLICIES))
        )

    observed = await asyncio.gather(*(outcomes(reuse) for reuse in table))
    assert dict(zip(table, observed, strict=True)) == table


async def test_a_run_that_waits_for_its_start_delay_is_in_the_way(
    client: Client,
) -> None:
    workflow_id = random_id()
    request_id = str(uuid.uuid4())
    delayed = await start(
        client,
        workflow_id,
        request_id=request_id,
        workflow_start_delay=duration(timedelta(hours=1)),
    )
    assert await refusal_of(start(client, workflow_id)) == already_started(
        Outcome.REFUSED_RUNNING,
        workflow_id,
        run_id=delayed.run_id,
        start_request_id=request_id,
    )


async def test_a_replaced_run_tells_by_which_run(client: Client) -> None:
    workflow_id = random_id()
    old = await start(client, workflow_id)
    new = await start(client, workflow_id, workflow_id_conflict_policy=REPLACE)

    events = await history_of(client, execution(workflow_id, old.run_id))
    assert names_of(events) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_EXECUTION_TERMINATED",
    ]
    terminated = events[-1].workflow_execution_terminated_event_attributes
    assert terminated.reason == "TerminateIfRunning WorkflowIdReusePolicy"
    assert terminated.identity == "history-service"
    assert terminated.details == payloads(f"terminated by new runID: {new.run_id}")
    assert names_of(await history_of(client, execution(workflow_id, new.run_id))) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
    ]


@dataclass(frozen=True, slots=True)
class Chain:
    """A workflow whose first run has continued as new, and is still open."""

    workflow_id: str
    request_id: str
    first_run_id: str
    current_run_id: str


async def continued(client: Client, worker: Worker) -> Chain:
    """Start a workflow and wait until it is in its second run."""
    workflow_id = random_id()
    request_id = str(uuid.uuid4())
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
        request_id=request_id,
    )

    async def second_run_id() -> str:
        answer = await describe(client, execution(workflow_id))
        run_id = answer.workflow_execution_info.execution.run_id
        assert run_id != first.run_id
        return run_id

    return Chain(
        workflow_id, request_id, first.run_id, await assert_eventually(second_run_id)
    )


async def test_joining_a_chain_tells_its_current_and_its_first_run(
    client: Client, worker: Worker
) -> None:
    chain = await continued(client, worker)
    joined = await start(
        client, chain.workflow_id, workflow_id_conflict_policy=USE_EXISTING
    )
    assert joined.run_id == chain.current_run_id
    assert joined.first_execution_run_id == chain.first_run_id
    assert not joined.started
    assert joined.link == started_event_link(
        client, chain.workflow_id, chain.current_run_id
    )


async def test_the_first_request_of_a_chain_is_no_longer_recognised(
    client: Client, worker: Worker
) -> None:
    chain = await continued(client, worker)
    refusal = await refusal_of(
        start(client, chain.workflow_id, request_id=chain.request_id)
    )
    assert refusal.message == MESSAGES[Outcome.REFUSED_RUNNING].format(
        id=chain.workflow_id, run=chain.current_run_id
    )
    assert isinstance(refusal.detail, WorkflowExecutionAlreadyStartedFailure)
    assert refusal.detail.run_id == chain.current_run_id
    assert refusal.detail.first_execution_run_id == chain.first_run_id
    assert refusal.detail.start_request_id not in ("", chain.request_id)


STRICTEST: Mapping[str, Any] = {
    "workflow_id_reuse_policy": REJECT,
    "workflow_id_conflict_policy": FAIL,
}


@pytest.mark.parametrize("state", [RUNNING, *CLOSED], ids=lambda state: state.name)
async def test_a_repeated_request_is_answered_with_the_run_it_started(
    client: Client, worker: Worker, state: WorkflowExecutionStatus
) -> None:
    taken = await taken_by(client, worker, state)
    repeated = await start(
        client,
        taken.workflow_id,
        request_id=taken.request_id,
        workflow_type=WorkflowType(name="another type"),
        **STRICTEST,
    )
    assert repeated.run_id == taken.run_id
    assert repeated.first_execution_run_id == taken.run_id
    assert repeated.started
    assert repeated.status == int(state)


async def test_a_request_repeated_after_the_id_went_to_another_run_counts_as_new(
    client: Client,
) -> None:
    workflow_id = random_id()
    request_id = str(uuid.uuid4())
    first = await start(client, workflow_id, request_id=request_id)
    await terminate(client, execution(workflow_id))
    second_request_id = str(uuid.uuid4())
    second = await start(client, workflow_id, request_id=second_request_id)

    assert await refusal_of(
        start(client, workflow_id, request_id=request_id)
    ) == already_started(
        Outcome.REFUSED_RUNNING,
        workflow_id,
        run_id=second.run_id,
        start_request_id=second_request_id,
    )
    await terminate(client, execution(workflow_id))
    third = await start(client, workflow_id, request_id=request_id)
    assert third.started
    assert third.run_id not in (first.run_id, second.run_id)


def request_link(client: Client, workflow_id: str, run_id: str, request: str) -> Link:
    """A link to the event that recorded a request which joined a run."""
    return Link(
        workflow_event=Link.WorkflowEvent(
            namespace=client.namespace,
            workflow_id=workflow_id,
            run_id=run_id,
            request_id_ref=Link.WorkflowEvent.RequestIdReference(
                request_id=request,
                event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
            ),
        )
    )


async def test_a_request_attached_to_a_run_is_recognised_even_when_it_is_over(
    client: Client,
) -> None:
    workflow_id = random_id()
    running = await start(client, workflow_id)
    request_id = str(uuid.uuid4())
    link = request_link(client, workflow_id, running.run_id, request_id)

    async def join() -> StartWorkflowExecutionResponse:
        return await start(
            client,
            workflow_id,
            request_id=request_id,
            workflow_id_conflict_policy=USE_EXISTING,
            on_conflict_options=OnConflictOptions(attach_request_id=True),
        )

    for _ in range(2):
        joined = await join()
        assert joined.run_id == running.run_id
        assert not joined.started
        assert joined.link == link

    events = await history_of(client, execution(workflow_id))
    assert names_of(events) == [
        "WORKFLOW_EXECUTION_STARTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_EXECUTION_OPTIONS_UPDATED",
    ]
    updated = events[-1].workflow_execution_options_updated_event_attributes
    assert updated.attached_request_id == request_id
    assert events[-1].worker_may_ignore
    described = await describe(client, execution(workflow_id))
    info = described.workflow_extended_info.request_id_infos[request_id]
    assert info.event_id == 3
    assert info.event_type == events[-1].event_type

    await terminate(client, execution(workflow_id))
    late = await join()
    assert late.run_id == running.run_id
    assert not late.started
    assert late.link == link


async def test_joining_with_empty_options_leaves_an_event_but_no_request(
    client: Client,
) -> None:
    workflow_id = random_id()
    running = await start(client, workflow_id)
    joined = await start(
        client,
        workflow_id,
        workflow_id_conflict_policy=USE_EXISTING,
        on_conflict_options=OnConflictOptions(),
    )
    assert joined.link == started_event_link(client, workflow_id, running.run_id)
    events = await history_of(client, execution(workflow_id))
    assert names_of(events)[-1] == "WORKFLOW_EXECUTION_OPTIONS_UPDATED"
    updated = events[-1].workflow_execution_options_updated_event_attributes
    assert updated.attached_request_id == ""


async def test_joining_a_run_gives_its_worker_nothing_to_do(
    client: Client, worker: Worker
) -> None:
    workflow_id = random_id()
    waits = Script([Action(await_signal=AwaitSignal("go on"))])
    await start_script(client, worker, workflow_id, waits)

    async def names() -> list[str]:
        return names_of(await history_of(client, execution(workflow_id)))

    async def idle() -> None:
        assert (await names())[-1] == "WORKFLOW_TASK_COMPLETED"

    await assert_eventually(idle)
    for _ in range(2):
        await start(
            client,
            workflow_id,
            workflow_id_conflict_policy=USE_EXISTING,
            on_conflict_options=OnConflictOptions(attach_request_id=True),
        )
    joined = ["WORKFLOW_EXECUTION_OPTIONS_UPDATED"] * 2
    assert (await names())[4:] == joined
    handle = client.get_workflow_handle(workflow_id)
    await handle.signal("go on")
    await handle.result()
    assert (await names())[4:] == [
        *joined,
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_TASK_STARTED",
        "WORKFLOW_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_COMPLETED",
    ]


AT_ONCE = 8


async def race(
    client: Client, workflow_id: str, **fields: Any
) -> list[StartWorkflowExecutionResponse | Refusal]:
    """Start the same workflow many times at once."""
    return await asyncio.gather(
        *(
            answer_or_refusal(start(client, workflow_id, **fields))
            for _ in range(AT_ONCE)
        )
    )


async def test_of_simultaneous_starts_one_wins_and_the_rest_is_told_which(
    client: Client,
) -> None:
    workflow_id = random_id()
    request_ids = [str(uuid.uuid4()) for _ in range(AT_ONCE)]
    outcomes = await asyncio.gather(
        *(
            answer_or_refusal(start(client, workflow_id, request_id=request_id))
            for request_id in request_ids
        )
    )
    [(winner, answer)] = [
        (request_id, outcome)
        for request_id, outcome in zip(request_ids, outcomes, strict=True)
        if not isinstance(outcome, Refusal)
    ]
    assert answer.started
    refused = already_started(
        Outcome.REFUSED_RUNNING,
        workflow_id,
        run_id=answer.run_id,
        start_request_id=winner,
    )
    assert outcomes.count(refused) == AT_ONCE - 1


@pytest.mark.parametrize(
    "fields",
    [
        {"workflow_id_conflict_policy": USE_EXISTING},
        {"request_id": "the same request"},
    ],
    ids=["use-existing", "same-request"],
)
async def test_simultaneous_starts_that_agree_share_one_run(
    client: Client, fields: Mapping[str, Any]
) -> None:
    outcomes = await race(client, random_id(), **fields)
    answers = [each for each in outcomes if not isinstance(each, Refusal)]
    assert len(answers) == AT_ONCE
    assert len({answer.run_id for answer in answers}) == 1
    if "request_id" not in fields:
        assert sum(answer.started for answer in answers) == 1


async def test_simultaneous_replacements_leave_one_open_run(client: Client) -> None:
    workflow_id = random_id()
    outcomes = await race(client, workflow_id, workflow_id_conflict_policy=REPLACE)
    run_ids = {each.run_id for each in outcomes if not isinstance(each, Refusal)}
    assert len(run_ids) == AT_ONCE
    states = [
        await status_of(client, execution(workflow_id, run_id)) for run_id in run_ids
    ]
    assert states.count(RUNNING) == 1
    assert states.count(WorkflowExecutionStatus.TERMINATED) == AT_ONCE - 1
