"""Whoever holds schedules to their policies sees what is missed or doubled."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from dbosify.client import ScheduleOverlapPolicy, WorkflowExecutionStatus
from tests.kill_recover.firing_rules import EVERY, Counts, Run, wrong

POLICIES = ScheduleOverlapPolicy

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)

TIMES = [BEGIN + EVERY * number for number in range(5)]


def run(
    number: int,
    *,
    late: float = 0.1,
    lasts: float = 0.2,
    status: WorkflowExecutionStatus = WorkflowExecutionStatus.COMPLETED,
) -> Run:
    """A run for one of the times, by its place among them; seconds for the rest."""
    started = BEGIN + EVERY * number + timedelta(seconds=late)
    return Run(
        BEGIN + EVERY * number, started, started + timedelta(seconds=lasts), status
    )


def found(policy: ScheduleOverlapPolicy, runs: list[Run], skipped: int = 0) -> str:
    """What is wrong with a schedule that counts well and has these runs."""
    counts = Counts(BEGIN, len(runs), skipped, 0, 0)
    return "\n".join(wrong(policy, TIMES, runs, counts))


ALL = [run(number) for number in range(5)]


@pytest.mark.parametrize("policy", POLICIES)
def test_one_run_for_each_time_is_right_under_every_policy(
    policy: ScheduleOverlapPolicy,
) -> None:
    assert found(policy, ALL) == ""


@pytest.mark.parametrize("policy", POLICIES)
def test_two_runs_for_a_time_are_wrong(policy: ScheduleOverlapPolicy) -> None:
    assert f"{TIMES[2]}: doubled, 2 runs" in found(policy, [*ALL, run(2)])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_time_without_a_run_is_missed_if_nothing_ran_then(
    policy: ScheduleOverlapPolicy,
) -> None:
    # What replaces another is the newest there is, so it is not late by itself.
    runs = [*ALL[:2], run(3, late=7, lasts=0.5), run(4, late=7)]
    assert f"{TIMES[2]}: missed" in found(policy, runs, skipped=1)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_last_time_is_missed_too(policy: ScheduleOverlapPolicy) -> None:
    assert f"{TIMES[4]}: missed" in found(policy, ALL[:4], skipped=1)


def test_a_run_for_no_time_is_wrong() -> None:
    assert "no time of the schedule" in found(POLICIES.ALLOW_ALL, [*ALL, run(7)])


def test_a_count_that_is_off_is_wrong() -> None:
    counts = Counts(BEGIN, taken=6, skipped=0, missed=1, dropped=0)
    assert len(list(wrong(POLICIES.SKIP, TIMES, ALL, counts))) == 2


def test_a_time_is_skipped_while_another_action_runs() -> None:
    runs = [run(0, lasts=2.5), run(3), run(4)]
    assert found(POLICIES.SKIP, runs, skipped=2) == ""
    assert "counted as skipped" in found(POLICIES.SKIP, runs, skipped=1)
    assert f"{TIMES[1]}: missed" in found(POLICIES.BUFFER_ALL, runs, skipped=2)


def test_actions_that_run_at_the_same_time_are_wrong_unless_they_may() -> None:
    runs = [run(0, lasts=2.5), *ALL[1:]]
    assert "started while" in found(POLICIES.BUFFER_ONE, runs)
    assert found(POLICIES.ALLOW_ALL, runs) == ""


def test_an_action_is_ended_only_by_a_policy_that_ends_it() -> None:
    cancelled = run(4, status=WorkflowExecutionStatus.CANCELED)
    assert found(POLICIES.CANCEL_OTHER, [*ALL[:4], cancelled]) == ""
    assert "CANCELED" in found(POLICIES.SKIP, [*ALL[:4], cancelled])
    assert "CANCELED" in found(POLICIES.TERMINATE_OTHER, [*ALL[:4], cancelled])


def test_a_time_that_waits_is_replaced_by_the_next_one() -> None:
    runs = [run(0, lasts=2.2), run(2, late=0.4), run(3), run(4)]
    assert found(POLICIES.TERMINATE_OTHER, runs) == ""


def test_what_replaces_others_that_wait_may_be_started_late() -> None:
    runs = [run(0, lasts=3.2), run(3, late=7), run(4, late=7)]
    assert found(POLICIES.TERMINATE_OTHER, runs) == ""
    runs[0] = run(0, lasts=0.5)
    assert f"{TIMES[1]}: missed" in found(POLICIES.TERMINATE_OTHER, runs)
