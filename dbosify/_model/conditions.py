"""Conditions on runs, as data: what a list filter says once it is understood.

The service makes them of a query's text, the store makes SQL of them; names and values
in them come from users and reach the database as parameters only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Field:
    """What a condition is about: a system attribute or a stored one."""

    name: str
    kind: str
    system: bool


@dataclass(frozen=True, slots=True)
class Compare:
    """The field and one value; a text and a keyword list are equal to any element."""

    field: Field
    operator: str
    """One of `=` `!=` `<` `<=` `>` `>=` `prefix`."""
    value: Value


@dataclass(frozen=True, slots=True)
class IsNull:
    """The field has no value."""

    field: Field


@dataclass(frozen=True, slots=True)
class Not:
    """The condition is false, and known to be."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Each of the conditions is true."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """One of the conditions is true."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = "Compare | IsNull | Not | All | Any"

_OPERATORS: dict[str, Callable[..., bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(condition: Condition, values: Mapping[str, Value]) -> bool:
    """Whether a condition is true of something that is not in the database.

    Args:
        condition: about fields of one value each.
        values: of the fields; one that is missing is like an empty one.
    """
    if isinstance(condition, All):
        return all(holds(each, values) for each in condition.conditions)
    if isinstance(condition, Any):
        return any(holds(each, values) for each in condition.conditions)
    if isinstance(condition, Not):
        return not holds(condition.condition, values)
    value = values.get(condition.field.name, "")
    if isinstance(condition, IsNull):
        return value == ""
    if condition.operator == "prefix":
        return str(value).startswith(str(condition.value))
    return _OPERATORS[condition.operator](value, condition.value)
