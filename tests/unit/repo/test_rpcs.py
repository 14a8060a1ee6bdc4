"""What the SDK calls is answered."""

import runpy

from dbosify._service.registry import IMPLEMENTED, REFUSED_BY_TEMPORAL
from tests.unit.repo.sources import ROOT

EXPERIMENTAL = {"poll_workflow_execution_time_skipping"}
"""Clocks of single workflows, which Temporal's server does not turn by default."""


def test_each_rpc_that_the_sdk_calls_is_answered() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "generate_rpcs.py"))
    called = {rpc for rpcs in script["names"]().values() for rpc in rpcs} & set(
        script["callers"]()
    )
    assert len(called) > 50
    assert called - set(IMPLEMENTED) == EXPERIMENTAL
    assert set(REFUSED_BY_TEMPORAL) >= EXPERIMENTAL
