"""The local activities that run for a replica; they live and die with it.

Their outcomes are known to its code alone until its workflow task is written. So when
the replica goes, whatever still runs is told to end, and runs again for the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from dbosify._model.local import LocalOrder, LocalOutcome, RunLocal

from .local_activity_worker import HeldLocal, LocalActivityWorker, RunOfLocal


class HeldLocals:
    """See the module's text.

    Args:
        worker: that runs them, if the SDK's worker has activities.
        on_outcome: called when there is an outcome to take.
    """

    def __init__(
        self, worker: LocalActivityWorker | None, on_outcome: Callable[[], None]
    ) -> None:
        self._worker = worker
        self._on_outcome = on_outcome
        self._held: dict[int, HeldLocal] = {}
        self._outcomes: deque[tuple[int, LocalOutcome]] = deque()

    def obey(self, orders: list[LocalOrder], run: RunOfLocal) -> None:
        """Do what the core wants, and empty its list."""
        for order in orders:
            # The SDK lets no workflow ask for one when its worker has no activities.
            assert self._worker is not None, "its worker runs activities"
            if isinstance(order, RunLocal):
                seq = order.command.seq
                on_over = partial(self._over, seq)
                self._held[seq] = self._worker.begin(order, run, on_over)
            elif order.seq in self._held:
                self._worker.cancel(self._held[order.seq])
        orders.clear()

    def next_outcome(self) -> tuple[int, LocalOutcome] | None:
        """An activity that is over, and how; the oldest first."""
        return self._outcomes.popleft() if self._outcomes else None

    def drop(self) -> None:
        """The replica goes."""
        for held in self._held.values():
            assert self._worker is not None, "it has run something"
            self._worker.drop(held)
        self._held.clear()
        self._outcomes.clear()

    def _over(self, seq: int, outcome: LocalOutcome) -> None:
        del self._held[seq]
        self._outcomes.append((seq, outcome))
        self._on_outcome()
