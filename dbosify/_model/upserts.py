"""What an upsert does to the memo or the attributes of a run."""

from __future__ import annotations

from collections.abc import MutableMapping

from .protos import Payload


def put(fields: MutableMapping[str, Payload], key: str, value: Payload) -> None:
    """Do to `fields` what an upsert does: a null takes the key away."""
    if value.metadata.get("encoding") == b"binary/null" or value.data in (b"", b"null"):
        fields.pop(key, None)
    else:
        fields[key].CopyFrom(value)
