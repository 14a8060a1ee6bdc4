"""Which search attributes are taken, with which types, and how they are kept."""

from __future__ import annotations

import json

import pytest

from dbosify._model.protos import Payload, SearchAttributes
from dbosify._model.search_attributes import (
    BadAttribute,
    as_go,
    as_sent,
    as_typed,
    custom_names,
    document,
    enum_of,
    nanoseconds_of,
    settled,
    tokens_of,
    with_paused,
)

TYPES = {
    "T": "Text",
    "K": "Keyword",
    "I": "Int",
    "D": "Double",
    "B": "Bool",
    "M": "Datetime",
    "L": "KeywordList",
}


def sent(**values: object) -> SearchAttributes:
    """Attributes as JSON without types; bytes are taken as they are."""
    return SearchAttributes(
        indexed_fields={
            name: Payload(
                metadata={"encoding": b"json/plain"},
                data=value
                if isinstance(value, bytes)
                else json.dumps(value, ensure_ascii=False).encode(),
            )
            for name, value in values.items()
        }
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("T", "words"),
        ("K", "word"),
        ("K", ["word"]),
        ("I", 1),
        ("I", -(2**63)),
        ("D", 1.5),
        ("D", 2),
        ("B", True),
        ("M", "2024-02-29T01:02:03.5+09:00"),
        ("L", ["a", "b"]),
        ("L", []),
        ("I", None),
    ],
)
def test_a_value_that_fits_gets_the_registered_type(name: str, value: object) -> None:
    attributes = sent(**{name: value})
    attributes.indexed_fields[name].metadata["type"] = b"Nonsense"
    payload = settled(attributes, TYPES, "default").indexed_fields[name]
    assert payload.metadata["type"].decode() == TYPES[name]
    assert payload.data == attributes.indexed_fields[name].data


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("I", 5.5, "5.5"),
        ("I", 5.0, "5"),
        ("I", "5", "5"),
        ("I", True, "true"),
        ("I", 2**63, "9.223372036854776e+18"),
        ("I", [1, 2], "[1 2]"),
        ("D", "x", "x"),
        ("B", 1, "1"),
        ("B", 0.00001, "1e-05"),
        ("K", {"b": None, "a": 1000000}, "map[a:1e+06 b:<nil>]"),
        ("K", False, "false"),
        ("K", 0, "0"),
        ("L", "a", "a"),
        ("L", ["a", 1], "[a 1]"),
        ("M", "2024-01-01", "2024-01-01"),
        ("M", 3, "3"),
    ],
)
def test_a_value_that_does_not_fit_is_shown_as_go_prints_it(
    name: str, value: object, shown: str
) -> None:
    with pytest.raises(BadAttribute) as refused:
        settled(sent(**{name: value}), TYPES, "default")
    text = f"invalid value for search attribute {name} of type {TYPES[name]}: {shown}"
    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (
            Payload(metadata={"encoding": b"json/plain"}, data=b"{"),
            'value from <metadata:{key:"encoding"  value:"json/plain"}  data:"{">',
        ),
        (
            Payload(metadata={"encoding": b"json/plain"}, data=b"NaN"),
            'value from <metadata:{key:"encoding"  value:"json/plain"}  data:"NaN">',
        ),
        (
            Payload(metadata={"encoding": b"json/plain"}, data=b"1e999"),
            'value from <metadata:{key:"encoding"  value:"json/plain"}  data:"1e999">',
        ),
        (
            Payload(metadata={"encoding": b"json/protobuf"}),
            'value from <metadata:{key:"encoding"  value:"json/protobuf"}>',
        ),
        (Payload(metadata={"encoding": b"binary/plain"}, data=b"\1\2"), "[1 2]"),
    ],
)
def test_what_cannot_be_read_is_shown_raw(payload: Payload, shown: str) -> None:
    attributes = SearchAttributes(indexed_fields={"I": payload})
    with pytest.raises(BadAttribute) as refused:
        settled(attributes, TYPES, "default")
    text = f"invalid value for search attribute I of type Int: {shown}"
    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (
            sent(Nope=1),
            "Namespace default has no mapping defined for search attribute Nope",
        ),
        (sent(RunId="x"), "RunId attribute can't be set in SearchAttributes"),
        (
            sent(TemporalWorkerDeployment="x"),
            "TemporalWorkerDeployment attribute can't be set in SearchAttributes",
        ),
        (
            sent(K="x" * 2047),
            "search attribute K value size 2049 exceeds size limit 2048",
        ),
        (
            sent(K="a\0b"),
            "search attribute K has a NUL character, which cannot be stored",
        ),
    ],
)
def test_other_mistakes_are_told_in_the_servers_words(
    attributes: SearchAttributes, text: str
) -> None:
    with pytest.raises(BadAttribute) as refused:
        settled(attributes, TYPES, "default")
    assert str(refused.value) == text


