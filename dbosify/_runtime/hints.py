"""Hints: something may have happened, look. Within the process, and across processes.

A hint is never the news itself and may be lost; every wait also looks by itself now and
then. Within a process hints are function calls; other processes get them by NOTIFY,
gathered and sent from outside the transactions that caused them, because Postgres makes
commits that notify wait for each other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from dbosify._model.protos import HistoryEvent
from dbosify._store.engine import LOST_CONNECTION, Database
from dbosify._store.notify import ListenError, listen

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHANNEL = "dbosify"
DBOS_CHANNEL = "dbos_notifications_channel"
"""DBOS's trigger notifies here for each message, with `<destination>::<topic>`."""

_TOPIC = "::dbosify"


async def hinted(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so long, and take it back.

    The end of the time is one more hint: up to Python 3.11 `asyncio.wait_for` loses a
    cancellation that comes together with the event, and a loop around it never ends.
    """
    if not event.is_set():
        alarm = asyncio.get_running_loop().call_later(seconds, event.set)
        try:
            await event.wait()
        finally:
            alarm.cancel()
    event.clear()


async def in_time(call: Coroutine[Any, Any, T], seconds: float) -> T:
    """Make a call that may take so long, in a task of its own.

    As `asyncio.wait_for`, which up to Python 3.11 gives the answer, and loses the
    cancellation, if both come at once: who was cancelled would go on for ever.

    Raises:
        TimeoutError: there was no answer in time; the call is cancelled.
    """
    task = asyncio.get_running_loop().create_task(call)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Watch:
    """One wait for a key; made by `Hints.watch`."""

    def __init__(self) -> None:
        self.event: HistoryEvent | None = None
        self._loop = asyncio.get_running_loop()
        self._hinted = asyncio.Event()

    def hint(self, event: HistoryEvent | None) -> None:
        """Wake the waiter; may be called from any thread."""
        if event is not None:
            self.event = event
        with suppress(RuntimeError):  # its loop has ended, so nobody waits
            self._loop.call_soon_threadsafe(self._hinted.set)

    async def wait(self, seconds: float) -> None:
        """Return at the next hint, or after `seconds`."""
        await hinted(self._hinted, seconds)


class Hints:
    """Who waits for what in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._watches: dict[str, set[Watch]] = {}
        self._outgoing: set[str] = set()
        self._sender: asyncio.Task[None] | None = None
        self.listeners: list[Callable[[str, str], None]] = []
        """Called with kind and key of each hint that is not for a watch alone."""

    @contextmanager
    def watch(self, key: str) -> Iterator[Watch]:
        """Be hinted about `key` while the block runs."""
        watch = Watch()
        with self._lock:
            self._watches.setdefault(key, set()).add(watch)
        try:
            yield watch
        finally:
            with self._lock:
                watches = self._watches[key]
                watches.discard(watch)
                if not watches:
                    del self._watches[key]

    def here(self, kind: str, key: str, event: HistoryEvent | None = None) -> None:
        """Hint this process."""
        self.watches(key, event)
        for listener in list(self.listeners):
            listener(kind, key)

    def watches(self, key: str, event: HistoryEvent | None = None) -> None:
        """Hint those alone who wait for `key` in this process."""
        with self._lock:
            watches = list(self._watches.get(key, ()))
        for watch in watches:
            watch.hint(event)

    def elsewhere(self, kind: str, key: str) -> None:
        """Hint other processes, soon."""
        self._outgoing.add(f"{self._database.schema}|{kind}|{key}")
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def idle(self) -> None:
        """Wait until the running loop has sent its hints."""
        sender = self._sender
        here = asyncio.get_running_loop()
        if sender is not None and sender.get_loop() is here:
            await asyncio.wait([sender])

    async def _send(self) -> None:
        while self._outgoing:
            hints, self._outgoing = self._outgoing, set()
            try:
                await self._database.fetch(
                    "notify", {"channel": CHANNEL, "hints": sorted(hints)}
                )
            except LOST_CONNECTION as error:
                logger.debug("hints not sent: %s", error)

    def received(self, channel: str, payload: str) -> None:
        """Take a notification; called from the listening thread."""
        if channel == DBOS_CHANNEL:
            if payload.endswith(_TOPIC):
                self.here("run", payload.removesuffix(_TOPIC))
            return
        schema, _, rest = payload.partition("|")
        kind, _, key = rest.partition("|")
        if schema == self._database.schema:
            self.here(kind, key)


class Listener:
    """A thread that listens for other processes' hints, with its own connection."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen; again is harmless."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(
                target=self._run, name="dbosify-listen", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop listening; the thread notices within its next second."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                listen(
                    self._database,
                    (CHANNEL, DBOS_CHANNEL),
                    self._hints.received,
                    self._stop,
                )
            except ListenError as error:
                logger.debug("listening interrupted: %s", error)
                self._stop.wait(1.0)
