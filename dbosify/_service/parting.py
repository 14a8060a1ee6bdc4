"""What a closed parent's policy does to a child that is still open."""

from __future__ import annotations

from temporalio.api.history.v1 import WorkflowExecutionCancelRequestedEventAttributes

from dbosify._model.outbox import Entry
from dbosify._model.protos import ParentClosePolicy
from dbosify._store.inboxes import Message

from .context import Context
from .ending import find_run, terminate_run
from .external import HISTORY_SERVICE, cancel_message, source_of
from .sending import send

_TERMINATED = "by parent close policy"


async def part(context: Context, entry: Entry) -> None:
    """End a child, or ask it to end, in whichever run of its chain it is by now."""
    initiated, began = entry.events
    options = initiated.start_child_workflow_execution_initiated_event_attributes
    child = began.child_workflow_execution_started_event_attributes.workflow_execution
    asks = ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL
    while True:
        run = await find_run(context, child.workflow_id, None)
        if run is None or run["first_run_id"] != child.run_id:
            return
        if run["close_time"] is not None:
            return
        if options.parent_close_policy == asks:
            message = _request(context, entry, child.run_id)
            sent = await send(context, child.workflow_id, run["run_id"], message)
            if sent is None or sent["inbox"] is not None or sent["cancel_requested"]:
                return
        elif await terminate_run(
            context,
            run["workflow_uuid"],
            reason=_TERMINATED,
            identity=HISTORY_SERVICE,
        ):
            return


def _request(context: Context, entry: Entry, first_run_id: str) -> Message:
    requested = WorkflowExecutionCancelRequestedEventAttributes(
        identity=HISTORY_SERVICE,
        external_workflow_execution=source_of(entry),
        external_initiated_event_id=entry.event_id,
    )
    return cancel_message(context, requested, first_run_id)
