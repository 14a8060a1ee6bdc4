"""The RPCs that register custom search attributes, and show which there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    AddSearchAttributesResponse,
    ListSearchAttributesRequest,
    ListSearchAttributesResponse,
    RemoveSearchAttributesRequest,
    RemoveSearchAttributesResponse,
)
from temporalio.api.workflowservice.v1 import (
    GetSearchAttributesRequest,
    GetSearchAttributesResponse,
)
from temporalio.service import RPCError

from dbosify._model.search_attributes import (
    MOST_OF_A_TYPE,
    PREDEFINED,
    SYSTEM,
    TYPES,
    enum_of,
)
from dbosify._service import errors
from dbosify._service.context import Context
from dbosify._store import search_attributes

_RESERVED_PREFIX = "Temporal"
_STORAGE_TYPE = "jsonb"


async def add_search_attributes(
    context: Context, request: AddSearchAttributesRequest
) -> AddSearchAttributesResponse:
    """Register attributes; those that are known already stay what they are."""
    if not request.search_attributes:
        raise errors.invalid("SearchAttributes are not set on request.")
    if not request.namespace:
        raise errors.invalid("Namespace is not set on request.")
    for name in request.search_attributes:
        if _is_reserved(name):
            raise errors.invalid(f"Search attribute {name} is reserved by system.")
        if "\0" in name:
            raise errors.invalid("Search attribute name has a NUL character.")
    wanted = dict(request.search_attributes)
    async with context.database.transaction() as connection:
        known = await search_attributes.lock(context.database, connection)
        new = {name: kind for name, kind in wanted.items() if name not in known}
        named = {name: _name_of(kind) for name, kind in new.items()}
        _check_room(known, named)
        await search_attributes.add(context.database, connection, named)
    return AddSearchAttributesResponse()


def _is_reserved(name: str) -> bool:
    return name in SYSTEM or name in PREDEFINED or name.startswith(_RESERVED_PREFIX)


def _name_of(kind: IndexedValueType.ValueType) -> str:
    known = 0 < kind <= len(TYPES)
    return TYPES[kind - 1] if known else "Unspecified" if kind == 0 else str(kind)


def _check_room(known: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    counts = Counter(known.values())
    for kind in wanted.values():
        counts[kind] += 1
        most = MOST_OF_A_TYPE.get(kind, 0)
        if counts[kind] > most:
            raise _too_many(kind, most)


def _too_many(kind: str, most: int) -> RPCError:
    return errors.invalid(
        f"Unable to create search attributes: cannot have more than {most} search"
        f" attribute of type {kind}."
    )


async def list_search_attributes(
    context: Context, request: ListSearchAttributesRequest
) -> ListSearchAttributesResponse:
    """The attributes that runs of this namespace may have."""
    custom = await search_attributes.known(context.database)
    built_in = {**SYSTEM, **PREDEFINED}
    return ListSearchAttributesResponse(
        custom_attributes={name: enum_of(kind) for name, kind in custom.items()},
        system_attributes={name: enum_of(kind) for name, kind in built_in.items()},
        storage_schema=dict.fromkeys(custom, _STORAGE_TYPE),
    )


async def get_search_attributes(
    context: Context, request: GetSearchAttributesRequest
) -> GetSearchAttributesResponse:
    """All attributes, whoever defined them."""
    custom = await search_attributes.known(context.database)
    every = {**SYSTEM, **PREDEFINED, **custom}
    return GetSearchAttributesResponse(
        keys={name: enum_of(kind) for name, kind in every.items()}
    )


async def remove_search_attributes(
    context: Context, request: RemoveSearchAttributesRequest
) -> RemoveSearchAttributesResponse:
    """Forget custom attributes; a name that is not known is no mistake."""
    if not request.search_attributes:
        raise errors.invalid("SearchAttributes are not set on request.")
    for name in request.search_attributes:
        if name in SYSTEM or name in PREDEFINED:
            raise errors.invalid(
                f"Unable to remove non-custom search attributes: {name}."
            )
    names = [name for name in request.search_attributes if "\0" not in name]
    await search_attributes.remove(context.database, names)
    return RemoveSearchAttributesResponse()
