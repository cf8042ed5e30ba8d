"""The judging process, seen from outside: how it is started, what it is told, and what it says, never more than it may say."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

import tito
from tito.check.shown import clean

START_SECONDS = 60.0        # for Python and numpy to start, on a busy machine
GRACE_SECONDS = 2.0         # for the child to say where it is, before it is ended unheard
LINE = 1 << 16              # what is read at once
# Rows are the same at home and in grading to the last bit, and processor time is not spent on waiting for each other.
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


class Process(Protocol):
    """What is needed of a subprocess.Popen; a sandbox gives its own."""

    @property
    def stdin(self) -> IO[bytes] | None: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...


Launch = Callable[[Path, IO[bytes]], Process]       # an empty folder to work in, and the file for stderr


def plain(work: Path, errors: IO[bytes]) -> Process:
    """A process of this machine, as free as we are: at home one runs one's own code."""
    return subprocess.Popen([sys.executable, "-m", "tito.check.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=errors, cwd=work, env=environment())


def environment() -> dict[str, str]:
    """A judging process's: ours, with this tito first, one order of sets, one thread, and no windows."""
    home = str(Path(tito.__file__).resolve().parent.parent)
    path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "", "MPLBACKEND": "Agg"}


class Child:
    """One child process: `next` gives what it says, and None when it has ended."""

    def __init__(self, job: dict[str, Any], folder: Path, launch: Launch, most: int):
        self.errors, work = folder / "stderr.txt", folder / "work"      # a temporary folder's own name is never the same
        work.mkdir()
        self.most, self.over = most, False              # how many bytes it may say, and whether it has said more
        with self.errors.open("wb") as errors:
            self.process = launch(work, errors)
        self.said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.told: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._write, daemon=True).start()
        self.tell(job)

    def tell(self, what: dict[str, Any]) -> None:
        """A line to its stdin, in a thread of its own: it may never read it."""
        self.told.put(json.dumps(what).encode() + b"\n")

    def next(self, seconds: float) -> dict[str, Any] | None:
        """What it says next; None when it has ended.  TimeoutError when it says nothing."""
        try:
            return self.said.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise TimeoutError from None

    def end(self) -> int:
        """Make sure that it has ended; its exit code."""
        self.told.put(None)
        if self.process.poll() is None:
            try:
                self.process.wait(0.0 if self.said.empty() else 0.2)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    @property
    def why(self) -> str:
        """Why it was ended from outside: a limit that it went over.  Empty where it ended by itself."""
        return f"it said more than {self.most >> 10} KB" if self.over else getattr(self.process, "ended", "")

    def last_words(self) -> str:
        lines = self.errors.read_text(encoding="utf-8", errors="replace").strip().split("\n")
        return clean(lines[-1])

    def _write(self) -> None:
        assert self.process.stdin
        try:
            with self.process.stdin as stdin:
                while (line := self.told.get()) is not None:
                    stdin.write(line)
                    stdin.flush()
        except OSError:
            return                                      # it has ended already: `_read` sees that

    def _read(self) -> None:
        assert self.process.stdout
        heard, line = 0, b""
        while part := self.process.stdout.readline(LINE):
            heard += len(part)
            line += part
            if heard > self.most:
                self.over = True
                self.process.kill()
                break
            if line.endswith(b"\n"):
                self._hear(line)
                line = b""
        self.said.put(None)

    def _hear(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return                                      # a fork's torn line, or a student's
        if isinstance(event, dict):
            self.said.put(event)
