"""Which version gets a task: by the process, and by the database, alike."""

from __future__ import annotations

from dbosify._model.routes import (
    ACTIVITY,
    NEXUS,
    WORKFLOW,
    Route,
    Target,
    gets_any,
    target,
)

CURRENT = Target(1, "shop", "1")
RAMPING = Target(2, "shop", "2")


def test_a_queue_without_a_route_is_for_workers_without_a_version() -> None:
    found = target({}, "orders", WORKFLOW, "a")
    assert found == Target()
    assert found.version is None


def test_a_version_is_named_as_in_the_api() -> None:
    assert CURRENT.version is not None
    assert CURRENT.version.deployment_name == "shop"
    assert CURRENT.version.build_id == "1"


def test_kinds_of_tasks_have_routes_of_their_own() -> None:
    routes = {("orders", ACTIVITY): Route(CURRENT, Target(), 0)}
    assert target(routes, "orders", ACTIVITY, "a") == CURRENT
    for kind in (WORKFLOW, NEXUS):
        assert target(routes, "orders", kind, "a") == Target()


def test_a_share_of_the_workflows_goes_to_the_ramping_version() -> None:
    names = [f"order-{number}" for number in range(1000)]
    for share, lowest, highest in ((0, 0, 0), (2500, 200, 300), (10_000, 1000, 1000)):
        route = Route(CURRENT, RAMPING, share)
        ramped = [name for name in names if route.target(name) == RAMPING]
        assert lowest <= len(ramped) <= highest


def test_a_workflow_that_ramps_keeps_ramping_as_the_share_grows() -> None:
    names = [f"order-{number}" for number in range(100)]
    before = {n for n in names if Route(CURRENT, RAMPING, 3000).target(n) == RAMPING}
    after = {n for n in names if Route(CURRENT, RAMPING, 6000).target(n) == RAMPING}
    assert before < after


def test_who_gets_any_tasks() -> None:
    def who(route: Route) -> list[str]:
        routes = {("orders", NEXUS): route}
        return [
            each.build_id or "none"
            for each in (CURRENT, RAMPING, Target())
            if gets_any(routes, "orders", NEXUS, each.version)
        ]

    assert who(Route(CURRENT, RAMPING, 0)) == ["1"]
    assert who(Route(CURRENT, RAMPING, 10)) == ["1", "2"]
    assert who(Route(CURRENT, RAMPING, 10_000)) == ["2"]
    assert who(Route(Target(), RAMPING, 10)) == ["2", "none"]
    assert gets_any({}, "orders", NEXUS, None)
    assert not gets_any({}, "orders", NEXUS, CURRENT.version)
