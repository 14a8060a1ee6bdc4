"""What a parsed list filter means: conditions on runs, and how to group them.

Temporal's rules about which operator goes with which type, in the order in which its
server applies them: the name, then the value, then the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbosify._model import search_attributes as attributes
from dbosify._model.conditions import All, Any, Compare, Condition, Field, IsNull, Not
from dbosify._service import errors

from .syntax import invalid_query, parse, too_deep
from .values import literal, name_of_node, typed

if TYPE_CHECKING:
    from sqlglot import exp

    from dbosify._model.conditions import Value

DIVISION = "TemporalNamespaceDivision"

_PREFIX = "Temporal"
_PAUSED = "TemporalSchedulePaused"
_EQUAL = ("=", "!=", "IN", "NOT IN")
_ORDERED = (*_EQUAL, "<", "<=", ">", ">=")
_OPERATORS: Mapping[str, tuple[str, ...]] = {
    attributes.TEXT: ("=", "!="),
    attributes.KEYWORD_LIST: _EQUAL,
    attributes.KEYWORD: (*_ORDERED, "STARTS_WITH", "NOT STARTS_WITH"),
    attributes.INT: _ORDERED,
    attributes.DOUBLE: _ORDERED,
    attributes.BOOL: _ORDERED,
    attributes.DATETIME: _ORDERED,
}
_RANGED = (
    attributes.KEYWORD,
    attributes.INT,
    attributes.DOUBLE,
    attributes.DATETIME,
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A query, understood."""

    condition: Condition | None = None
    """None is true of every run."""
    by_status: bool = False
    """Whether it asks for a group per status."""
    names_division: bool = False
    """Whether it speaks of the attribute that else hides runs of the system's own."""


def understand(
    query: str,
    custom: Mapping[str, str],
    system: Mapping[str, str] = attributes.SYSTEM,
) -> Filter:
    """The meaning of a query.

    Args:
        query: as the client sent it.
        custom: the registered search attributes and their types.
        system: what everything that the query is about has of itself; statuses of
            other things than runs are not checked.

    Raises:
        RPCError: in the server's words.
    """
    return _understand(query, _Reader(custom, system))


def understand_for_schedules(query: str, custom: Mapping[str, str]) -> Filter:
    """The meaning of a query about schedules, which have few attributes of their own.

    Args:
        query: as the client sent it.
        custom: the registered search attributes and their types.

    Raises:
        RPCError: in the server's words.
    """
    return _understand(query, _ScheduleReader(custom))


def _understand(query: str, reader: _Reader) -> Filter:
    if not query.strip():
        return Filter()
    if "\0" in query:
        raise invalid_query("malformed SQL query: it has a NUL character")
    try:
        return reader.read(parse(query))
    except RecursionError:
        raise too_deep() from None


