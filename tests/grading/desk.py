"""A term at the desk of an instructor who regrades: three students' work, and verdicts as a test wants them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

from nbgrader.api import Grade, GradeCell, SubmittedAssignment, SubmittedNotebook
from sqlalchemy import select

from grading.assignment import Assignment
from grading.book.facts import Facts
from grading.book.gradebook import opened, transaction
from grading.book.record import facts
from grading.book.rows import Snapshot, snapshot
from grading.book.rules import score
from grading.regrade import regrade, undo
from grading.result import Result
from grading.run.autograde import autograde
from grading.run.jobs import Ended, Job, Work, attempt
from grading.sandbox.plain import Plain
from grading.term import Term
from tests.grading.handed import hand_in, written
from tests.grading.postgres import Cluster, cluster  # noqa: F401    # a fixture
from tito.check.row import Row
from tito.cli.results import Report

# Right for the numbers of the visible check.
WHOLE_MEAN = "#| export\ndef mean(numbers):\n    return float(round(total(numbers) / len(numbers)))\n"
NO_TOTAL = "#| export\ndef total(numbers):\n    return 0.0\n"
States = dict[str, str]                     # "ada test-mean" -> state


class Here:
    """Jobs in this process, one after the other."""

    name = "here"

    def __init__(self) -> None:
        self.done: list[str] = []

    def run(self, work: Work, jobs: Iterable[Job]) -> Ended:
        for job in jobs:
            self.done.append(job["student"])
            yield job, attempt(work, job, 0)


def says(states: States, job: Job) -> dict[str, Any]:
    """A verdict without running anything: every check passed, but for those that have a state here."""
    paper = json.loads(job["paper"])
    rows = []
    for cell in job["cells"]:
        if cell["grade"] and not cell["solution"]:
            state = states.get(f"{job['student']} {cell['grade_id']}", "passed")
            points = cell["points"] if state == "passed" else 0.0
            rows.append(Row(state, cell["grade_id"], points, cell["points"], sentence=f"the sentence of {cell['grade_id']}",
                            hint="" if state == "passed" else "look again", got="no room" if state == "infra" else ""))
    return Result(job["student"], paper["number"], job["version"], paper["digest"], job["key"], tuple(rows), sandbox="none").to_dict()


class Desk:
    """A term in which three students handed in module 01, ben a day late; or nobody did."""

    def __init__(self, term: Term, *, empty: bool = False):
        self.term, self.module = term, term.course.modules[0]
        self.jobs = Here()
        for student, days in () if empty else (("ada", 0), ("ben", 1), ("cleo", 0)):
            self.hand_in(student, days=days)

    def hand_in(self, student: str, notebook: dict[str, Any] | None = None, days: int = 0) -> None:
        hand_in(self.term, self.force, student, notebook or written(self.force, f"{student} thinks so"), days)

    @property
    def force(self) -> Assignment:
        return Assignment.current(self.term, self.module)

    def autograde(self, work: Work, students: set[str] | None = None) -> None:
        autograde(self.term, [self.module], students=students, jobs=self.jobs, sandbox=Plain(), progress=quiet, work=work)

    def regrade(self, work: Work, preview: bool = False) -> Report:
        return regrade(self.term, self.module, preview=preview, jobs=self.jobs, sandbox=Plain(), progress=quiet, work=work)

    def undo(self) -> Report:
        return undo(self.term, self.module)

    def edit(self, old: str, new: str, file: str = "counting_dev.py") -> None:
        path = self.module.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def facts(self) -> dict[str, Facts]:
        with opened(self.term) as gradebook:
            return {one.student: one for one in facts(self.term, gradebook, self.module)}

    def finals(self) -> dict[str, tuple[str, float]]:
        scores = {name: score(one, self.term.settings.deadlines) for name, one in self.facts().items()}
        return {name: (s.state, round(s.final, 6)) for name, s in scores.items()}

    def by_hand(self, student: str, points: float, cell: str = "why-mean", extra: float | None = None) -> None:
        """As formgrader does."""
        with opened(self.term) as gradebook, transaction(gradebook) as session:
            query = select(Grade).join(GradeCell, GradeCell.id == Grade.cell_id)
            query = query.join(SubmittedNotebook, SubmittedNotebook.id == Grade.notebook_id)
            query = query.join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
            row = session.scalars(query.where(GradeCell.name == cell, SubmittedAssignment.student_id == student)).one()
            row.manual_score, row.extra_credit, row.needs_manual_grade = points, extra, False

    def rows(self) -> Snapshot:
        with opened(self.term) as gradebook:
            return snapshot(gradebook, self.force)

    def files(self) -> dict[str, bytes]:
        """What nbgrader's tools and the next command find."""
        folders = ("source", "release", "autograded", "submitted")
        found = [p for name in folders for p in self.term.path(name).rglob("*") if p.is_file()]
        found.append(self.term.path("assignments", "01_counting", "current"))
        return {p.relative_to(self.term.folder).as_posix(): p.read_bytes() for p in found}

    def exported(self, form: str) -> bytes:
        from grading.tell import export
        told = export(self.term, self.module, student="", form=form, to=self.term.path("out"), zeros=False, bom=False)
        written = sorted(p for p in self.term.path("out").rglob("*") if p.is_file())
        assert written, told
        return b"".join(p.read_bytes() for p in written)

    def regrades(self) -> list[str]:
        folder = self.term.path("regrades", "01_counting")
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def quiet(done: int, total: int, what: str) -> None:
    """No progress is shown."""


OLD: Work = partial(says, {"ben test-mean": "failed", "cleo test-total": "failed"})
NEW: Work = partial(says, {"cleo test-total": "failed", "cleo test-mean": "failed"})       # ben up 4, cleo down 4, ada as before
NEW_TEST = '''\
# %% nbgrader={"grade": true, "grade_id": "test-more", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_more():
    """The mean of one number is the number."""
    expect.close(lambda: mean([2.0]), 2.0, "one number")

test_unit_more()

# %% tags=["analysis"]
'''
MILD = ("mean([1.0, 2.0, 6.0]), 3.0", "mean([1.0, 2.0, 9.0]), 4.0")


def graded(term: Term) -> Desk:
    """All three are graded, and have 3 points by hand for what they wrote."""
    desk = Desk(term)
    desk.autograde(OLD)
    for student in ("ada", "ben", "cleo"):
        desk.by_hand(student, 3.0)
    desk.jobs.done.clear()
    return desk
