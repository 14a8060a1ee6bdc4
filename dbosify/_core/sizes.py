"""Commands that carry more than a service takes.

Temporal's core measures them before it reports the task, and fails the task instead:
the code can be changed to say less, and the task tried again. A journal that holds big
payloads all the same is replayed as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from dbosify._model import failures, limits
from dbosify._model.protos import (
    Failure,
    Memo,
    Payloads,
    WorkflowCommand,
    WorkflowTaskFailedCause,
)

from .validate import BadCommand

_ARGUMENTS = {
    "continue_as_new_workflow_execution": "arguments",
    "schedule_activity": "arguments",
    "signal_external_workflow_execution": "args",
    "start_child_workflow_execution": "input",
}
"""The command's field that holds several payloads."""

_WHOLE = {
    "complete_workflow_execution": "result",
    "fail_workflow_execution": "failure",
    "modify_workflow_properties": "upserted_memo",
    "schedule_nexus_operation": "input",
    "upsert_workflow_search_attributes": "search_attributes",
}
"""The command's field that is measured as it is; a command without one is itself."""

_MEMOS = ("continue_as_new_workflow_execution", "start_child_workflow_execution")
_UNLIMITED = ("respond_to_query", "schedule_local_activity")


class TooBig(BadCommand):
    """A command whose payloads, or memo, exceed the limit.

    Args:
        what: exceeds it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PAYLOADS_TOO_LARGE, ""
        )
        self.args = (
            f"[TMPRL1103] Attempted to upload {what} with size that exceeded the error"
            " limit.",
        )

    def failure(self) -> Failure:
        """The failure in the WorkflowTaskFailed event: core's, not the server's."""
        return failures.application(str(self), kind="PayloadsTooLarge")


def check(commands: Iterable[WorkflowCommand]) -> None:
    """Measure what a task wants to report.

    Raises:
        TooBig: a command's payloads or memo are bigger than a blob may be.
    """
    least = min(limits.current.blob_bytes, limits.current.memo_bytes)
    for command in commands:
        if command.ByteSize() > least:
            _measure(command)


def _measure(command: WorkflowCommand) -> None:
    variant = command.WhichOneof("variant") or ""
    if variant in _UNLIMITED:
        return
    wanted = getattr(command, variant)
    if variant in _ARGUMENTS:
        carried = Payloads(payloads=getattr(wanted, _ARGUMENTS[variant]))
    elif variant in _WHOLE:
        carried = getattr(wanted, _WHOLE[variant])
    else:
        carried = wanted
    if carried.ByteSize() > limits.current.blob_bytes:
        raise TooBig("payloads")
    if variant in _MEMOS:
        memo = Memo(fields=wanted.memo)
        if memo.ByteSize() > limits.current.memo_bytes:
            raise TooBig("memo")
