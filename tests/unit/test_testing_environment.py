"""The test environment: Temporal's face, an embedded Postgres of ours behind it."""

import inspect
import tempfile
import typing
from datetime import timedelta
from pathlib import Path

import pytest
import temporalio.client
import temporalio.testing
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.common import SearchAttributeKey

import dbosify.testing
from dbosify._runtime import embedded
from dbosify.api.workflowservice.v1 import DescribeNamespaceRequest
from dbosify.client import Client
from dbosify.testing import WorkflowEnvironment

STARTS = ("start_local", "start_time_skipping", "start_time_skipping_v2")


async def namespace_answers(client: temporalio.client.Client) -> bool:
    request = DescribeNamespaceRequest(namespace=client.namespace)
    response = await client.workflow_service.describe_namespace(request)
    return response.namespace_info.name == client.namespace


def contents(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_every_name_is_temporals_but_the_environment() -> None:
    names = set(temporalio.testing.__all__)
    assert set(dbosify.testing.__all__) == names
    for name in names - {"WorkflowEnvironment"}:
        assert getattr(dbosify.testing, name) is getattr(temporalio.testing, name)
    assert issubclass(WorkflowEnvironment, temporalio.testing.WorkflowEnvironment)


@pytest.mark.parametrize("start", STARTS)
def test_starts_take_what_temporals_take(start: str) -> None:
    ours = getattr(WorkflowEnvironment, start)
    theirs = getattr(temporalio.testing.WorkflowEnvironment, start)
    described = [
        [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
        for f in (ours, theirs)
    ]
    assert described[0] == described[1]
    hints = [typing.get_type_hints(f) for f in (ours, theirs)]
    assert issubclass(hints[0].pop("return"), hints[1].pop("return"))
    assert hints[0].keys() == hints[1].keys()
    # A bare generic of theirs is spelled out in ours, for the strict type checker.
    unlike = {name for name in hints[0] if hints[0][name] != hints[1][name]}
    assert unlike <= {"search_attributes"}


async def test_clocks_of_single_workflows_say_that_they_are_not_built() -> None:
    with pytest.raises(RuntimeError, match="start_time_skipping_v2 is not built"):
        await WorkflowEnvironment.start_time_skipping_v2()


async def test_search_attributes_are_registered() -> None:
    colour = SearchAttributeKey.for_keyword("colour")
    async with await WorkflowEnvironment.start_local(
        search_attributes=[colour]
    ) as environment:
        listed = await environment.client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=environment.client.namespace)
        )
        kind = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        assert listed.custom_attributes == {colour.name: kind}


async def test_a_temporary_environment_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with await WorkflowEnvironment.start_local(namespace="mine") as env:
        assert isinstance(env, WorkflowEnvironment)
        assert isinstance(env.client, Client)
        assert env.client.namespace == "mine"
        assert await namespace_answers(env.client)
        assert not env.supports_time_skipping
        assert len(contents(tmp_path)) == 1
    assert contents(tmp_path) == set()


async def test_what_only_a_development_server_needs_is_accepted() -> None:
    env = await WorkflowEnvironment.start_local(
        ip="127.0.0.1",
        port=1,
        tls=True,
        ui=True,
        ui_port=18080,
        dev_server_extra_args=["--anything"],
        dev_server_log_level=None,
    )
    async with env:
        assert await namespace_answers(env.client)


async def test_a_database_file_name_is_a_directory_that_environments_share(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "temporal.db"
    name = str(directory)
    first = await WorkflowEnvironment.start_local(dev_server_database_filename=name)
    second = await WorkflowEnvironment.start_local(dev_server_database_filename=name)
    await first.shutdown()
    assert await namespace_answers(second.client)
    await second.shutdown()
    assert "cluster" in contents(directory)
    assert "url" not in contents(directory)


async def test_shutting_down_twice_is_legal(tmp_path: Path) -> None:
    name = str(tmp_path)
    env = await WorkflowEnvironment.start_local(dev_server_database_filename=name)
    await env.shutdown()
    await env.shutdown()


async def test_further_clients_connect_to_the_same_database() -> None:
    async with await WorkflowEnvironment.start_local() as env:
        another = await env.connect_client(identity="another")
        assert isinstance(another, Client)
        async with another:
            assert another.identity == "another"
            assert another.namespace == env.client.namespace
            assert await namespace_answers(another)


async def test_a_start_that_fails_to_connect_stops_postgres_again(
    tmp_path: Path,
) -> None:
    with pytest.raises(AttributeError):
        await WorkflowEnvironment.start_local(
            dev_server_database_filename=str(tmp_path),
            interceptors=[typing.cast(temporalio.client.Interceptor, "no interceptor")],
        )
    assert "cluster" in contents(tmp_path)
    assert "url" not in contents(tmp_path)


async def test_the_start_waits_no_longer_than_asked(tmp_path: Path) -> None:
    with pytest.raises(embedded.EmbeddedPostgresError, match="did not answer"):
        await WorkflowEnvironment.start_local(
            dev_server_database_filename=str(tmp_path),
            dev_server_startup_timeout=timedelta(0),
        )


async def test_an_environment_from_a_client_keeps_its_class_and_its_interceptors() -> (
    None
):
    class Own(temporalio.client.Interceptor):
        pass

    own = Own()
    for kind in (Client, temporalio.client.Client):
        # Nothing listens there, and nothing connects before the first call.
        client = await kind.connect("127.0.0.1:1", lazy=True, interceptors=[own])
        env = WorkflowEnvironment.from_client(client)
        assert isinstance(env, WorkflowEnvironment)
        assert type(env.client) is kind
        assert env.client.service_client is client.service_client
        assert env.client.config()["interceptors"][0] is own
        assert len(env.client.config()["interceptors"]) == 2
