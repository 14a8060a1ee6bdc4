"""Values that mean: no value. A run's memo and attributes start without them."""

from __future__ import annotations

from .protos import Memo, Payload, SearchAttributes


def without_nulls(
    memo: Memo, attributes: SearchAttributes
) -> tuple[Memo, SearchAttributes]:
    """What a new run keeps of the memo and the attributes it is given."""
    kept, kept_attributes = Memo(), SearchAttributes()
    for key, payload in memo.fields.items():
        if not _is_null(payload):
            kept.fields[key].CopyFrom(payload)
    for key, payload in attributes.indexed_fields.items():
        if not _is_null(payload) and payload.data != b"[]":
            kept_attributes.indexed_fields[key].CopyFrom(payload)
    return kept, kept_attributes


def _is_null(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == b"binary/null" or payload.data == b"null"
