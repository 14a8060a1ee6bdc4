"""What Temporal's core was seen to do, as tables, and what plays them to ours."""

import pytest

# The player asserts on behalf of the tests: its assertions must explain themselves too.
pytest.register_assert_rewrite("tests.unit.core.traces.script")
