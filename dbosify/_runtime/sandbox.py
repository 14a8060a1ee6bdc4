"""What dbosify changes about the SDK's sandbox: it is let in, and asked directly.

Workflow code may import dbosify like any other library of its platform, whatever its
restrictions say.

The SDK asks each instance for the context of each payload. A sandboxed one enters the
sandbox for it, several times per activity, and half of the time of a fan-out goes
there. What answers is the SDK's own code, so it is asked from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio.worker.workflow_sandbox._importer import Importer
from temporalio.worker.workflow_sandbox._runner import _Instance

_is_configured = Importer.module_configured_passthrough
REPLACED = {
    name: vars(_Instance)[name]
    for name in ("get_serialization_context", "get_external_store_context")
}
"""The SDK's own, which enter the sandbox."""


def install() -> None:
    """Change the sandbox; again is harmless."""
    Importer.module_configured_passthrough = _passes  # type: ignore[method-assign, assignment]
    for name in REPLACED:
        setattr(_Instance, name, _ask_directly(name))


def _passes(importer: Importer, name: str) -> bool:
    # Not by adding to the SDK's sets: a user's own restrictions may have been made of
    # them before, or name every module themselves.
    return name.partition(".")[0] == "dbosify" or _is_configured(importer, name)


def _ask_directly(name: str) -> Callable[[_Instance, Any], Any]:
    def ask(instance: _Instance, command_info: Any) -> Any:
        inside = instance.globals_and_locals["__temporal_in_sandbox"]
        return getattr(inside, name)(command_info)

    return ask
