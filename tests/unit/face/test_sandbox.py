"""Workflow files import what they like of dbosify, whoever made the sandbox."""

import dataclasses
import subprocess
import sys

import pytest

from dbosify.client import Client
from dbosify.worker import Worker
from dbosify.worker.workflow_sandbox import (
    SandboxedWorkflowRunner,
    SandboxRestrictions,
)
from tests.unit.face import client_in_workflow
from tests.unit.face.client_in_workflow import Named
from tests.unit.face.greeting import random_name

DEFAULT = SandboxRestrictions.default

RESTRICTIONS = {
    "the default": DEFAULT,
    "one with a module more": DEFAULT.with_passthrough_modules("colorsys"),
    "one of Temporal's minimum": dataclasses.replace(
        DEFAULT,
        passthrough_modules=SandboxRestrictions.passthrough_modules_with_temporal,
    ),
    "one of a list of its own": dataclasses.replace(
        DEFAULT, passthrough_modules={"temporalio", "google", "typing_extensions"}
    ),
    "one with nothing lazy": dataclasses.replace(
        DEFAULT, disable_lazy_sys_module_passthrough=True
    ),
}


@pytest.mark.parametrize("restrictions", RESTRICTIONS)
async def test_a_workflow_file_may_import_the_client(
    client: Client, restrictions: str
) -> None:
    runner = SandboxedWorkflowRunner(restrictions=RESTRICTIONS[restrictions])
    async with Worker(
        client,
        task_queue=random_name("queue"),
        workflows=[Named],
        workflow_runner=runner,
        build_id="face",
    ) as worker:
        assert await client_in_workflow.start(
            client, id=random_name(), task_queue=worker.task_queue
        ) == ["Client", "RPCError", "Worker"]


MADE_BEFORE = """
from temporalio.worker.workflow_sandbox import SandboxRestrictions
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
early = SandboxRestrictions.default.with_passthrough_modules("colorsys")

import asyncio
from temporalio import workflow
from tests.unit.face.client_in_workflow import Named

async def prepare():
    runner = SandboxedWorkflowRunner(restrictions=early)
    runner.prepare_workflow(workflow._Definition.must_from_class(Named))
    print("prepared")

asyncio.run(prepare())
"""


def test_restrictions_made_before_dbosify_was_imported_let_it_pass() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MADE_BEFORE], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("prepared\n", "")
