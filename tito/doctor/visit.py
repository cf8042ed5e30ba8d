"""What the looks share: the course that is looked at, read once, and the places where things are put aside."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tito import bootstrap, history, journal, state
from tito.course import Course, Module
from tito.doctor.check import Check
from tito.errors import TitoError
from tito.journal import Change
from tito.state import State

TITO = "py -m tito" if os.name == "nt" else "python3 -m tito"       # what works in a course folder before anything is activated


@dataclass
class Visit:
    """A course that is looked at."""

    course: Course

    @property
    def root(self) -> Path:
        return self.course.root

    @cached_property
    def state(self) -> State:
        """Progress as it is stored; empty where it cannot be read (the look `progress` tells)."""
        try:
            return state.parse((self.root / state.STATE).read_bytes())
        except (OSError, TitoError):
            return State()

    @cached_property
    def busy(self) -> bool:
        """Another tito is at work: what it has not finished is not a fault."""
        from filelock import FileLock, Timeout
        path = self.root / ".tito" / "lock"
        if not path.exists():
            return False
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            return True
        lock.release()
        return False

    @property
    def python(self) -> str:
        """This Python, as it can be typed in the course's folder."""
        if not bootstrap.inside(str(self.root)):
            return "python"
        return str(Path(bootstrap.python_of(str(self.root))).relative_to(self.root))

    @property
    def next(self) -> str:
        """The number of the module that is next, as commands take it."""
        return next((f"{m.number:02d}" for m in self.course.modules if m.number not in self.state.completed), "01")

    def name(self, path: Path) -> str:
        """A path as the report shows it."""
        return path.relative_to(self.root).as_posix()


Look = Callable[[Visit], Iterator[Check]]


def aside(course: Course, path: Path) -> str:
    """Move a file or a folder below `.tito/aside`; its new place."""
    return journal.aside(course.root, path, state.stamp())


def put(course: Course, changes: Sequence[Change], what: str) -> str:
    """Write files, all or none, keeping what they replace; where it is kept.  Call it under the lock."""
    entry = f".tito/aside/{state.stamp()}-{what}"
    journal.commit(course.root, changes, entry, {"schema_version": 1, "action": "mend", "when": state.now()})
    return f"what stood there is in {entry}"


def put_notebook(course: Course, module: Module, content: bytes) -> str:
    """The same of a module's notebook, so that it can be undone; progress may be unreadable.  Call it under the lock."""
    change = Change(module.notebook.relative_to(course.root).as_posix(), content)
    try:
        progress = state.load(course)
    except TitoError:
        return put(course, [change], module.folder.name)
    history.keep(course, module, "mend", [change], progress)
    return f"what stood there is kept: tito module undo {module.number:02d}"
