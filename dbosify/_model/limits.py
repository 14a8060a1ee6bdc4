"""How much anybody may say: Temporal's limits, and what is done beyond them.

One set of them is in force in a process: Temporal's own, unless the environment says
otherwise when dbosify is imported (`DBOSIFY_LIMIT_` and a field of `Limits`, in
capitals). All processes of a namespace should be told the same. What is in a journal is
replayed whatever its size, so limits can be lowered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from .protos import Failure

PREFIX = "DBOSIFY_LIMIT_"
"""How the names of the settings begin."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is the most; what is more is refused, with Temporal's errors."""

    blob_bytes: int = 2 * 1024 * 1024
    """Payloads or a failure in one request, or in one command of a workflow."""
    memo_bytes: int = 2 * 1024 * 1024
    """A memo."""
    id_bytes: int = 1000
    """An id, or the name of a type or a task queue."""
    updates_in_flight: int = 10
    """Updates of a run that may be admitted or accepted and not completed."""
    updates_in_all: int = 2000
    """Updates of a run, completed ones too."""
    update_bytes_in_flight: int = 20 * 1024 * 1024
    """Requests for those updates of a run that are in flight."""
    pending_activities: int = 2000
    """Activities of a run that are not over, those of queues and eager ones."""
    pending_children: int = 2000
    """Child workflows of a run that are not over."""
    pending_signals: int = 2000
    """Signals to other workflows that a run waits for."""
    pending_cancels: int = 2000
    """Requests to cancel other workflows that a run waits for."""


def read(settings: Mapping[str, str]) -> Limits:
    """The limits that an environment asks for.

    Raises:
        ValueError: there is no such limit, or its value is no positive number.
    """
    known = {f"{PREFIX}{field.name.upper()}": field.name for field in fields(Limits)}
    given: dict[str, int] = {}
    for name, value in settings.items():
        if not name.startswith(PREFIX):
            continue
        if name not in known:
            raise ValueError(f"There is no limit {name}, but: {', '.join(known)}.")
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            raise ValueError(f"{name} must be a positive whole number, not {value!r}.")
        given[known[name]] = int(value)
    return Limits(**given)


current = Limits()
"""Those in force; `dbosify` puts others here when it is imported, if there are any."""

CUT_FAILURE = 512 * 1024
"""Bytes to which a failure is cut that exceeds the limit of a blob."""

KEPT_FAILURE = 4 * 1024
"""Bytes of the last failure of an activity that is going to be retried."""

FAILURE_TEXT = "Failure exceeds size limit."


def within(failure: Failure, most: int, *, cut_to: int | None = None) -> Failure:
    """A failure, or the one that the server puts in the place of a bigger one.

    Args:
        failure: as reported.
        most: bytes it may have.
        cut_to: bytes that are left of a bigger one, after which nothing is tried again;
            if not given, `most` are left, and the failure is only told in short.
    """
    if failure.ByteSize() <= most:
        return failure
    instead = Failure(message=FAILURE_TEXT)
    instead.server_failure_info.non_retryable = cut_to is not None
    instead.cause.CopyFrom(_cut(failure, cut_to or most))
    return instead


def _cut(failure: Failure, most: int) -> Failure:
    """What fits of a failure: its text and its kind, without details and causes."""
    cut = Failure(source=failure.source)
    kind = failure.WhichOneof("failure_info")
    if kind == "application_failure_info":
        info = failure.application_failure_info
        cut.application_failure_info.type = info.type
        cut.application_failure_info.non_retryable = info.non_retryable
    elif kind is not None:
        getattr(cut, kind).SetInParent()
    room = max(most - cut.ByteSize() - 64, 0)
    message = failure.message.encode()[:room]
    cut.message = message.decode(errors="ignore")
    stack = failure.stack_trace.encode()[: room - len(message)]
    cut.stack_trace = stack.decode(errors="ignore")
    return cut
