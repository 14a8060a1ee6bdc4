"""How much anybody may say: the server's usual limits, and what is done beyond them."""

from __future__ import annotations

from .protos import Failure

BLOB = 2 * 1024 * 1024
"""Bytes of payloads or of a failure in one request."""

CUT_FAILURE = 512 * 1024
"""Bytes to which a failure is cut that exceeds `BLOB`."""

KEPT_FAILURE = 4 * 1024
"""Bytes of the last failure of an activity that is going to be retried."""

FAILURE_TEXT = "Failure exceeds size limit."


def within(failure: Failure, most: int, *, cut_to: int | None = None) -> Failure:
    """A failure, or the one that the server puts in the place of a bigger one.

    Args:
        failure: as reported.
        most: bytes it may have.
        cut_to: bytes that are left of a bigger one; `most` unless given.
    """
    if failure.ByteSize() <= most:
        return failure
    instead = Failure(message=FAILURE_TEXT)
    instead.server_failure_info.non_retryable = most == BLOB
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
