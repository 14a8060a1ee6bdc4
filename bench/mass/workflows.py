"""The workflows of the measurement: one waits, one has a long story."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from dbosify import workflow


@workflow.defn
class Waits:
    """Waits for a word, but not for ever."""

    def __init__(self) -> None:
        """Nothing was said."""
        self._word = ""

    @workflow.run
    async def run(self, until: float) -> str:
        """The word, or none if it did not come before `until`, seconds since 1970."""
        left = until - workflow.time()
        try:
            await workflow.wait_condition(
                lambda: bool(self._word), timeout=timedelta(seconds=max(left, 0.001))
            )
        except asyncio.TimeoutError:
            return "nothing was said"
        return self._word

    @workflow.signal
    def say(self, word: str) -> None:
        """Say it."""
        self._word = word


@workflow.defn
class Long:
    """Makes a long history, and then waits."""

    def __init__(self) -> None:
        """Nothing is done."""
        self._rounds = 0

    @workflow.run
    async def run(self, rounds: int, timers: int) -> None:
        """So many rounds of so many timers each."""
        for _ in range(rounds):
            await asyncio.gather(*(workflow.sleep(0.001) for _ in range(timers)))
            self._rounds += 1
        await workflow.wait_condition(lambda: False)

    @workflow.query
    def rounds(self) -> int:
        """How many are done."""
        return self._rounds
