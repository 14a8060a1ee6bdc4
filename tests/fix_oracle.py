"""Lets Temporal's Replayer judge the history of every run that a test made.

A journal that is wrong in a way no assertion looked at still fails the test that made
it, with Temporal's own words. The judgement happens right after the test's body, while
clients and workers of its fixtures are alive; verdicts travel in the test's report, so
that they arrive under xdist as well. Nothing has to be done in a test, except:

- ``@pytest.mark.oracle_exempt("reason")`` where the code is meant not to replay;
- ``oracle_knows(Workflow, …)`` where a worker in another process serves the classes.
"""

# Before everything else: it wants to be the last to act when the process ends.
import tests.oracle.leaving as leaving  # isort: skip

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest

from tests.oracle.code import Code
from tests.oracle.judging import judge, spare
from tests.oracle.verdicts import TEST_FAILED, Tally, Verdict
from tests.oracle.watching import Seen, Watcher

T = TypeVar("T")

PATIENCE = 45.0
"""Seconds for all runs of a test, where their loop belongs to another thread."""

VERDICTS = pytest.StashKey[list[Verdict]]()

Knows: TypeAlias = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add where to write the verdicts."""
    parser.addoption(
        "--oracle-report",
        metavar="FILE",
        type=Path,
        help="write what the replay oracle found as JSON",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker and begin to watch."""
    config.addinivalue_line(
        "markers",
        "oracle_exempt(reason): the test's histories are not meant to replay",
    )
    config.pluginmanager.register(Oracle(config), "replay_oracle")


@pytest.fixture
def oracle_knows(request: pytest.FixtureRequest) -> Knows:
    """Tell the oracle which workflows are served by workers of other processes.

    Takes the classes, and by keyword whatever a Replayer needs besides.
    """
    oracle = request.config.pluginmanager.get_plugin("replay_oracle")
    assert isinstance(oracle, Oracle)
    return oracle.learn


class Oracle:
    """The hooks of one pytest process."""

    def __init__(self, config: pytest.Config) -> None:
        """Begin to watch."""
        self._report: Path | None = config.getoption("--oracle-report")
        self._controls = not hasattr(config, "workerinput")
        self._watcher = Watcher()
        self._watcher.install()
        self._elsewhere: list[Code] = []
        self._known: set[str] = set()
        self._tally = Tally()

    def learn(self, *workflows: type, **options: Any) -> None:
        """See the fixture ``oracle_knows``."""
        self._elsewhere.append(Code.of_classes(*workflows, **options))

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Once a session has begun, its status is the process's."""
        leaving.leave_with(lambda: int(session.exitstatus))

    def pytest_unconfigure(self) -> None:
        """Leave the SDK as it was."""
        self._watcher.uninstall()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """What is seen from here on is this test's."""
        self._watcher.forget()
        self._elsewhere = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Judge after the test's body, and fail the test if need be."""
        try:
            yield
        except BaseException:
            item.stash[VERDICTS] = spare(self._watcher.seen().runs, TEST_FAILED)
            raise
        item.stash[VERDICTS] = verdicts = self._verdicts(item)
        rejected = [str(found) for found in verdicts if found.outcome == "rejected"]
        if rejected:
            said = "\n".join(["The replay oracle says:", *rejected])
            pytest.fail(said, pytrace=False)

    def _verdicts(self, item: pytest.Item) -> list[Verdict]:
        seen = self._watcher.seen()
        for marker in item.iter_markers("oracle_exempt"):
            return spare(seen.runs, f"exempt, {_reason(*marker.args, **marker.kwargs)}")
        verdicts: list[Verdict] = []
        # A test rarely has more than one loop; its services belong to theirs.
        for loop in dict.fromkeys(run.loop for run in seen.runs):
            runs = [run for run in seen.runs if run.loop is loop]
            part = Seen(runs, seen.workers, seen.performed, seen.services)
            judgement = judge(part, elsewhere=self._elsewhere, known=self._known)
            verdicts += _finish(judgement, loop)
        return verdicts

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the verdicts to the report: it is what crosses processes."""
        report = yield
        if call.when == "call":
            verdicts = item.stash.get(VERDICTS, [])
            vars(report)["oracle"] = [asdict(found) for found in verdicts]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what a report brings."""
        self._tally.add(report.nodeid, getattr(report, "oracle", ()))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the report, once, where all verdicts have come together."""
        if self._report is not None and self._controls:
            self._tally.write(self._report)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Say what was judged and what was not."""
        if len(self._tally):
            terminalreporter.section("replay oracle")
            _write(terminalreporter, self._tally.lines())


def _write(reporter: pytest.TerminalReporter, lines: Iterable[str]) -> None:
    for line in lines:
        reporter.write_line(line)


def _reason(reason: str) -> str:
    return reason


def _finish(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Run to the end on the loop that the test used, wherever that is now."""
    if loop.is_running():
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)
    if not loop.is_closed():
        return loop.run_until_complete(work)
    another = asyncio.new_event_loop()
    try:
        return another.run_until_complete(work)
    finally:
        another.close()
