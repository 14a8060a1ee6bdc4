"""The process that stands between an embedded Postgres and those who use it.

Every user of a data directory holds a shared lock on one file for as long as it lives,
and the kernel lets go of a lock when its holder dies, however it dies. So this process
waits for the exclusive lock: the moment it gets it, nobody is left, and it stops the
server. Counting users in a file would have to guess which of them are still alive.

Run as a script by :mod:`dbosify._runtime.embedded`, isolated and without
site-packages, because it is there for every server and must start at once: it may
import nothing but the standard library. That includes the rest of dbosify.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

POLL = 0.01
"""Seconds between two looks at a server that is starting."""

STOP_PATIENCE = 30.0
"""Seconds for a clean stop; after them a crash recovery is the lesser evil."""

KILL_PATIENCE = 5.0
"""Seconds that a server told to drop everything may still take."""

PR_SET_PDEATHSIG = 1
"""From Linux's ``prctl.h``; the standard library has no name for it."""

READY_LINE = 7
"""Where ``postmaster.pid`` says how far the server has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What to run, and what to leave behind.

    Attributes:
        command: The server's command line.
        cluster: Its data directory, which is also its working directory.
        user: The system user it runs as, None for the one who asks.
        group: That user's group.
        users_lock: The file on which users hold their shared locks.
        url: What users connect to.
        url_file: Where the URL is announced once the server answers.
        scrap: What to delete at the end.
        temporary: Nobody wants the data afterwards, so stopping may be abrupt.
    """

    command: list[str]
    cluster: str
    user: int | None
    group: int | None
    users_lock: str
    url: str
    url_file: str
    scrap: list[str]
    temporary: bool


def main(duty: Duty) -> None:
    """Run the server until its last user is gone, or until it is gone itself."""
    try:
        _serve(duty)
    finally:
        for name in (duty.url_file, *duty.scrap):
            _remove(Path(name))


def _serve(duty: Duty) -> None:
    users = os.open(duty.users_lock, os.O_RDWR)
    server = subprocess.Popen(  # noqa: S603 - it comes from whoever runs this script
        duty.command,
        cwd=duty.cluster,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        user=duty.user,
        group=duty.group,
        extra_groups=None if duty.user is None else [],
        preexec_fn=_die_with_parent(),
    )
    try:
        _leave_on_signals(server)
        if _await_ready(server, duty=duty, users=users):
            _announce(duty)
            fcntl.flock(users, fcntl.LOCK_EX)
    finally:
        _ignore_signals()
        _stop(server, temporary=duty.temporary)


def _die_with_parent() -> Callable[[], None] | None:
    """Tie the server to this process where the system can: a lone one has no end."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)

    return tie


def _leave_on_signals(server: subprocess.Popen[bytes]) -> None:
    def leave(number: int, frame: FrameType | None) -> None:
        # A stopped or continued server raises SIGCHLD as well as one that ended.
        if number != signal.SIGCHLD or server.poll() is not None:
            raise SystemExit

    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, leave)


def _ignore_signals() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _await_ready(server: subprocess.Popen[bytes], *, duty: Duty, users: int) -> bool:
    """Wait until the server answers; False if there is nobody left to answer to."""
    while server.poll() is None:
        if is_ready(Path(duty.cluster, "postmaster.pid"), server.pid):
            return True
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(POLL)
        else:
            return False
    return False


def is_ready(pid_file: Path, pid: int) -> bool:
    """Whether the server that is process `pid` says that it takes connections."""
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    # The file of a server that crashed says "ready" until the new one replaces it.
    return (
        len(lines) > READY_LINE
        and lines[0] == str(pid)
        and lines[READY_LINE].strip() == "ready"
    )


def _announce(duty: Duty) -> None:
    draft = Path(duty.url_file + ".new")
    draft.write_text(duty.url)
    draft.replace(duty.url_file)


def _stop(server: subprocess.Popen[bytes], *, temporary: bool) -> None:
    steps = [
        (signal.SIGINT, STOP_PATIENCE),
        (signal.SIGQUIT, KILL_PATIENCE),
        (signal.SIGKILL, KILL_PATIENCE),
    ]
    for number, patience in steps[1:] if temporary else steps:
        server.send_signal(number)
        try:
            server.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        return


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    # Whoever starts a server may end long before it, and should not have to collect
    # a child that outlives the call; the fork hands this process to init.
    if os.fork() == 0:
        os.setsid()
        main(Duty(**json.loads(sys.argv[1])))
