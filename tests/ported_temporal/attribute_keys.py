"""Search attributes of every type that the tests of several areas share.

A namespace takes only so many of a type, so nobody registers more of their own.
"""

from datetime import datetime, timedelta, timezone

from dbosify.client import Client
from dbosify.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from tests.ported_temporal.scaffold import ensure_search_attributes_present

TEXT = SearchAttributeKey.for_text("SharedText")
KEYWORD = SearchAttributeKey.for_keyword("SharedKeyword")
KEYWORD_LIST = SearchAttributeKey.for_keyword_list("SharedKeywordList")
INT = SearchAttributeKey.for_int("SharedInt")
DOUBLE = SearchAttributeKey.for_float("SharedDouble")
BOOL = SearchAttributeKey.for_bool("SharedBool")
MOMENT = SearchAttributeKey.for_datetime("SharedDatetime")

EVERY_KEY = (TEXT, KEYWORD, KEYWORD_LIST, INT, DOUBLE, BOOL, MOMENT)

A_MOMENT = datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
FAR_EAST = timezone(timedelta(hours=9))


async def ensure_keys(client: Client) -> None:
    """Register all of them unless they are."""
    await ensure_search_attributes_present(client, *EVERY_KEY)


def one_of_each(keyword: str = "a keyword") -> TypedSearchAttributes:
    """A value for each key."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(TEXT, "Some words"),
            SearchAttributePair(KEYWORD, keyword),
            SearchAttributePair(KEYWORD_LIST, ["red", "green"]),
            SearchAttributePair(INT, 123),
            SearchAttributePair(DOUBLE, 456.78),
            SearchAttributePair(BOOL, True),
            SearchAttributePair(MOMENT, A_MOMENT),
        ]
    )
