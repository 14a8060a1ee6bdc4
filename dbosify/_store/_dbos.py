"""The names of DBOS that have no public spelling; a contract test pins each."""

from __future__ import annotations

from dbos import DBOSClient


def dbos_client_url(client: DBOSClient) -> str:
    """The URL of the database that a DBOS client uses."""
    return client._sys_db.engine.url.render_as_string(hide_password=False)
