"""Progress: which modules are started and complete.  A cache of facts that the checks can rebuild, never the only home of work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from tito import journal
from tito.cells import Document
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError

SCHEMA = 1
STATE = ".tito/state.json"


@dataclass(frozen=True)
class Record:
    """What is known of a completed module."""

    points: float
    max_points: float
    when: str                   # UTC, ISO 8601
    notebook_sha256: str        # of its code cells: running a notebook changes its outputs, not its code
    export_sha256: str          # of the exported file


@dataclass(frozen=True)
class Passed:
    """What is known of a milestone that was passed."""

    when: str                   # UTC, ISO 8601
    seed: int
    bars: tuple[str, ...]       # what was reached: "accuracy on 360 held-out scans 98.6 %"


@dataclass(frozen=True)
class State:
    """Progress as stored in `.tito/state.json`; keys are module numbers, and milestones' names ("03_mlp")."""

    completed: dict[int, Record] = field(default_factory=dict)
    started: frozenset[int] = frozenset()
    milestones: dict[str, Passed] = field(default_factory=dict)

    def with_module(self, number: int, record: Record | None, *, started: bool) -> State:
        """The same progress with one module's part replaced."""
        completed = {n: r for n, r in self.completed.items() if n != number} | ({number: record} if record else {})
        return replace(self, completed=completed, started=self.started | {number} if started else self.started - {number})

    def with_milestone(self, name: str, passed: Passed) -> State:
        """The same progress with a milestone passed."""
        return replace(self, milestones={**self.milestones, name: passed})

    def to_bytes(self) -> bytes:
        completed = {f"{n:02d}": asdict(self.completed[n]) for n in sorted(self.completed)}
        data: dict[str, Any] = {"schema_version": SCHEMA, "completed": completed, "started": [f"{n:02d}" for n in sorted(self.started)]}
        if self.milestones:
            data["milestones"] = {name: asdict(self.milestones[name]) for name in sorted(self.milestones)}
        return (json.dumps(data, indent=1) + "\n").encode("utf-8")


def load(course: Course) -> State:
    """The stored progress; empty before the first command.  TitoError (INTEGRITY) where it cannot be read."""
    if journal.interrupted(course.root):
        with locked(course):
            pass                                            # taking the lock finishes what was interrupted
    try:
        return parse((course.root / STATE).read_bytes())
    except FileNotFoundError:
        return State()


def parse(content: bytes) -> State:
    """State from a file's bytes."""
    try:
        data = json.loads(content)
        version = data["schema_version"]
        if version != SCHEMA:
            raise ValueError(f"schema_version {version}, not {SCHEMA}")
        completed = {int(n): record_from(r) for n, r in data["completed"].items()}
        milestones = {str(n): Passed(str(m["when"]), int(m["seed"]), tuple(map(str, m["bars"])))
                      for n, m in data.get("milestones", {}).items()}
        return State(completed, frozenset(int(n) for n in data["started"]), milestones)
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise TitoError("the record of your progress cannot be read", why=f"{STATE}: {err or type(err).__name__}",
                        fix="rebuild it from your notebooks with: tito module status --rebuild", code=ExitCode.INTEGRITY) from None


def record_from(data: dict[str, Any]) -> Record:
    """A Record from its JSON."""
    points, most = float(data["points"]), float(data["max_points"])
    return Record(points, most, str(data["when"]), str(data["notebook_sha256"]), str(data["export_sha256"]))


@contextmanager
def locked(course: Course, *, recover: bool = True) -> Iterator[None]:
    """Alone in this course: a second tito is told so at once.  What an interrupted command left is settled first."""
    from filelock import FileLock, Timeout  # a tenth of a second to import

    folder = course.root / ".tito"
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise TitoError("another tito is at work in this folder", fix="wait until it has finished, then run the command again",
                        code=ExitCode.ENVIRONMENT) from None
    try:
        if recover:
            journal.recover(course.root)
        yield
    finally:
        lock.release()


def code_sha256(document: Document) -> str:
    """A fingerprint of a notebook's code, whatever its outputs and prose."""
    digest = sha256()
    for cell in document.code:
        digest.update(f"{cell.grade_id}\0{cell.source}\0".encode())
    return digest.hexdigest()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def stamp() -> str:
    """The same as a part of a file's name."""
    return re.sub(r"\W", "", now())


def missing_before(course: Course, state: State, module: Module) -> list[Module]:
    """The modules that must be complete first.  In the course repository `tito dev export` builds them all, so none."""
    if not course.is_edition:
        return []
    return [m for m in course.modules if m.number < module.number and m.number not in state.completed]


def require_in_order(course: Course, state: State, module: Module) -> None:
    """TitoError where an earlier module is not complete yet."""
    if missing := missing_before(course, state, module):
        first = missing[0]
        rest = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        command = "complete" if first.number in state.started else "start"
        raise TitoError(f"module {module.label} builds on {first.label}{rest}, which is not complete",
                        fix=f"go on with: tito module {command} {first.number:02d}")
