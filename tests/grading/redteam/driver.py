"""Our own grading of one file, as a worker does it: the only place here that knows how that is called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from grading.result import Result
from grading.run import work
from grading.sandbox import Limits, Sandbox
from tests.grading.redteam.targets import TARGETS
from tests.grading.slots import FIRST

SECRET = bytes(range(32))
CAPS = Limits(cpu_seconds=12, wall_seconds=25, memory_mb=512, processes=32, output_kb=256, files=64, file_mb=16)
CELL_SECONDS = 2.0

Patch = Callable[[Any, str, Any], None]


def grade(content: bytes, target: str, sandbox: Sandbox, *, student: str = "cheat", slot: int = 0, caps: Limits = CAPS) -> Result:
    """The result of handing in this file."""
    assignment = TARGETS[target].assignment
    version = hashlib.sha256(content).hexdigest()
    paper = work.paper(assignment, SECRET, sandbox, caps)
    job = work.make_job(assignment, paper, student=student, version=version, content=content, key=version[:16])
    return Result.from_dict(work.examine({**job, "slot": FIRST + slot}))


def without_bans(target: str) -> Any:
    """The assignment, and nothing is forbidden in it: no code is read, and nothing counts what an answer takes."""
    assignment = TARGETS[target].assignment
    lines = [line for line in assignment.probes.splitlines() if "= forbid(" not in line and "holds(often_enough)" not in line]
    return replace(assignment, probes="\n".join(lines))
