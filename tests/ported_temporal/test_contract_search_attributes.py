"""Custom search attributes: registered, listed, removed, and set by workflows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from dbosify import workflow
from dbosify.api.enums.v1 import IndexedValueType
from dbosify.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    ListSearchAttributesResponse,
    RemoveSearchAttributesRequest,
)
from dbosify.api.workflowservice.v1 import (
    GetSearchAttributesRequest,
    ListArchivedWorkflowExecutionsRequest,
)
from dbosify.client import Client
from dbosify.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from dbosify.service import RPCStatusCode
from tests.ported_temporal.attribute_keys import INT, KEYWORD, TEXT, ensure_keys
from tests.ported_temporal.contract import Refusal, refusal_of
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    assert_task_fail_eventually,
    new_worker,
    random_id,
)

KEYWORD_TYPE = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
BOOL_TYPE = IndexedValueType.INDEXED_VALUE_TYPE_BOOL


async def add(client: Client, **attributes: "IndexedValueType.ValueType") -> None:
    """Register attributes."""
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace, search_attributes=attributes
        )
    )


async def remove(client: Client, *names: str) -> None:
    """Forget attributes."""
    await client.operator_service.remove_search_attributes(
        RemoveSearchAttributesRequest(
            namespace=client.namespace, search_attributes=names
        )
    )


async def listed(client: Client) -> ListSearchAttributesResponse:
    """All attributes of the namespace."""
    return await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )


def new_name() -> str:
    """An attribute that no other test has."""
    return random_id("Contract").replace("-", "")


@asynccontextmanager
async def registered(
    client: Client, kind: "IndexedValueType.ValueType"
) -> AsyncIterator[str]:
    """An attribute of that type, for a while."""
    name = new_name()
    await add(client, **{name: kind})
    try:
        yield name
    finally:
        await remove(client, name)


async def test_an_attribute_that_is_added_is_there_at_once(client: Client) -> None:
    async with registered(client, KEYWORD_TYPE) as name:
        assert (await listed(client)).custom_attributes[name] == KEYWORD_TYPE
        every = await client.workflow_service.get_search_attributes(
            GetSearchAttributesRequest()
        )
        assert every.keys["WorkflowId"] == KEYWORD_TYPE
        key = SearchAttributeKey.for_keyword(name)
        handle = await client.start_workflow(
            "nobody's",
            id=random_id(),
            task_queue=random_id("queue"),
            search_attributes=TypedSearchAttributes([SearchAttributePair(key, "red")]),
        )
        query = f"{name} = 'red'"

        async def found() -> list[str]:
            return [run.id async for run in client.list_workflows(query)]

        await assert_eq_eventually([handle.id], found)
        await handle.terminate()
    refusal = await refusal_of(client.count_workflows(query))
    assert refusal.message == f"invalid query: invalid search attribute: {name}"


async def test_the_systems_attributes_have_their_types(client: Client) -> None:
    system = (await listed(client)).system_attributes
    kinds = {
        name: IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_")
        for name, kind in system.items()
    }
    assert kinds == {
        **dict.fromkeys(
            (
                *("WorkflowId", "RunId", "WorkflowType", "TaskQueue"),
                *("ParentWorkflowId", "ParentRunId", "RootWorkflowId", "RootRunId"),
                *("ExecutionStatus", "BatcherNamespace", "BatcherUser"),
                *("TemporalNamespaceDivision", "TemporalScheduledById"),
                *("TemporalWorkerDeployment", "TemporalWorkerDeploymentVersion"),
                "TemporalWorkflowVersioningBehavior",
            ),
            "KEYWORD",
        ),
        **dict.fromkeys(
            (
                *("BuildIds", "BinaryChecksums", "TemporalChangeVersion"),
                *("TemporalPauseInfo", "TemporalReportedProblems"),
                "TemporalUsedWorkerDeploymentVersions",
            ),
            "KEYWORD_LIST",
        ),
        **dict.fromkeys(
            (
                *("StartTime", "ExecutionTime", "CloseTime"),
                "TemporalScheduledStartTime",
            ),
            "DATETIME",
        ),
        **dict.fromkeys(
            (
                *("HistoryLength", "HistorySizeBytes", "StateTransitionCount"),
                *("ExecutionDuration", "TemporalExternalPayloadCount"),
                "TemporalExternalPayloadSizeBytes",
            ),
            "INT",
        ),
        "TemporalSchedulePaused": "BOOL",
    }


async def test_a_known_attribute_stays_what_it_is(client: Client) -> None:
    async with registered(client, KEYWORD_TYPE) as name:
        await add(client, **{name: BOOL_TYPE})
        assert (await listed(client)).custom_attributes[name] == KEYWORD_TYPE


@pytest.mark.parametrize("name", ["with blanks", "with-dashes", "'; DROP", "ünï"])
async def test_any_name_is_taken(client: Client, name: str) -> None:
    await add(client, **{name: KEYWORD_TYPE})
    assert (await listed(client)).custom_attributes[name] == KEYWORD_TYPE
    await remove(client, name)
    assert name not in (await listed(client)).custom_attributes


@pytest.mark.parametrize(
    "name", ["WorkflowId", "BuildIds", "BatcherUser", "TemporalNewThing"]
)
async def test_names_of_the_system_are_reserved(client: Client, name: str) -> None:
    assert await refusal_of(add(client, **{name: KEYWORD_TYPE})) == Refusal(
        RPCStatusCode.INVALID_ARGUMENT,
        f"Search attribute {name} is reserved by system.",
    )


async def test_there_is_room_for_so_many_of_a_type(client: Client) -> None:
    names = [new_name() for _ in range(4)]
    refusal = await refusal_of(add(client, **dict.fromkeys(names, BOOL_TYPE)))
    assert refusal == Refusal(
        RPCStatusCode.INVALID_ARGUMENT,
        "Unable to create search attributes: cannot have more than 3 search attribute"
        " of type Bool.",
    )
    assert not set(names) & set((await listed(client)).custom_attributes)


async def test_an_attribute_needs_a_type(client: Client) -> None:
    none = IndexedValueType.INDEXED_VALUE_TYPE_UNSPECIFIED
    assert await refusal_of(add(client, **{new_name(): none})) == Refusal(
        RPCStatusCode.INVALID_ARGUMENT,
        "Unable to create search attributes: cannot have more than 0 search attribute"
        " of type Unspecified.",
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"namespace": "default"}, "SearchAttributes are not set on request."),
        (
            {"search_attributes": {"Somewhere": KEYWORD_TYPE}},
            "Namespace is not set on request.",
        ),
    ],
)
async def test_a_registration_must_be_complete(
    client: Client, fields: dict[str, Any], text: str
) -> None:
    request = AddSearchAttributesRequest(**fields)
    assert await refusal_of(
        client.operator_service.add_search_attributes(request)
    ) == Refusal(RPCStatusCode.INVALID_ARGUMENT, text)


async def test_only_custom_attributes_can_be_removed(client: Client) -> None:
    await remove(client, new_name())
    assert await refusal_of(remove(client, "WorkflowId")) == Refusal(
        RPCStatusCode.INVALID_ARGUMENT,
        "Unable to remove non-custom search attributes: WorkflowId.",
    )


async def test_nothing_is_archived(client: Client) -> None:
    request = ListArchivedWorkflowExecutionsRequest(
        namespace=client.namespace, page_size=1
    )
    assert await refusal_of(
        client.workflow_service.list_archived_workflow_executions(request)
    ) == Refusal(
        RPCStatusCode.INVALID_ARGUMENT,
        "Cluster is not configured for visibility archival.",
    )


# Set by workflows.

UNKNOWN_KEY = SearchAttributeKey.for_keyword("RegisteredNowhere")
WRONG_KEY = SearchAttributeKey.for_keyword(INT.name)


@workflow.defn
class SetsWorkflow:
    """Sets an attribute in one way or another."""

    @workflow.run
    async def run(self, how: str, name: str, value: str) -> None:
        """Set it."""
        key = SearchAttributeKey.for_keyword(name)
        attributes = TypedSearchAttributes([SearchAttributePair(key, value)])
        if how == "upsert":
            workflow.upsert_search_attributes([key.value_set(value)])
        elif how == "child":
            await workflow.execute_child_workflow(
                SetsWorkflow.run,
                args=["", "", ""],
                id=f"{workflow.info().workflow_id}-child",
                search_attributes=attributes,
            )
        elif how == "continue":
            workflow.continue_as_new(args=["", "", ""], search_attributes=attributes)


@pytest.mark.parametrize("how", ["upsert", "child", "continue"])
@pytest.mark.parametrize(
    ("key", "text"),
    [
        (
            UNKNOWN_KEY,
            "Namespace default has no mapping defined for search"
            " attribute RegisteredNowhere",
        ),
        (
            WRONG_KEY,
            "invalid value for search attribute SharedInt of type Int: abc",
        ),
    ],
    ids=["unknown", "mistyped"],
)
async def test_what_a_workflow_sets_wrongly_fails_its_task(
    client: Client, how: str, key: SearchAttributeKey[str], text: str
) -> None:
    await ensure_keys(client)
    async with new_worker(client, SetsWorkflow) as worker:
        handle = await client.start_workflow(
            SetsWorkflow.run,
            args=[how, key.name, "abc"],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        if key is WRONG_KEY and how == "child":
            text = (
                f"invalid SearchAttributes on StartChildWorkflowCommand: {text}."
                f" WorkflowId={handle.id}-child WorkflowType=SetsWorkflow"
                " Namespace=default"
            )
        failed = await assert_task_fail_eventually(handle)
        if key is WRONG_KEY and how == "continue":
            wrapped = (
                "invalid SearchAttributes on ContinueAsNewWorkflowExecutionCommand"
            )
            text = f"{wrapped}: {text}. WorkflowType=SetsWorkflow TaskQueue="
            # What follows is a queue as Go prints it, with one blank or two.
            failed = failed[: failed.index("name:")]
        assert failed == f"BadSearchAttributes: {text}"
        await handle.terminate()


@pytest.mark.only_against(
    "dbosify", "history and describe repeat the type that the client says"
)
async def test_what_a_workflow_sets_has_the_registered_type(client: Client) -> None:
    await ensure_keys(client)
    async with new_worker(client, SetsWorkflow) as worker:
        handle = await client.start_workflow(
            SetsWorkflow.run,
            args=["upsert", TEXT.name, "some words"],
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await handle.result()
        described = await handle.describe()
        assert described.typed_search_attributes[TEXT] == "some words"


@workflow.defn
class KeepsWorkflow:
    """Upserts, and continues as new without a word about it."""

    @workflow.run
    async def run(self, again: bool) -> dict[str, str]:
        """Give what the last run finds."""
        if again:
            workflow.upsert_search_attributes([KEYWORD.value_set("kept")])
            workflow.upsert_memo({"changed": "by the first run"})
            workflow.continue_as_new(False)
        memo = {name: str(value) for name, value in workflow.memo().items()}
        return {**memo, "keyword": workflow.info().typed_search_attributes[KEYWORD]}


async def test_a_next_run_keeps_attributes_and_the_memo_of_the_start(
    client: Client,
) -> None:
    await ensure_keys(client)
    async with new_worker(client, KeepsWorkflow) as worker:
        found = await client.execute_workflow(
            KeepsWorkflow.run,
            True,
            id=random_id(),
            task_queue=worker.task_queue,
            memo={"changed": "by the client"},
            run_timeout=timedelta(minutes=1),
        )
    assert found == {"keyword": "kept", "changed": "by the client"}
