"""Checks that several RPCs share, with the server's texts."""

from __future__ import annotations

import uuid

from temporalio.api.common.v1 import Priority

from dbosify._model import limits
from dbosify._model.policies import (
    fill_defaults,
    problem,
    wrong_duration,
    wrong_priority,
)
from dbosify._model.protos import Duration, Payloads, RetryPolicy, WorkflowExecution

from . import errors


def execution(value: WorkflowExecution) -> tuple[str, str | None]:
    """The workflow id and run id that a request names.

    Raises:
        RPCError: no workflow id, or a run id that is no UUID.
    """
    if not value.workflow_id:
        raise errors.invalid("WorkflowId is not set on request.")
    if not value.run_id:
        return clean(value.workflow_id), None
    if not is_uuid(value.run_id):
        raise errors.invalid("Invalid RunId.")
    return clean(value.workflow_id), value.run_id


def is_uuid(text: str) -> bool:
    """Whether a run could have that id."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def clean(text: str) -> str:
    """Text that Postgres can store: it has no NUL characters.

    Raises:
        RPCError: the text has one.
    """
    if "\0" in text:
        raise errors.invalid("a NUL character cannot be stored")
    return text


def length(text: str, what: str) -> None:
    """Check an identifier's length.

    Raises:
        RPCError: it is longer than the server takes.
    """
    if len(text.encode()) > limits.current.id_bytes:
        raise errors.invalid(f"{what} length exceeds limit.")
    clean(text)


def blob(payloads: Payloads) -> None:
    """Check the size of a request's payloads.

    Raises:
        RPCError: they exceed the server's limit.
    """
    if payloads.ByteSize() > limits.current.blob_bytes:
        raise errors.invalid("Blob data size exceeds limit.")


def timeout(value: Duration, name: str) -> None:
    """Check that a timeout is not negative.

    Raises:
        RPCError: it is.
    """
    wrong = wrong_duration(value)
    if wrong:
        raise errors.invalid(f"An invalid {name} is set on request. cause: {wrong}")


def priority(value: Priority) -> None:
    """Check a priority.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    wrong = wrong_priority(value)
    if wrong:
        raise errors.invalid(wrong)


def retry_policy(policy: RetryPolicy) -> None:
    """Fill a retry policy's defaults and check it.

    Raises:
        RPCError: with the server's text for the first thing wrong.
    """
    fill_defaults(policy)
    wrong = problem(policy)
    if wrong is not None:
        raise errors.invalid(wrong)
