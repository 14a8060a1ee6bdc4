"""Values in list filters: which literal an attribute takes, and what it stands for."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from dbosify._model import search_attributes as attributes
from dbosify._model.conditions import Field, Value
from dbosify._model.protos import WorkflowExecutionStatus

from .syntax import invalid_query

if TYPE_CHECKING:
    from sqlglot import exp

_STATUS_PREFIX = "WORKFLOW_EXECUTION_STATUS_"
STATUSES = {
    "".join(
        word.capitalize() for word in name.removeprefix(_STATUS_PREFIX).split("_")
    ): n
    for name, n in WorkflowExecutionStatus.items()
}
"""The numbers of statuses by the names that filters and groups call them."""

_LONGEST = 2**63
"""Nanoseconds that Go's durations have no room for any more."""

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86_400 * 10**9,
}
_SPAN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)", re.ASCII)
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)", re.ASCII)
_GO_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}

_VITESS = {
    "Null": "*sqlparser.NullVal",
    "Subquery": "*sqlparser.Subquery",
    "Select": "*sqlparser.Subquery",
    "Paren": "*sqlparser.ParenExpr",
    "Tuple": "sqlparser.ValTuple",
    "Collate": "*sqlparser.CollateExpr",
    "Case": "*sqlparser.CaseExpr",
    "Exists": "*sqlparser.ExistsExpr",
    "Boolean": "sqlparser.BoolVal",
    "Literal": "*sqlparser.SQLVal",
    "Placeholder": "*sqlparser.SQLVal",
    "Cast": "*sqlparser.ConvertExpr",
    "MatchAgainst": "*sqlparser.MatchExpr",
    "BitwiseNot": "*sqlparser.UnaryExpr",
    "Neg": "*sqlparser.UnaryExpr",
    "Not": "*sqlparser.UnaryExpr",
}


def name_of_node(node: exp.Expr) -> str:
    """What Temporal's parser calls such a part of a query."""
    from sqlglot import exp

    while isinstance(node, exp.Paren) and isinstance(node.this, exp.Not):
        node = node.this
    name = _VITESS.get(type(node).__name__)
    if name is None and isinstance(node, exp.Func):
        return "*sqlparser.FuncExpr"
    return name or "*sqlparser.BinaryExpr"


def literal(node: exp.Expr) -> Value:
    """The value that a literal stands for.

    Raises:
        RPCError: it is none.
    """
    from sqlglot import exp

    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Neg):
        if not _is_number(node.this):
            raise invalid_query(
                "invalid expression: unary operator not supported in"
                f' "{node.sql("mysql")}"'
            )
        return _negative(literal(node.this))
    if isinstance(node, exp.BitwiseNot):
        raise invalid_query('operation is not supported: unary operator "~"')
    if isinstance(node, exp.Literal):
        return str(node.this) if node.is_string else _number(str(node.this))
    if isinstance(node, (exp.Column, exp.Parameter)):
        name = node.name if isinstance(node, exp.Column) else f"@{node.name}"
        raise invalid_query(
            "operation is not supported: column name on the right side of comparison"
            f' expression (did you forget to quote "{name}"?)'
        )
    if isinstance(node, exp.Placeholder):
        shown = f":{node.this}" if node.this else ":v1"
        raise invalid_query(f'invalid expression: unable to parse value "{shown}"')
    if isinstance(node, exp.Func) and not isinstance(
        node, (exp.Case, exp.Exists, exp.Collate)
    ):
        raise invalid_query("operation is not supported: nested func")
    raise invalid_query(
        f"invalid expression: unexpected value type {name_of_node(node)}"
    )


def _is_number(node: exp.Expr) -> bool:
    from sqlglot import exp

    return isinstance(node, exp.Literal) and not node.is_string


def _negative(value: Value) -> Value:
    assert not isinstance(value, str), "only numbers are negated"
    return -value


