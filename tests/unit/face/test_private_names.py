"""What dbosify uses of the SDK and of DBOS without a promise that it stays.

A release that moves or changes one of these names fails here, and says which one. The
list is complete: a private name that is used but not pinned fails as well.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import dbos
import dbos._dbos
import dbos._error
import dbos._migration
import dbos._serialization
import dbos._sys_db
import google.protobuf.message
import psycopg
import pytest
import temporalio.bridge.runtime
import temporalio.bridge.temporal_sdk_bridge
import temporalio.bridge.worker
import temporalio.runtime
import temporalio.service
import temporalio.worker._tuning
import temporalio.worker.workflow_sandbox
import temporalio.worker.workflow_sandbox._importer
import temporalio.worker.workflow_sandbox._in_sandbox
import temporalio.worker.workflow_sandbox._runner
from sqlalchemy.engine import make_url

from dbosify._runtime import bridge, hints, metrics, sandbox, tuner
from dbosify._runtime.bridge import BridgeWorker
from dbosify._store import _dbos
from dbosify.client import Client
from dbosify.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)
from tests.unit.face.greeting import random_name, served
from tests.unit.repo.sources import ROOT, Module, files, library

OWNERS = ("temporalio", "dbos")

PINNED = frozenset(
    {
        "dbos._dbos._dbos_global_instance",
        "dbos._error.DBOSException",
        "dbos._migration.get_dbos_migrations",
        "dbos._serialization.DBOSPortableJSON",
        "dbos._serialization.Serializer",
        "dbos._sys_db.SystemDatabase",
        "temporalio.bridge.runtime.Runtime.__init__",
        "temporalio.bridge.runtime.RuntimeOptions",
        "temporalio.bridge.temporal_sdk_bridge.PollShutdownError",
        "temporalio.bridge.worker.Worker.create",
        "temporalio.bridge.worker.WorkerConfig",
        "temporalio.runtime._runtime_ref._default_runtime",
        "temporalio.service._BridgeServiceClient",
        "temporalio.worker._tuning",
        "temporalio.worker.workflow_sandbox._importer.Importer",
        "temporalio.worker.workflow_sandbox._runner._Instance",
    }
)
"""Each has a test of its own below; messages of the core have one together."""

MESSAGES = "temporalio.bridge.proto."


def is_private(name: str) -> bool:
    """Whether a dotted name is one that its package does not promise."""
    owner, *rest = name.split(".")
    return owner in OWNERS and any(
        part == "bridge" or (part.startswith("_") and not part.startswith("__"))
        for part in rest
    )


def used(module: Module) -> Iterator[str]:
    """The dotted names of other packages that a module imports or reaches through."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # What is handed on under its own name is the parity tests' business.
            yield from (
                f"{node.module}.{alias.name}"
                for alias in node.names
                if alias.asname != alias.name
            )
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def private_names() -> set[str]:
    """The longest private names that the library uses."""
    names = {name for module in library() for name in used(module) if is_private(name)}
    return {name for name in names if not any(n.startswith(f"{name}.") for n in names)}


def parameters(function: Any) -> dict[str, inspect._ParameterKind]:
    """The names of a function's parameters, and how they are given."""
    signature = inspect.signature(function)
    return {name: p.kind for name, p in signature.parameters.items()}


def test_every_private_name_is_pinned() -> None:
    found = {name for name in private_names() if not name.startswith(MESSAGES)}
    assert found == PINNED


