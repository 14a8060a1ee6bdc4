"""Servers with a network: Postgres with TLS and passwords, PgBouncer before it."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dbosify._runtime import embedded_cluster as cluster
from tests.fix_backend import free_port

PASSWORD = "p@ss/w:rd %?#&+'\"\\ ümlaut"
"""Everything that means something in a URL, in SQL or in a connection string."""

OWNER = "own er@x"
TLS_ONLY = "only_tls"

START_PATIENCE = 30.0

_SETTINGS = """
listen_addresses = '127.0.0.1, ::1'
port = {port}
unix_socket_directories = '.'
max_connections = 200
fsync = off
synchronous_commit = off
full_page_writes = off
"""

_TLS_SETTINGS = """
ssl = on
ssl_cert_file = 'own.crt'
ssl_key_file = 'own.key'
"""

_TLS_ACCESS = f"""
hostnossl all {TLS_ONLY} all reject
hostssl all {TLS_ONLY} all scram-sha-256
"""

_ACCESS = """
local all postgres trust
host all postgres all trust
local all all scram-sha-256
host all all all scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A Postgres that listens on the loopback addresses and on a socket."""

    home: Path
    port: int
    has_tls: bool
    """The embedded build has none."""

    @property
    def certificate(self) -> Path:
        """Its own, which nobody else has signed."""
        return self.home / "own.crt"

    def url(
        self,
        user: str = "postgres",
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        password: str | None = None,
        database: str = "postgres",
        **options: str,
    ) -> str:
        """A way to it."""
        who = quote(user, safe="")
        if password is not None:
            who += ":" + quote(password, safe="")
        place = f"{host}:{port or self.port}"
        if host.startswith("/"):
            place, options = "", {"host": host, "port": str(self.port), **options}
        asked = f"?{urlencode(options, quote_via=quote)}" if options else ""
        return f"postgresql://{who}@{place}/{quote(database)}{asked}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        with psycopg.connect(self.url(database=database), autocommit=True) as link:
            for statement in statements:
                link.execute(statement.encode())


def binaries(major: int) -> Path:
    """Where a major version's programs are; skips if they are nowhere."""
    if major == cluster.POSTGRES_MAJOR:
        return cluster.find_install() / "bin"
    found = Path(f"/usr/lib/postgresql/{major}/bin")
    if not (found / "initdb").exists():
        pytest.skip(f"{found}/initdb is missing: install postgresql-{major}")
    return found


@contextmanager
def postgres(major: int) -> Iterator[Server]:
    """A new server of that version."""
    programs = binaries(major)
    # Short, as the path of a socket has to be.
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as room:
        home, account = Path(room, "data"), cluster.choose_account(Path(room, "data"))
        Path(room).chmod(0o755)
        if major == cluster.POSTGRES_MAJOR and not cluster.can_run(
            programs.parent, account
        ):
            programs = cluster.copy_install(programs.parent, Path(room)) / "bin"
        who = _who(account)
        home.mkdir(mode=0o700)
        _give(home, account)
        subprocess.run(
            [
                *(str(programs / "initdb"), "-D", str(home), "--no-sync"),
                *("--username=postgres", "--auth=trust", "--encoding=UTF8"),
                *("--locale=C", "--no-instructions"),
            ],
            check=True,
            capture_output=True,
            cwd=home,
            env=cluster.environment(),
            **who,
        )
        has_tls = major != cluster.POSTGRES_MAJOR
        server = Server(home, free_port(), has_tls)
        _certify(home)
        with (home / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(port=server.port))
            settings.write(_TLS_SETTINGS if has_tls else "")
        access = (_TLS_ACCESS if has_tls else "") + _ACCESS
        (home / "pg_hba.conf").write_text(access)
        for path in home.glob("own.*"):
            _give(path, account)
        command = [str(programs / "postgres"), "-D", str(home)]
        with _running(command, home / "log", cwd=home, **who) as process:
            _await_answer(server.url(), home / "log", process)
            yield server


@contextmanager
def pgbouncer(
    server: Server, mode: str, *, user: str, password: str, database: str = "postgres"
) -> Iterator[int]:
    """PgBouncer before a server; gives its port, skips where it is not installed.

    Args:
        server: behind it.
        mode: `session` or `transaction`.
        user: who may come in.
        password: of the user.
        database: to which it leads.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is missing: install Debian's package of that name")
    with ExitStack() as stack:
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bouncer-")))
        account = cluster.choose_account(room / "none")
        port = free_port()
        users, settings = room / "users.txt", room / "pgbouncer.ini"
        users.write_text(f'"{user}" "{password}"\n')
        settings.write_text(
            "[databases]\n"
            f"{database} = host=127.0.0.1 port={server.port}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {port}\n"
            "unix_socket_dir =\n"
            "auth_type = plain\n"
            f"auth_file = {users}\n"
            f"pool_mode = {mode}\n"
            # Few sessions in transaction mode: they must be shared for certain.
            f"default_pool_size = {4 if mode == 'transaction' else 60}\n"
            "max_client_conn = 200\n"
        )
        for path in (room, users, settings):
            _give(path, account)
        log = room / "log"
        running = _running([program, str(settings)], log, **_who(account))
        process = stack.enter_context(running)
        url = server.url(user, password=password, port=port, database=database)
        _await_answer(url, log, process)
        yield port


@contextmanager
def _running(
    command: list[str], log: Path, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as sink,
        subprocess.Popen(  # type: ignore[call-overload]
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=cluster.environment(),
            **options,
        ) as process,
    ):
        try:
            yield process
        finally:
            # Nothing of it is needed any more: neither waits for who is connected.
            process.send_signal(signal.SIGQUIT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def _who(account: cluster.Account | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.user, "group": account.group, "extra_groups": []}


def _give(path: Path, account: cluster.Account | None) -> None:
    if account is not None:
        os.chown(path, account.user, account.group)


def _await_answer(url: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from error
        else:
            return
        # A pause that ends early if the process does.
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
            raise AssertionError(log.read_text())


def _certify(home: Path) -> None:
    """Sign a certificate for the loopback with its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.DNSName("localhost"),
                    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                ]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    (home / "own.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret = home / "own.key"
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    secret.chmod(0o600)


def has_ipv6() -> bool:
    """Whether the machine has the loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
