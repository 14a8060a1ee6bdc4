"""What a pooler between a process and Postgres takes away, and how one is noticed.

A pooler in transaction mode lends a server's session for one transaction only. What
belongs to a session (prepared statements, settings, LISTEN, advisory locks) is then
somebody else's the next moment. Clients are not told of a pooler, but it makes up the
process id that they see, since no single server process answers them.
"""

from __future__ import annotations

import psycopg

SETTLE = (
    "SELECT pg_backend_pid() AS pid,"
    " CASE WHEN pg_backend_pid() = %(pid)s THEN"
    " set_config('idle_in_transaction_session_timeout', %(idle)s, false) END,"
    " CASE WHEN pg_backend_pid() = %(pid)s"
    " AND current_setting('server_version_num')::int >= 170000 THEN"
    " set_config('transaction_timeout', %(longest)s, false) END,"
    " CASE WHEN pg_backend_pid() = %(pid)s THEN set_config('jit', 'off', false) END"
)
"""Asked first on a connection, with the process id that it was told.

A process that stands still in a transaction must not keep its locks for ever; one that
does so in the middle of a pipeline is not idle for the server, but since Postgres 17
there is a timeout for that too. And just-in-time compilation costs more than any of our
statements runs. But a session that may be lent to others next is left as it is.
"""

_PID = "SELECT pg_backend_pid()"
_TRIES = 5


def lends_sessions(one: psycopg.Connection, other: psycopg.Connection) -> bool:
    """Whether two connections, in autocommit mode, were seen to share a session.

    A yes is certain. A no may be wrong if a busy pooler happened to lend the same
    sessions to the same connections each time.
    """
    for _ in range(_TRIES):
        before = one.execute(_PID).fetchone()
        with other.transaction():
            held = other.execute(_PID).fetchone()
            if before in (held, None) or one.execute(_PID).fetchone() != before:
                return True
    return False
