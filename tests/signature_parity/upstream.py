"""What the installed temporalio offers: the measure of the face.

The modules come from the distribution's own list of files and the names from the
imported modules, where the generator of the face walks directories and reads source:
the two can't be wrong in the same way.
"""

import __future__

import importlib
import sys
from importlib.metadata import files
from pathlib import Path
from types import ModuleType

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings tomli along where the standard library has no tomllib
    import tomli as tomllib

DEVIATIONS: dict[str, str] = tomllib.loads(
    Path(__file__).with_name("deviations.toml").read_text(encoding="utf-8")
)
"""Why each name of the face that is not temporalio's own object isn't."""

NOT_OFFERED = (ModuleType, type(__future__.annotations))
"""What stands among a module's names only because the module needed it."""


def public_modules() -> list[str]:
    """Lists the modules a program may import, each as what follows ``temporalio``."""
    found = set()
    for file in files("temporalio") or ():
        parts = file.with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if file.suffix != ".py" or parts[:1] != ("temporalio",):
            continue
        if parts[1:2] != ("bridge",) and not any(p.startswith("_") for p in parts):
            found.add("".join(f".{part}" for part in parts[1:]))
    return sorted(found)


def load(name: str) -> ModuleType | str:
    """Imports a module; one that can't be imported gives what its import says."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return repr(error)


def exports(module: ModuleType) -> dict[str, object]:
    """Finds what a module offers: what it lists and what it defines.

    A module that lists nothing offers all its public names. Submodules are left to
    :func:`public_modules`.
    """
    listed = getattr(module, "__all__", None)
    public = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, NOT_OFFERED)
    }
    if listed is None:
        return public
    return {
        name: value
        for name, value in public.items()
        if getattr(value, "__module__", None) == module.__name__
    } | {name: getattr(module, name) for name in listed}
