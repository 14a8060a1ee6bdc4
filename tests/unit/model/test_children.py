"""Which children a run has open, and what its end means to its family."""

from __future__ import annotations

import pytest
from temporalio.api.history import v1 as events

from dbosify._model import links, outbox
from dbosify._model.children import Children, report
from dbosify._model.effects import (
    AskNexusOperation,
    CancelExternal,
    CancelNexusOperation,
    CancelTimer,
    SignalExternal,
    StartChild,
)
from dbosify._model.outbox import Entry, Kind, kind_of
from dbosify._model.protos import (
    EventType,
    HistoryEvent,
    ParentClosePolicy,
    RetryState,
    WorkflowExecutionStartedEventAttributes,
)
from tests.unit.core.spelling import boom, payloads, start
from tests.unit.core.traces.news import event
from tests.unit.core.traces.others_said import (
    CHILD_RUN,
    child_completed,
    child_refused,
    child_started,
)

UUID = "orders/1/11111111-1111-1111-1111-111111111111"


def initiated(number: int, policy: int = 1) -> HistoryEvent:
    """A child is asked for."""
    result = event(
        "start_child_workflow_execution_initiated",
        events.StartChildWorkflowExecutionInitiatedEventAttributes(
            workflow_id="orders/1-c",
            parent_close_policy=ParentClosePolicy.ValueType(policy),
        ),
    )
    result.event_id = number
    return result


def of_a_child() -> WorkflowExecutionStartedEventAttributes:
    """The start of a run that has a parent."""
    started = start(parent_initiated_event_id=5, parent_workflow_namespace="default")
    started.parent_workflow_execution.workflow_id = "parent"
    started.parent_workflow_execution.run_id = CHILD_RUN
    return started


def test_a_child_is_open_from_its_wish_to_its_end() -> None:
    children = Children([initiated(5), initiated(6)])
    assert {number: child.run_id for number, child in children.open.items()} == {
        5: "",
        6: "",
    }
    children.learn(*child_started(5))
    children.learn(*child_refused(6))
    assert {n: child.run_id for n, child in children.open.items()} == {5: CHILD_RUN}
    children.learn(*child_completed(5))
    assert children.open == {}


def test_what_is_not_about_an_open_child_changes_nothing() -> None:
    children = Children()
    children.learn(*child_started(5))
    children.learn(*child_completed(5))
    children.learn(HistoryEvent(event_type=EventType.EVENT_TYPE_TIMER_FIRED))
    assert children.open == {}


@pytest.mark.parametrize(
    ("name", "attributes", "told"),
    [
        (
            "completed",
            events.WorkflowExecutionCompletedEventAttributes(result=payloads(1)),
            {"result"},
        ),
        ("completed", events.WorkflowExecutionCompletedEventAttributes(), set()),
        (
            "failed",
            events.WorkflowExecutionFailedEventAttributes(
                failure=boom(),
                retry_state=RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED,
            ),
            {"failure", "retry_state"},
        ),
        (
            "canceled",
            events.WorkflowExecutionCanceledEventAttributes(details=payloads(2)),
            {"details"},
        ),
        (
            "terminated",
            events.WorkflowExecutionTerminatedEventAttributes(reason="why"),
            set(),
        ),
        (
            "timed_out",
            events.WorkflowExecutionTimedOutEventAttributes(
                retry_state=RetryState.RETRY_STATE_TIMEOUT
            ),
            {"retry_state"},
        ),
    ],
)
def test_a_parent_is_told_what_its_history_says_of_an_end(
    name: str, attributes: object, told: set[str]
) -> None:
    closing = event(f"workflow_execution_{name}", attributes)
    heard = report(of_a_child(), "run", closing)
    kind = EventType.Name(heard.event_type)
    assert kind == f"EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_{name.upper()}"
    content = getattr(heard, f"child_workflow_execution_{name}_event_attributes")
    assert content.initiated_event_id == 5
    assert content.workflow_execution.run_id == "run"
    assert content.namespace == "default"
    names = {field.name for field, _ in content.ListFields()}
    about = {"namespace", "workflow_execution", "workflow_type", "initiated_event_id"}
    assert names == about | told
    for field in told:
        assert getattr(content, field) == getattr(attributes, field)


def closing() -> HistoryEvent:
    """A run is terminated."""
    result = event(
        "workflow_execution_terminated",
        events.WorkflowExecutionTerminatedEventAttributes(),
    )
    result.event_id = 9
    return result


def test_only_the_last_run_of_a_chain_tells_its_parent() -> None:
    for last, kinds in ((True, [Kind.REPORT]), (False, [])):
        entries = outbox.of_close(
            UUID, of_a_child(), closing(), last=last, open_children=[]
        )
        assert [entry.kind for entry in entries] == kinds


def test_a_run_parts_from_children_that_are_started_and_not_to_be_left_alone() -> None:
    children = Children(
        [
            *(initiated(5), initiated(6, 2), initiated(7, 3), initiated(8)),
            *(*child_started(5), *child_started(6), *child_started(7)),
        ]
    )
    entries = outbox.of_close(
        UUID, start(), closing(), last=True, open_children=children.open.values()
    )
    assert [(e.kind, e.event_id) for e in entries] == [(Kind.PART, 5), (Kind.PART, 7)]


def test_effects_on_others_become_entries_and_the_rest_does_not() -> None:
    wanted = HistoryEvent(event_id=5)
    entries = list(
        outbox.of_effects(
            UUID,
            [
                StartChild(wanted, of_a_child()),
                SignalExternal(wanted),
                CancelTimer("1"),
                CancelExternal(wanted),
                AskNexusOperation(wanted),
                CancelNexusOperation(wanted),
            ],
        )
    )
    child = entries.pop(0)
    assert (child.kind, child.event_id) == (Kind.START, 5)
    first = child.events[1].workflow_execution_started_event_attributes
    assert first == of_a_child()
    assert entries == [
        Entry(UUID, Kind.SIGNAL, 5, (wanted,)),
        Entry(UUID, Kind.CANCEL, 5, (wanted,)),
        Entry(UUID, Kind.NEXUS, 5, (wanted,)),
        Entry(UUID, Kind.CANCEL_NEXUS, 5, (wanted,)),
    ]


def test_an_entrys_id_says_what_it_wants() -> None:
    entry = Entry("a/signal/b/run", Kind.START, 5, ())
    assert entry.entry_id == "a/signal/b/run/start/5"
    assert kind_of(entry.entry_id) is Kind.START


def test_the_end_of_a_child_points_at_its_start() -> None:
    (started,), (ended,) = child_started(5), child_completed(5)
    (other,) = child_started(4)
    started.event_id, other.event_id = 6, 7
    links.to_earlier(ended, [started, other])
    content = ended.child_workflow_execution_completed_event_attributes
    assert content.started_event_id == 6


def test_the_end_of_a_child_points_nowhere_if_its_start_is_not_there() -> None:
    (ended,) = child_completed(5)
    links.to_earlier(ended, [])
    links.to_started(HistoryEvent(), 3)
    content = ended.child_workflow_execution_completed_event_attributes
    assert content.started_event_id == 0
