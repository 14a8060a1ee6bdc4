"""What is measured of a client's calls: how many, how many failed, how long."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TypeVar

import google.protobuf.message
import temporalio.service

from .metrics import Metrics

T = TypeVar("T")


async def measured(
    metrics: Metrics,
    rpc: str,
    request: google.protobuf.message.Message,
    call: Awaitable[T],
) -> T:
    """Make a call and count it, under the name and the labels that the core uses.

    Args:
        metrics: of the client.
        rpc: in snake case.
        request: says whether the call waits for something.
        call: begins when it is awaited.
    """
    long = rpc.startswith("poll_") or getattr(request, "wait_new_event", False)
    kind = "long_request" if long else "request"
    labels = {"operation": "".join(part.title() for part in rpc.split("_"))}
    namespace = getattr(request, "namespace", "")
    if namespace:
        labels["namespace"] = namespace
    metrics.count(kind, **labels)
    began_at = time.monotonic()
    try:
        return await call
    except temporalio.service.RPCError as error:
        status = error.status.name
        metrics.count(f"{kind}_failure", status_code=status, **labels)
        raise
    finally:
        metrics.observe(f"{kind}_latency", time.monotonic() - began_at, **labels)