def test_there_may_be_a_hundred_and_forty_kibibytes_of_them() -> None:
    many = {f"K{number}": "Keyword" for number in range(101)}
    with pytest.raises(BadAttribute, match="attributes 101 exceeds limit 100"):
        settled(sent(**dict.fromkeys(many, "x")), many, "default")
    few = {f"K{number}": "Keyword" for number in range(21)}
    with pytest.raises(BadAttribute, match=r"total size .* exceeds size limit 40960"):
        settled(sent(**dict.fromkeys(few, "x" * 2000)), few, "default")


def test_an_unset_value_fits_every_type() -> None:
    attributes = SearchAttributes(
        indexed_fields={"I": Payload(metadata={"encoding": b"binary/null"})}
    )
    payload = settled(attributes, TYPES, "default").indexed_fields["I"]
    assert document(payload) is None


def test_predefined_attributes_need_no_registration() -> None:
    attributes = sent(BatcherUser="me")
    payload = settled(attributes, {}, "default").indexed_fields["BatcherUser"]
    assert payload.metadata["type"] == b"Keyword"
    assert custom_names(["BatcherUser", "RunId", "K"]) == ["K"]


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("I", 7, {"type": "Int", "value": 7}),
        ("I", [7], {"type": "Int", "value": 7, "listed": True}),
        ("L", ["a"], {"type": "KeywordList", "value": ["a"]}),
        (
            "T",
            "One two",
            {"type": "Text", "value": "One two", "tokens": ["one", "two"]},
        ),
        (
            "M",
            "1970-01-01T00:00:01Z",
            {"type": "Datetime", "value": "1970-01-01T00:00:01Z", "at": 1_000_000_000},
        ),
    ],
)
def test_what_is_kept_tells_what_was_sent(
    name: str, value: object, kept: dict[str, object]
) -> None:
    payload = settled(sent(**{name: value}), TYPES, "default").indexed_fields[name]
    found = document(payload)
    assert found == kept
    assert json.loads(as_sent(found).data) == value
    assert json.loads(as_typed(found).data) == kept["value"]


@pytest.mark.parametrize(("name", "data"), [("K", b'"\\ud800"'), ("L", b'["\\ud800"]')])
def test_half_a_surrogate_pair_is_replaced(name: str, data: bytes) -> None:
    payload = settled(sent(**{name: data}), TYPES, "default").indexed_fields[name]
    found = document(payload)
    assert found is not None
    assert found["value"] in ("\ufffd", ["\ufffd"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T09:00:00+09:00", 0),
        ("1969-12-31T23:59:59,000000001-00:00", -999_999_999),
        ("2024-02-30T00:00:00Z", None),
        ("2024-02-03T00:00:00", None),
        ("2024-02-03T00:00:00+24:00", None),
        ("2024-02-03T00:00:00+01:60", None),
        ("0000-01-01T00:00:00Z", -62_167_219_200 * 10**9),
    ],
)
def test_times_need_a_zone(text: str, expected: int | None) -> None:
    assert nanoseconds_of(text) == expected


def test_words_are_found_without_case_accents_and_signs() -> None:
    assert tokens_of("Ça va-t-il_bien? VA!") == ["bien", "ca", "il", "t", "va"]


def test_negative_and_small_numbers_print_as_in_go() -> None:
    assert [as_go(n) for n in (-3, 0.25, 123456.0, 1e21)] == [
        *("-3", "0.25", "123456", "1e+21"),
    ]


def test_types_have_the_numbers_of_the_enum() -> None:
    assert [enum_of(kind) for kind in ("Text", "KeywordList")] == [1, 7]


def test_types_of_paused_activities_are_shown_once_each() -> None:
    shown = SearchAttributes()
    with_paused(shown, [])
    assert not shown.indexed_fields
    with_paused(shown, ["b", "a", "b"])
    paused = shown.indexed_fields["TemporalPauseInfo"]
    assert paused.metadata["type"] == b"KeywordList"
    assert json.loads(paused.data) == [
        "property:activityType=a",
        "property:activityType=b",
    ]
