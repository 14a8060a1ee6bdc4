"""Links between a Nexus caller's history and its handler's, in Nexus's form and ours.

In a request a link is a URL with a type; in history it names a workflow's event, an
operation or an activity. Links of other kinds are left out, as Temporal's server leaves
out what it cannot read.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from .protos import EventType, HistoryEvent, Link, NexusLink

_TYPE = "temporal.api.common.v1.Link.WorkflowEvent"
_OPERATION_TYPE = "temporal.api.common.v1.Link.NexusOperation"
_ACTIVITY_TYPE = "temporal.api.common.v1.Link.Activity"
_NEXUS_PREFIX = "EVENT_TYPE_"


def to_event(
    namespace: str, workflow_id: str, run_id: str, event: HistoryEvent
) -> NexusLink:
    """The link that points at an event of a run."""
    query = urlencode(
        {
            "eventID": event.event_id,
            "eventType": _camel(event.event_type),
            "referenceType": "EventReference",
        }
    )
    path = _path(namespace, "workflows", workflow_id, run_id, "history")
    return NexusLink(url=f"{path}?{query}", type=_TYPE)


def to_operation(namespace: str, operation_id: str, run_id: str) -> NexusLink:
    """The link that points at an operation that a client started."""
    path = _path(namespace, "nexus-operations", operation_id, run_id, "details")
    return NexusLink(url=path, type=_OPERATION_TYPE)


def _path(namespace: str, kind: str, name: str, run_id: str, part: str) -> str:
    names = ("namespaces", namespace, kind, name, run_id, part)
    return "temporal:///" + "/".join(quote(each, safe="") for each in names)


_SHAPES = {
    _TYPE: ("namespaces", "workflows", "history"),
    _OPERATION_TYPE: ("namespaces", "nexus-operations", "details"),
    _ACTIVITY_TYPE: ("namespaces", "activities", "details"),
}


def for_history(links: Iterable[NexusLink]) -> list[Link]:
    """The links of a handler's answer that history can hold."""
    return [link for link in map(_link, links) if link is not None]


def _link(nexus: NexusLink) -> Link | None:
    parts = urlsplit(nexus.url)
    names = [unquote(name) for name in parts.path.strip("/").split("/")]
    shape = (names[0], *names[2:3], *names[5:])
    if len(names) != 6 or shape != _SHAPES.get(nexus.type):
        return None
    namespace, name, run_id = names[1], names[3], names[4]
    if nexus.type == _OPERATION_TYPE:
        operation = Link.NexusOperation(
            namespace=namespace, operation_id=name, run_id=run_id
        )
        return Link(nexus_operation=operation)
    if nexus.type == _ACTIVITY_TYPE:
        activity = Link.Activity(namespace=namespace, activity_id=name, run_id=run_id)
        return Link(activity=activity)
    link = Link()
    found = link.workflow_event
    found.namespace, found.workflow_id, found.run_id = namespace, name, run_id
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    kind = _event_type(query.get("eventType", ""))
    if query.get("referenceType") == "RequestIdReference":
        found.request_id_ref.request_id = query.get("requestID", "")
        found.request_id_ref.event_type = kind
    else:
        number = query.get("eventID", "")
        found.event_ref.event_id = int(number) if number.isdecimal() else 0
        found.event_ref.event_type = kind
    return link


def _camel(kind: EventType.ValueType) -> str:
    words = EventType.Name(kind).removeprefix(_NEXUS_PREFIX).split("_")
    return "".join(word.capitalize() for word in words)


_BY_NAME = {_camel(kind): kind for kind in EventType.values()} | dict(EventType.items())


def _event_type(name: str) -> EventType.ValueType:
    return _BY_NAME.get(name, EventType.EVENT_TYPE_UNSPECIFIED)
