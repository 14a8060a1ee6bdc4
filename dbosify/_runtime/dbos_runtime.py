"""The DBOS runtime that a worker process hosts, so that DBOS's own tools see it.

Admin calls, Conductor and the background jobs of DBOS need a launched runtime. It works
on the same tables under an executor id of its own: runs are claimed, fenced and taken
over by dbosify alone. An application that runs DBOS itself keeps its own runtime.
Unless a worker was given a DBOS configuration, nothing of DBOS's own can be waiting for
this runtime, so it does not look for any: that alone would be the better part of what
an idle worker asks of the database.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from dbos import DBOS, DBOSConfig

from dbosify._store._dbos import has_runtime, portable_serializer, quiet_runtime
from dbosify._store.engine import Database

logger = logging.getLogger(__name__)

_THROUGH_A_POOLER: dict[str, Any] = {
    # It sets the limit as a session begins, which poolers refuse.
    "sys_db_idle_transaction_timeout_sec": 0,
    "db_engine_kwargs": {"connect_args": {"prepare_threshold": None}},
    "use_listen_notify": False,
}
"""Settings without which DBOS would rely on sessions of its own."""

_lock = threading.Lock()
_hosted = False


async def launch(
    database: Database, executor_id: str, config: DBOSConfig | None
) -> bool:
    """Launch the process's DBOS runtime, unless it has one.

    Args:
        database: of the namespace.
        executor_id: of this process.
        config: the user's own, if a worker was given one.

    Returns:
        Whether this call launched it, and so must end it.
    """
    return await asyncio.to_thread(_launch, database, executor_id, config)


def _launch(database: Database, executor_id: str, config: DBOSConfig | None) -> bool:
    global _hosted
    with _lock:
        if _hosted or has_runtime():
            return False
        settings: dict[str, Any] = {"name": "dbosify", "log_level": "WARNING"}
        settings |= dict(config or {})
        settings |= {
            "system_database_url": database.url.sqlalchemy_url,
            "dbos_system_schema": database.schema,
            # Not ours: DBOS re-enqueues what it finds under its own id at launch.
            "executor_id": f"{executor_id}-dbos",
            # A version belongs to the application that first came with it.
            "application_version": f"dbosify-{settings['name']}",
            "run_migrations": False,
            "serializer": portable_serializer(),
        }
        if database.pooled:
            settings |= _THROUGH_A_POOLER
        try:
            DBOS(config=settings)  # type: ignore[arg-type]
            DBOS.launch()
            if config is None:
                quiet_runtime()
        except Exception as error:
            # Everything but DBOS's own tools works without it.
            logger.warning("the DBOS runtime did not start: %s", error)
            DBOS.destroy()
            return False
        _hosted = True
        return True


async def end() -> None:
    """End the runtime that `launch` launched."""
    await asyncio.to_thread(_end)


def _end() -> None:
    global _hosted
    with _lock:
        _hosted = False
        DBOS.destroy()
