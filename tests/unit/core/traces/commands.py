"""What a workflow answers, in few words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dbosify._model.protos import (
    ActivityCancellationType,
    Failure,
    ScheduleLocalActivity,
    WorkflowActivationCompletion,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)
from tests.unit.core.spelling import RUN_ID, payload, span

TRY = "TRY_CANCEL"
WAIT = "WAIT_CANCELLATION_COMPLETED"
ABANDON = "ABANDON"


def activity(
    seq: int,
    kind: str = "echo",
    *args: object,
    activity_id: str | None = None,
    cancellation: str = TRY,
    start_to_close: float = 10.0,
    **options: Any,
) -> WorkflowCommand:
    """Schedule an activity."""
    command = WorkflowCommand()
    command.schedule_activity.MergeFrom(
        type(command.schedule_activity)(
            seq=seq,
            activity_id=str(seq) if activity_id is None else activity_id,
            activity_type=kind,
            task_queue="queue",
            arguments=[payload(arg) for arg in args],
            start_to_close_timeout=span(start_to_close) if start_to_close else None,
            cancellation_type=ActivityCancellationType.Value(cancellation),
            **options,
        )
    )
    return command


def cancel_activity(seq: int) -> WorkflowCommand:
    """Ask for an activity's end."""
    command = WorkflowCommand()
    command.request_cancel_activity.seq = seq
    return command


def local(
    seq: int,
    kind: str = "echo",
    *args: object,
    cancellation: str = TRY,
    start_to_close: float | None = 5.0,
    activity_id: str | None = None,
    **options: Any,
) -> WorkflowCommand:
    """Ask for a local activity."""
    command = WorkflowCommand()
    command.schedule_local_activity.MergeFrom(
        ScheduleLocalActivity(
            seq=seq,
            activity_id=str(seq) if activity_id is None else activity_id,
            activity_type=kind,
            arguments=[payload(arg) for arg in args],
            start_to_close_timeout=(
                None if start_to_close is None else span(start_to_close)
            ),
            cancellation_type=ActivityCancellationType.Value(cancellation),
            **options,
        )
    )
    return command


def cancel_local(seq: int) -> WorkflowCommand:
    """Ask for a local activity's end."""
    command = WorkflowCommand()
    command.request_cancel_local_activity.seq = seq
    return command


def timer(seq: int, seconds: float, *, summary: str = "") -> WorkflowCommand:
    """Start a timer."""
    command = WorkflowCommand()
    command.start_timer.seq = seq
    command.start_timer.start_to_fire_timeout.CopyFrom(span(seconds))
    if summary:
        command.user_metadata.summary.CopyFrom(payload(summary))
    return command


def cancel_timer(seq: int) -> WorkflowCommand:
    """Stop a timer."""
    command = WorkflowCommand()
    command.cancel_timer.seq = seq
    return command


def patched(patch_id: str) -> WorkflowCommand:
    """Ask whether a patch is in."""
    command = WorkflowCommand()
    command.set_patch_marker.patch_id = patch_id
    return command


def deprecated(patch_id: str) -> WorkflowCommand:
    """Say that a patch is always in."""
    command = patched(patch_id)
    command.set_patch_marker.deprecated = True
    return command


def upsert(**attributes: object) -> WorkflowCommand:
    """Change search attributes."""
    command = WorkflowCommand()
    command.upsert_workflow_search_attributes.SetInParent()
    fields = command.upsert_workflow_search_attributes.search_attributes.indexed_fields
    for name, value in attributes.items():
        fields[name].CopyFrom(payload(value))
    return command


def memo(**entries: object) -> WorkflowCommand:
    """Change the memo."""
    command = WorkflowCommand()
    command.modify_workflow_properties.SetInParent()
    for name, value in entries.items():
        fields = command.modify_workflow_properties.upserted_memo.fields
        fields[name].CopyFrom(payload(value))
    return command


def complete(*result: object) -> WorkflowCommand:
    """Return, with or without a result."""
    command = WorkflowCommand()
    command.complete_workflow_execution.SetInParent()
    for value in result:
        command.complete_workflow_execution.result.CopyFrom(payload(value))
    return command


def fail(failure: Failure) -> WorkflowCommand:
    """Fail the run."""
    command = WorkflowCommand()
    command.fail_workflow_execution.failure.CopyFrom(failure)
    return command


def cancel() -> WorkflowCommand:
    """End as cancelled."""
    command = WorkflowCommand()
    command.cancel_workflow_execution.SetInParent()
    return command


def continue_as_new(*args: object, **options: Any) -> WorkflowCommand:
    """Go on as a new run."""
    command = WorkflowCommand()
    command.continue_as_new_workflow_execution.MergeFrom(
        type(command.continue_as_new_workflow_execution)(
            arguments=[payload(arg) for arg in args], **options
        )
    )
    return command


def answer(query_id: str, value: object) -> WorkflowCommand:
    """Answer a query."""
    command = WorkflowCommand()
    command.respond_to_query.query_id = query_id
    command.respond_to_query.succeeded.response.CopyFrom(payload(value))
    return command


def accept(update_id: str) -> WorkflowCommand:
    """Accept an update."""
    command = WorkflowCommand()
    command.update_response.protocol_instance_id = update_id
    command.update_response.accepted.SetInParent()
    return command


def unanswering(update_id: str) -> WorkflowCommand:
    """Answer an update with nothing."""
    command = WorkflowCommand()
    command.update_response.protocol_instance_id = update_id
    return command


def finish(update_id: str, value: object) -> WorkflowCommand:
    """Return from an update's handler."""
    command = WorkflowCommand()
    command.update_response.protocol_instance_id = update_id
    command.update_response.completed.CopyFrom(payload(value))
    return command


def reject(update_id: str, failure: Failure) -> WorkflowCommand:
    """Reject an update, or fail in its handler."""
    command = WorkflowCommand()
    command.update_response.protocol_instance_id = update_id
    command.update_response.rejected.CopyFrom(failure)
    return command


def completion(
    commands: Iterable[WorkflowCommand], flags: Iterable[int] = ()
) -> WorkflowActivationCompletion:
    """The answer to an activation."""
    result = WorkflowActivationCompletion(run_id=RUN_ID)
    result.successful.commands.extend(commands)
    result.successful.used_internal_flags.extend(flags)
    return result


def failed_completion(
    message: str, cause: str = "UNSPECIFIED"
) -> WorkflowActivationCompletion:
    """The answer of a workflow that broke."""
    result = WorkflowActivationCompletion(run_id=RUN_ID)
    result.failed.failure.message = message
    result.failed.force_cause = WorkflowTaskFailedCause.Value(
        f"WORKFLOW_TASK_FAILED_CAUSE_{cause}"
    )
    return result
