"""How much of the two seams and of the SDK's names dbosify covers, read from its code.

A command or a job counts if the core's own source deals with it; an RPC if the registry
answers it. Why an RPC is refused for good stands in the registry.
"""

from __future__ import annotations

import ast
import functools
from collections import Counter
from pathlib import Path

from dbosify._model.protos import WorkflowActivationJob, WorkflowCommand
from dbosify._service.registry import IMPLEMENTED, UNIMPLEMENTED
from tests.signature_parity.test_names import shared_exports
from tests.signature_parity.upstream import DEVIATIONS

LATER = "not built yet"
"""What the registry says of an RPC that has no reason to be refused."""

DBOSIFY = Path(__file__).parents[2] / "dbosify"


def rpcs() -> dict[str, int]:
    """RPCs of Temporal's services."""
    later = sum(reason == LATER for reason in UNIMPLEMENTED.values())
    return {
        "upstream": len(IMPLEMENTED) + len(UNIMPLEMENTED),
        "covered": len(IMPLEMENTED),
        "not_applicable": len(UNIMPLEMENTED) - later,
        "missing": later,
    }


def missing_rpcs() -> list[str]:
    """Those that dbosify does not answer yet."""
    return sorted(rpc for rpc, reason in UNIMPLEMENTED.items() if reason == LATER)


def commands() -> dict[str, int]:
    """Commands that a workflow may give."""
    return _covered(set(_variants(WorkflowCommand)), _words())


def jobs() -> dict[str, int]:
    """Jobs that an activation may have."""
    return _covered(set(_variants(WorkflowActivationJob)), _words())


def missing_commands_and_jobs() -> list[str]:
    """Those that the core knows nothing of."""
    given = set(_variants(WorkflowCommand)) - _words()
    asked = set(_variants(WorkflowActivationJob)) - _words()
    return sorted(given) + sorted(asked)


def names() -> dict[str, int]:
    """Public names of the SDK, of all modules that can be imported here."""
    same = Counter(ours is theirs for _, ours, theirs in shared_exports())
    return {
        "upstream": same.total(),
        "covered": same[True],
        "listed_deviations": len(DEVIATIONS),
        "missing": same[False] - len(DEVIATIONS),
    }


def _variants(
    message: type[WorkflowCommand] | type[WorkflowActivationJob],
) -> list[str]:
    oneof = message.DESCRIPTOR.oneofs_by_name["variant"]
    return [field.name for field in oneof.fields]


@functools.cache
def _words() -> set[str]:
    """The attributes and strings in the source of the core and of what runs it."""
    found = set()
    for layer in ("_core", "_runtime"):
        for file in DBOSIFY.joinpath(layer).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute):
                    found.add(node.attr)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
                elif isinstance(node, ast.keyword) and node.arg is not None:
                    found.add(node.arg)
    return found


def _covered(wanted: set[str], known: set[str]) -> dict[str, int]:
    return {
        "upstream": len(wanted),
        "covered": len(wanted & known),
        "missing": len(wanted - known),
    }
