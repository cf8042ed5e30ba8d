"""A Dask cluster that tests start and kill: a scheduler and its workers, started anew where they were."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 60.0                  # for anything to start

needs_dask = pytest.mark.skipif(not importlib.util.find_spec("distributed"), reason="Dask is not installed")
needs_bubblewrap = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens on it."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


def until(true: object, seconds: float = SECONDS) -> None:
    """Wait until a function says yes.  AssertionError where it does not."""
    deadline = time.monotonic() + seconds
    while not true():           # type: ignore[operator]
        assert time.monotonic() < deadline, f"{true} did not come true in {seconds:g} s"
        time.sleep(0.05)


def environment(**more: str) -> dict[str, str]:
    """Of a process that has this course."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TITO_BOOTSTRAP": "0", **more}


def start(command: list[str], log: Path, **more: str) -> subprocess.Popen[bytes]:
    """A process in a group of its own, whose words go to a file."""
    with log.open("ab") as file:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment(**more),
                                cwd=log.parent, start_new_session=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


class Cluster:
    """A scheduler on a port of its own, and nannies with a worker each."""

    def __init__(self, folder: Path, workers: int = 2, **more: str):
        self.folder, self.more, self.port = folder, {"DASK_TEMPORARY_DIRECTORY": str(folder), **more}, free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = self._scheduler()
        self.nannies = [self._nanny() for _ in range(workers)]
        try:
            until(lambda: listens(self.port) and self.ready() >= workers)
        except BaseException:
            self.close()
            raise

    def _scheduler(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port),
                   "--no-dashboard"]
        return start(command, self.folder / "scheduler.log", **self.more)

    def _nanny(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-dashboard",
                   "--memory-limit", "0", "--host", "127.0.0.1", "--death-timeout", "30", "--local-directory", str(self.folder)]
        return start(command, self.folder / "workers.log", **self.more)

    def ready(self) -> int:
        """How many workers the log says have joined, so far."""
        log = self.folder / "scheduler.log"
        return log.read_text(encoding="utf-8", errors="replace").count("Register worker") if log.exists() else 0

    def workers(self) -> list[int]:
        """The workers' own processes: the nannies' children."""
        return [pid for nanny in self.nannies for pid in children(nanny.pid)]

    def tend(self) -> None:
        """Start anew what has ended, as whoever runs a cluster does."""
        if self.scheduler.poll() is not None:
            self.scheduler = self._scheduler()
        for n, nanny in enumerate(self.nannies):
            if nanny.poll() is not None:
                end(nanny)
                self.nannies[n] = self._nanny()

    def close(self) -> None:
        for process in (*self.nannies, self.scheduler):
            end(process)
