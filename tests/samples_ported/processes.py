"""Workers in processes of their own, as their users start them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed_by(module: str) -> str:
    """Run a program of this package to its end, and give what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.samples_ported.{module}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def worker_process(module: str, *arguments: str) -> Iterator[None]:
    """Run a program of this package until the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.samples_ported.{module}", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield
        assert process.poll() is None, "the worker has died"
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
