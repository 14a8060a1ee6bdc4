"""Signals, cancel requests, changed options, resets: events that need no state."""

from __future__ import annotations

from dbosify._core.commands import Output
from dbosify._model import ids
from dbosify._model.protos import EventType, HistoryEvent, WorkflowActivationJob


def on_event(event: HistoryEvent, out: Output) -> bool:
    """Turn a message's event into its job, if the workflow is to hear of it.

    Returns:
        Whether the event was a message at all.
    """
    job = WorkflowActivationJob()
    match event.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signaled = event.workflow_execution_signaled_event_attributes
            signal = job.signal_workflow
            signal.signal_name = signaled.signal_name
            signal.input.extend(signaled.input.payloads)
            signal.identity = signaled.identity
            for key, value in signaled.header.fields.items():
                signal.headers[key].CopyFrom(value)
            signal.originating_event_id = event.event_id
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
            requested = event.workflow_execution_cancel_requested_event_attributes
            job.cancel_workflow.reason = requested.cause
        case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            # Only a reset is news to the code.
            failed = event.workflow_task_failed_event_attributes
            job.update_random_seed.randomness_seed = ids.random_seed(failed.new_run_id)
        case (
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED
            # The update itself comes with the task that is shown it.
            | EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED
        ):
            return True
        case _:
            return False
    out.jobs.append(job)
    return True