@pytest.mark.parametrize(
    "name", sorted(name for name in private_names() if name.startswith(MESSAGES))
)
def test_a_message_of_the_core_is_where_it_was(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(import_module(module), kind)
    # Enums are wrappers around a descriptor, messages are classes.
    assert hasattr(found, "DESCRIPTOR")
    if inspect.isclass(found):
        assert issubclass(found, google.protobuf.message.Message)


# The service's seat.


def test_every_request_passes_one_method() -> None:
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    keyword = inspect.Parameter.KEYWORD_ONLY
    assert parameters(temporalio.service.ServiceClient._rpc_call) == {
        "self": positional,
        "rpc": positional,
        "req": positional,
        "resp_type": positional,
        "service": keyword,
        "retry": keyword,
        "metadata": keyword,
        "timeout": keyword,
    }


def test_connecting_is_one_function_of_the_config() -> None:
    connect = inspect.getattr_static(temporalio.service.ServiceClient, "connect")
    assert isinstance(connect, staticmethod)
    assert list(parameters(connect.__func__)) == ["config"]


def test_a_service_client_has_to_be_a_bridge_client() -> None:
    assert issubclass(
        temporalio.service._BridgeServiceClient, temporalio.service.ServiceClient
    )
    # What has no implementation in the base class must be ours.
    assert temporalio.service.ServiceClient.__abstractmethods__ == {
        "_rpc_call",
        "update_api_key",
        "update_rpc_metadata",
        "worker_service_client",
    }


# The core's seat.


async def test_a_worker_makes_its_core_of_the_bridge_client_and_a_config(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Any, Any]] = []
    create = inspect.getattr_static(temporalio.bridge.worker.Worker, "create")
    assert isinstance(create, staticmethod)

    def noting(core_client: Any, config: Any) -> Any:
        made.append((core_client, config))
        return create.__func__(core_client, config)

    monkeypatch.setattr(temporalio.bridge.worker.Worker, "create", noting)
    served(client, task_queue=(task_queue := random_name("queue")))
    [(core_client, config)] = made
    assert isinstance(core_client, bridge.BridgeClient)
    assert core_client is vars(client.service_client)["_bridge_client"]
    assert isinstance(config, temporalio.bridge.worker.WorkerConfig)
    assert config.task_queue == task_queue
    assert config.namespace == client.namespace


def test_the_workers_config_has_the_fields_that_are_read() -> None:
    [module] = [m for m in library() if m.path == "dbosify/_runtime/bridge.py"]
    read = {
        node.attr
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in ("config", "self.config")
    }
    known = inspect.get_annotations(temporalio.bridge.worker.WorkerConfig)
    assert read
    assert read <= known.keys()


CORE_METHODS = [
    name
    for name, method in vars(temporalio.bridge.worker.Worker).items()
    if inspect.isfunction(method) and not name.startswith("_")
]


@pytest.mark.parametrize("name", CORE_METHODS)
def test_the_core_has_no_method_that_its_stand_in_lacks(name: str) -> None:
    theirs = getattr(temporalio.bridge.worker.Worker, name)
    ours = getattr(BridgeWorker, name)
    assert len(parameters(ours)) == len(parameters(theirs))
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


def test_a_users_slot_supplier_reaches_the_core_in_a_wrapper_and_an_object() -> None:
    tuning = temporalio.worker._tuning
    made = tuning._to_bridge_slot_supplier(Refusing(), "activity")
    assert isinstance(made, tuner.CustomSupplier)
    assert isinstance(made.wrapper, tuning._BridgeSlotSupplierWrapper)
    # The real core takes the object that ours stands for.
    for kind in tuner.KINDS:
        assert f"{kind}_slot_supplier" in inspect.get_annotations(
            temporalio.bridge.worker.TunerHolder
        )
    assert tuner._CoreSupplier(made.wrapper) is not None


class Refusing(CustomSlotSupplier):
    """Gives no slots."""

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        raise NotImplementedError

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        return None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        raise NotImplementedError

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        raise NotImplementedError


def test_a_runtime_is_made_of_options_that_hold_the_prefix_of_metrics() -> None:
    bridge_runtime = temporalio.bridge.runtime
    assert vars(bridge_runtime.Runtime)["__init__"] is metrics._init
    assert parameters(metrics._core_init) == {
        "self": inspect.Parameter.POSITIONAL_OR_KEYWORD,
        "options": inspect.Parameter.KEYWORD_ONLY,
    }
    annotations = inspect.get_annotations(bridge_runtime.RuntimeOptions)
    assert "telemetry" in annotations
    assert "metrics" in inspect.get_annotations(bridge_runtime.TelemetryConfig)
    assert "metric_prefix" in inspect.get_annotations(bridge_runtime.MetricsConfig)
    assert "_core_runtime" in inspect.getsource(temporalio.runtime.Runtime.__init__)