def _number(text: str) -> Value:
    if text.isdecimal() and len(text) < 20 and int(text) < 2**63:
        return int(text)
    number = float(text)
    if math.isinf(number):
        raise invalid_query(f'invalid expression: unable to parse value "{text}"')
    return number


def typed(field: Field, value: Value, *, of_runs: bool = True) -> Value:
    """The value as conditions on `field` want it.

    Args:
        field: what the value is compared with.
        value: of the literal.
        of_runs: whether a status is one of a run's.

    Raises:
        RPCError: it is of another type, or not to be understood.
    """
    if field.system and field.name == "ExecutionStatus" and of_runs:
        return _status(field, value)
    if field.system and field.name == "ExecutionDuration":
        return _duration(field, value)
    if field.kind == attributes.DATETIME:
        return _moment(field, value)
    if not isinstance(value, _TAKES[field.kind]) or (
        isinstance(value, bool) and field.kind != attributes.BOOL
    ):
        raise _mistyped(field, value)
    return value


_TAKES: dict[str, tuple[type, ...]] = {
    attributes.TEXT: (str,),
    attributes.KEYWORD: (str,),
    attributes.KEYWORD_LIST: (str,),
    attributes.INT: (int, float),
    attributes.DOUBLE: (int, float),
    attributes.BOOL: (bool,),
}


def _mistyped(field: Field, value: Value) -> Exception:
    shown = f'"{value}"' if isinstance(value, str) else attributes.as_go(value)
    if isinstance(value, int) and not isinstance(value, bool):
        shown = str(value)
    return invalid_query(
        f"invalid expression: invalid value type for search attribute {field.name} of"
        f" type {field.kind}: {shown} (type: {_GO_TYPES[type(value)]})"
    )


def _unexpected(field: Field, value: Value) -> Exception:
    return invalid_query(
        f"invalid expression: unexpected value type {_GO_TYPES[type(value)]} for search"
        f" attribute {field.name}"
    )


def _moment(field: Field, value: Value) -> int:
    if isinstance(value, (bool, float)):
        raise _mistyped(field, value)
    if isinstance(value, int):
        return value
    moment = attributes.nanoseconds_of(value)
    if moment is None:
        raise invalid_query(f"invalid expression: unable to parse datetime '{value}'")
    return moment


def _status(field: Field, value: Value) -> int:
    if isinstance(value, (bool, float)):
        raise _unexpected(field, value)
    if isinstance(value, int):
        known = value if value in STATUSES.values() else None
        shown = str(value)
    else:
        known = STATUSES.get(value)
        if known is None and value.startswith(_STATUS_PREFIX):
            known = dict(WorkflowExecutionStatus.items()).get(value)
        shown = f"'{value}'"
    if known is None:
        raise invalid_query(
            f"invalid expression: invalid ExecutionStatus value {shown}"
        )
    return int(known)


def _duration(field: Field, value: Value) -> int:
    if isinstance(value, bool):
        raise _mistyped(field, value)
    if isinstance(value, float):
        raise _unexpected(field, value)
    if isinstance(value, int):
        return value
    span = nanoseconds_of_span(value)
    if span is None:
        raise invalid_query(
            "invalid expression: invalid duration value for search attribute"
            f" {field.name}: {value}"
        )
    return span


def nanoseconds_of_span(text: str) -> int | None:
    """A time span as filters write them: `1h30m`, `1.5s`, `2d`, `01:02:03`, `1000`."""
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hours, minutes, seconds = map(int, clock.groups())
        return (hours * 3600 + minutes * 60 + seconds) * 10**9
    sign = -1 if text.startswith("-") else 1
    digits = text[1:] if text[:1] in ("-", "+") else text
    if digits.isascii() and digits.isdecimal():
        return sign * int(digits) if len(digits) < 20 else None
    spans = list(_SPAN.finditer(digits))
    if not spans or sum(len(span.group()) for span in spans) != len(digits):
        return None
    total = sum(Decimal(span.group(1)) * _UNITS[span.group(2)] for span in spans)
    return sign * int(total) if total < _LONGEST else None
