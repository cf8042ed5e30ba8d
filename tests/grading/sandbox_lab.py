"""Kits whose judging process runs whatever it is told, and what came of that."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from grading.sandbox import Limits, Sandbox
from grading.sandbox.process import Process
from tests.grading.slots import FIRST

CHILD = """import sys
exec(compile("".join(iter(sys.stdin.readline, "#end\\n")), "<code>", "exec"))
"""
FORKS = """
import os, time
n = 0
while n < 500:
    try:
        if not os.fork(): time.sleep(60)
        n += 1
    except OSError:
        break
"""
MARKS = itertools.count(os.getpid() * 1000)     # seconds that nothing else has: they stand in the command lines of a sandbox's processes


def marked(**limits: int) -> Limits:
    """Limits by which a sandbox's processes can be found."""
    return Limits(**{"cpu_seconds": next(MARKS), **limits})


def alive(limits: Limits) -> list[int]:
    """The processes on this machine that run under marked limits."""
    mark = f'"cpu": {limits.cpu_seconds + 1},'.encode()
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and mark in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found


@dataclass
class Ended:
    """A sandbox that has ended."""

    out: str
    err: str
    code: int
    ended: str
    seconds: float


@dataclass
class Lab:
    """A sandbox, and a kit for it that executes what stands on stdin."""

    sandbox: Sandbox
    folder: Path

    def __post_init__(self) -> None:
        self.kit = make_kit(self.folder / "kit ü b")

    def start(self, code: str, limits: Limits, slot: int = 0) -> Process:
        """Have a sandbox execute code; what it writes to stderr is in the file `errors`."""
        work = Path(tempfile.mkdtemp(dir=self.folder))
        self.errors = work / "stderr"
        with self.errors.open("wb") as errors:
            process = self.sandbox.launch(self.kit, FIRST + slot, limits)(work, errors)
        process.stdin.write(code.encode() + b"\n#end\n")
        process.stdin.flush()
        return process

    def run(self, code: str, limits: Limits | None = None, slot: int = 0) -> Ended:
        """Have a sandbox execute code to its end."""
        began = time.monotonic()
        process = self.start(code, limits or Limits(wall_seconds=30), slot)
        with process.stdin, process.stdout:
            out = process.stdout.read().decode("utf-8", "replace")
            status = process.wait()
        return Ended(out, self.errors.read_text("utf-8", "replace"), status, process.ended, time.monotonic() - began)


def make_kit(kit: Path) -> Path:
    """A kit that everybody can read."""
    child = kit / "tito" / "check" / "child.py"
    child.parent.mkdir(parents=True)
    for package in (child.parent, child.parent.parent):         # or an installed tito would come before a folder without one
        (package / "__init__.py").touch()
    child.write_text(CHILD, encoding="utf-8")
    for each in (kit, *kit.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return kit
