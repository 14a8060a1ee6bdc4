"""Names that tie a run to DBOS, and the seed that its name gives."""

from __future__ import annotations

import re

import pytest

from dbosify._model import ids


@pytest.mark.parametrize(
    ("run_id", "seed"),
    [
        ("11111111-1111-1111-1111-111111111111", 3027848497004005175),
        ("", 3476900567878811119),
    ],
)
def test_a_seed_is_the_one_that_temporals_core_derives(run_id: str, seed: int) -> None:
    assert ids.random_seed(run_id) == seed


@pytest.mark.parametrize("length", range(18))
def test_seeds_differ_whatever_the_length(length: int) -> None:
    seeds = {ids.random_seed("a" * length), ids.random_seed("a" * (length + 1))}
    assert len(seeds) == 2
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_a_seed_is_derived_from_the_bytes() -> None:
    assert ids.random_seed("é") != ids.random_seed("e")


@pytest.mark.parametrize("workflow_id", ["order", "orders/1", "a//b/", "", "/"])
def test_a_runs_name_can_be_split_again(workflow_id: str) -> None:
    uuid = ids.workflow_uuid(workflow_id, "run")
    assert ids.workflow_id_of(uuid) == workflow_id
    assert ids.run_id_of(uuid) == "run"


def test_an_activity_is_named_after_its_run_and_its_event() -> None:
    task_id = ids.activity_task_id("orders/1/run", 5)
    assert task_id == "orders/1/run/activity/5"
    assert ids.scheduled_event_id_of(task_id) == 5


def test_the_number_of_an_activity_can_be_told_from_its_name() -> None:
    assert ids.scheduled_event_id_of("orders/1/run/activity/5") == 5


def test_activities_have_queues_of_their_own() -> None:
    assert ids.activity_queue("queue") == "activity:queue"
    assert ids.activity_queue("queue") != ids.activity_queue("activity:queue")


@pytest.mark.parametrize("workflow_id", ["orders/1", "a/activity/7", ""])
def test_the_run_of_an_activity_can_be_told_from_its_name(workflow_id: str) -> None:
    uuid = ids.workflow_uuid(workflow_id, "run")
    assert ids.workflow_uuid_of_task(ids.activity_task_id(uuid, 5)) == uuid


@pytest.mark.parametrize(
    "name", ["run", "run/activity/", "run/activity/x", "/activity/5", "run/timer/5"]
)
def test_other_names_are_no_activities(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(name)[1:-1])):
        ids.workflow_uuid_of_task(name)


@pytest.mark.parametrize("activity_id", ["a", "orders/1", "a/activity/5", "/"])
def test_an_activity_without_a_workflow_can_be_told_from_its_name(
    activity_id: str,
) -> None:
    run_id = "11111111-1111-1111-1111-111111111111"
    task_id = ids.standalone_task_id(activity_id, run_id)
    assert ids.standalone_of(task_id) == (activity_id, run_id)
    assert not ids.is_task_of_run(task_id)


@pytest.mark.parametrize("name", ["a", "a/b", "/11111111-1111-1111-1111-111111111111"])
def test_what_is_no_name_of_such_an_activity_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(name)):
        ids.standalone_of(name)
