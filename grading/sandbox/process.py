"""A sandbox at work: a process with the manners of subprocess.Popen that is watched, and ended where it goes too far."""

from __future__ import annotations

import os
import threading
import time
from subprocess import Popen, TimeoutExpired
from typing import IO, Protocol

from grading.sandbox.limits import Limits

INTERVAL = 0.05             # seconds between two looks: what a bomb can do in that time is what it can do
PATIENCE = 10.0             # seconds that a sandbox which was ended may take to tell its exit code: a busy machine needs some
KB = 1024


class Box(Protocol):
    """What holds all processes of a sandbox together."""

    def look(self) -> str:
        """Why it must be ended, or nothing."""

    def end(self) -> None:
        """End every process in it."""

    def close(self) -> None:
        """Let go of it, once it has ended."""


class Process:
    """`stdin`, `stdout`, `poll`, `wait`, `kill` as Popen has them; `ended` says why we ended it, or nothing.

    What comes out of `stdout` is for the reader to count; what is written to stderr is counted here.
    """

    def __init__(self, child: Popen[bytes], errors: IO[bytes], limits: Limits, box: Box):
        assert child.stdin and child.stdout and child.stderr
        self.stdin: IO[bytes] = child.stdin
        self.stdout: IO[bytes] = child.stdout
        self.ended = ""
        self.box, self.limits, self._child = box, limits, child
        self._lock, self._over = threading.Lock(), threading.Event()
        self._hearing = threading.Thread(target=self._hear, args=(child.stderr, os.dup(errors.fileno())), daemon=True)
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._hearing.start()
        self._watching.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        return self._child.returncode

    def poll(self) -> int | None:
        return self._child.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended and all that it wrote to stderr is in the file."""
        code = self._child.wait(timeout)
        self._over.set()
        self._watching.join(2.0)
        self._hearing.join(2.0)
        return code

    def kill(self) -> None:
        self.end()

    def end(self, why: str = "") -> None:
        """End every process in it and remember why; nothing where it has ended."""
        with self._lock:
            if self._child.poll() is not None:
                return
            self.ended = self.ended or why
            self.box.end()
            try:
                self._child.wait(PATIENCE)
            except TimeoutExpired:
                self._child.kill()

    def _hear(self, source: IO[bytes], target: int) -> None:
        """Copy what it writes to stderr: it holds a pipe, never a file of ours."""
        left = self.limits.output_kb * KB
        with source, open(target, "wb", buffering=0) as file:       # noqa: PTH123  a descriptor
            while chunk := source.read1(8 * KB):        # type: ignore[attr-defined]
                file.write(chunk[:max(0, left)])
                left -= len(chunk)
                if left < 0:
                    self.end(f"it wrote more than {self.limits.output_kb} KB to stderr")

    def _watch(self) -> None:
        start = time.monotonic()
        while not self._over.wait(INTERVAL) and self._child.poll() is None:
            why = self.limits.too_long(time.monotonic() - start) or self.box.look()
            if why:
                self.end(why)
        with self._lock:                                # nobody is ending it
            self.box.close()
