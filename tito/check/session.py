"""The passes of a judging process over one notebook, and what is made of the things that it claims.

A claim's texts are taken over, cut to size; which cell it is about, and what that is worth, are known here.  Once the process has said that
it is done, nothing that it says changes a row: only then is it told the questions.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tito.cells import Cell, Document
from tito.check.names import skipped_for
from tito.check.process import GRACE_SECONDS, START_SECONDS, Child, Launch
from tito.check.row import Row, blank, short_heading

RERUNS = 3                  # for cells that did not end or that ended Python; and as many for questions
TEXTS = ("check", "call", "expected", "got", "first", "hint", "at")      # of a row: what a claim may say, and how much
TEXT = 4000
CLAIMS = ("passed", "failed", "error", "timeout")
KILLED = "signal 9"
OPEN = 1 << 62              # bytes: at home nobody counts them


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


@dataclass(frozen=True)
class Limits:
    """What one verdict may take."""

    cell_seconds: float = 10.0
    seconds: float = math.inf       # in all
    said: int = OPEN                # bytes, before the questions
    answered: int = OPEN            # bytes, in answer to them


@dataclass(frozen=True)
class Questions:
    """A probes file, and which of its probes are asked with which seeds."""

    probes: str = ""
    asked: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a probe gave: a packed value; or why there is none."""

    value: Any = None
    error: str = ""


class _Infra(Exception):
    """The child cannot judge."""


