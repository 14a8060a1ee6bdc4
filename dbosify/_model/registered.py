"""What a namespace has registered, as far as one task's commands speak of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Registered:
    """Of all that is registered, what somebody asked for."""

    namespace: str
    types: Mapping[str, str] = field(default_factory=dict)
    """Of custom search attributes, by name."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Ids of Nexus endpoints, by name."""
