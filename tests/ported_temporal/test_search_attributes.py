"""Search attributes and memos of runs: given, changed by the workflow, described."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from dbosify import workflow
from dbosify.api.common.v1 import Payload
from dbosify.client import Client, WorkflowHandle
from dbosify.common import (
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributes,
    TypedSearchAttributes,
)
from dbosify.converter import DataConverter, PayloadCodec
from dbosify.service import RPCError
from tests.ported_temporal.attribute_keys import (
    A_MOMENT,
    BOOL,
    DOUBLE,
    FAR_EAST,
    INT,
    KEYWORD,
    KEYWORD_LIST,
    MOMENT,
    TEXT,
    ensure_keys,
    one_of_each,
)
from tests.ported_temporal.scaffold import (
    assert_eq_eventually,
    new_worker,
    random_id,
)

T = TypeVar("T")

NEW_MOMENT = datetime(2011, 12, 13, 14, 15, 16, tzinfo=FAR_EAST)

UNTYPED: SearchAttributes = {
    TEXT.name: ["Some words"],
    KEYWORD.name: ["a keyword"],
    KEYWORD_LIST.name: ["red", "green"],
    INT.name: [123],
    DOUBLE.name: [456.78],
    BOOL.name: [True],
    MOMENT.name: [A_MOMENT],
}

CHANGED: SearchAttributes = {
    TEXT.name: ["Other words"],
    KEYWORD_LIST.name: ["blue", "white"],
    INT.name: [0],
    BOOL.name: [False],
    MOMENT.name: [NEW_MOMENT],
}
"""What the upserts below set; they take the double away and leave the keyword."""


@workflow.defn
class AttributesWorkflow:
    """Shows its search attributes and changes them when it is told."""

    def __init__(self) -> None:
        """Wait to be told the end."""
        self._over = False

    @workflow.run
    async def run(self) -> None:
        """Wait for the end."""
        await workflow.wait_condition(lambda: self._over)

    @workflow.query
    def untyped(self) -> dict[str, list[Any]]:
        """The attributes as they used to be."""
        attributes = workflow.info().search_attributes
        return {
            name: [v.isoformat() if isinstance(v, datetime) else v for v in values]
            for name, values in attributes.items()
        }

    @workflow.query
    def typed(self) -> dict[str, Any]:
        """The typed attributes."""
        return shown(workflow.info().typed_search_attributes)

    @workflow.signal
    def change(self, as_typed: bool) -> None:
        """Change most of them."""
        if as_typed:
            workflow.upsert_search_attributes(
                [
                    TEXT.value_set("Other words"),
                    KEYWORD_LIST.value_set(["blue", "white"]),
                    INT.value_set(0),
                    DOUBLE.value_unset(),
                    BOOL.value_set(False),
                    MOMENT.value_set(NEW_MOMENT),
                ]
            )
        else:
            workflow.upsert_search_attributes({**CHANGED, DOUBLE.name: []})

    @workflow.signal
    def end(self) -> None:
        """Let it end."""
        self._over = True


def shown(attributes: TypedSearchAttributes) -> dict[str, Any]:
    """Typed attributes as JSON can show them, by name."""
    return {
        pair.key.name: (
            pair.value.isoformat() if isinstance(pair.value, datetime) else pair.value
        )
        for pair in attributes
    }


def own(attributes: Mapping[str, T]) -> dict[str, T]:
    """Without what a server notes about the workers that ran the workflow."""
    return {name: value for name, value in attributes.items() if name != "BuildIds"}


def instants(attributes: dict[str, Any]) -> dict[str, Any]:
    """The same, with times that compare whatever their zone."""
    found = dict(attributes)
    value = found[MOMENT.name]
    if isinstance(value, list):
        found[MOMENT.name] = [datetime.fromisoformat(value[0])]
    else:
        found[MOMENT.name] = datetime.fromisoformat(value)
    return found


def single(attributes: SearchAttributes) -> dict[str, Any]:
    """Untyped attributes as the typed form shows them."""
    return {
        name: list(values) if name == KEYWORD_LIST.name else values[0]
        for name, values in attributes.items()
    }


@pytest.mark.parametrize("as_typed", [False, True], ids=["untyped", "typed"])
async def test_workflow_search_attributes(client: Client, as_typed: bool) -> None:
    await ensure_keys(client)
    async with new_worker(client, AttributesWorkflow) as worker:
        handle = await client.start_workflow(
            AttributesWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            search_attributes=one_of_each() if as_typed else UNTYPED,
        )
        asked = instants(await handle.query(AttributesWorkflow.untyped))
        assert asked == UNTYPED
        assert instants(await handle.query(AttributesWorkflow.typed)) == single(UNTYPED)
        described = await handle.describe()
        assert own(described.search_attributes) == UNTYPED
        assert own(shown(described.typed_search_attributes)) == shown(one_of_each())

        await handle.signal(AttributesWorkflow.change, as_typed)
        changed = {**CHANGED, KEYWORD.name: ["a keyword"]}
        asked = instants(await handle.query(AttributesWorkflow.untyped))
        # The SDK keeps an emptied list in the old form.
        assert asked == {**changed, DOUBLE.name: []}
        typed = instants(await handle.query(AttributesWorkflow.typed))
        assert typed == single(changed)

        async def untyped_description() -> dict[str, Any]:
            return own((await handle.describe()).search_attributes)

        await assert_eq_eventually(dict(changed), untyped_description)
        described = await handle.describe()
        assert described.typed_search_attributes[MOMENT] == NEW_MOMENT
        assert DOUBLE.name not in shown(described.typed_search_attributes)
        assert described.typed_search_attributes[KEYWORD] == "a keyword"
        await handle.signal(AttributesWorkflow.end)
        await handle.result()
        assert await untyped_description() == changed


@workflow.defn
class UpsertsOneWorkflow:
    """Sets an attribute although it was started without any."""

    @workflow.run
    async def run(self, text: str) -> None:
        """Set it."""
        workflow.upsert_search_attributes([TEXT.value_set(text)])


async def test_workflow_no_initial_search_attributes(client: Client) -> None:
    await ensure_keys(client)
    async with new_worker(client, UpsertsOneWorkflow) as worker:
        handle = await client.start_workflow(
            UpsertsOneWorkflow.run,
            "set by the workflow",
            id=random_id(),
            task_queue=worker.task_queue,
        )
        await handle.result()
        described = await handle.describe()
        assert described.typed_search_attributes[TEXT] == "set by the workflow"


@dataclass
class Remark:
    """A value of a memo."""

    text: str


@workflow.defn
class MemoWorkflow:
    """Reads and changes its memo, and fails if it is not what it should be."""

    @workflow.run
    async def run(self, child: bool) -> None:
        """Do it, first in a child if it has to."""
        if child:
            await workflow.execute_child_workflow(
                MemoWorkflow.run,
                False,
                id=f"{workflow.info().workflow_id}-child",
                memo={
                    "dict": {"text": "of a dict"},
                    "changes": Remark("before"),
                    "goes": Remark("gone"),
                },
            )
            return
        self._read()
        workflow.upsert_memo(
            {"changes": Remark("after"), "comes": Remark("come"), "goes": None}
        )
        assert workflow.memo_value("changes", type_hint=Remark) == Remark("after")
        assert workflow.memo_value("comes") == {"text": "come"}
        assert "goes" not in workflow.memo()
        with pytest.raises(KeyError):
            workflow.memo_value("goes")
        with pytest.raises(KeyError):
            workflow.memo_value("goes", type_hint=Remark)

    def _read(self) -> None:
        assert workflow.memo() == {
            "dict": {"text": "of a dict"},
            "changes": {"text": "before"},
            "goes": {"text": "gone"},
        }
        assert workflow.memo_value("dict") == {"text": "of a dict"}
        assert workflow.memo_value("dict", type_hint=Remark) == Remark("of a dict")
        default = Remark("else")
        assert workflow.memo_value("none", default) == default
        assert workflow.memo_value("none", default, type_hint=Remark) == default


@pytest.mark.parametrize(
    "child",
    [False, pytest.param(True, marks=pytest.mark.needs("child workflows"))],
    ids=["alone", "child"],
)
async def test_workflow_memo(client: Client, child: bool) -> None:
    async with new_worker(
        client,
        MemoWorkflow,
        workflow_failure_exception_types=[AssertionError],
    ) as worker:
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            MemoWorkflow.run,
            child,
            id=random_id(),
            task_queue=worker.task_queue,
            memo={
                "dict": {"text": "of a dict"},
                "changes": Remark("before"),
                "goes": Remark("gone"),
            },
        )
        await handle.result()
        if child:
            handle = client.get_workflow_handle(f"{handle.id}-child")
        described = await handle.describe()
        assert await described.memo() == {
            "dict": {"text": "of a dict"},
            "changes": {"text": "after"},
            "comes": {"text": "come"},
        }
        changed = await described.memo_value("changes", type_hint=Remark)
        assert changed == Remark("after")
        assert await described.memo_value("none", "else") == "else"
        with pytest.raises(KeyError):
            await described.memo_value("goes")


class PlainCodec(PayloadCodec):
    """Changes nothing."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The same payloads."""
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """The same payloads."""
        return list(payloads)


