"""The lease of this process, renewed from a thread of its own.

The same thread takes over from processes whose lease has run out: it only moves their
runs back to the queues; any worker claims them from there.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable

from dbosify._store import leases
from dbosify._store.engine import Database
from dbosify._store.leases import Lease, LeaseConnection, LeaseError

from .clock import DatabaseClock

logger = logging.getLogger(__name__)

TTL = float(os.environ.get("DBOSIFY_LEASE_SECONDS", "5"))
RENEW = min(1.0, TTL / 5)

_ORPHANS = 5.0
"""Seconds between looks for runs of processes that have no lease any more."""


class LeaseKeeper:
    """Keeps this process alive in the eyes of the others.

    Args:
        database: of the namespace.
        clock: corrected with each renewal.
        on_queued: called with a task queue that got runs to claim.
        on_lost: called when others took this process for dead.
    """

    def __init__(
        self,
        database: Database,
        clock: DatabaseClock,
        *,
        on_queued: Callable[[str], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.lease = Lease(
            executor_id=f"dbosify-{uuid.uuid4()}",
            identity=f"{os.getpid()}@{platform.node()}",
            host=platform.node(),
            pid=os.getpid(),
            ttl=TTL,
        )
        self._database = database
        self._clock = clock
        self._on_queued = on_queued
        self._on_lost = on_lost
        self._valid_until = 0.0
        self.losses = 0
        """How often others took this process for dead. Who remembers the number knows
        later whether it happened since, even if the lease has been taken again."""
        self._orphans_at = time.monotonic() + _ORPHANS
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def expired(self) -> bool:
        """Whether others may have taken this process for dead since it last renewed."""
        return time.monotonic() > self._valid_until

    def start(self) -> None:
        """Take the lease, then keep it; blocks until it is taken.

        Raises:
            LeaseError: the database cannot be reached.
        """
        connection = leases.connect(self._database)
        self._take(connection)
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._run, args=(connection,), name="dbosify-lease", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Give the lease up; blocks until it is given up."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _take(self, connection: LeaseConnection) -> None:
        asked, until = time.time_ns(), time.monotonic() + TTL
        self._clock.adjust(leases.take(connection, self._database, self.lease), asked)
        self._valid_until = until

    def _run(self, connection: LeaseConnection) -> None:
        while not self._stop.wait(RENEW):
            try:
                if connection.closed:
                    connection = leases.connect(self._database)
                self._turn(connection)
            except LeaseError as error:
                logger.warning("lease not renewed: %s", error)
                connection.close()
        try:
            if not connection.closed:
                leases.drop(connection, self._database, self.lease)
                connection.close()
        except LeaseError as error:
            logger.debug("lease not given up, it will run out: %s", error)

    def _turn(self, connection: LeaseConnection) -> None:
        asked, until = time.time_ns(), time.monotonic() + TTL
        renewed = leases.renew(connection, self._database, self.lease)
        if renewed is None:
            # Others may own our runs by now; the token of each tells them apart.
            self.losses += 1
            self._take(connection)
            self._on_lost()
        else:
            self._clock.adjust(renewed.now_us, asked)
            self._valid_until = until
        if renewed is None or renewed.others_died:
            for queue in leases.take_over(connection, self._database):
                self._on_queued(queue)
        if time.monotonic() >= self._orphans_at:
            self._orphans_at = time.monotonic() + _ORPHANS
            for queue in leases.take_orphans(connection, self._database):
                self._on_queued(queue)
