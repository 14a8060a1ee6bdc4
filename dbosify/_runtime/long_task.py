"""A workflow task that may wait for local activities before it is over.

While it waits the workflow sees nothing else: messages are news of the next task. A
wait that takes too long for one task is cut into several, as Temporal's core does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from dbosify._core.outcomes import Again, Waits
from dbosify._model.protos import WorkflowActivation

from .clock import DatabaseClock
from .hints import hinted
from .replica import Replica


async def finish(
    replica: Replica,
    outcome: object,
    *,
    clock: DatabaseClock,
    woken: asyncio.Event,
    meanwhile: Callable[[Replica], Awaitable[bool]],
) -> object:
    """Go on with a workflow task until it is over, or its part of a long wait is.

    Args:
        replica: of the run.
        outcome: what the task has come to so far.
        clock: the database's.
        woken: set when there may be something to do, outcomes included.
        meanwhile: does what must not wait; says whether the task has to end for it.
    """
    while True:
        if isinstance(outcome, WorkflowActivation):
            outcome = await replica.work(outcome)
        elif isinstance(outcome, Again):
            outcome = await replica.work(outcome.activation)
        elif not isinstance(outcome, Waits):
            return outcome
        else:
            replica.run_locals()
            over = replica.locals.next_outcome()
            if over is not None:
                outcome = replica.driver.end_local(*over, now=clock.now())
            elif await meanwhile(replica) or clock.seconds() >= outcome.until:
                return replica.driver.heartbeat(now=clock.now())
            else:
                await hinted(woken, clock.wait_for(outcome.until))
