"""Worker deployments in the database: which versions there are, and where runs go.

Whoever changes a deployment or its versions holds the deployment's row; what follows
for queues (`dbosify_routes`) is written in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.deployment.v1 import (
    WorkerDeploymentInfo,
    WorkerDeploymentVersionInfo,
)
from temporalio.api.enums.v1 import TaskQueueType

from .engine import Connection, Database
from .runs import iso


@dataclass(slots=True)
class Version:
    """A version of a deployment."""

    info: WorkerDeploymentVersionInfo
    """Without what is not stored: status, drainage, queues."""
    version_id: int = 0
    request_id: str = ""
    needed: bool = False
    """Whether open runs are pinned to it."""
    polled: bool = False
    """Whether a worker of it was there within five minutes."""
    queues: list[tuple[TaskQueueType.ValueType, str]] = field(default_factory=list)

    @property
    def build_id(self) -> str:
        """Its id within the deployment."""
        return self.info.deployment_version.build_id


@dataclass(slots=True)
class Deployment:
    """A worker deployment with its versions, the newest first."""

    info: WorkerDeploymentInfo
    """Without summaries of its versions."""
    token: int
    """Another one after each change."""
    request_id: str = ""
    versions: list[Version] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return self.info.name

    def version(self, build_id: str) -> Version | None:
        """The version of a build id."""
        for version in self.versions:
            if version.build_id == build_id:
                return version
        return None


async def find(
    connection: Connection, database: Database, name: str
) -> Deployment | None:
    """A deployment, held until the transaction ends."""
    rows = await database.run(connection, "find_deployment", {"name": name})
    if not rows:
        return None
    deployment = _deployment(rows[0])
    await _load_versions(connection, database, [deployment])
    return deployment


async def listed(database: Database, after: str | None, limit: int) -> list[Deployment]:
    """Deployments, the newest first, from the one named `after` on."""
    async with database.transaction() as connection:
        rows = await database.run(
            connection, "list_deployments", {"name": after, "limit": limit}
        )
        found = [_deployment(row) for row in rows]
        await _load_versions(connection, database, found)
    return found


async def create(
    connection: Connection,
    database: Database,
    deployment: Deployment,
    created_at: int,
) -> bool:
    """Add a deployment; False if there is one of its name.

    Args:
        connection: of the transaction.
        database: of the namespace.
        deployment: the new one.
        created_at: nanoseconds since 1970.
    """
    rows = await database.run(
        connection,
        "create_deployment",
        {
            "name": deployment.name,
            "info": deployment.info.SerializeToString(),
            "token": deployment.token,
            "request_id": deployment.request_id or None,
            "created_at": iso(created_at),
        },
    )
    return bool(rows)


async def save(connection: Connection, database: Database, changed: Deployment) -> None:
    """Store a deployment that is held, and say where its queues' tasks go now."""
    routing = changed.info.routing_config
    current = changed.version(routing.current_deployment_version.build_id)
    ramping = changed.version(routing.ramping_deployment_version.build_id)
    moments = [
        moment.ToNanoseconds()
        for moment in (
            routing.current_version_changed_time,
            routing.ramping_version_changed_time,
        )
        if moment.ToNanoseconds() > 0
    ]
    await database.run(
        connection,
        "save_deployment",
        {
            "name": changed.name,
            "info": changed.info.SerializeToString(),
            "token": changed.token,
            "current_id": current.version_id if current else None,
            "ramping_id": ramping.version_id if ramping else None,
            "share": routing.ramping_version_percentage,
            "routed_at": iso(max(moments)) if moments else None,
        },
    )
    await database.run(connection, "route_queues", {"name": changed.name})
    await database.run(connection, "place_again", {"name": changed.name})


async def drop(connection: Connection, database: Database, name: str) -> None:
    """Remove a deployment that is held and has no versions."""
    await database.run(connection, "drop_deployment", {"name": name})


async def create_version(
    connection: Connection, database: Database, name: str, version: Version
) -> bool:
    """Add a version to a deployment that is held; False if it has it already."""
    rows = await database.run(
        connection,
        "create_version",
        {
            "name": name,
            "build_id": version.build_id,
            "info": version.info.SerializeToString(),
            "request_id": version.request_id or None,
        },
    )
    if rows:
        version.version_id = rows[0]["version_id"]
    return bool(rows)


async def save_version(
    connection: Connection,
    database: Database,
    version: Version,
    *,
    deleted: bool = False,
) -> None:
    """Store a version whose deployment is held."""
    await database.run(
        connection,
        "save_version",
        {
            "version_id": version.version_id,
            "info": version.info.SerializeToString(),
            "deleted": deleted,
        },
    )
    if deleted:
        await database.run(
            connection, "forget_queues", {"version_id": version.version_id}
        )


async def serve(
    connection: Connection,
    database: Database,
    name: str,
    number: int,
    *,
    task_queue: str,
    kinds: Iterable[int],
) -> None:
    """Note that a worker of a version serves a task queue."""
    await database.run(
        connection,
        "serve_queues",
        {"version_id": number, "task_queue": task_queue, "kinds": sorted(kinds)},
    )
    await database.run(connection, "route_queues", {"name": name})
    # Something may have been queued while the routes changed, by what they were before.
    await database.run(connection, "place_again", {"name": name})


def _deployment(row: dict[str, Any]) -> Deployment:
    info = WorkerDeploymentInfo.FromString(row["info"])
    return Deployment(info, row["token"], row["request_id"] or "")


async def _load_versions(
    connection: Connection, database: Database, deployments: Sequence[Deployment]
) -> None:
    by_name = {deployment.name: deployment for deployment in deployments}
    rows = await database.run(connection, "load_versions", {"names": list(by_name)})
    for row in rows:
        version = Version(
            WorkerDeploymentVersionInfo.FromString(row["info"]),
            row["version_id"],
            row["request_id"] or "",
            row["needed"],
            row["polled"],
            [
                (TaskQueueType.ValueType(int(kind)), name)
                for kind, name in row["queues"]
            ],
        )
        by_name[row["deployment"]].versions.append(version)
