"""What becomes of Nexus operations without a workflow, as clients are told."""

from __future__ import annotations

import pytest

from dbosify._model import standalone_operation as model
from dbosify._model.protos import EventType, Failure, HistoryEvent, Link
from tests.unit.core.spelling import payload

_FAILED = {
    EventType.EVENT_TYPE_NEXUS_OPERATION_FAILED: model.FAILED,
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCELED: model.CANCELED,
    EventType.EVENT_TYPE_NEXUS_OPERATION_TIMED_OUT: model.TIMED_OUT,
}


def test_a_result_is_told() -> None:
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED)
    event.nexus_operation_completed_event_attributes.result.CopyFrom(payload("done"))
    news = model.news_of([event])
    assert news.status == model.COMPLETED
    assert news.outcome is not None
    assert news.outcome.result == payload("done")


@pytest.mark.parametrize("kind", _FAILED)
def test_a_failure_is_told_without_its_wrapper(kind: EventType.ValueType) -> None:
    event = HistoryEvent(event_type=kind)
    name = EventType.Name(kind).removeprefix("EVENT_TYPE_").lower()
    wrapped = Failure(message="wrapper", cause=Failure(message="oh no"))
    getattr(event, f"{name}_event_attributes").failure.CopyFrom(wrapped)
    news = model.news_of([event])
    assert news.status == _FAILED[kind]
    assert news.outcome is not None
    assert news.outcome.failure == Failure(message="oh no")


def test_a_beginning_is_no_end_but_has_links() -> None:
    link = Link(activity=Link.Activity(activity_id="behind"))
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED, links=[link]
    )
    assert model.news_of([event]) == model.News(links=[link])


def test_who_terminates_one_is_told() -> None:
    news = model.terminated("enough", "me")
    assert news.status == model.TERMINATED
    assert news.outcome is not None
    assert news.outcome.failure.message == "enough"
    assert news.outcome.failure.terminated_failure_info.identity == "me"
