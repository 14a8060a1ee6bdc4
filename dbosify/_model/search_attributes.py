"""Search attributes: their names and types, and what a value of each type may be.

A value travels as a JSON payload. The type that counts is the one under which the name
is known to the namespace, whatever the payload says; a value that does not fit is
refused in the words of Temporal's server, which prints it as Go does.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType

from .protos import Payload, SearchAttributes

TEXT, KEYWORD, INT, DOUBLE, BOOL, DATETIME, KEYWORD_LIST = TYPES = (
    "Text",
    "Keyword",
    "Int",
    "Double",
    "Bool",
    "Datetime",
    "KeywordList",
)
"""The types by the names that payloads and errors call them, in the enum's order."""

MOST_OF_A_TYPE = {KEYWORD: 10} | {kind: 3 for kind in TYPES if kind != KEYWORD}
"""How many custom attributes of each type a namespace on an SQL store may have."""

SYSTEM: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("WorkflowId", "RunId", "WorkflowType", "TaskQueue", "ExecutionStatus"),
            *("ParentWorkflowId", "ParentRunId", "RootWorkflowId", "RootRunId"),
        ),
        KEYWORD,
    ),
    **dict.fromkeys(("StartTime", "ExecutionTime", "CloseTime"), DATETIME),
    **dict.fromkeys(
        (
            *("HistoryLength", "HistorySizeBytes"),
            *("StateTransitionCount", "ExecutionDuration"),
        ),
        INT,
    ),
}
"""What every run has of itself."""

WORKFLOWS_ONLY_TEXT = (
    *("WorkflowId", "WorkflowType", "ParentWorkflowId", "ParentRunId"),
    *("RootWorkflowId", "RootRunId"),
)
WORKFLOWS_ONLY_NUMBERS = ("HistoryLength", "HistorySizeBytes")

OF_ACTIVITIES: Mapping[str, str] = {
    **SYSTEM,
    **dict.fromkeys(("ActivityId", "ActivityType"), KEYWORD),
}
"""What a filter on activities may speak of; what only runs have is empty in them."""

OF_OPERATIONS: Mapping[str, str] = {
    **SYSTEM,
    **dict.fromkeys(("OperationId", "Endpoint", "Service", "Operation"), KEYWORD),
}
"""The same of filters on Nexus operations."""

_OF_THE_SERVER = {
    "TemporalUsedWorkerDeploymentVersions": KEYWORD_LIST,
    "TemporalWorkerDeployment": KEYWORD,
    "TemporalWorkerDeploymentVersion": KEYWORD,
    "TemporalWorkflowVersioningBehavior": KEYWORD,
    "TemporalExternalPayloadCount": INT,
    "TemporalExternalPayloadSizeBytes": INT,
}

PREDEFINED: Mapping[str, str] = {
    "BinaryChecksums": KEYWORD_LIST,
    "BuildIds": KEYWORD_LIST,
    "TemporalChangeVersion": KEYWORD_LIST,
    "TemporalPauseInfo": KEYWORD_LIST,
    "TemporalReportedProblems": KEYWORD_LIST,
    "BatcherNamespace": KEYWORD,
    "BatcherUser": KEYWORD,
    "TemporalNamespaceDivision": KEYWORD,
    "TemporalScheduledById": KEYWORD,
    "TemporalScheduledStartTime": DATETIME,
    "TemporalSchedulePaused": BOOL,
    **_OF_THE_SERVER,
}
"""What is known without being registered, and kept like custom attributes."""

MAX_COUNT = 100
MAX_VALUE_SIZE = 2048
MAX_TOTAL_SIZE = 40 * 1024

