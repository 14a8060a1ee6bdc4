"""From a turn, as the core answers it, to the row that the store writes."""

from __future__ import annotations

import uuid
from collections.abc import Container, Sequence
from dataclasses import dataclass

from dbosify._core.driver import RunDriver
from dbosify._core.machines.attempt import AttemptMachine
from dbosify._model import clock, ids, outbox
from dbosify._model.activity import ActivityRow, AttemptState, Progress
from dbosify._model.effects import (
    AcceptUpdate,
    CancelActivity,
    Close,
    CompleteUpdate,
    NewRun,
    RejectUpdate,
    ScheduleActivity,
    Turn,
    UpsertMemo,
    UpsertSearchAttributes,
)
from dbosify._model.outbox import Entry
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    Timestamp,
    WorkerDeploymentVersion,
    WorkflowExecutionStatus,
)
from dbosify._model.start import first_events
from dbosify._store import activities, fairness, routing, runs, updates
from dbosify._store import outbox as outboxes
from dbosify._store.claims import Owner
from dbosify._store.engine import Call
from dbosify._store.journal import BegunActivity, ClosedRun
from dbosify._store.runs import StartRow

from .activity_places import ActivityPlaces
from .belonging import Belonging
from .clock import DatabaseClock
from .replica import Replica

_DBOS_STATUS = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED: "SUCCESS",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: "SUCCESS",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED: "ERROR",
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED: "CANCELLED",
}


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: the same for all runs of a worker."""

    executor_id: str
    identity: str
    queue: str
    belonging: Belonging
    clock: DatabaseClock
    places: ActivityPlaces


def begin_activities(
    writer: Writer, workflow_uuid: str, turn: Turn
) -> list[BegunActivity]:
    """The activities that a turn schedules; slots are taken for those that run here."""
    begun = []
    for effect in turn.effects:
        if not isinstance(effect, ScheduleActivity):
            continue
        event = effect.event
        queue = event.activity_task_scheduled_event_attributes.task_queue.name
        here = effect.eager_allowed and writer.places.take(queue)
        begun.append(
            BegunActivity(
                task_id=ids.activity_task_id(workflow_uuid, event.event_id),
                event=event,
                state=int(AttemptState.STARTED if here else AttemptState.SCHEDULED),
                scheduled_at=clock.seconds(event.event_time),
                deadline=None if here else AttemptMachine(event).deadline,
                executor_id=writer.executor_id if here else None,
                token=str(uuid.uuid4()) if here else None,
                identity=writer.identity if here else None,
            )
        )
    return begun


def give_places_back(writer: Writer, begun: Sequence[BegunActivity]) -> None:
    """The turn was not written: nothing begins."""
    for activity in begun:
        if activity.token is not None:
            writer.places.give_back(queue_of(activity))


def queue_of(begun: BegunActivity) -> str:
    """The task queue of an activity."""
    return begun.event.activity_task_scheduled_event_attributes.task_queue.name


def activity_row(
    workflow_uuid: str, workflow_type: str, begun: BegunActivity
) -> ActivityRow:
    """An eager activity as it stands in the database once its turn is written."""
    return ActivityRow(
        task_id=begun.task_id,
        workflow_uuid=workflow_uuid,
        workflow_id=ids.workflow_id_of(workflow_uuid),
        run_id=ids.run_id_of(workflow_uuid),
        workflow_type=workflow_type,
        scheduled=begun.event,
        progress=Progress(
            1,
            begun.scheduled_at,
            started_at=begun.scheduled_at,
            identity=begun.identity or "",
            token=begun.token or "",
        ),
        state=AttemptState.STARTED,
        executor_id=begun.executor_id,
        token=begun.token,
        eager=True,
    )


def closed_numbers(events: Sequence[HistoryEvent]) -> list[int]:
    """The scheduled events of the activities that `events` end."""
    numbers = []
    for event in events:
        name = event.WhichOneof("attributes") or ""
        if name.startswith("activity_task_") and event.event_type not in (
            EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
            EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
            EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
        ):
            numbers.append(getattr(event, name).scheduled_event_id)
    return numbers


def without_second_outcomes(
    news: list[HistoryEvent], pending: Container[int]
) -> list[HistoryEvent]:
    """The news, but for what ends activities a second time.

    Args:
        news: in order.
        pending: numbers of the events that opened what is not over.
    """
    kept, over = [], set()
    for event in news:
        name = event.WhichOneof("attributes") or ""
        if name.startswith("activity_task_"):
            number = getattr(event, name).scheduled_event_id
            if number in over or number not in pending:
                continue
            if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                over.add(number)
        kept.append(event)
    return kept


def ended_tasks(
    workflow_uuid: str, events: Sequence[HistoryEvent], held: Container[int]
) -> list[str]:
    """The eager activities whose outcomes a turn journals."""
    return [
        ids.activity_task_id(workflow_uuid, number)
        for number in closed_numbers(events)
        if number in held
    ]


def numbers_of(tasks: Sequence[str]) -> list[int]:
    """The scheduled events of activities by their ids."""
    return [ids.scheduled_event_id_of(task) for task in tasks]


def closed_run(
    close: Close, *, inbox: int, driver: RunDriver, upserted: bool
) -> ClosedRun:
    """How a turn closes its run.

    Args:
        close: the core's word.
        inbox: messages that the turn has seen; one more and it is refused.
        driver: of the run.
        upserted: whether the turn changed what the run's row shows of it.
    """
    error = None
    if close.failure is not None:
        error = runs.readable_error(close.failure)
    return ClosedRun(
        inbox=inbox,
        status=int(close.status),
        dbos_status=_DBOS_STATUS[close.status],
        close_time=runs.iso(close.event.event_time.ToNanoseconds()),
        history_length=close.event.event_id,
        history_size=driver.history_size,
        next_run_id=close.next.run_id if close.next else None,
        output=None if error else runs.readable_result(close.result),
        error=error,
        search_attributes=_attributes_json(driver) if upserted else None,
        memo=driver.properties.memo.SerializeToString() if upserted else None,
    )


def upserts(turn: Turn) -> bool:
    """Whether a turn changes attributes or memo."""
    return any(isinstance(e, UpsertSearchAttributes | UpsertMemo) for e in turn.effects)


def _attributes_json(driver: RunDriver) -> str:
    # An empty object, not nothing: the last attribute may just have been taken away.
    return runs.shown_attributes(
        driver.properties.search_attributes, driver.versions.run
    )


def version_calls(replica: Replica, token: str) -> list[Call]:
    """The statement that notes where the run belongs, if the turn has changed that."""
    changed = replica.driver.versions.take_changes()
    if changed is None:
        return []
    return [routing.note(replica.workflow_uuid, token, changed)]


def owned_next_run(writer: Writer, workflow_uuid: str, new: NewRun) -> StartRow:
    """The next run of a chain; this process owns it if it may begin at once."""
    owner = None
    if new.backoff == 0 and writer.belonging.begins(new.started):
        owner = Owner(writer.executor_id, str(uuid.uuid4()), writer.queue)
    first_on = writer.belonging.first_on(new.started)
    return next_run(writer.clock.now(), workflow_uuid, new, owner, begins_on=first_on)


def next_run(
    now: Timestamp,
    workflow_uuid: str,
    new: NewRun,
    owner: Owner | None,
    *,
    begins_on: WorkerDeploymentVersion | None = None,
) -> StartRow:
    """The next run of a chain."""
    return StartRow(
        ids.workflow_id_of(workflow_uuid),
        new.run_id,
        str(uuid.uuid4()),
        first_events(new.started, now, delayed=new.backoff > 0),
        new.backoff,
        owner,
        begins_on,
    )


def cancel_calls(
    writer: Writer, workflow_uuid: str, token: str, turn: Turn
) -> list[Call]:
    """Statements that pass the workflow's cancel requests on to its activities."""
    tasks = [
        ids.activity_task_id(workflow_uuid, effect.scheduled_event_id)
        for effect in turn.effects
        if isinstance(effect, CancelActivity)
    ]
    if not tasks or turn.close is not None:
        return []
    return [activities.ask_cancel(tasks, token, writer.identity)]


