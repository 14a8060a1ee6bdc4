"""Where runs go among the versions of worker deployments, and what a run's row says.

The database places whatever is queued (`dbosify_queue_in_place()`, migration 0025);
here is what it goes by: the routes, and the version that a run is pinned to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from dbosify._model.protos import WorkerDeploymentVersion
from dbosify._model.routes import WORKFLOW, Route, Routes, Target
from dbosify._model.search_attributes import keywords
from dbosify._model.versioning import Versioning

from .engine import Call, Connection, Database, Rows
from .runs import pin_params, version_params


async def load(database: Database, task_queues: Iterable[str]) -> Routes:
    """The routes of some task queues."""
    return of_rows(await database.fetch("routes", {"queues": sorted(task_queues)}))


async def shown(
    database: Database, task_queue: str, kind: int
) -> tuple[Route, datetime] | None:
    """The route of a task queue, and when it was last changed; None if it has none."""
    rows = await database.fetch("routes", {"queues": [task_queue]})
    route = of_rows(rows).get((task_queue, kind))
    if route is None:
        return None
    return route, next(row["routed_at"] for row in rows if row["kind"] == kind)


def of_rows(rows: Rows) -> Routes:
    """The routes that rows stand for."""
    return {
        (row["task_queue"], row["kind"]): Route(
            _target(row, "current"), _target(row, "ramping"), row["share"]
        )
        for row in rows
    }


def _target(row: dict[str, object], which: str) -> Target:
    number = row[f"{which}_id"]
    if not isinstance(number, int):
        return Target()
    return Target(number, str(row[f"{which}_name"]), str(row[f"{which}_build"]))


async def serves(
    database: Database, version: WorkerDeploymentVersion, task_queue: str
) -> bool:
    """Whether a version's workers run the workflows of a task queue, or once did."""
    rows = await database.fetch(
        "serves_queue",
        {
            "deployment": version.deployment_name,
            "build_id": version.build_id,
            "task_queue": task_queue,
            "kind": WORKFLOW,
        },
    )
    return bool(rows)


def note(workflow_uuid: str, token: str, versioning: Versioning) -> Call:
    """The statement that writes where a run belongs after a turn of it."""
    return Call(
        "note_version",
        {
            "workflow_uuid": workflow_uuid,
            "token": token,
            "attributes": _attributes(versioning),
            **version_params(versioning),
        },
    )


async def change(
    connection: Connection,
    database: Database,
    workflow_uuid: str,
    *,
    versioning: Versioning,
    priority: int,
) -> None:
    """Write where a run belongs after other options were just sent to it.

    Args:
        connection: of the transaction.
        database: of the namespace.
        workflow_uuid: of the run.
        versioning: with those options.
        priority: its place in its queue, as DBOS orders.
    """
    if versioning.is_versioned:
        await database.run(
            connection,
            "override_version",
            {
                "workflow_uuid": workflow_uuid,
                "attributes": _attributes(versioning),
                **pin_params(versioning.pinned_to),
            },
        )
    params = {"workflow_uuid": workflow_uuid, "priority": priority}
    await database.run(connection, "place_run", params)


def _attributes(versioning: Versioning) -> str:
    return json.dumps(keywords(versioning.attributes()))
