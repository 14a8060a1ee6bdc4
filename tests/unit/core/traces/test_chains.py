"""Recorded chains: what each run of a workflow is told about the runs before it.

A chain is played run by run. The start of each run after the first is what the close of
the one before asked for, as the store would write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from dbosify._core.driver import RunDriver
from dbosify._model import clock
from dbosify._model.effects import NewRun, Turn
from dbosify._model.protos import (
    ContinueAsNewInitiator,
    HistoryEvent,
    InitializeWorkflow,
    SearchAttributes,
    WorkflowActivation,
    WorkflowCommand,
    WorkflowExecutionStartedEventAttributes,
)
from dbosify._model.start import first_events
from tests.unit.core.spelling import (
    WORKER,
    at,
    boom,
    payload,
    retry_policy,
    span,
    start,
)
from tests.unit.core.traces import showing
from tests.unit.core.traces.commands import (
    complete,
    completion,
    continue_as_new,
    fail,
    memo,
    upsert,
)


@dataclass
class Leg:
    """One run: how it ends, and what its init job says beyond what every one does."""

    commands: Sequence[WorkflowCommand]
    init: str


@dataclass
class Recorded:
    """A chain.

    Attributes:
        name: of the recording.
        legs: its runs.
        begins: the start of the first.
        backoffs: seconds that the next runs wait.
    """

    name: str
    legs: Sequence[Leg]
    begins: WorkflowExecutionStartedEventAttributes = field(default_factory=start)
    backoffs: Sequence[float] = ()


def told(init: InitializeWorkflow) -> str:
    """What an init job says of chain and options, in the recordings' words."""
    words = []
    if init.attempt > 1:
        words.append(f"attempt={init.attempt}")
    for name in ("execution", "run"):
        timeout = f"workflow_{name}_timeout"
        if init.HasField(timeout):  # type: ignore[arg-type]
            words.append(f"{name}={clock.seconds(getattr(init, timeout)):g}s")
    if clock.seconds(init.cron_schedule_to_schedule_interval) > 0:
        wait = clock.seconds(init.cron_schedule_to_schedule_interval)
        words.append(f"wait={wait:g}s")
    if init.continued_from_execution_run_id:
        initiator = ContinueAsNewInitiator.Name(init.continued_initiator)
        kind = initiator.removeprefix("CONTINUE_AS_NEW_INITIATOR_")
        words.append(f"{kind} from {init.continued_from_execution_run_id}")
    if init.HasField("continued_failure"):
        words.append(f"failed={init.continued_failure.message}")
    if init.HasField("last_completion_result"):
        [last] = init.last_completion_result.payloads
        words.append(f"last={showing.text(last)}")
    words += [f"cron={init.cron_schedule}"] if init.cron_schedule else []
    words += ["rp"] if init.HasField("retry_policy") else []
    words += [f"memo {showing.fields(init.memo.fields)}"] if init.memo.fields else []
    if init.search_attributes.indexed_fields:
        words.append(f"sa {showing.fields(init.search_attributes.indexed_fields)}")
    words += [] if init.identity else ["nobody"]
    words.append(f"{init.first_execution_run_id}/{init.original_execution_run_id}")
    return " ".join(words)