def fairness_calls(
    replica: Replica, token: str, begun: Sequence[BegunActivity]
) -> list[Call]:
    """Statements that give queued activities with a fairness key their places."""
    first = replica.driver.started
    if not begun or first is None:
        return []
    started = first.workflow_execution_started_event_attributes
    return fairness.place(
        replica.workflow_uuid, token, begun, inherited=started.priority
    )


def upsert_calls(replica: Replica, token: str, turn: Turn) -> list[Call]:
    """Statements that store the run's attributes and memo as the turn leaves them."""
    if turn.close is not None or not upserts(turn):
        return []
    driver = replica.driver
    return [
        Call(
            "upsert_attributes",
            {
                "workflow_uuid": replica.workflow_uuid,
                "token": token,
                "search_attributes": _attributes_json(driver),
                "memo": driver.properties.memo.SerializeToString(),
            },
        )
    ]


def update_calls(
    workflow_uuid: str, token: str, turn: Turn, closed: ClosedRun | None
) -> list[Call]:
    """Statements that tell those who wait for updates what the turn made of them."""
    answers = update_answers(turn)
    if not answers:
        return []
    end = (closed.close_time, closed.history_length) if closed else None
    return [updates.answered(workflow_uuid, token, answers, end)]


def update_answers(turn: Turn) -> list[updates.Answer]:
    """What a turn made of its run's updates, in its order."""
    return [
        effect
        for effect in turn.effects
        if isinstance(effect, AcceptUpdate | CompleteUpdate | RejectUpdate)
    ]


def update_call_backs(workflow_uuid: str, turn: Turn) -> list[Entry]:
    """What may be delivered of the outbox now that updates have ended."""
    return [
        outbox.of_update(workflow_uuid, effect.update_id)
        for effect in turn.effects
        if isinstance(effect, CompleteUpdate) and effect.calls_back
    ]


def attempt_call(
    workflow_uuid: str, token: str, attempt: int, failure: bytes | None
) -> Call:
    """The statement that notes how often a run's workflow task was tried."""
    return Call(
        "fail_task",
        {
            "workflow_uuid": workflow_uuid,
            "token": token,
            "attempt": attempt,
            "failure": failure,
        },
    )


def outbox_entries(replica: Replica, turn: Turn) -> list[Entry]:
    """What a turn wants done to other runs; to be asked once, before it is written."""
    for event in turn.events:
        replica.children.learn(event)
    entries = list(outbox.of_effects(replica.workflow_uuid, turn.effects))
    if turn.close is not None:
        start = replica.driver.started
        assert start is not None, "the journal was loaded"
        entries.extend(
            outbox.of_close(
                replica.workflow_uuid,
                start.workflow_execution_started_event_attributes,
                turn.close.event,
                last=turn.close.next is None,
                open_children=replica.children.open.values(),
                callbacks=replica.driver.properties.callbacks,
            )
        )
    return entries


def outbox_calls(
    workflow_uuid: str, token: str, turn: Turn, entries: Sequence[Entry]
) -> list[Call]:
    """The statement that writes the entries of a turn."""
    if not entries:
        return []
    closed_at = None
    if turn.close is not None:
        closed_at = runs.iso(turn.close.event.event_time.ToNanoseconds())
    return [outboxes.put(workflow_uuid, entries, token=token, closed_at=closed_at)]