_INT_RANGE = range(-(2**63), 2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?"
    r"(?:Z|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SEPARATORS = re.compile(r"[\W_]+")
_ENCODING = b"json/plain"


class BadAttribute(Exception):
    """An attribute that the server would refuse, in its words."""


class UnknownAttribute(BadAttribute):
    """An attribute that nobody registered."""


def enum_of(kind: str) -> IndexedValueType.ValueType:
    """A type's number."""
    return IndexedValueType.ValueType(TYPES.index(kind) + 1)


def custom_names(names: Collection[str]) -> list[str]:
    """Those that a namespace must have registered."""
    return [name for name in names if name not in SYSTEM and name not in PREDEFINED]


def settled(
    attributes: SearchAttributes, custom: Mapping[str, str], namespace: str
) -> SearchAttributes:
    """The attributes with their types written into them.

    Args:
        attributes: as a client or a workflow sends them; values that unset stay.
        custom: the types of the registered ones among them.
        namespace: for the error of an unknown name.

    Raises:
        BadAttribute: a name is unknown or may not be set, or a value does not fit.
    """
    fields = attributes.indexed_fields
    for name in fields:
        if name not in custom and name not in SYSTEM and name not in PREDEFINED:
            raise UnknownAttribute(
                f"Namespace {namespace} has no mapping defined for search attribute"
                f" {name}"
            )
    if len(fields) > MAX_COUNT:
        raise BadAttribute(
            f"number of search attributes {len(fields)} exceeds limit {MAX_COUNT}"
        )
    result = SearchAttributes()
    for name, payload in fields.items():
        kind = _settable(name, custom)
        _check_size(name, payload)
        if not is_unset(payload):
            _check_value(name, kind, payload)
        result.indexed_fields[name].CopyFrom(payload)
        result.indexed_fields[name].metadata["type"] = kind.encode()
    if attributes.ByteSize() > MAX_TOTAL_SIZE:
        raise BadAttribute(
            f"total size of search attributes {attributes.ByteSize()} exceeds size"
            f" limit {MAX_TOTAL_SIZE}"
        )
    return result


def _settable(name: str, custom: Mapping[str, str]) -> str:
    if name in SYSTEM or name in _OF_THE_SERVER:
        raise BadAttribute(f"{name} attribute can't be set in SearchAttributes")
    return PREDEFINED.get(name) or custom[name]


def _check_size(name: str, payload: Payload) -> None:
    # Before anything decodes it: what is deep enough would exhaust the stack.
    if len(payload.data) > MAX_VALUE_SIZE:
        raise BadAttribute(
            f"search attribute {name} value size {len(payload.data)} exceeds size"
            f" limit {MAX_VALUE_SIZE}"
        )


def is_unset(payload: Payload) -> bool:
    """Whether the value takes the attribute away."""
    encoding = payload.metadata.get("encoding")
    return encoding == b"binary/null" or (
        encoding == _ENCODING and payload.data in (b"null", b"[]")
    )


def _check_value(name: str, kind: str, payload: Payload) -> None:
    encoding = payload.metadata.get("encoding")
    if encoding == b"binary/plain":
        raise _misfit(name, kind, as_go(list(payload.data)))
    try:
        value = _json(payload.data) if encoding == _ENCODING else _refuse("encoding")
    except (ValueError, RecursionError):
        raise _misfit(name, kind, _raw(payload)) from None
    if not _fits(kind, value):
        raise _misfit(name, kind, as_go(value))
    if any("\0" in part for part in _strings(value)):
        raise BadAttribute(
            f"search attribute {name} has a NUL character, which cannot be stored"
        )


def _misfit(name: str, kind: str, shown: str) -> BadAttribute:
    return BadAttribute(
        f"invalid value for search attribute {name} of type {kind}: {shown}"
    )


def _json(data: bytes) -> Any:
    return json.loads(
        data.decode(errors="replace"), parse_constant=_refuse, parse_float=_finite
    )


def _refuse(what: str) -> Any:
    raise ValueError(what)


def _finite(text: str) -> float:
    number = float(text)
    return _refuse(text) if math.isinf(number) else number


def _strings(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _fits(kind: str, value: Any) -> bool:
    if kind == KEYWORD_LIST:
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or kind == BOOL:
        return isinstance(value, bool) and kind == BOOL
    if kind == INT:
        return isinstance(value, int) and value in _INT_RANGE
    if kind == DOUBLE:
        return isinstance(value, (int, float))
    if not isinstance(value, str):
        return False
    return kind != DATETIME or nanoseconds_of(value) is not None


def nanoseconds_of(text: str) -> int | None:
    """A time of RFC 3339 with its zone: nanoseconds since 1970, None if it is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, sign, hours, minutes = found.groups()[6:]
    # Python's calendar begins with the year 1, Go's with 0; it repeats every 400 years.
    shifted = 400 if year == 0 else 0
    try:
        moment = datetime(
            year + shifted, month, day, hour, minute, second, tzinfo=timezone.utc
        )
    except ValueError:
        return None
    days = 146_097 if shifted else 0
    seconds = (moment - _EPOCH) // timedelta(seconds=1) - days * 86_400
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            return None
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * 1_000_000_000 + int((fraction or "")[:9].ljust(9, "0"))


def tokens_of(text: str) -> list[str]:
    """The words of a text as a search finds them: without case, accents and signs."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.combining(c)).lower()
    return sorted({word for word in _SEPARATORS.split(plain) if word})


def as_go(value: Any) -> str:
    """A decoded JSON value as Go's `%v` prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return _go_number(value)
    if isinstance(value, list):
        return f"[{' '.join(map(as_go, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{k}:{as_go(value[k])}' for k in sorted(value))}]"
    return str(value)


def _go_number(value: float) -> str:
    number = Decimal(repr(float(value))).normalize()
    exponent = number.adjusted()
    if number == 0 or -4 <= exponent < 6:
        return f"{number:f}"
    mantissa = number.scaleb(-exponent)
    return f"{mantissa:f}e{exponent:+03d}"


def _raw(payload: Payload) -> str:
    parts = [
        f'metadata:{{key:"{_escaped(key.encode())}"  value:"{_escaped(value)}"}}'
        for key, value in sorted(payload.metadata.items())
    ]
    if payload.data:
        parts.append(f'data:"{_escaped(payload.data)}"')
    return f"value from <{'  '.join(parts)}>"


def _escaped(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode().replace('"', '\\"')


def document(payload: Payload) -> dict[str, Any] | None:
    """What the database keeps of an attribute, ready for comparisons.

    Returns:
        `type`, `value`; `listed` if a single value came in a list; `at` of a time, in
        nanoseconds; `tokens` of a text. None if there is no value.
    """
    value = json.loads(payload.data) if payload.data and not is_unset(payload) else None
    kind = payload.metadata.get("type", b"").decode()
    result: dict[str, Any] = {"type": kind}
    if kind != KEYWORD_LIST and isinstance(value, list) and len(value) == 1:
        value = value[0]
        result["listed"] = True
    if value is None:
        return None
    if isinstance(value, str):
        value = _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        value = [_SURROGATE.sub("\ufffd", str(item)) for item in value]
    result["value"] = value
    if kind == DATETIME:
        result["at"] = nanoseconds_of(str(value))
    if kind == TEXT:
        result["tokens"] = tokens_of(str(value))
    return result


def as_sent(kept: Mapping[str, Any]) -> Payload:
    """The payload that a document was made of."""
    return _payload(kept, [kept["value"]] if kept.get("listed") else kept["value"])


def keywords(values: Mapping[str, str | Sequence[str]]) -> dict[str, dict[str, Any]]:
    """What the database keeps of keywords and lists of them, by name."""
    return {
        name: {"type": KEYWORD if isinstance(value, str) else KEYWORD_LIST}
        | {"value": value}
        for name, value in values.items()
    }


PAUSE_INFO = "TemporalPauseInfo"
"""Tells of paused activities, as long as some of the run are."""
PAUSED_TYPE = "property:activityType="
"""How each element of it begins; the name of the activity's type follows."""


def with_paused(attributes: SearchAttributes, types: Iterable[str]) -> None:
    """Show that activities of these types are paused."""
    paused = sorted({f"{PAUSED_TYPE}{name}" for name in types})
    if paused:
        kept = {"type": KEYWORD_LIST, "value": paused}
        attributes.indexed_fields[PAUSE_INFO].CopyFrom(_payload(kept, paused))


def as_typed(kept: Mapping[str, Any]) -> Payload:
    """The payload that lists show: a single value is in no list."""
    return _payload(kept, kept["value"])


def _payload(kept: Mapping[str, Any], value: Any) -> Payload:
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Payload(
        metadata={"encoding": _ENCODING, "type": kept["type"].encode()}, data=data
    )
