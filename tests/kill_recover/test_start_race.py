"""A thousand starts of one workflow id make one run."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from tests.kill_recover import evidence
from tests.kill_recover.arena import Arena
from tests.kill_recover.scenarios import SIGNALS, Signals

PROCESSES = 8
STARTS = 1000


@pytest.mark.parametrize("use_existing", [False, True], ids=["fail", "use existing"])
async def test_many_processes_that_start_one_workflow_id_at_once_make_one_run(
    arena: Arena, use_existing: bool
) -> None:
    workflow_id, queue = f"run-{uuid.uuid4()}", f"queue-{uuid.uuid4()}"
    answers: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(arena.serving(arena.rescuer, queue))
        racers = [
            await stack.enter_async_context(arena.stable.process())
            for _ in range(PROCESSES)
        ]
        for answer in await asyncio.gather(
            *(
                racer.order(
                    do="race",
                    times=STARTS // PROCESSES,
                    workflow=Signals.__name__,
                    workflow_id=workflow_id,
                    queue=queue,
                    args=[],
                    use_existing=use_existing,
                )
                for racer in racers
            )
        ):
            answers.update(answer)
        (run_id,) = await evidence.runs_of(arena.url, workflow_id)
        granted = STARTS if use_existing else 1
        assert answers == Counter({run_id: granted, "refused": STARTS - granted})

        handle = arena.client.get_workflow_handle(workflow_id)
        for word in SIGNALS:
            await handle.signal("say", word)
        assert await handle.result() == ["before", *SIGNALS, "after"]
        await evidence.check(arena.client, arena.url, workflow_id, attempts=1)
