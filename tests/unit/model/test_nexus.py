"""Names, callbacks and links of Nexus operations."""

from __future__ import annotations

import base64

import pytest

from dbosify._model import callbacks, nexus, nexus_links
from dbosify._model.journal import Names
from dbosify._model.outbox import Kind, of_close
from dbosify._model.protos import (
    Callback,
    EventType,
    HistoryEvent,
    NexusLink,
    WorkflowExecutionStartedEventAttributes,
)

_LINK = "temporal.api.common.v1.Link.WorkflowEvent"
_ANSWERS = {
    EventType.EVENT_TYPE_NEXUS_OPERATION_STARTED: "nexus Svc hello started",
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_COMPLETED: (
        "nexus Svc hello asked to cancel"
    ),
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUEST_FAILED: (
        "nexus Svc hello refuses to cancel"
    ),
    EventType.EVENT_TYPE_NEXUS_OPERATION_COMPLETED: "nexus Svc hello",
}


def callback(url: str) -> Callback:
    """A callback to somewhere."""
    result = Callback()
    result.nexus.url = url
    return result


def test_a_request_id_is_the_same_each_time() -> None:
    assert nexus.request_id("run", 1) == nexus.request_id("run", 1)
    assert nexus.request_id("run", 1) != nexus.request_id("run", 2)


def test_a_callback_token_can_be_read_again() -> None:
    token = nexus.callback_token("orders/1/run/nexus/5", "é")
    assert nexus.read_callback_token(token) == ("orders/1/run/nexus/5", "é")


@pytest.mark.parametrize(
    "token", ["", "!", "é", base64.b64encode(b"[1]").decode(), "AAAA"]
)
def test_other_tokens_are_none(token: str) -> None:
    assert nexus.read_callback_token(token) is None


@pytest.mark.parametrize("kind", _ANSWERS)
def test_a_step_is_named_after_the_operation(kind: EventType.ValueType) -> None:
    scheduled = HistoryEvent(
        event_id=5, event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED
    )
    wanted = scheduled.nexus_operation_scheduled_event_attributes
    wanted.service, wanted.operation = "Svc", "hello"
    answer = HistoryEvent(event_type=kind)
    name = EventType.Name(kind).removeprefix("EVENT_TYPE_").lower()
    getattr(answer, f"{name}_event_attributes").scheduled_event_id = 5
    names = Names()
    names.learn(scheduled)
    assert names.of(answer) == _ANSWERS[kind]


def test_callbacks_come_with_the_start_or_later() -> None:
    start = HistoryEvent()
    started = start.workflow_execution_started_event_attributes
    started.completion_callbacks.append(callback("first"))
    joined = HistoryEvent()
    updated = joined.workflow_execution_options_updated_event_attributes
    updated.attached_completion_callbacks.append(callback("second"))
    history = [start, HistoryEvent(), joined]
    urls = [each.nexus.url for each in callbacks.of_run(history)]
    assert urls == ["first", "second"]
    assert callbacks.attached(history) == [callback("second")]


def test_the_end_of_a_chain_is_told_to_those_who_asked() -> None:
    started = WorkflowExecutionStartedEventAttributes(
        completion_callbacks=[callback("first")]
    )
    closing = HistoryEvent(event_id=9)
    (entry,) = of_close(
        "w/r",
        started,
        closing,
        last=True,
        open_children=(),
        callbacks=[callback("second")],
    )
    assert entry.kind is Kind.CALL_BACK
    told = entry.events[0].workflow_execution_started_event_attributes
    assert [each.nexus.url for each in told.completion_callbacks] == ["first", "second"]
    assert not list(of_close("w/r", started, closing, last=False, open_children=()))


def link(path: str, query: str = "", kind: str = _LINK) -> NexusLink:
    """A link as a handler gives it."""
    return NexusLink(url=f"temporal:///{path}?{query}", type=kind)


def test_a_link_to_an_event_can_be_read_again() -> None:
    event = HistoryEvent(
        event_id=7, event_type=EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED
    )
    (found,) = nexus_links.for_history(
        [nexus_links.to_event("my ns", "orders/ä", "run", event)]
    )
    told = found.workflow_event
    assert (told.namespace, told.workflow_id, told.run_id) == (
        "my ns",
        "orders/ä",
        "run",
    )
    assert told.event_ref.event_id == 7
    assert told.event_ref.event_type == event.event_type


def test_a_link_may_name_a_request_or_nothing() -> None:
    path = "namespaces/n/workflows/w/r/history"
    query = "referenceType=RequestIdReference&requestID=q&eventType="
    by_request, bare = nexus_links.for_history(
        [link(path, f"{query}EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED"), link(path)]
    )
    named = by_request.workflow_event.request_id_ref
    assert named.request_id == "q"
    assert named.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    assert bare.workflow_event.event_ref.event_id == 0


def test_a_link_to_an_operation_of_a_client_can_be_read_again() -> None:
    written = nexus_links.to_operation("ns", "my op/1", "run")
    (found,) = nexus_links.for_history([written])
    told = found.nexus_operation
    assert (told.namespace, told.operation_id, told.run_id) == ("ns", "my op/1", "run")


def test_a_link_may_name_an_activity() -> None:
    path = "namespaces/n/activities/a%2F1/r/details"
    kind = "temporal.api.common.v1.Link.Activity"
    (found,) = nexus_links.for_history([link(path, kind=kind)])
    told = found.activity
    assert (told.namespace, told.activity_id, told.run_id) == ("n", "a/1", "r")


@pytest.mark.parametrize(
    "other",
    [
        link("namespaces/n/workflows/w/r/history", kind="other"),
        link("namespaces/n/workflows/w/r"),
        link("spaces/n/workflows/w/r/history"),
    ],
)
def test_other_links_are_left_out(other: NexusLink) -> None:
    assert nexus_links.for_history([other]) == []
