"""What a Nexus handler is asked."""

from __future__ import annotations

from dbosify._core import nexus_requests
from dbosify._model import nexus
from dbosify._model.protos import NexusTask
from tests.unit.core.nexus_calls import Calls, begins
from tests.unit.core.spelling import BEGAN, RUN_ID, at, payload


def task(calls: Calls, moment: float = 1) -> NexusTask:
    """The task of a call at a moment."""
    now = BEGAN + moment
    return nexus_requests.task(calls.operation, b"t", namespace="ns", now=now)


def test_a_handler_is_asked_to_begin() -> None:
    calls = Calls(input=payload("x"), nexus_header={"Asked-By": "me"})
    asked = task(calls)
    assert asked.endpoint == "EP"
    assert asked.request_deadline == at(11)
    assert asked.task.task_token == b"t"
    request = asked.task.request
    assert dict(request.header) == {
        "asked-by": "me",
        "request-timeout": "10.000000s",
        "nexus-request-id": "request",
    }
    start = request.start_operation
    assert (start.service, start.operation) == ("Svc", "hello")
    assert start.payload == payload("x")
    assert start.request_id == "request"
    assert start.callback == "temporal://system"
    token = start.callback_header["temporal-callback-token"]
    assert nexus.read_callback_token(token) == (calls.operation.key, "request")
    (link,) = start.links
    assert link.url == (
        f"temporal:///namespaces/ns/workflows/orders%2F1/{RUN_ID}/history"
        "?eventID=5&eventType=NexusOperationScheduled&referenceType=EventReference"
    )


def test_without_input_it_gets_an_empty_one() -> None:
    assert not task(Calls()).task.request.start_operation.HasField("payload")


def test_it_has_no_more_time_than_the_operation() -> None:
    request = task(Calls(total=5)).task.request
    assert request.header["request-timeout"] == "4.000000s"
    assert request.header["operation-timeout"] == "4.000000s"
    assert task(Calls(total=5), 9).request_deadline == at(9.001)


def test_a_handler_that_has_begun_is_asked_to_cancel() -> None:
    calls = Calls().answered(1, begins("token")).asked_to_cancel(2)
    request = task(calls).task.request
    assert request.HasField("cancel_operation")
    assert request.cancel_operation.operation_token == "token"
    assert "nexus-request-id" not in request.header


def test_an_operation_of_a_client_is_linked_by_its_name() -> None:
    calls = Calls()
    calls.operation.scheduled.event_id = 0
    (link,) = task(calls).task.request.start_operation.links
    assert link.type == "temporal.api.common.v1.Link.NexusOperation"
    assert link.url == (
        f"temporal:///namespaces/ns/nexus-operations/orders%2F1/{RUN_ID}/details"
    )