def test_the_default_runtime_is_known_without_making_one() -> None:
    assert "_default_runtime" in vars(temporalio.runtime._runtime_ref)


def test_polls_end_with_an_error_of_the_core() -> None:
    error = temporalio.bridge.temporal_sdk_bridge.PollShutdownError
    assert issubclass(error, Exception)


def test_the_sandbox_asks_its_importer_what_may_pass() -> None:
    importer = temporalio.worker.workflow_sandbox._importer.Importer
    assert vars(importer)["module_configured_passthrough"] is sandbox._passes
    # The SDK's own, which ours calls.
    assert list(parameters(sandbox._is_configured)) == ["self", "name"]


@pytest.mark.parametrize(
    "name", ["get_serialization_context", "get_external_store_context"]
)
def test_the_sandbox_only_hands_on_what_it_is_asked_about_payloads(name: str) -> None:
    outside = temporalio.worker.workflow_sandbox._runner._Instance
    inside = temporalio.worker.workflow_sandbox._in_sandbox.InSandbox
    assert list(parameters(getattr(inside, name))) == ["self", "command_info"]
    # What the SDK's own does besides entering the sandbox.
    source = inspect.getsource(sandbox.REPLACED[name])
    assert f"__temporal_in_sandbox.{name}(__temporal_command_info)" in source
    assert getattr(outside, name) is not sandbox.REPLACED[name]


# DBOS.


def test_a_dbos_client_knows_its_database(postgres_url: str, client: Client) -> None:
    tools = dbos.DBOSClient(system_database_url=postgres_url)
    try:
        assert isinstance(tools._sys_db, dbos._sys_db.SystemDatabase)
        found = make_url(_dbos.dbos_client_url(tools))
        assert _dbos.dbos_client_schema(tools) == "dbos"
    finally:
        tools.destroy()
    assert found.database == make_url(postgres_url).database


def test_dbos_migrates_a_schema_through_an_engine() -> None:
    create = parameters(dbos._sys_db.SystemDatabase.create)
    assert {
        "system_database_url",
        "engine_kwargs",
        "engine",
        "schema",
        "serializer",
        "executor_id",
    } <= create.keys()
    for name in ("run_migrations", "destroy"):
        assert list(parameters(getattr(dbos._sys_db.SystemDatabase, name))) == ["self"]
    assert issubclass(dbos._error.DBOSException, Exception)


def test_the_number_of_dbos_migrations_is_its_version(postgres_url: str) -> None:
    migrations = dbos._migration.get_dbos_migrations("dbos", use_listen_notify=True)
    assert migrations
    assert all(isinstance(each, str) for each in migrations)


def test_dbos_says_whether_it_runs_in_this_process() -> None:
    assert "_dbos_global_instance" in vars(dbos._dbos)


def test_the_portable_serializer_has_the_name_that_is_stored() -> None:
    serializer = _dbos.portable_serializer()
    assert isinstance(serializer, dbos._serialization.Serializer)
    assert serializer.name() == "portable_json"


async def test_a_message_of_dbos_is_a_hint(postgres_url: str, client: Client) -> None:
    workflow = await client.start_workflow(
        "Anything", id=random_name(), task_queue=random_name("queue")
    )
    uuid = f"{workflow.id}/{workflow.result_run_id}"
    async with await psycopg.AsyncConnection.connect(
        postgres_url, autocommit=True
    ) as listener:
        await listener.execute(f"LISTEN {hints.DBOS_CHANNEL}")
        await workflow.signal("something")
        heard = [
            notification.payload
            async for notification in listener.notifies(timeout=10, stop_after=1)
        ]
    assert heard == [f"{uuid}::dbosify"]


def test_the_indexes_that_statements_lean_on_exist(
    postgres_url: str, client: Client
) -> None:
    named = {
        index
        for path in files()
        if path.startswith("dbosify/_store/sql/")
        for index in re.findall(r"\bidx_\w+", ROOT.joinpath(path).read_text())
    }
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'dbos'"
        )
        existing = {row[0] for row in rows}
    assert named
    assert named <= existing