CHAINS = (
    Recorded(
        "all_start_options",
        [
            Leg(
                [complete("x")],
                'execution=60s run=30s rp memo m=1 sa CustomKw="k" R1/R1',
            )
        ],
        start(
            workflow_execution_timeout=span(60),
            workflow_execution_expiration_time=at(60),
            workflow_run_timeout=span(30),
            retry_policy=retry_policy(),
            memo={"fields": {"m": payload(1)}},
            search_attributes=SearchAttributes(
                indexed_fields={"CustomKw": payload("k")}
            ),
        ),
    ),
    Recorded(
        "start_delay_of_a_second",
        [Leg([complete("x")], "wait=1s R1/R1")],
        start(first_workflow_task_backoff=span(1)),
    ),
    Recorded(
        "continue_as_new_twice",
        [
            Leg([memo(m=1), continue_as_new(1)], 'memo orig="o" R1/R1'),
            Leg(
                [memo(m=2), continue_as_new(0)],
                'run=0s WORKFLOW from R1 memo orig="o" nobody R1/R2',
            ),
            Leg(
                [complete("done")], 'run=0s WORKFLOW from R2 memo orig="o" nobody R1/R3'
            ),
        ],
        start(memo={"fields": {"orig": payload("o")}}),
        backoffs=[0, 0],
    ),
    Recorded(
        "attrs_and_can_to_the_end",
        [
            Leg([upsert(CustomKw="v1"), memo(k=0), continue_as_new(0)], "R1/R1"),
            Leg(
                [complete("x")],
                'run=0s WORKFLOW from R1 sa CustomKw="v1" nobody R1/R2',
            ),
        ],
        backoffs=[0],
    ),
    Recorded(
        "wf_retry_twice",
        [
            Leg([fail(boom("a1"))], "rp R1/R1"),
            Leg(
                [fail(boom("a2"))],
                "attempt=2 wait=1s RETRY from R1 failed=a1 rp nobody R1/R2",
            ),
            Leg(
                [complete("x")],
                "attempt=3 wait=2s RETRY from R2 failed=a2 rp nobody R1/R3",
            ),
        ],
        start(retry_policy=retry_policy(attempts=3)),
        backoffs=[1, 2],
    ),
    Recorded(
        "cron",
        [
            Leg([complete("a")], "wait=1s cron=@every 1s R1/R1"),
            Leg(
                [complete("b")],
                'wait=1s CRON_SCHEDULE from R1 last="a" cron=@every 1s nobody R1/R2',
            ),
            Leg(
                [complete("c")],
                'wait=1s CRON_SCHEDULE from R2 last="b" cron=@every 1s nobody R1/R3',
            ),
        ],
        start(cron_schedule="@every 1s", first_workflow_task_backoff=span(1)),
        backoffs=[1, 1, 1],
    ),
    Recorded(
        "cron_fail",
        [
            Leg([fail(boom(final=True))], "wait=1s cron=@every 1s R1/R1"),
            Leg(
                [complete("ok")],
                "wait=1s CRON_SCHEDULE from R1 failed=boom cron=@every 1s nobody R1/R2",
            ),
            Leg(
                [fail(boom(final=True))],
                'wait=1s CRON_SCHEDULE from R2 last="ok" cron=@every 1s nobody R1/R3',
            ),
            Leg(
                [complete("ok")],
                'wait=1s CRON_SCHEDULE from R3 failed=boom last="ok" cron=@every 1s'
                " nobody R1/R4",
            ),
        ],
        start(cron_schedule="@every 1s", first_workflow_task_backoff=span(1)),
        backoffs=[1, 1, 1, 1],
    ),
    Recorded(
        "cron_that_continues_as_new",
        [
            Leg([continue_as_new(1)], "wait=1s cron=@every 1s R1/R1"),
            Leg([complete("x")], "run=0s WORKFLOW from R1 nobody R1/R2"),
        ],
        start(cron_schedule="@every 1s", first_workflow_task_backoff=span(1)),
        backoffs=[0],
    ),
)


def first_journal(recorded: Recorded) -> list[HistoryEvent]:
    """How the first run begins."""
    begins = WorkflowExecutionStartedEventAttributes()
    begins.CopyFrom(recorded.begins)
    begins.first_execution_run_id = begins.original_execution_run_id = "R1"
    waits = clock.seconds(begins.first_workflow_task_backoff) > 0
    return first_events(begins, at(0), delayed=waits)


def next_journal(following: NewRun, now: float) -> list[HistoryEvent]:
    """How the next run begins."""
    return first_events(following.started, at(now), delayed=following.backoff > 0)


@pytest.mark.parametrize("recorded", CHAINS, ids=lambda recorded: recorded.name)
def test_each_run_of_a_chain_knows_what_temporals_would(recorded: Recorded) -> None:
    journal, now = first_journal(recorded), 0.0
    backoffs = []
    for number, leg in enumerate(recorded.legs, start=1):
        driver = RunDriver(
            "w",
            f"R{number}",
            namespace="default",
            task_queue="queue",
            worker=WORKER,
        )
        driver.load(journal)
        # The task begins when the run's wait is over, and takes no time.
        now += clock.seconds(
            journal[
                0
            ].workflow_execution_started_event_attributes.first_workflow_task_backoff
        )
        shown = driver.begin(
            [], now=at(now), next_run_id=f"R{number + 1}", request_id="r"
        )
        assert isinstance(shown, WorkflowActivation)
        assert told(shown.jobs[0].initialize_workflow) == leg.init
        turn = driver.complete(completion(leg.commands))
        assert isinstance(turn, Turn)
        assert turn.close is not None
        following = turn.close.next
        if following is None:
            assert number == len(recorded.legs)
        else:
            backoffs.append(following.backoff)
            assert following.run_id == f"R{number + 1}"
            journal = next_journal(following, now)
    assert backoffs == list(recorded.backoffs)
