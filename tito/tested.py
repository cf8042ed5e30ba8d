"""What the last test of each module found, for whoever comes back after months: `.tito/tested.json`.

It is a convenience, and no more: where it is missing or cannot be read, it is as if nothing had been tested yet, and the next test
writes it anew.  Nobody locks it; of two that write at once the last one stays.  Progress itself is kept by tito.state.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tito import when
from tito.course import Course, Module
from tito.errors import TitoError
from tito.journal import write_atomically
from tito.state import code_sha256

if TYPE_CHECKING:
    from tito.cells import Document
    from tito.check.verdict import Verdict

SCHEMA = 1
TESTED = ".tito/tested.json"


@dataclass(frozen=True)
class Outcome:
    """How a module's last test went."""

    when: str                   # UTC, ISO 8601
    points: float
    max_points: float
    passed: int                 # checks
    of: int
    code_sha256: str            # of the notebook that was tested
    mend: str = ""              # the first failing check's sentence; empty where all is well
    heading: str = ""           # of the section in which that check stands
    grade_id: str = ""
    unwritten: bool = False     # what it checks is not wrong, it is not written yet

    @property
    def well(self) -> bool:
        return not self.mend

    @property
    def moment(self) -> datetime:
        return when.moment(self.when)


@dataclass(frozen=True)
class Memory:
    """The last test of each module that was tested, and which module came last, whatever the clock said."""

    modules: dict[int, Outcome] = field(default_factory=dict)
    last: int = 0


def remember(course: Course, module: Module, verdict: Verdict, document: Document | None = None) -> None:
    """Write down how a test went; `document` is what was judged, else the notebook as it is now.

    Nothing is written in the course repository, where a verdict could not be reached, or where the disk will not have it.
    """
    if not course.is_edition or any(row.state == "infra" for row in verdict.rows):
        return
    with suppress(OSError, TitoError):
        if document is None:
            from tito.released import read
            document = read(module).document
        tested = _tested(verdict, code_sha256(document))
        memory = recall(course)
        modules = {**memory.modules, module.number: tested}
        data = {"schema_version": SCHEMA, "last": module.number, "modules": {f"{n:02d}": asdict(modules[n]) for n in sorted(modules)}}
        write_atomically(course.root / TESTED, (json.dumps(data, indent=1) + "\n").encode("ascii"))


def recall(course: Course) -> Memory:
    """What is remembered; nothing where it cannot be read."""
    try:
        data = json.loads((course.root / TESTED).read_bytes())
        if data["schema_version"] != SCHEMA:
            return Memory()
        return Memory({int(n): _from(t) for n, t in data["modules"].items()}, int(data["last"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return Memory()


def _tested(verdict: Verdict, code: str) -> Outcome:
    wrong = [row for row in verdict.rows if row.state != "passed"]
    first = next((row for row in wrong if row.state != "skipped"), wrong[0] if wrong else None)
    trouble = next((t for t in verdict.troubles if t.exported or t.solution), None)
    mend, heading, grade_id = (first.sentence or first.grade_id, first.section, first.grade_id) if first else \
        (f"cell {trouble.cell} raised {trouble.error}", trouble.heading, trouble.grade_id) if trouble else ("", "", "")
    return Outcome(when.now().isoformat(timespec="seconds"), verdict.points, verdict.max_points, len(verdict.rows) - len(wrong),
                  len(verdict.rows), code, mend, heading, grade_id, first is not None and first.unwritten)


def _from(data: dict[str, Any]) -> Outcome:
    found = Outcome(str(data["when"]), float(data["points"]), float(data["max_points"]), int(data["passed"]), int(data["of"]),
                   str(data["code_sha256"]), str(data["mend"]), str(data["heading"]), str(data["grade_id"]), bool(data["unwritten"]))
    when.moment(found.when)                     # ValueError here rather than where it is shown
    return found
