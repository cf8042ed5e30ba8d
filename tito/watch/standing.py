"""What is known of a module's rows from one save to the next, and the check that brings it up to date."""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from tito.cells import Cell, Document
from tito.check.process import Process, plain
from tito.check.row import Row
from tito.check.session import Limits, Questions, Session, Trouble
from tito.check.verdict import Verdict
from tito.course import Course, Module
from tito.watch.affected import affected, needed

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Standing:
    """The rows of a notebook as it was judged last: raw, as nothing was skipped yet for what failed before it."""

    document: Document
    package: Stamp                          # the package that it was judged with
    rows: dict[int, Row] = field(default_factory=dict)
    blame: dict[int, str] = field(default_factory=dict)
    troubles: dict[int, Trouble] = field(default_factory=dict)
    sound: bool = True                      # every cell came to its end: rows can be carried over

    def passed(self) -> set[int]:
        return {i for i, row in self.rows.items() if row.state == "passed"}


class Check:
    """One check: of all graded cells, or of those that can have changed since `last`."""

    def __init__(self, course: Course, module: Module, document: Document, last: Standing | None):
        self.course, self.module, self.document, self.last = course, module, document, last
        self.package = stamp(course.package)
        every = {c.index for c in document.tests}
        carry = last is not None and last.sound and last.package == self.package
        self.again = affected(last.document, document, last.passed()) if last and carry else every
        self.of = len(every)
        self._lock, self._process, self._ended = threading.Lock(), None, False

    _process: Process | None

    def run(self) -> tuple[Standing, Verdict] | None:
        """Judge; None where the check was ended before it was done."""
        chosen = needed(self.document, self.again)
        session = self._session(_only(self.document, chosen))
        session.run()
        if self._ended:
            return None
        sound = not session.left_out and all(row.state != "infra" for row in session.rows.values())
        found = Standing(self.document, self.package, self._rows(session, chosen),
                         {**(self.last.blame if self.last else {}), **session.blame}, session.troubles, sound)
        return found, self._verdict(found)

    def end(self) -> None:
        """End it now, with the process that it has started; `run` returns soon."""
        with self._lock:
            self._ended = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def _launch(self, work: Path, errors: IO[bytes]) -> Process:
        with self._lock:
            if self._ended:
                raise OSError(errno.ECANCELED, "the check was ended")
            self._process = plain(work, errors)
            return self._process

    def _session(self, document: Document) -> Session:
        root = str(self.course.root.resolve())
        return Session(document, root, self.module.number, self.module.label, self._launch, Limits(), Questions())

    def _rows(self, session: Session, chosen: set[int]) -> dict[int, Row]:
        """The new rows, and for all other graded cells the old ones."""
        old = self.last.rows if self.last else {}
        return {c.index: session.rows[c.index] if c.index in chosen else replace(old[c.index], section=c.heading)
                for c in self.document.tests}

    def _verdict(self, found: Standing) -> Verdict:
        """Rows that only follow from an earlier mistake are skipped as in any verdict: over all of them, new and old."""
        whole = self._session(self.document)
        whole.rows, whole.blame, whole.troubles = dict(found.rows), dict(found.blame), dict(found.troubles)
        return Verdict(self.module.label, whole.finished_rows(), whole.finished_troubles(), self.document.manual_points)


def _only(document: Document, chosen: set[int]) -> Document:
    """The document with no other graded cells; all else stays in its place."""
    def kept(cell: Cell) -> Cell:
        return replace(cell, kind="raw", source="") if cell.test and cell.index not in chosen else cell
    return Document(document.path, tuple(map(kept, document.cells)))


def stamp(folder: Path) -> Stamp:
    """What tells one state of a package from another, without reading it."""
    found = [(path, path.stat()) for path in sorted(folder.rglob("*.py"))]
    return tuple((path.relative_to(folder).as_posix(), status.st_mtime_ns, status.st_size) for path, status in found)
