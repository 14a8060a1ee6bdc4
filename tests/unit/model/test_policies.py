"""Retry policies, as the server completes them."""

from __future__ import annotations

import pytest

from dbosify._model import clock
from dbosify._model.policies import (
    fill_defaults,
    problem,
    wrong_duration,
    wrong_priority,
)
from dbosify._model.protos import Duration, Priority, RetryPolicy


@pytest.mark.parametrize(
    ("given", "initial", "coefficient", "maximum"),
    [
        (RetryPolicy(), 1, 2, 100),
        (RetryPolicy(initial_interval=clock.duration(0.5)), 0.5, 2, 50),
        (RetryPolicy(maximum_interval=clock.duration(3)), 1, 2, 3),
        (RetryPolicy(backoff_coefficient=1.0), 1, 1, 100),
    ],
)
def test_what_a_policy_leaves_out_is_filled_in(
    given: RetryPolicy, initial: float, coefficient: float, maximum: float
) -> None:
    fill_defaults(given)
    assert clock.seconds(given.initial_interval) == initial
    assert given.backoff_coefficient == coefficient
    assert clock.seconds(given.maximum_interval) == maximum


def test_attempts_and_final_errors_are_nobody_elses_choice() -> None:
    policy = RetryPolicy(maximum_attempts=3, non_retryable_error_types=["Final"])
    fill_defaults(policy)
    assert policy.maximum_attempts == 3
    assert policy.non_retryable_error_types == ["Final"]
    unlimited = RetryPolicy()
    fill_defaults(unlimited)
    assert unlimited.maximum_attempts == 0


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        (RetryPolicy(), None),
        (RetryPolicy(maximum_attempts=1, backoff_coefficient=0.1), None),
        (
            RetryPolicy(initial_interval=clock.duration(-1)),
            "invalid InitialInterval set on retry policy: negative duration",
        ),
        (
            RetryPolicy(backoff_coefficient=0.9),
            "BackoffCoefficient cannot be less than 1 on retry policy.",
        ),
        (
            RetryPolicy(maximum_interval=clock.duration(-1)),
            "invalid MaximumInterval set on retry policy: negative duration",
        ),
        (
            RetryPolicy(maximum_interval=clock.duration(0.5)),
            "MaximumInterval cannot be less than InitialInterval on retry policy.",
        ),
        (
            RetryPolicy(maximum_attempts=-1),
            "MaximumAttempts cannot be negative on retry policy.",
        ),
        (RetryPolicy(non_retryable_error_types=["TemporalTimeout:Heartbeat"]), None),
        (
            RetryPolicy(non_retryable_error_types=["TemporalTimeout:Never"]),
            "Invalid timeout type value: Never.",
        ),
    ],
)
def test_a_policy_is_judged_in_the_servers_words(
    policy: RetryPolicy, wrong: str | None
) -> None:
    fill_defaults(policy)
    assert problem(policy) == wrong


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (Duration(seconds=1, nanos=1), ""),
        (Duration(nanos=-1), "negative duration"),
        (
            Duration(seconds=1, nanos=-1),
            "duration has seconds and nanos with different signs",
        ),
    ],
)
def test_a_duration_is_judged_in_the_servers_words(value: Duration, wrong: str) -> None:
    assert wrong_duration(value) == wrong


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (Priority(priority_key=1, fairness_key="k" * 64, fairness_weight=2), ""),
        (Priority(priority_key=-1), "priority key can't be negative"),
        (Priority(fairness_key="k" * 65), "fairness key length exceeds limit"),
        (Priority(fairness_weight=-1), "must be greater than zero"),
    ],
)
def test_a_priority_is_judged_in_the_servers_words(value: Priority, wrong: str) -> None:
    assert wrong_priority(value) == wrong
