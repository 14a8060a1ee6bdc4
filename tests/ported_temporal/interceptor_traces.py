"""What the interceptors of ``test_interceptors_worker`` and ``_nexus`` have seen.

A module of its own, so that the sandbox can let it through.
"""

from typing import Any

noted: list[tuple[str, Any]] = []
"""Calls, with the first of their arguments."""
