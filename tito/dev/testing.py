"""`tito dev test`: the linters, the pipeline's own checks, pytest, and wrong answers tried on the modules, one after the other."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tito.check.process import ONE_THREAD
from tito.course import Course
from tito.errors import ExitCode

PYTEST = ["pytest", "-n", "auto"]
STEPS = {
    "ruff": ["ruff", "check", "."],
    "mypy": ["mypy"],
    "lint": ["tito", "dev", "lint"],
    "export": ["tito", "dev", "export", "--check"],
    "pytest": PYTEST,
    "check": ["tito", "dev", "check"],
}


@dataclass(frozen=True)
class Step:
    """One step that was run: its name, its exit code, its seconds, the last line it printed."""

    name: str
    code: int
    seconds: float
    last: str

    def __str__(self) -> str:
        return f"{self.name:<8} {'ok    ' if self.code == 0 else 'FAILED'} {self.seconds:6.1f} s   {self.last}".rstrip()


def run_tests(course: Course, args: Sequence[str] = ()) -> int:
    """Runs every step, whatever the ones before it said; arguments go to pytest, which then runs alone."""
    steps = {"pytest": [*PYTEST, *args]} if args else STEPS
    done = [_run(course, name, command) for name, command in steps.items()]
    failed = [step.name for step in done if step.code]
    print("\n" + "\n".join(map(str, done)))
    print("failed: " + ", ".join(failed) if failed else "all is well", flush=True)
    return ExitCode.CHECKS_FAILED if failed else ExitCode.OK


def _run(course: Course, name: str, command: list[str]) -> Step:
    """Runs one step with this Python, from the course's root; its lines are shown as they come.

    One thread for each process that computes: the steps start as many processes as there are cores.
    """
    print(f"\n== {name}: python -m {' '.join(command)}", flush=True)
    began, last = time.monotonic(), ""
    with subprocess.Popen([sys.executable, "-m", *command], cwd=course.root, env={**os.environ, **ONE_THREAD}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace") as child:
        assert child.stdout
        for line in child.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    return Step(name, child.returncode, time.monotonic() - began, last)