class _Reader:
    """Reads one tree."""

    def __init__(
        self,
        custom: Mapping[str, str],
        system: Mapping[str, str] = attributes.SYSTEM,
    ) -> None:
        self._custom = custom
        self._system = system
        self._names: set[str] = set()

    def read(self, tree: exp.Select) -> Filter:
        where = tree.args.get("where")
        condition = None if where is None else self._condition(where.this)
        grouped = self._grouped(tree.args.get("group"))
        if tree.args.get("limit") is not None:
            raise invalid_query("operation is not supported: 'LIMIT' clause")
        if tree.args.get("order") is not None:
            self._refuse_order(tree.args["order"])
        return Filter(condition, grouped, DIVISION in self._names)

    def _grouped(self, group: exp.Expr | None) -> bool:
        if group is None:
            return False
        if len(group.expressions) != 1:
            raise invalid_query(
                "operation is not supported: 'GROUP BY' clause supports only a single"
                " field"
            )
        field = self._field(group.expressions[0])
        if field.name != "ExecutionStatus":
            raise invalid_query(
                "operation is not supported: 'GROUP BY' clause is not supported for"
                f" search attribute {field.name}"
            )
        return True

    def _refuse_order(self, order: exp.Expr) -> None:
        for ordered in order.expressions:
            if self._field(ordered.this).kind == attributes.TEXT:
                raise invalid_query(
                    "operation is not supported: unable to sort by search attribute"
                    " type Text"
                )
        raise invalid_query("operation is not supported: 'ORDER BY' clause")

    def _field(self, node: exp.Expr) -> Field:
        from sqlglot import exp

        if isinstance(node, exp.Parameter):
            raise invalid_query(f"invalid search attribute: @{node.name}")
        if not isinstance(node, exp.Column):
            raise invalid_query(
                "invalid expression: must be a column name but was"
                f" {name_of_node(node)}"
            )
        return self._named(".".join(part.name for part in node.parts))

    def _named(self, name: str) -> Field:
        if name in ("ScheduleId", "TemporalScheduleId"):
            return Field("WorkflowId", attributes.KEYWORD, system=True)
        for spelling in (name, _PREFIX + name, name.removeprefix(_PREFIX)):
            field = self._known(spelling)
            if field is not None:
                self._names.add(field.name)
                return field
        raise invalid_query(f"invalid search attribute: {name}")

    def _known(self, name: str) -> Field | None:
        if name in self._system:
            return Field(name, self._system[name], system=True)
        kind = attributes.PREDEFINED.get(name) or self._custom.get(name)
        return None if kind is None else Field(name, kind, system=False)

    def _condition(self, node: exp.Expr) -> Condition:
        from sqlglot import exp

        readers: tuple[tuple[type, Callable[..., Condition]], ...] = (
            (exp.Paren, self._paren),
            (exp.And, self._all),
            (exp.Or, self._any),
            (exp.Between, self._between),
            (exp.In, self._in),
            (exp.Is, self._is),
            (exp.Not, self._not),
        )
        for kind, read in readers:
            if isinstance(node, kind):
                return read(node)
        operator = _symbols().get(type(node))
        if operator is not None:
            negated = "NOT " if node.args.get("negate") else ""
            return self._compare(node, negated + operator)
        if isinstance(node, exp.Column):
            raise invalid_query("invalid expression: incomplete expression")
        raise invalid_query(
            f"operation is not supported: expression of type {name_of_node(node)}"
        )

    def _paren(self, node: exp.Paren) -> Condition:
        return self._condition(node.this)

    def _all(self, node: exp.And) -> Condition:
        return All(tuple(self._condition(part) for part in node.flatten()))

    def _any(self, node: exp.Or) -> Condition:
        return Any(tuple(self._condition(part) for part in node.flatten()))

    def _not(self, node: exp.Not) -> Condition:
        from sqlglot import exp

        inner = node.this
        if isinstance(inner, exp.In):
            return self._in(inner, negated=True)
        operator = _symbols().get(type(inner), "")
        if operator in ("LIKE", "REGEXP", "STARTS_WITH"):
            return self._compare(inner, f"NOT {operator}")
        return Not(self._condition(inner))

    def _compare(self, node: exp.Expr, operator: str) -> Condition:
        field = self._field(node.this)
        given = literal(node.expression)
        value = self._typed(field, given)
        _check(field, operator)
        if operator.endswith("STARTS_WITH") and not isinstance(value, str):
            # Statuses are numbers in the database; Temporal's words say it otherwise.
            raise invalid_query(
                f'invalid expression: right-hand side of "{operator.lower()}" operator'
                f" must be a literal string (got: {given})"
            )
        if field.kind == attributes.TEXT and value == "":
            raise invalid_query(
                "invalid expression: no tokens found filtering on Text type search"
                f" attribute {field.name}"
            )
        if operator == "NOT STARTS_WITH":
            return Not(Compare(field, "prefix", value))
        return Compare(
            field, "prefix" if operator == "STARTS_WITH" else operator, value
        )

    def _typed(self, field: Field, value: Value) -> Value:
        of_runs = self._system is attributes.SYSTEM
        return typed(field, value, of_runs=of_runs)

    def _in(self, node: exp.In, *, negated: bool = False) -> Condition:
        field = self._field(node.this)
        query = node.args.get("query")
        nodes = node.expressions if query is None else [query]
        values = [self._typed(field, literal(each)) for each in nodes]
        _check(field, "NOT IN" if negated else "IN")
        among = Any(tuple(Compare(field, "=", value) for value in values))
        return Not(among) if negated else among

    def _between(self, node: exp.Between) -> Condition:
        field = self._field(node.this)
        low, high = (
            self._typed(field, literal(node.args[end])) for end in ("low", "high")
        )
        if field.kind not in _RANGED:
            raise invalid_query(
                "invalid expression: cannot do range condition on search attribute"
                f" '{field.name}' of type {field.kind}"
            )
        return All((Compare(field, ">=", low), Compare(field, "<=", high)))

    def _is(self, node: exp.Is) -> Condition:
        from sqlglot import exp

        if not isinstance(node.expression, exp.Null):
            raise invalid_query(
                "invalid expression: 'IS' operator can only be used as 'IS NULL' or"
                " 'IS NOT NULL'"
            )
        return IsNull(self._field(node.this))


class _ScheduleReader(_Reader):
    """Reads one tree about schedules."""

    def _named(self, name: str) -> Field:
        if name == "ScheduleId":
            return Field(name, attributes.KEYWORD, system=True)
        if name in (_PAUSED, _PAUSED.removeprefix(_PREFIX)):
            return Field(_PAUSED, attributes.BOOL, system=True)
        field = super()._named(name)
        if field.name not in self._custom:
            raise errors.invalid(
                f'invalid query filter for schedules: cannot filter on "{name}"'
            )
        return field


def _check(field: Field, operator: str) -> None:
    if operator not in _OPERATORS[field.kind]:
        raise invalid_query(
            f"operation is not supported: operator '{operator}' not supported for"
            f" {field.kind} type search attribute '{field.name}'"
        )


def _symbols() -> Mapping[type, str]:
    from sqlglot import exp

    return {
        exp.EQ: "=",
        exp.NEQ: "!=",
        exp.LT: "<",
        exp.LTE: "<=",
        exp.GT: ">",
        exp.GTE: ">=",
        exp.NullSafeEQ: "<=>",
        exp.Like: "LIKE",
        exp.RegexpLike: "REGEXP",
        exp.Glob: "STARTS_WITH",
    }
