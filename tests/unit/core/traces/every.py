"""All the traces."""

from __future__ import annotations

from tests.unit.core.traces import (
    activities,
    local_activities,
    messages,
    nexus,
    others,
    rebuilds,
    tasks,
    updates,
)

TRACES = (
    *activities.TRACES,
    *local_activities.TRACES,
    *messages.TRACES,
    *nexus.TRACES,
    *tasks.TRACES,
    *others.TRACES,
    *rebuilds.TRACES,
    *updates.TRACES,
)
