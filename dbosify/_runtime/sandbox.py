"""What dbosify changes about the SDK's sandbox: it is let in, and asked directly.

Workflow code may import dbosify like any other library of its platform, whatever its
restrictions say.

The SDK asks each instance for the context of each payload. A sandboxed one enters the
sandbox for it, several times per activity, and half of the time of a fan-out goes
there. What answers is the SDK's own code, so it is asked from outside.
"""

from __future__ import annotations

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
    _Instance.get_serialization_context = _serialization_context  # type: ignore[method-assign]
    _Instance.get_external_store_context = _external_store_context  # type: ignore[method-assign]


def _passes(importer: Importer, name: str) -> bool:
    # Not by adding to the SDK's sets: a user's own restrictions may have been made of
    # them before, or name every module themselves.
    return name.partition(".")[0] == "dbosify" or _is_configured(importer, name)


def _inside(instance: _Instance) -> Any:
    return instance.globals_and_locals["__temporal_in_sandbox"]


def _serialization_context(instance: _Instance, command_info: Any) -> Any:
    return _inside(instance).get_serialization_context(command_info)


def _external_store_context(instance: _Instance, command_info: Any) -> Any:
    return _inside(instance).get_external_store_context(command_info)
