"""What the sandbox keeps workflows from, and what it leaves alone."""

import asyncio
import dataclasses
import sys
import warnings
from typing import Any

import pytest

from dbosify import workflow
from dbosify.api.common.v1 import WorkflowExecution
from dbosify.client import Client, WorkflowFailureError
from dbosify.exceptions import ApplicationError
from dbosify.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from dbosify.worker.workflow_sandbox import (
    SandboxedWorkflowRunner,
    SandboxMatcher,
    SandboxRestrictions,
)
from dbosify.workflow import SandboxImportNotificationPolicy
from tests.ported_temporal import sandbox_state, sandboxed
from tests.ported_temporal.sandboxed import Color, Painted
from tests.ported_temporal.scaffold import new_worker, random_id

DEFAULT = SandboxRestrictions.default
LATE = "tests.ported_temporal.sandbox_late"


def sandboxed_worker(
    client: Client,
    *workflows: Any,
    restrictions: SandboxRestrictions = DEFAULT,
    **options: Any,
) -> Worker:
    """A worker with these restrictions, and no others."""
    runner = SandboxedWorkflowRunner(restrictions=restrictions)
    return new_worker(client, *workflows, workflow_runner=runner, **options)


async def run(client: Client, worker: Worker, method: Any, *args: Any) -> Any:
    """Start a run and give its result."""
    return await client.execute_workflow(
        method, args=args, id=random_id(), task_queue=worker.task_queue
    )


@pytest.mark.parametrize(
    "passed_through",
    [
        SandboxRestrictions.passthrough_modules_with_temporal,
        SandboxRestrictions.passthrough_modules_maximum,
    ],
    ids=["with temporal", "maximum"],
)
async def test_workflow_sandbox_global_state(
    client: Client, passed_through: set[str]
) -> None:
    restrictions = dataclasses.replace(DEFAULT, passthrough_modules=passed_through)
    state = sandboxed.GlobalStateWorkflow
    async with sandboxed_worker(client, state, restrictions=restrictions) as worker:
        handles = [
            await client.start_workflow(
                state.run, id=random_id(), task_queue=worker.task_queue
            )
            for _ in range(10)
        ]
        for number, handle in enumerate(handles):
            await handle.signal(state.mark, f"mark {number}")
            await handle.signal(state.finish)
        results = await asyncio.gather(*(handle.result() for handle in handles))
    for number, (own, other) in enumerate(results):
        marks = ["inited", "started", f"mark {number}", "finish"]
        assert own[0] == other[0] == "orig"
        assert sorted(own[1:]) == sorted(other[1:]) == sorted(marks)
    assert sandboxed.entries == sandbox_state.entries == ["orig"]


REFUSED = [
    "import os\nos.getcwd()",
    "from os import getcwd\ngetcwd()",
    "import glob\nglob.glob('.')",
    "import os\ndir(os.name)",
    "open('somefile')",
    "import tests.ported_temporal.sandbox_randomized",
    "import datetime\ndatetime.date.today()",
    "import datetime\ndatetime.datetime.now()",
    "import os\nif os.environ['PATH']:\n  pass",
    "import os\nif os.getenv('PATH'):\n  pass",
    "import random\nrandom.choice(['a'])",
    "import secrets\nsecrets.choice(['a'])",
    "import threading\nthreading.current_thread()",
    "import time\ntime.sleep(0.1)",
    "import concurrent.futures\nconcurrent.futures.ThreadPoolExecutor()",
    "import urllib.request\nurllib.request.urlopen('http://localhost')",
    "import http.client\nhttp.client.HTTPConnection('localhost')",
    "import uuid\nuuid.uuid4()",
]
if sys.version_info < (3, 14):
    REFUSED.append("import os.path\nos.path.abspath('x')")
ALLOWED = [
    "import os\nos.getcwd",
    "import datetime\ndatetime.datetime.now",
    "import random\nrandom.choice",
    "import datetime\ndatetime.date(2001, 1, 1)",
    "import uuid\nuuid.uuid5(uuid.NAMESPACE_DNS, 'example.com')",
    "from concurrent.futures import ThreadPoolExecutor",
    "from dbosify import workflow\n"
    "with workflow.unsafe.sandbox_unrestricted():\n"
    "  import datetime\n  datetime.datetime.now()",
    "from dbosify import workflow\n"
    "with workflow.unsafe.sandbox_unrestricted():\n"
    "  import os\n  os.getcwd()",
]


async def outcomes(
    client: Client,
    snippets: list[str],
    restrictions: SandboxRestrictions = DEFAULT,
) -> list[str]:
    """What becomes of each piece of code: ``ran``, or the type of its failure."""
    code = sandboxed.RunCodeWorkflow

    async def outcome(worker: Worker, snippet: str) -> str:
        try:
            await run(client, worker, code.run, snippet)
        except WorkflowFailureError as failed:
            return getattr(failed.cause, "type", None) or repr(failed.cause)
        return "ran"

    async with sandboxed_worker(client, code, restrictions=restrictions) as worker:
        return await asyncio.gather(*(outcome(worker, snippet) for snippet in snippets))


async def test_workflow_sandbox_restrictions(client: Client) -> None:
    refused = "RestrictedWorkflowAccessError"
    found = await outcomes(client, REFUSED + ALLOWED)
    assert dict(zip(REFUSED + ALLOWED, found, strict=True)) == {
        **dict.fromkeys(REFUSED, refused),
        **dict.fromkeys(ALLOWED, "ran"),
    }

    today = "import datetime\ndatetime.date.today()"
    loosened = dataclasses.replace(
        DEFAULT,
        invalid_module_members=(
            SandboxRestrictions.invalid_module_members_default.with_child_unrestricted(
                "datetime", "date", "today"
            )
        ),
    )
    assert await outcomes(client, [today], loosened) == ["ran"]

    a_date = "import datetime\ndatetime.date(2001, 1, 1)"
    tightened = dataclasses.replace(
        DEFAULT,
        invalid_module_members=SandboxRestrictions.invalid_module_members_default
        | SandboxMatcher(children={"datetime": SandboxMatcher(use={"date"})}),
    )
    assert await outcomes(client, [a_date], tightened) == [refused]


