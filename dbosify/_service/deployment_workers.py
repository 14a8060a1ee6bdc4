"""A worker of a version comes: that makes the version, and the deployment, known."""

from __future__ import annotations

from collections.abc import Collection

from dbosify._model import clock
from dbosify._model.protos import Timestamp
from dbosify._store import deployments
from dbosify._store.engine import Database

from . import deploying, deployment_checks


async def register(
    database: Database,
    now: Timestamp,
    *,
    name: str,
    build_id: str,
    task_queue: str,
    kinds: Collection[int],
) -> int:
    """Note that a worker serves a task queue, again and again as long as it does.

    Args:
        database: of the namespace.
        now: the database's time.
        name: of the deployment.
        build_id: of the version.
        task_queue: that the worker serves.
        kinds: of its tasks, as the API numbers them.

    Returns:
        The number of the version.

    Raises:
        RPCError: the names have not the form that names have.
    """
    deployment_checks.new_name(name)
    deployment_checks.new_build_id(build_id)
    async with database.transaction() as connection:
        fresh = deploying.new_deployment(name, "", now)
        await deployments.create(connection, database, fresh, clock.nanoseconds(now))
        found = await deployments.find(connection, database, name)
        assert found is not None, "it was created if it was not there"
        version = found.version(build_id)
        if version is None:
            version = deploying.new_version(name, build_id, "", now)
            await deployments.create_version(connection, database, name, version)
        await deployments.serve(
            connection,
            database,
            name,
            version.version_id,
            task_queue=task_queue,
            kinds=kinds,
        )
    return version.version_id
