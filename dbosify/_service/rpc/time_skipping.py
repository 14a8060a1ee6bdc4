"""Temporal's TestService: a clock that tests set ahead.

Only a database that was made for it has such a clock; for any other the whole service
is unknown, as it is to Temporal's own server.
"""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty
from temporalio.api.testservice.v1 import (
    GetCurrentTimeResponse,
    LockTimeSkippingRequest,
    LockTimeSkippingResponse,
    SleepRequest,
    SleepResponse,
    SleepUntilRequest,
    UnlockTimeSkippingRequest,
    UnlockTimeSkippingResponse,
)

from dbosify._model import clock
from dbosify._service import errors
from dbosify._service.context import Context, SkippedTime


async def lock_time_skipping(
    context: Context, request: LockTimeSkippingRequest
) -> LockTimeSkippingResponse:
    """Hold time as it is, until it is unlocked as often as locked."""
    _of(context).lock()
    return LockTimeSkippingResponse()


async def unlock_time_skipping(
    context: Context, request: UnlockTimeSkippingRequest
) -> UnlockTimeSkippingResponse:
    """Let time be skipped whenever nobody is at work."""
    _of(context).unlock()
    return UnlockTimeSkippingResponse()


async def unlock_time_skipping_with_sleep(
    context: Context, request: SleepRequest
) -> SleepResponse:
    """Skip some time, also while activities run."""
    await _of(context).sleep(clock.seconds(request.duration))
    return SleepResponse()


async def sleep(context: Context, request: SleepRequest) -> SleepResponse:
    """Wait some time on the test's clock, without skipping any."""
    skipped = _of(context)
    now = clock.seconds(context.around.now())
    await skipped.wait_until(now + clock.seconds(request.duration))
    return SleepResponse()


async def sleep_until(context: Context, request: SleepUntilRequest) -> SleepResponse:
    """Wait for a moment on the test's clock, without skipping any."""
    await _of(context).wait_until(clock.seconds(request.timestamp))
    return SleepResponse()


async def get_current_time(context: Context, request: Empty) -> GetCurrentTimeResponse:
    """The test's clock."""
    _of(context)
    return GetCurrentTimeResponse(time=context.around.now())


def _of(context: Context) -> SkippedTime:
    skipped = context.around.skipped_time
    if skipped is None:
        raise errors.unimplemented(
            "unknown service temporal.api.testservice.v1.TestService"
        )
    return skipped
