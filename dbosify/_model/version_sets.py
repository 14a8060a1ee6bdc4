"""The old form of worker versioning: build ids in sets of compatible ones.

A task queue has sets from the oldest to the default one, and a set has build ids, its
default last too. What a request does to them is decided here, with the server's texts.
"""

from __future__ import annotations

from typing import TypeAlias

from temporalio.api.workflowservice.v1 import UpdateWorkerBuildIdCompatibilityRequest

VersionSets: TypeAlias = tuple[tuple[str, ...], ...]

MOST_SETS = 10
"""Sets of a task queue."""
MOST_BUILD_IDS = 100
"""Build ids of a task queue, in all sets together."""


class NoSuchBuildId(Exception):
    """The sets do not hold what the request names."""


class Contradiction(Exception):
    """The sets hold it already, and elsewhere than the request says."""


class TooMany(Exception):
    """There would be more than a task queue may have."""


def changed(
    sets: VersionSets, request: UpdateWorkerBuildIdCompatibilityRequest
) -> VersionSets:
    """The sets after a request; the same ones if it changes nothing.

    Raises:
        NoSuchBuildId: it builds on one that is not there.
        Contradiction: it adds one that is there already.
        TooMany: a limit is exceeded.
    """
    match request.WhichOneof("operation"):
        case "add_new_build_id_in_new_default_set":
            after = _add_set(sets, request.add_new_build_id_in_new_default_set)
        case "add_new_compatible_build_id":
            wanted = request.add_new_compatible_build_id
            after = _add_compatible(
                sets,
                wanted.new_build_id,
                beside=wanted.existing_compatible_build_id,
                lead=wanted.make_set_default,
            )
        case "promote_set_by_build_id":
            after = _with_last(sets, _known(sets, request.promote_set_by_build_id))
        case "promote_build_id_within_set":
            build_id = request.promote_build_id_within_set
            after = _promote(sets, _known(sets, build_id), build_id)
        case _:
            wished = request.merge_sets
            after = _merge(
                sets, wished.primary_set_build_id, wished.secondary_set_build_id
            )
    _check_room(after)
    return after


def set_of(sets: VersionSets, build_id: str) -> int | None:
    """The place of the set that has a build id."""
    return next((i for i, ids in enumerate(sets) if build_id in ids), None)


def _known(sets: VersionSets, build_id: str, what: str = "version") -> int:
    place = set_of(sets, build_id)
    if place is None:
        raise NoSuchBuildId(f"targeted {what} {build_id} not found")
    return place


def _add_set(sets: VersionSets, build_id: str) -> VersionSets:
    if sets and sets[-1] == (build_id,):
        return sets
    if set_of(sets, build_id) is not None:
        raise Contradiction(f"version {build_id} already exists")
    return (*sets, (build_id,))


def _add_compatible(
    sets: VersionSets, build_id: str, *, beside: str, lead: bool
) -> VersionSets:
    place = _known(sets, beside, "compatible_version")
    present = set_of(sets, build_id)
    if present is None:
        grown = _replaced(sets, place, (*sets[place], build_id))
        return _with_last(grown, place) if lead else grown
    if present != place:
        raise Contradiction(
            f"{build_id} requested to be made compatible with {beside} but both"
            " versions exist and are incompatible"
        )
    if lead and place != len(sets) - 1:
        raise Contradiction(
            f"version {build_id} already exists and is not default for queue"
        )
    if sets[place][-1] != build_id:
        raise Contradiction(
            f"version {build_id} already exists and is not default in set"
        )
    return sets


def _promote(sets: VersionSets, place: int, build_id: str) -> VersionSets:
    others = tuple(other for other in sets[place] if other != build_id)
    return _replaced(sets, place, (*others, build_id))


def _merge(sets: VersionSets, primary: str, secondary: str) -> VersionSets:
    keeps = _known(sets, primary, "primary version")
    goes = _known(sets, secondary, "secondary version")
    if keeps == goes:
        return sets
    *others, default = sets[keeps]
    older, younger = (sets[goes], others) if goes < keeps else (others, sets[goes])
    rest = tuple(ids for i, ids in enumerate(sets) if i not in (keeps, goes))
    at = max(keeps, goes) - 1
    return (*rest[:at], (*older, *younger, default), *rest[at:])


def _replaced(sets: VersionSets, place: int, ids: tuple[str, ...]) -> VersionSets:
    return (*sets[:place], ids, *sets[place + 1 :])


def _with_last(sets: VersionSets, place: int) -> VersionSets:
    return (*sets[:place], *sets[place + 1 :], sets[place])


def _check_room(sets: VersionSets) -> None:
    if len(sets) > MOST_SETS:
        raise TooMany(
            "update would exceed number of compatible version sets permitted in"
            f" namespace dynamic config ({len(sets)}/{MOST_SETS})"
        )
    count = sum(map(len, sets))
    if count > MOST_BUILD_IDS:
        raise TooMany(
            "update would exceed number of build IDs permitted in namespace dynamic"
            f" config ({count}/{MOST_BUILD_IDS})"
        )
