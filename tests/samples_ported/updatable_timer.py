"""A timer whose time may change while it runs."""

import asyncio
from datetime import datetime, timedelta, timezone

from dbosify import workflow


class UpdatableTimer:
    """Sleeps until a moment that may be set anew."""

    def __init__(self, wake_up_time: datetime) -> None:
        self.wake_up_time = wake_up_time

    async def sleep(self) -> None:
        """Return when the latest wake-up time has come."""
        while True:
            wanted = self.wake_up_time
            delay = wanted - workflow.now()
            if delay <= timedelta(0):
                return
            try:
                await workflow.wait_condition(
                    lambda wanted=wanted: self.wake_up_time != wanted,  # type: ignore[misc]
                    timeout=delay,
                )
            except asyncio.TimeoutError:
                return


@workflow.defn
class TimerWorkflow:
    @workflow.init
    def __init__(self, wake_up_time: float) -> None:
        self._timer = UpdatableTimer(
            datetime.fromtimestamp(wake_up_time, tz=timezone.utc)
        )

    @workflow.run
    async def run(self, wake_up_time: float) -> None:
        await self._timer.sleep()

    @workflow.signal
    def set_wake_up_time(self, moment: float) -> None:
        self._timer.wake_up_time = datetime.fromtimestamp(moment, tz=timezone.utc)

    @workflow.query
    def wake_up_time(self) -> float:
        return self._timer.wake_up_time.timestamp()