async def test_workflow_sandbox_operator(client: Client) -> None:
    days = sandboxed.DaysBetweenWorkflow
    async with sandboxed_worker(client, *sandboxed.WORKFLOWS) as worker:
        assert await run(client, worker, days.run) == 19


async def test_workflow_sandbox_assert(client: Client) -> None:
    assert not workflow.unsafe.in_sandbox()
    assert not sandboxed.loaded_in_sandbox
    async with sandboxed_worker(client, *sandboxed.WORKFLOWS) as worker:
        where = await run(client, worker, sandboxed.WhereAmIWorkflow.run)
    assert where == [True, True, True]


async def test_workflow_sandbox_access_stack(client: Client) -> None:
    async with sandboxed_worker(client, *sandboxed.WORKFLOWS) as worker:
        assert await run(client, worker, sandboxed.StackWorkflow.run) == "run"


@pytest.mark.parametrize(
    "with_child",
    [False, pytest.param(True, marks=pytest.mark.needs("child workflows"))],
)
async def test_workflow_sandbox_instance_check(
    client: Client, with_child: bool
) -> None:
    async with sandboxed_worker(
        client, sandboxed.PaintedWorkflow, activities=[sandboxed.check_painted]
    ) as worker:
        blue = Painted(Color.BLUE)
        painted = await run(
            client, worker, sandboxed.PaintedWorkflow.run, blue, with_child
        )
        assert painted == blue
        painted.check()


async def test_workflow_sandbox_with_proto(client: Client) -> None:
    sent = WorkflowExecution(workflow_id="a", run_id="b")
    async with sandboxed_worker(client, *sandboxed.WORKFLOWS) as worker:
        received = await run(client, worker, sandboxed.ProtoWorkflow.run, sent)
    assert received == sent
    assert received is not sent


async def test_workflow_sandbox_known_issues(client: Client) -> None:
    async with sandboxed_worker(client, *sandboxed.WORKFLOWS) as worker:
        issues = await run(client, worker, sandboxed.KnownIssuesWorkflow.run)
    assert issues[0] == "TypeError"
    assert "Restriction state not present" in issues[1]


async def test_workflow_sandbox_bad_asyncio(client: Client) -> None:
    async with sandboxed_worker(client, *sandboxed.WORKFLOWS) as worker:
        first, second = await run(client, worker, sandboxed.BadAsyncioWorkflow.run)
    assert "asyncio.as_completed()" in first
    assert "asyncio.wait()" in second


# What the sandbox says of imports that come late.


def passed_by_accident(module: str) -> str:
    return f"Module {module} was not intentionally passed through to the sandbox."


def imported_late(module: str) -> str:
    return f"Module {module} was imported after initial workflow load."


def with_policy(policy: SandboxImportNotificationPolicy) -> SandboxRestrictions:
    """The default restrictions, with the modules of these tests known to them."""
    return dataclasses.replace(
        DEFAULT, import_notification_policy=policy
    ).with_passthrough_modules("tests.ported_temporal.test_sandbox")


async def heard(client: Client, worker: Worker, method: Any) -> set[str]:
    """The warnings about imports that a run gives rise to."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with worker:
            await run(client, worker, method)
    return {
        str(each.message) for each in caught if str(each.message).startswith("Module")
    }


async def test_workflow_sandbox_import_default_warnings(client: Client) -> None:
    late = sandboxed.LateImportWorkflow
    assert imported_late(LATE) in await heard(
        client, sandboxed_worker(client, late), late.run
    )


class ImportingInterceptor(Interceptor):
    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 - the SDK's own name
    ) -> type[WorkflowInboundInterceptor] | None:
        return ImportingInbound


class ImportingInbound(WorkflowInboundInterceptor):
    async def execute_workflow(
        self,
        input: ExecuteWorkflowInput,  # noqa: A002 - the SDK's own name
    ) -> Any:
        with workflow.unsafe.sandbox_import_notification_policy(
            SandboxImportNotificationPolicy.WARN_ON_UNINTENTIONAL_PASSTHROUGH
        ):
            import tests.ported_temporal.sandbox_late_again  # noqa: F401
        return await super().execute_workflow(input)


async def test_workflow_sandbox_import_all_warnings(client: Client) -> None:
    restrictions = with_policy(
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.WARN_ON_UNINTENTIONAL_PASSTHROUGH
    )
    late = sandboxed.LateImportWorkflow
    worker = sandboxed_worker(
        client,
        late,
        restrictions=restrictions,
        interceptors=[ImportingInterceptor()],
    )
    warned = await heard(client, worker, late.run)
    assert passed_by_accident(f"{LATE}_again") in warned
    assert {passed_by_accident(LATE), imported_late(LATE)} <= warned


async def test_workflow_sandbox_import_errors(client: Client) -> None:
    restrictions = with_policy(
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    ).with_passthrough_modules("tests.ported_temporal.sandbox_state")
    late = sandboxed.LateImportWorkflow
    async with sandboxed_worker(client, late, restrictions=restrictions) as worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await run(client, worker, late.run)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "UnintentionalPassthroughError"
    assert failed.value.cause.message == passed_by_accident(LATE)


async def test_workflow_sandbox_import_suppress_warnings(client: Client) -> None:
    silent = sandboxed.SilentImportWorkflow
    assert not await heard(client, sandboxed_worker(client, silent), silent.run)
