"""The verdict on a notebook: a child process runs it, and this side, with the standard library alone, makes sense of what it says."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tito
from tito.cells import Cell, Document
from tito.check.names import skipped_for
from tito.check.row import Row, blank, short_heading
from tito.check.shown import clean

SCHEMA_VERSION = 1
RERUNS = 3
START_SECONDS = 60.0        # for Python and numpy to start, on a busy machine
GRACE_SECONDS = 2.0         # for the child to say where it is, before it is ended unheard


@dataclass(frozen=True)
class Trouble:
    """An ungraded cell that raised."""

    cell: int               # in the notebook, from 1
    grade_id: str
    heading: str
    exported: bool
    error: str
    line: int
    solution: bool = False


@dataclass
class Verdict:
    module: str
    rows: list[Row] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    manual_points: float = 0.0

    @property
    def ok(self) -> bool:
        """Every graded cell passed, and no cell of the answer raised."""
        return all(r.state == "passed" for r in self.rows) and not any(t.exported or t.solution for t in self.troubles)

    @property
    def points(self) -> float:
        return sum(r.points for r in self.rows)

    @property
    def max_points(self) -> float:
        return sum(r.max_points for r in self.rows)

    def to_dict(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, "module": self.module, "ok": self.ok, "points": self.points,
                "max_points": self.max_points, "manual_points": self.manual_points,
                "rows": [r.to_dict() for r in self.rows], "troubles": [asdict(t) for t in self.troubles]}


def judge(document: Document, course_root: Path, module_number: int, module_label: str, *, cell_seconds: float = 10.0,
          expected_ids: tuple[str, ...] = ()) -> Verdict:
    """Run the notebook in a process of its own and say of every graded cell how it went.

    `expected_ids`: the grade_ids that the released notebook has; one that is absent becomes a row in state `error`.
    """
    session = _Session(document, Path(course_root).resolve(), module_number, module_label, cell_seconds)
    session.run()
    rows = session.finished_rows()
    present = {c.grade_id for c in document.cells if c.grade}
    absent = [i for i in expected_ids if i not in present]
    if not rows and not absent:
        absent = [""]                                   # nothing was asked, so nothing is proven
    rows += [_missing(grade_id, module_number, module_label) for grade_id in absent]
    return Verdict(module_label, rows, session.finished_troubles(), document.manual_points)


def _missing(grade_id: str, number: int, label: str) -> Row:
    what = "this graded cell is missing from the notebook" if grade_id else "this notebook has no graded cells"
    return Row("error", grade_id, sentence=what, module=label,
               hint=f"bring it back with: tito module undo {number:02d}, or tito module reset {number:02d}")


class _Child:
    """One child process: `events` yields what it says, and None when it has ended."""

    def __init__(self, job: dict[str, Any], folder: Path):
        self.errors, work = folder / "stderr.txt", folder / "work"      # a temporary folder's own name is never the same
        work.mkdir()
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen([sys.executable, "-m", "tito.check.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors, cwd=work, env=environment())
        self.said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._tell, args=(json.dumps(job).encode(),), daemon=True).start()

    def _tell(self, job: bytes) -> None:
        assert self.process.stdin
        try:
            with self.process.stdin as stdin:
                stdin.write(job)
        except OSError:
            return                                      # it has ended already: `_read` sees that

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue                                # a fork's torn line
            if isinstance(event, dict):
                self.said.put(event)
        self.said.put(None)

    def next(self, seconds: float) -> dict[str, Any] | None:
        """What it says next; None when it has ended.  TimeoutError when it says nothing."""
        try:
            return self.said.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise TimeoutError from None

    def end(self) -> int:
        """Make sure that it has ended; its exit code."""
        if self.process.poll() is None:
            try:
                self.process.wait(0.0 if self.said.empty() else 0.2)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def last_words(self) -> str:
        lines = self.errors.read_text(encoding="utf-8", errors="replace").strip().split("\n")
        return clean(lines[-1])


def environment() -> dict[str, str]:
    """A judging process's: ours, with this tito first, one order of sets, and no windows."""
    home = str(Path(tito.__file__).resolve().parent.parent)
    path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "", "MPLBACKEND": "Agg"}


