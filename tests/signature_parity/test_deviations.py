"""What isn't temporalio's own object still takes all that temporalio's takes."""

import asyncio
from collections.abc import Callable

import pytest

from tests.signature_parity.surface import shortcomings
from tests.signature_parity.upstream import DEVIATIONS, load


@pytest.mark.parametrize("path", sorted(DEVIATIONS))
def test_each_deviation_stands_in_for_what_it_replaces(path: str) -> None:
    module, _, name = path.rpartition(".")
    ours, theirs = load(f"dbosify.{module}"), load(f"temporalio.{module}")
    names = {**vars(theirs), **vars(ours)}
    found = shortcomings(getattr(ours, name), getattr(theirs, name), names)
    assert list(found) == []


@pytest.mark.parametrize("path", sorted(DEVIATIONS))
def test_each_deviation_gives_its_reason(path: str) -> None:
    assert DEVIATIONS[path].strip()


class Door:
    """Stands for a class of upstream's."""

    def __init__(self, key: str, *, lock: int = 1) -> None:
        self.key, self.lock = key, lock

    @property
    def color(self) -> str:
        """Its color."""
        return "red"

    @classmethod
    def built(cls, key: str) -> "Door":
        """Builds one."""
        return cls(key)

    async def open(self, angle: int | None = None) -> None:
        """Opens it."""
        await asyncio.sleep(0)


def replaced(**members: object) -> type:
    """Makes a subclass of Door that has some members of its own."""
    return type("Gate", (Door,), {"__doc__": "A door, differently.", **members})


def constructor(function: Callable[..., None]) -> type:
    """Makes a subclass of Door that is constructed in another way."""
    return replaced(__init__=function)


async def open_wider(
    self: Door, angle: int | str | None = None, *, by: int = 0
) -> None:
    """Opens it, and takes more than it has to."""


def open_at_once(self: Door, angle: int | None = None) -> None:
    """Opens it, but isn't awaited."""


async def open_narrowly(self: Door, angle: int) -> None:
    """Opens it, but asks for the angle."""


async def open_silently(self: Door, angle: int | None = None) -> None: ...


async def open_and_tell(self: Door, angle: int | None = None) -> str:
    """Opens it, and gives back what nobody expects."""
    return ""


def without_lock(self: Door, key: str) -> None: ...
def swapped(self: Door, lock: int = 1, key: str = "") -> None: ...
def demanding(self: Door, key: str, *, lock: int = 1, size: int) -> None: ...


def test_a_class_that_takes_and_gives_more_has_no_shortcomings() -> None:
    assert list(shortcomings(replaced(open=open_wider), Door, {})) == []


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (Door, {"Door is not a subclass of Door"}),
        (int, {"int is not a subclass of Door"}),
        (replaced(__doc__=None), {"Gate has no docstring"}),
        (replaced(color="blue"), {"color is no property"}),
        (replaced(built=open_wider), {"built is no classmethod"}),
        (replaced(open=open_silently), {"open has no docstring"}),
        (replaced(open=open_at_once), {"open is async in only one of the two"}),
        (
            replaced(open=open_narrowly),
            {"open has another default for angle", "open accepts less for angle"},
        ),
        (replaced(open=open_and_tell), {"open returns something else"}),
        (constructor(without_lock), {"__init__ has no parameter lock"}),
        (
            constructor(swapped),
            {
                "__init__ takes key in another way",
                "__init__ has another default for key",
            },
        ),
        (constructor(demanding), {"__init__ demands size"}),
    ],
)
def test_what_a_class_lacks_is_said(ours: type, expected: set[str]) -> None:
    assert set(shortcomings(ours, Door, {})) == expected