class ReversingCodec(PlainCodec):
    """Makes everything unreadable for those who do not know how."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Payloads in payloads, backwards."""
        return [
            Payload(
                metadata={"encoding": b"binary/reversed"},
                data=payload.SerializeToString()[::-1],
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """What was encoded."""
        assert all(p.metadata["encoding"] == b"binary/reversed" for p in payloads)
        return [Payload.FromString(payload.data[::-1]) for payload in payloads]


def with_codec(client: Client, codec: PayloadCodec) -> Client:
    """The client with that codec."""
    config = client.config()
    config["data_converter"] = replace(DataConverter.default, payload_codec=codec)
    return Client(**config)


@workflow.defn
class TellsMemoWorkflow:
    """Gives what its memo says."""

    @workflow.run
    async def run(self) -> dict[str, str]:
        """Give it."""
        return workflow.memo_value("remark", type_hint=dict[str, str])


@pytest.mark.parametrize("codec", [PlainCodec(), ReversingCodec()], ids=type)
async def test_workflow_memo_decoding_with_passthrough_codec(
    client: Client, codec: PayloadCodec
) -> None:
    client = with_codec(client, codec)
    memo = {"remark": {"text": "of the start"}}
    async with new_worker(client, TellsMemoWorkflow) as worker:
        handle = await client.start_workflow(
            TellsMemoWorkflow.run,
            id=random_id(),
            task_queue=worker.task_queue,
            memo=memo,
        )
        assert await handle.result() == memo["remark"]
        assert await (await handle.describe()).memo() == memo


@workflow.defn
class HandsDownWorkflow:
    """Gives its search attributes to a child, and the child's back."""

    @workflow.run
    async def run(self, child: bool) -> str:
        """Give what it has, or what the child has."""
        mine = workflow.info().typed_search_attributes
        if not child:
            return mine[TEXT]
        return await workflow.execute_child_workflow(
            HandsDownWorkflow.run,
            False,
            id=f"{workflow.info().workflow_id}-child",
            search_attributes=mine,
        )


@pytest.mark.parametrize(
    "child",
    [False, pytest.param(True, marks=pytest.mark.needs("child workflows"))],
    ids=["alone", "child"],
)
async def test_search_attribute_codec(client: Client, child: bool) -> None:
    await ensure_keys(client)
    client = with_codec(client, ReversingCodec())
    async with new_worker(client, HandsDownWorkflow) as worker:
        text = await client.execute_workflow(
            HandsDownWorkflow.run,
            child,
            id=random_id(),
            task_queue=worker.task_queue,
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(TEXT, "not encoded")]
            ),
        )
        assert text == "not encoded"


async def test_search_attributes_on_dev_server(client: Client) -> None:
    unknown = SearchAttributeKey.for_keyword("RegisteredNowhere")
    with pytest.raises(RPCError, match="no mapping defined"):
        await client.start_workflow(
            "nobody's",
            id=random_id(),
            task_queue=random_id("queue"),
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(unknown, "value")]
            ),
        )
    await ensure_keys(client)
    handle = await client.start_workflow(
        "nobody's",
        id=random_id(),
        task_queue=random_id("queue"),
        execution_timeout=timedelta(minutes=1),
        search_attributes=one_of_each(),
    )
    described = await handle.describe()
    assert shown(described.typed_search_attributes) == shown(one_of_each())
    await handle.terminate()
