"""Who is to be told of a run's end, besides those who wait for it.

A start may bring callbacks along, and a start that joins an open run may leave more
there; all of them go on to the next run of the chain.
"""

from __future__ import annotations

from collections.abc import Iterable

from .protos import Callback, HistoryEvent


def attached(events: Iterable[HistoryEvent]) -> list[Callback]:
    """The callbacks that joined the run after its start."""
    return [
        callback
        for event in events
        if event.HasField("workflow_execution_options_updated_event_attributes")
        for callback in (
            event.workflow_execution_options_updated_event_attributes
        ).attached_completion_callbacks
    ]


def of_run(events: Iterable[HistoryEvent]) -> list[Callback]:
    """All callbacks of a run, by its history so far."""
    start, *later = events
    started = start.workflow_execution_started_event_attributes
    return [*started.completion_callbacks, *attached(later)]
