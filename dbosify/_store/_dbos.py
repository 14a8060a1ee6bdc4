"""The names of DBOS that have no public spelling; a contract test pins each."""

from __future__ import annotations

import dbos._dbos
from dbos import DBOSClient
from dbos._serialization import DBOSPortableJSON, Serializer


def dbos_client_url(client: DBOSClient) -> str:
    """The URL of the database that a DBOS client uses."""
    return client._sys_db.engine.url.render_as_string(hide_password=False)


def dbos_client_schema(client: DBOSClient) -> str:
    """The schema that a DBOS client uses."""
    return client._sys_db.schema or "dbos"


def portable_serializer() -> Serializer:
    """DBOS's JSON serializer, which its tools in every language read."""
    return DBOSPortableJSON


def has_runtime() -> bool:
    """Whether this process has a DBOS runtime already."""
    return dbos._dbos._dbos_global_instance is not None


def quiet_runtime() -> None:
    """End the threads of the process's DBOS runtime that only look for work.

    They are those of its queues, schedules and background jobs, and ask the database
    some twenty times a second. What tools ask it for is answered as before.
    """
    runtime = dbos._dbos._dbos_global_instance
    if runtime is not None:
        for stop in runtime.background_thread_stop_events:
            stop.set()
        runtime._background_jobs_stop_event.set()
