"""Runs the chosen rows on the chosen peers, one peer and one process at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.child import Job, Task
from bench.peers.face import PEERS, Server
from bench.results import Measurement, from_json
from bench.rows import ROWS, Ending, Row, new_run_id
from bench.servers import Place, describe_postgres, fresh_database, postgres, temporal

_CHECKOUT = Path(__file__).resolve().parent.parent
_MEASURE_TIMEOUT = 7200.0
_RECOVERY_TIMEOUT = 900.0


class ChildError(Exception):
    """The process of an engine ended in a way its job does not foresee."""


@dataclass(slots=True)
class Session:
    """One run of the benchmark."""

    rows: Sequence[str]
    quick: bool
    postgres_url: str | None
    scratch: Path
    postgres_facts: dict[str, str] = field(default_factory=dict)

    def run_peer(self, peer: str) -> dict[str, Measurement]:
        """Start what the peer needs, measure all rows on it, and stop it again."""
        with ExitStack() as stack:
            try:
                place = self._prepare(peer, stack)
            except Exception as error:
                failure = Measurement(error=f"{type(error).__name__}: {error}")
                return dict.fromkeys(self.rows, failure)
            found = self._measure(peer, place)
            for key in self.rows:
                row = ROWS[key]
                if isinstance(row.how, Ending):
                    found[key] = self._recover(peer, place, row, row.how)
        return {key: found[key] for key in self.rows}

    def _prepare(self, peer: str, stack: ExitStack) -> Place:
        data = self.scratch / peer
        data.mkdir()
        server, unthrottled = PEERS[peer].server, PEERS[peer].unthrottled
        if server is Server.POSTGRES:
            url = stack.enter_context(postgres(self.postgres_url, data))
            self.postgres_facts = describe_postgres(url)
            return stack.enter_context(fresh_database(url))
        on_file = server is Server.TEMPORAL_ON_FILE
        file = data / "temporal.db" if on_file else None
        return stack.enter_context(temporal(file, unthrottled=unthrottled))

    def _measure(self, peer: str, place: Place) -> dict[str, Measurement]:
        rows = tuple(key for key in self.rows if not isinstance(ROWS[key].how, Ending))
        if not rows:
            return {}
        job = Job(
            Task.MEASURE,
            peer,
            place.address,
            str(self.scratch / f"{peer}.json"),
            quick=self.quick,
            rows=rows,
            counter_url=place.counter_url,
            database=place.database,
        )
        failure = "the engine's process ended before this row"
        try:
            _run_child(job, _MEASURE_TIMEOUT)
        except ChildError as error:
            failure = str(error)
        answer = _read_answer(job) or {}
        return {
            key: from_json(answer[key]) if key in answer else Measurement(error=failure)
            for key in rows
        }

    def _recover(
        self, peer: str, place: Place, row: Row, ending: Ending
    ) -> Measurement:
        scale = row.scale(quick=self.quick)
        samples = []
        for _ in range(scale.rounds):
            try:
                samples.append(self._recover_once(peer, place, scale.size, ending))
            except ChildError as error:
                return Measurement(error=str(error))
        return Measurement(samples=tuple(samples))

    def _recover_once(
        self, peer: str, place: Place, size: int, ending: Ending
    ) -> float:
        run_id = new_run_id()
        answer = str(self.scratch / f"{run_id}.json")
        jobs = (
            Job(
                task,
                peer,
                place.address,
                answer,
                run_id=run_id,
                size=size,
                ending=ending,
            )
            for task in (Task.BUILD, Task.RESUME)
        )
        for job in jobs:
            _run_child(job, _RECOVERY_TIMEOUT)
        return float(_read_answer(job))


def _run_child(job: Job, timeout: float) -> None:
    environment = dict(os.environ)
    # Temporal's sandbox imports the workflow module for every run: without compiled
    # files each run would pay for the compiler.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "bench.child"],
            input=job.to_json(),
            text=True,
            cwd=_CHECKOUT,
            env=environment,
            timeout=timeout,
            stdout=sys.stderr,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ChildError(f"{job.task.value}: no end after {timeout:.0f} s") from error
    dies = job.task is Task.BUILD and job.ending is Ending.KILLED
    expected = -signal.SIGKILL if dies else 0
    if ended.returncode != expected:
        raise ChildError(f"{job.task.value}: exit status {ended.returncode}")


def _read_answer(job: Job) -> Any:
    path = Path(job.answer)
    return json.loads(path.read_text()) if path.exists() else None
