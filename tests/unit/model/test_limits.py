"""Which limits an environment asks for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dbosify._model import limits
from dbosify._model.limits import Limits
from dbosify._model.protos import Failure


def test_temporals_own_limits_are_in_force_unless_others_are_asked_for() -> None:
    assert limits.read({"PATH": "/bin", "DBOSIFY_MIGRATE": "0"}) == Limits()
    assert limits.read({"DBOSIFY_LIMIT_MEMO_BYTES": "77"}) == Limits(memo_bytes=77)


@pytest.mark.parametrize("value", ["", "0", "-1", "2MB", "1.5", "²"])
def test_a_limit_is_a_positive_number(value: str) -> None:
    with pytest.raises(ValueError, match=r"DBOSIFY_LIMIT_BLOB_BYTES must be a posit"):
        limits.read({"DBOSIFY_LIMIT_BLOB_BYTES": value})


def test_a_limit_that_there_is_not_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"no limit DBOSIFY_LIMIT_BLOB, but: .*_BLOB_"):
        limits.read({"DBOSIFY_LIMIT_BLOB": "1"})


def test_importing_dbosify_puts_them_in_force() -> None:
    program = (
        "import dbosify; from dbosify._model import limits;"
        " print(limits.current.blob_bytes)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DBOSIFY_LIMIT_BLOB_BYTES": "4321"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.strip() == "4321"


def test_a_failure_that_is_only_told_in_short_may_be_retried() -> None:
    failure = Failure(message="x" * 5000)
    assert limits.within(failure, 5100) is failure
    short = limits.within(failure, 4096)
    assert not short.server_failure_info.non_retryable
    final = limits.within(failure, 4096, cut_to=1000)
    assert final.server_failure_info.non_retryable
    assert final.cause.ByteSize() <= 1000
