"""What a run shows of itself besides its history: attributes, memo and callbacks.

The journal alone tells them; its owner keeps them at hand because the run's row shows
them, and because the next run of its chain inherits some.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbosify._model import callbacks
from dbosify._model.protos import (
    Callback,
    EventType,
    HistoryEvent,
    Memo,
    SearchAttributes,
)
from dbosify._model.upserts import put

_CHANGE_THEM = (
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
)


class Properties:
    """See the module's text."""

    def __init__(self) -> None:
        self.search_attributes = SearchAttributes()
        self.memo = Memo()
        self.callbacks: list[Callback] = []
        """Of those who joined the run."""

    def load(self, events: Sequence[HistoryEvent]) -> None:
        """Take what the run was started with, and who joined it so far.

        Args:
            events: the journal.
        """
        started = events[0].workflow_execution_started_event_attributes
        self.search_attributes.CopyFrom(started.search_attributes)
        self.memo.CopyFrom(started.memo)
        self.callbacks.extend(callbacks.attached(events))

    def join(self, news: Sequence[HistoryEvent]) -> None:
        """Take who joins the run now; news may come more than once."""
        known = self.callbacks
        known.extend(new for new in callbacks.attached(news) if new not in known)

    def learn(self, event: HistoryEvent) -> None:
        """Keep attributes and memo as an event of a command leaves them."""
        if event.event_type not in _CHANGE_THEM:
            return
        upsert = event.upsert_workflow_search_attributes_event_attributes
        for key, value in upsert.search_attributes.indexed_fields.items():
            put(self.search_attributes.indexed_fields, key, value)
        modified = event.workflow_properties_modified_event_attributes
        for key, value in modified.upserted_memo.fields.items():
            put(self.memo.fields, key, value)