class _Session:
    """The passes over one notebook: one, and a rerun for each cell that did not end or that ended Python."""

    def __init__(self, document: Document, root: Path, number: int, label: str, seconds: float):
        self.document, self.root, self.number, self.label, self.seconds = document, root, number, label, seconds
        self.rows: dict[int, Row] = {}
        self.blame: dict[int, str] = {}
        self.troubles: dict[int, Trouble] = {}
        self.left_out: dict[int, tuple[str, str]] = {}

    def run(self) -> None:
        for _ in range(RERUNS + 1):
            with tempfile.TemporaryDirectory(prefix="tito-", ignore_cleanup_errors=True) as folder:
                if self._pass(Path(folder)):
                    return
        last = max(self.left_out)
        for cell in self.document.tests:
            if cell.index > last:
                self.rows[cell.index] = blank(cell, self.label, "skipped")
                self.rows[cell.index].hint = f"not run: {len(self.left_out)} cells before it did not end"

    def _pass(self, folder: Path) -> bool:
        """Run all cells but those left out; whether that came to its end."""
        try:
            child = _Child(self._job(), folder)
        except OSError as err:
            return self._infra(f"Python cannot be started: {err.strerror}")
        cell: int | None = None
        try:
            for event in self._events(child):
                what = event["event"]
                cell = event["cell"] if what == "start" else None if what == "end" else cell
                if what == "end":
                    self._note(event)
                elif what == "late":
                    self._leave_out(event["cell"], "timeout", f"still running after {self.seconds:g} seconds", event["row"])
                    return False
                elif what == "done":
                    return True
        except TimeoutError:
            if cell is None:
                return self._infra("the checks did not start in time")
            self._leave_out(cell, "timeout", f"still running after {self.seconds:g} seconds", None)
            return False
        except _Infra as problem:
            return self._infra(str(problem))
        finally:
            words = child.last_words() if cell is None else ""
            code = child.end()
        if cell is None:
            return self._infra(words or f"the process ended with exit code {code}")
        self._leave_out(cell, "error", f"the Python process ended here: exit code {code}", None)
        return False

    def _events(self, child: _Child) -> Iterator[dict[str, Any]]:
        """What the child says, until it has ended; TimeoutError where it is silent for longer than a cell may take."""
        limit = START_SECONDS
        deadline = time.monotonic() + limit
        while (event := child.next(deadline - time.monotonic())) is not None:
            if event["event"] == "infra":
                raise _Infra(event["error"])
            yield event
            deadline = time.monotonic() + self.seconds + GRACE_SECONDS

    def _job(self) -> dict[str, Any]:
        cells = [vars(c) for c in self.document.cells]
        return {"cells": cells, "name": self.document.path.name, "root": str(self.root), "number": self.number, "module": self.label,
                "seconds": self.seconds, "left_out": self.left_out}

    def _note(self, event: dict[str, Any]) -> None:
        index = event["cell"]
        cell = self.document.cells[index]
        if not cell.test:
            self.troubles.pop(index, None)
            if event["trouble"]:
                self.troubles[index] = _trouble(cell, **event["trouble"])
        elif index not in self.left_out:
            self.rows[index], self.blame[index] = Row.from_dict(event["row"]), event["blame"]

    def _leave_out(self, index: int, state: str, text: str, row: dict[str, Any] | None) -> None:
        cell = self.document.cells[index]
        self.left_out[index] = state, text
        if not cell.test:
            self.troubles[index] = _trouble(cell, text, 0)
            return
        self.rows[index] = Row.from_dict(row) if row else blank(cell, self.label, state)
        self.rows[index].got = text
        if state == "error":
            self.rows[index].hint = "os._exit, or a crash below Python: look at what the checks call last"

    def _infra(self, text: str) -> bool:
        for cell in self.document.tests:
            row = blank(cell, self.label, "infra")
            row.got, row.hint = text, "your code was not judged: the checks could not be started"
            self.rows[cell.index] = row
        return True

    def finished_rows(self) -> list[Row]:
        """In the notebook's order; what only follows from an earlier mistake is skipped, so that one mistake gives one card."""
        states = {i: row.state for i, row in self.rows.items()}
        if "infra" not in states.values():
            for index, first in skipped_for(self.document, states).items():
                self._skip(index, f"first mend: {self._title(first, index)}")
        self._skip_blamed()
        return [self.rows[i] for i in sorted(self.rows)]

    def _skip_blamed(self) -> None:
        """Of the tests that find nothing because one cell raised, or one name is missing, the first tells of it."""
        told: dict[str, int] = {}
        for index in sorted(self.rows):
            blame = self.blame.get(index, "")
            if blame and self.rows[index].state not in ("passed", "skipped", "infra"):
                first = told.setdefault(blame, index)
                if first != index:
                    self._skip(index, f"first mend: {self._title(self.document.cells[first], index)}")

    def _skip(self, index: int, hint: str) -> None:
        row = blank(self.document.cells[index], self.label, "skipped")
        row.hint, row.line = hint, 0
        self.rows[index] = row

    def _title(self, first: Cell, index: int) -> str:
        here = self.document.cells[index].heading
        return short_heading(first.heading) if first.heading and first.heading != here else first.grade_id

    def finished_troubles(self) -> list[Trouble]:
        return [self.troubles[i] for i in sorted(self.troubles)]


class _Infra(Exception):
    """The child said that it cannot judge."""


def _trouble(cell: Cell, error: str, line: int) -> Trouble:
    return Trouble(cell.index + 1, cell.grade_id, cell.heading, cell.exported, error, line, cell.solution)
