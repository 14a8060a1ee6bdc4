"""A schedule at work: its actions are started and ended in the transaction of its row.

Requests and the runtime's clock come here alike: whoever holds the row's lock lets time
pass, applies a change if there is one, acts, and stores the row. Others are told only
after the commit, through the `Aftermath`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeAlias

from temporalio.api.enums.v1 import WorkflowIdReusePolicy
from temporalio.api.history.v1 import WorkflowExecutionCancelRequestedEventAttributes
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.service import RPCError

from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    Payload,
    WorkflowExecution,
    WorkflowExecutionStatus,
)
from dbosify._model.schedules import overlap
from dbosify._model.schedules.overlap import Start
from dbosify._model.schedules.scheduler import Ended, Record, Scheduler
from dbosify._model.schedules.times import SECOND, Times, times_of
from dbosify._store import inboxes, journal, schedules
from dbosify._store.engine import Connection
from dbosify._store.inboxes import Message
from dbosify._store.runs import Ending
from dbosify._store.schedules import ScheduleRow
from dbosify._store.search_attributes import known_among

from .context import Context
from .ending import end_in, tell_ended, termination
from .overrides import check_served
from .sending import tell_sent
from .start_checks import apply_policy_defaults, check
from .start_row import start_row
from .starting import begin_in
from .zones import zone_of

Change: TypeAlias = Callable[[Scheduler], None]

SCHEDULED_BY = "TemporalScheduledById"
SCHEDULED_START = "TemporalScheduledStartTime"


@dataclass(slots=True)
class Aftermath:
    """Of whom to tell once the transaction is over."""

    queues: set[str] = field(default_factory=set)
    ended: list[tuple[str, Ending]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, context: Context) -> None:
        """Give the hints."""
        for queue in self.queues:
            context.around.run_queued(queue)
        for workflow_uuid, ending in self.ended:
            tell_ended(context, workflow_uuid, ending)
        for run in self.sent:
            tell_sent(context, run)


def times(context: Context, record: Record) -> Times:
    """When a schedule fires."""
    spec = record.schedule.spec
    return times_of(spec, zone_of(spec), f"{context.namespace}-{record.schedule_id}")


def format_time(nanoseconds: int) -> str:
    """A moment as it ends the ids of scheduled workflows: whole seconds, UTC."""
    moment = datetime.fromtimestamp(nanoseconds // SECOND, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def advance(
    context: Context,
    connection: Connection,
    row: ScheduleRow,
    change: Change | None = None,
) -> Aftermath:
    """Let a locked schedule do what it has to, and store it.

    Args:
        context: of the request or the runtime.
        connection: whose transaction holds the lock.
        row: changed in place.
        change: what somebody asks of the schedule, if anything.
    """
    scheduler = Scheduler(row.record, times(context, row.record), row.now)
    firing = _Firing(context, connection, scheduler)
    scheduler.pass_time()
    if change is not None:
        change(scheduler)
    scheduler.backfill()
    while await firing.round():
        pass
    next_look = scheduler.next_look()
    expiry = scheduler.expiry()
    if expiry is not None and expiry <= scheduler.now:
        row.deleted_at = datetime.fromtimestamp(row.now / 1e9, tz=timezone.utc)
        next_look = None
    await schedules.save(connection, context.database, row, next_look=next_look)
    return firing.aftermath


class _Firing:
    """The rounds of one schedule in one transaction."""

    def __init__(
        self, context: Context, connection: Connection, scheduler: Scheduler
    ) -> None:
        self._context = context
        self._connection = connection
        self._scheduler = scheduler
        self._record = scheduler.record
        self._identity = (
            f"temporal-scheduler-{context.namespace}-{self._record.schedule_id}"
        )
        self.aftermath = Aftermath()

    async def round(self) -> bool:
        """Take a round; tell whether there may be another one now."""
        scheduler = self._scheduler
        if scheduler.is_fresh or self._record.waiting:
            await self._look_at_running()
        found = scheduler.next_round()
        again = False
        for start in (*found.overlapping, *([found.alone] if found.alone else ())):
            execution = await self._start(start) if scheduler.take(start) else None
            if execution is None:
                again = True  # what waits behind it may come instead
            else:
                scheduler.started(start, execution, counts=start is found.alone)
        if found.terminate:
            again = await self._terminate_running() or again
        elif found.cancel:
            await self._cancel_running()
        return again

    async def _look_at_running(self) -> None:
        for execution in list(self._record.info.running_workflows):
            ended = await self._ended(execution)
            if ended is not None:
                self._scheduler.ended(execution.workflow_id, ended)

    async def _ended(self, execution: WorkflowExecution) -> Ended | None:
        database = self._context.database
        run = await schedules.end_of_chain(
            self._connection, database, execution.workflow_id, execution.run_id
        )
        if run is None:
            return Ended(0)  # deleted
        if run["close_time"] is None:
            return None
        statuses = WorkflowExecutionStatus
        if run["status"] not in (
            statuses.WORKFLOW_EXECUTION_STATUS_COMPLETED,
            statuses.WORKFLOW_EXECUTION_STATUS_FAILED,
        ):
            return Ended(run["status"])
        event = await journal.last_event_in(
            self._connection, database, run["workflow_uuid"]
        )
        completed = event.workflow_execution_completed_event_attributes
        failed = event.workflow_execution_failed_event_attributes
        return Ended(
            run["status"],
            completed.result if completed.HasField("result") else None,
            failed.failure if failed.HasField("failure") else None,
        )

    async def _start(self, start: Start) -> WorkflowExecution | None:
        """Start the action; None if its id is taken or the server would refuse it."""
        request = self._request(start)
        names = request.search_attributes.indexed_fields
        custom = await known_among(self._context.database, names, self._connection)
        try:
            apply_policy_defaults(request)
            check(request, custom, self._context.namespace)
            await check_served(
                self._context.database,
                request.versioning_override,
                request.task_queue.name,
            )
        except RPCError:
            return None
        row = start_row(self._context, request, request.request_id)
        if not await begin_in(self._context, self._connection, request, row):
            return None
        self.aftermath.queues.add(request.task_queue.name)
        return WorkflowExecution(workflow_id=row.workflow_id, run_id=row.run_id)

    def _request(self, start: Start) -> StartWorkflowExecutionRequest:
        action = self._record.schedule.action.start_workflow
        reuse = WorkflowIdReusePolicy
        at = format_time(start.nominal)
        request = StartWorkflowExecutionRequest(
            workflow_id=f"{action.workflow_id}-{at}",
            identity=self._identity,
            request_id=str(uuid.uuid4()),
            workflow_id_reuse_policy=(
                reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
                if start.manual
                else reuse.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
            ),
        )
        for name in _TAKEN_OVER:
            if action.HasField(name):  # type: ignore[arg-type]
                getattr(request, name).CopyFrom(getattr(action, name))
        fields = request.search_attributes.indexed_fields
        fields[SCHEDULED_BY].CopyFrom(_text("Keyword", self._record.schedule_id))
        fields[SCHEDULED_START].CopyFrom(_text("Datetime", at))
        # Starts that may overlap have no one before them whose outcome they could see.
        if start.policy != overlap.ALLOW_ALL:
            if self._record.last_result is not None:
                request.last_completion_result.CopyFrom(self._record.last_result)
            if self._record.last_failure is not None:
                request.continued_failure.CopyFrom(self._record.last_failure)
        return request

    async def _terminate_running(self) -> bool:
        for execution in self._record.info.running_workflows:
            run = await schedules.end_of_chain(
                self._connection,
                self._context.database,
                execution.workflow_id,
                execution.run_id,
            )
            assert run is not None, "it was there when the round began"
            ended = await end_in(
                self._context, self._connection, run["workflow_uuid"], self._termination
            )
            if ended is None:
                return False  # it ends in another transaction, which we must await
            self.aftermath.ended.append((run["workflow_uuid"], ended))
        return True

    def _termination(self, _: HistoryEvent) -> Ending:
        return termination(
            self._context,
            reason="terminated by schedule overlap policy",
            identity=self._identity,
        )

    async def _cancel_running(self) -> None:
        for execution in self._record.info.running_workflows:
            event = HistoryEvent(
                event_time=self._context.around.now(),
                event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
                workflow_execution_cancel_requested_event_attributes=(
                    WorkflowExecutionCancelRequestedEventAttributes(
                        cause="cancelled by schedule overlap policy",
                        identity=self._identity,
                    )
                ),
            )
            run = await inboxes.send_in(
                self._connection,
                self._context.database,
                execution.workflow_id,
                Message("cancel", [event], cancel=True, first_run_id=execution.run_id),
            )
            if run is not None and run["inbox"] is not None:
                self.aftermath.sent.append(run)


_TAKEN_OVER = (
    "versioning_override",
    "workflow_type",
    "task_queue",
    "input",
    "workflow_execution_timeout",
    "workflow_run_timeout",
    "workflow_task_timeout",
    "retry_policy",
    "memo",
    "search_attributes",
    "header",
    "user_metadata",
    "priority",
)
"""What an action says of its workflow, named alike in both messages."""


def _text(kind: str, value: str) -> Payload:
    return Payload(
        metadata={"encoding": b"json/plain", "type": kind.encode()},
        data=json.dumps(value).encode(),
    )
