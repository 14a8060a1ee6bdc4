"""Listening to NOTIFY: a loop for a thread, on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import psycopg
from psycopg import sql

from .engine import Database

ListenError = psycopg.Error
"""The connection is gone; listening may begin anew."""


def listen(
    database: Database,
    channels: Sequence[str],
    on_notification: Callable[[str, str], None],
    stop: threading.Event,
) -> None:
    """Pass notifications on until `stop` is set.

    Args:
        database: where to listen.
        channels: to which ones.
        on_notification: called with channel and payload.
        stop: looked at once a second.

    Raises:
        ListenError: the connection broke.
    """
    with psycopg.connect(database.url.lively_conninfo, autocommit=True) as connection:
        for channel in channels:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        while not stop.is_set():
            for notification in connection.notifies(timeout=1.0):
                on_notification(notification.channel, notification.payload)