@dataclass
class Session:
    """One pass, and a rerun for each cell that did not end or that ended Python."""

    document: Document
    root: str
    number: int
    label: str
    launch: Launch
    limits: Limits
    questions: Questions
    rows: dict[int, Row] = field(default_factory=dict)
    blame: dict[int, str] = field(default_factory=dict)
    troubles: dict[int, Trouble] = field(default_factory=dict)
    left_out: dict[int, tuple[str, str]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    place: int | None = None        # the cell at work, or the last one; None before the first
    asking: bool = False            # in this pass
    done: bool = False              # every cell has been run: the rows stand
    kills: int = 0                  # from outside, by nobody we know

    def run(self) -> None:
        self.until = time.monotonic() + self.limits.seconds
        stops = 0
        while stops <= RERUNS:
            with tempfile.TemporaryDirectory(prefix="tito-", ignore_cleanup_errors=True) as folder:
                done, kills = self.done, self.kills
                if self._pass(Path(folder)):
                    break
            stops = 0 if self.done and not done else stops + (self.kills == kills)
        self._fill()

    # ---- one pass ------------------------------------------------------------------------------

    def _pass(self, folder: Path) -> bool:
        """Run all cells but those left out, and ask; whether there is nothing left to do."""
        self.place, self.asking, known = None, False, len(self.left_out)
        try:
            child = Child(self._job(), folder, self.launch, self.limits.said)
        except OSError as err:
            return self._infra(f"Python cannot be started: {err.strerror}")
        late = finished = False
        try:
            finished = self._listen(child)
        except TimeoutError:
            late = True
        except _Infra as problem:
            return self._infra(str(problem))
        finally:
            code = code_text(child.end())
            words = child.last_words() if self.place is None else ""
        if finished or len(self.left_out) > known:      # the child itself said which cell does not end
            return finished
        return self._stopped(child, late, code, words)

    def _stopped(self, child: Child, late: bool, code: str, words: str) -> bool:
        """The process is gone before its end: what that means; whether there is nothing left to do."""
        if self.place is None:
            return self._infra("the checks did not start in time" if late else child.why or words or f"the process ended with {code}")
        if time.monotonic() >= self.until:
            return True                                 # `_fill` says it of everything that is not known
        if code == KILLED and not late and not child.why and self.kills < 2:
            self.kills += 1                             # by the system, or by somebody: try again before the notebook is blamed
        elif self.done:
            self.answers.append(Answer(error="did not end" if late else child.why or f"ended Python: {code}"))
        elif self.place not in self.left_out:
            text = self._late if late else child.why or f"the Python process ended here: {code}"
            self._leave_out(self.place, "timeout" if late else "error", text, None)
        return False

    def _listen(self, child: Child) -> bool:
        """Take in what the child says, until it has ended; whether all is known.  TimeoutError where it is silent for too long."""
        deadline = time.monotonic() + START_SECONDS
        while (event := child.next(min(deadline, self.until) - time.monotonic())) is not None:
            what = event.get("event")
            if what == "infra" and self.place is None:
                raise _Infra(clipped(event.get("error")))
            if what == "done" and not self.asking:
                self.done, self.asking, self._first = True, True, len(self.answers)
                child.most += self.limits.answered
                child.tell({"probes": self.questions.probes, "asked": self._unasked()})
            elif self.asking:
                self._answer(what, event)
            elif self._cell(what, event):
                return False
            if self.done and not self._unasked():
                return True
            deadline = time.monotonic() + self.limits.cell_seconds + GRACE_SECONDS
        return False

    def _job(self) -> dict[str, Any]:
        return {"cells": self.document.values(), "name": self.document.path.name, "root": self.root, "number": self.number,
                "module": self.label, "seconds": self.limits.cell_seconds, "left_out": self.left_out, "ask": bool(self.questions.asked)}

    # ---- what is said of cells -----------------------------------------------------------------

    def _cell(self, what: Any, event: dict[str, Any]) -> bool:
        """Take in what is said of a cell; whether it is one that does not end."""
        if what == "ready":
            self.place = -1
        index = event.get("cell")
        if type(index) is not int or not 0 <= index < len(self.document.cells):
            return False
        self.place = index
        if what == "end" and not self.done:
            self._note(self.document.cells[index], event)
        elif what == "late":
            self._leave_out(index, "timeout", self._late, event.get("row"))
            return True
        return False

    def _note(self, cell: Cell, event: dict[str, Any]) -> None:
        if not cell.test:
            trouble = event.get("trouble")
            self.troubles.pop(cell.index, None)
            if isinstance(trouble, dict):
                self.troubles[cell.index] = _trouble(cell, clipped(trouble.get("error")), _line(trouble))
        elif cell.index not in self.left_out:
            self.rows[cell.index] = claimed(cell, self.label, event.get("row"))
            self.blame[cell.index] = clipped(event.get("blame"))

    @property
    def _late(self) -> str:
        return f"still running after {self.limits.cell_seconds:g} seconds"

    def _leave_out(self, index: int, state: str, text: str, row: Any) -> None:
        if self.done or index < 0:
            return
        cell = self.document.cells[index]
        self.left_out[index] = state, text
        if not cell.test:
            self.troubles[index] = _trouble(cell, text, 0)
            return
        self.rows[index] = claimed(cell, self.label, {**row, "state": state}) if isinstance(row, dict) else blank(cell, self.label, state)
        self.rows[index].got = text
        if state == "error":
            self.rows[index].hint = "os._exit, or a crash below Python: look at what the checks call last"

    def _infra(self, text: str) -> bool:
        for cell in self.document.tests:
            row = blank(cell, self.label, "infra")
            row.got, row.hint = text, "your code was not judged: the checks could not be started"
            self.rows[cell.index] = row
        return True

    # ---- the questions -------------------------------------------------------------------------

    def _unasked(self) -> tuple[tuple[int, int], ...]:
        return self.questions.asked[len(self.answers):]

    def _answer(self, what: Any, event: dict[str, Any]) -> None:
        """An answer counts where it is to the first question that is open."""
        if what == "answer" and self._unasked() and event.get("n") == len(self.answers) - self._first:
            self.answers.append(Answer(event.get("value"), clipped(event.get("error"))))

    # ---- the end -------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Say something of every graded cell and every question of which nothing was heard."""
        over = time.monotonic() >= self.until
        for cell in self.document.tests:
            if cell.index not in self.rows:
                row = blank(cell, self.label, "timeout" if over else "skipped" if self.left_out else "error")
                row.got = f"the whole notebook ran longer than {self.limits.seconds:g} seconds" if over else \
                    "" if self.left_out else "this cell was not run: the notebook ended before it"
                row.hint = f"not run: {len(self.left_out)} cells before it did not end" if self.left_out and not over else ""
                self.rows[cell.index] = row
        self.answers += [Answer(error="was not asked")] * len(self._unasked())

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


def claimed(cell: Cell, label: str, facts: Any) -> Row:
    """A graded cell's row as the child tells it: the words are its own; the cell, its state and its points are checked here."""
    facts = facts if isinstance(facts, dict) else {}
    state = facts.get("state")
    row = blank(cell, label, state if state in CLAIMS else "error")
    for name in TEXTS:
        setattr(row, name, clipped(facts.get(name)))
    row.line = _line(facts)
    return row


def clipped(text: Any) -> str:
    """A claimed text, of a decent length and of letters that a file can hold."""
    return text[:TEXT].encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(text, str) else ""


def code_text(code: int) -> str:
    """How a process ended, the same words whether a shell, a sandbox or nobody stood between."""
    ended = -code if code < 0 else code - 128 if 128 < code < 192 else 0
    return f"signal {ended}" if ended else f"exit code {code}"


def _line(facts: dict[str, Any]) -> int:
    line = facts.get("line")
    return line if type(line) is int and 0 <= line < 1 << 20 else 0


def _trouble(cell: Cell, error: str, line: int) -> Trouble:
    return Trouble(cell.index + 1, cell.grade_id, cell.heading, cell.exported, error, line, cell.solution)
