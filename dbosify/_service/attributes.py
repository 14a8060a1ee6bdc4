"""Search attributes of requests: checked, and given the types they are known under."""

from __future__ import annotations

from collections.abc import Mapping

from dbosify._model import search_attributes
from dbosify._model.protos import SearchAttributes

from . import errors


def settled(
    attributes: SearchAttributes, custom: Mapping[str, str], namespace: str
) -> SearchAttributes:
    """The attributes with their types.

    Raises:
        RPCError: one is unknown, or its value does not fit its type.
    """
    try:
        return search_attributes.settled(attributes, custom, namespace)
    except search_attributes.BadAttribute as error:
        raise errors.invalid(str(error)) from None
