"""Writes docs/rpcs.md: each RPC of Temporal's services, and what dbosify says to it.

Which RPCs there are is read from the protobuf descriptors, which of them the SDK itself
calls from the source of the installed temporalio, and the answers from the registry.

Run ``python scripts/generate_rpcs.py`` to write the file, and with ``--check`` to only
compare: it fails if the file is not what it would write.
"""

import argparse
import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path

import temporalio.api.operatorservice.v1.service_pb2 as operator
import temporalio.api.testservice.v1.service_pb2 as test
import temporalio.api.workflowservice.v1.service_pb2 as workflow

from dbosify._service.registry import IMPLEMENTED, REFUSED_BY_TEMPORAL, UNIMPLEMENTED

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rpcs.md"

SERVICES = {
    "workflow_service": workflow.DESCRIPTOR.services_by_name["WorkflowService"],
    "operator_service": operator.DESCRIPTOR.services_by_name["OperatorService"],
    "test_service": test.DESCRIPTOR.services_by_name["TestService"],
}

NOT_CALLERS = ("api", "bridge", "service")
"""Packages that only hand calls on."""

INTRODUCTION = """# RPCs

What dbosify says to each RPC of Temporal's services. Written by
`scripts/generate_rpcs.py`, which `nox -s lint` holds against the code; do not edit.
*Called by* names the modules of the SDK that make the call themselves.
"""


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = page()
    if not parser.parse_args().check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE.name} is out of date: run python scripts/generate_rpcs.py")
        return 1
    return 0


def page() -> str:
    """The whole page."""
    called = callers()
    answered = sum(rpc in IMPLEMENTED for rpcs in names().values() for rpc in rpcs)
    every = sum(len(rpcs) for rpcs in names().values())
    return "\n".join(
        [
            INTRODUCTION,
            f"{answered} of {every} are answered.",
            *(line for service in SERVICES for line in table(service, called)),
            "",
        ]
    )


def table(service: str, called: Mapping[str, set[str]]) -> Iterator[str]:
    """The lines about one service."""
    yield f"\n## {SERVICES[service].name}\n"
    yield "| RPC | dbosify | called by |"
    yield "| --- | --- | --- |"
    for rpc in names()[service]:
        by = ", ".join(f"`{module}`" for module in sorted(called.get(rpc, ())))
        yield f"| `{camel(rpc)}` | {said(rpc)} | {by} |"


def said(rpc: str) -> str:
    """What dbosify says to an RPC."""
    if rpc in IMPLEMENTED:
        return "answers"
    text = REFUSED_BY_TEMPORAL.get(rpc)
    reason = f"refuses: {UNIMPLEMENTED[rpc]}"
    return reason if text is None else f"{reason} (“{text}”)"


def names() -> dict[str, list[str]]:
    """The RPCs of each service, as the SDK spells them."""
    return {
        service: sorted(
            re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
            for method in descriptor.methods
        )
        for service, descriptor in SERVICES.items()
    }


def camel(rpc: str) -> str:
    """An RPC's name in the protocol."""
    return "".join(word.capitalize() for word in rpc.split("_"))


def callers() -> dict[str, set[str]]:
    """The modules of the SDK that call each RPC."""
    found = defaultdict(set)
    for path in sources():
        package = path.split("/")[1].removesuffix(".py")
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                on = ast.unparse(node.func.value).rpartition(".")[2]
                if on in SERVICES:
                    found[node.func.attr].add(f"temporalio.{package}")
    return found


def sources() -> Iterator[str]:
    """The SDK's own modules, those aside that only hand calls on."""
    for file in files("temporalio") or ():
        path = file.as_posix()
        if not path.startswith("temporalio/") or not path.endswith(".py"):
            continue
        if path.split("/")[1] not in NOT_CALLERS:
            yield path


def text_of(path: str) -> str:
    """The source of a module of the SDK."""
    spec = find_spec("temporalio")
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0]).parent
    return (root / path).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
