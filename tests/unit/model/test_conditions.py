"""Conditions on what is not in the database."""

import pytest

from dbosify._model.conditions import (
    All,
    Any,
    Compare,
    Condition,
    Field,
    IsNull,
    Not,
    Value,
    holds,
)

NAME = Field("Name", "Keyword", system=True)
SIZE = Field("Size", "Int", system=True)
OTHER = Field("Other", "Keyword", system=True)
VALUES: dict[str, Value] = {"Name": "shop-1", "Size": 3}


@pytest.mark.parametrize(
    ("condition", "true"),
    [
        (Compare(NAME, "=", "shop-1"), True),
        (Compare(NAME, "=", "shop"), False),
        (Compare(NAME, "prefix", "shop"), True),
        (Compare(NAME, "prefix", "mill"), False),
        (Compare(SIZE, "!=", 3), False),
        (Compare(SIZE, "<", 4), True),
        (Compare(SIZE, "<=", 3), True),
        (Compare(SIZE, ">", 3), False),
        (Compare(SIZE, ">=", 3), True),
        (IsNull(NAME), False),
        (IsNull(OTHER), True),
        (Compare(OTHER, "=", ""), True),
        (Not(IsNull(NAME)), True),
        (All((Compare(SIZE, "=", 3), IsNull(NAME))), False),
        (Any((Compare(SIZE, "=", 3), IsNull(NAME))), True),
    ],
)
def test_a_condition_holds_or_not(condition: Condition, true: bool) -> None:
    assert holds(condition, VALUES) is true
