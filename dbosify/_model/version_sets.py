"""Sets of build ids that are compatible with each other, as queues of old have them.

The last set is the queue's default, the last id of a set that set's. Temporal calls
this version 0.1 of worker versioning; worker deployments came after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Sets: TypeAlias = list[list[str]]


class Unknown(Exception):
    """No set has the build id that a change is about; the text is the server's."""


class Exists(Exception):
    """The new build id is in some set already; the text is the server's."""


def add_default(sets: Sequence[Sequence[str]], build_id: str) -> Sets:
    """A new set of a new id, which is the default from now on.

    Raises:
        Exists: the id is known, and not such a set already.
    """
    changed = _copied(sets)
    if changed and changed[-1] == [build_id]:
        return changed
    if any(build_id in ids for ids in changed):
        raise Exists(f"version {build_id} already exists")
    return [*changed, [build_id]]


def add_compatible(
    sets: Sequence[Sequence[str]], build_id: str, *, existing: str, default: bool
) -> Sets:
    """A new id in the set of an existing one.

    Args:
        sets: as they are.
        build_id: the new one, the set's default from now on.
        existing: names the set.
        default: whether the set becomes the queue's default.

    Raises:
        Unknown: no set has the existing one.
        Exists: the new one is known, and not where it would be.
    """
    changed = _copied(sets)
    found = _set_of(changed, existing, "compatible_version")
    if changed[found][-1] == build_id and existing in changed[found]:
        return _last(changed, found) if default else changed
    if any(build_id in ids for ids in changed):
        raise Exists(
            f"{build_id} requested to be made compatible with {existing} but both"
            " versions exist and are incompatible"
        )
    changed[found].append(build_id)
    return _last(changed, found) if default else changed


def promote_set(sets: Sequence[Sequence[str]], build_id: str) -> Sets:
    """The set of an id becomes the default.

    Raises:
        Unknown: no set has the id.
    """
    changed = _copied(sets)
    return _last(changed, _set_of(changed, build_id, "version"))


def promote_within(sets: Sequence[Sequence[str]], build_id: str) -> Sets:
    """An id becomes the default of its set.

    Raises:
        Unknown: no set has the id.
    """
    changed = _copied(sets)
    found = changed[_set_of(changed, build_id, "version")]
    found.remove(build_id)
    found.append(build_id)
    return changed


def merge(sets: Sequence[Sequence[str]], primary: str, secondary: str) -> Sets:
    """Two sets become one, whose default is that of the first.

    Raises:
        Unknown: one of the ids is in no set.
    """
    changed = _copied(sets)
    into = _set_of(changed, primary, "primary version")
    other = _set_of(changed, secondary, "secondary version")
    if into == other:
        return changed
    *ids, default = changed[into]
    changed[into] = [*ids, *changed[other], default]
    del changed[other]
    return changed


def _copied(sets: Sequence[Sequence[str]]) -> Sets:
    return [list(each) for each in sets]


def _set_of(sets: Sets, build_id: str, what: str) -> int:
    for index, ids in enumerate(sets):
        if build_id in ids:
            return index
    raise Unknown(f"targeted {what} {build_id} not found")


def _last(sets: Sets, index: int) -> Sets:
    sets.append(sets.pop(index))
    return sets
