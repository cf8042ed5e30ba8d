"""What is told of the gradebook: its facts and the verdicts behind them, gathered for feedback, report and export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from grading.assignment import Assignment
from grading.book.facts import Facts
from grading.result import Result
from grading.run.autograde import tasks
from grading.tell import export as exports
from grading.tell import feedback as pages
from grading.tell import report as reports
from grading.term import Term
from tito.cli.results import Report
from tito.course import Module

Progress = Callable[[int, int, str], None]
Known = tuple[list[Facts], dict[tuple[str, int], Result]]


def known(term: Term, only: Module | None, student: str = "") -> Known:
    """The facts of the gradebook, and by (student, module) the verdict on the version that counts."""
    from grading.book.gradebook import opened
    from grading.book.record import facts
    modules = [m for m in term.modules(only) if Assignment.exists(term, m)]
    with opened(term) as gradebook:
        found = [f for module in modules for f in facts(term, gradebook, module) if student in ("", f.student)]
    results = {(task.version.student, task.assignment.number): result for task in tasks(term, modules, {student} if student else None)
               if (result := Result.load(task.path(term)))}
    return found, results


def feedback(term: Term, only: Module | None, *, student: str, progress: Progress) -> Report:
    return pages.feedback(term, *known(term, only, student), progress=progress)


def report(term: Term, only: Module | None) -> Report:
    return reports.report(term, *known(term, only), only=only.number if only else None)


def export(term: Term, only: Module | None, *, student: str, form: str, to: Path | None, zeros: bool, bom: bool) -> Report:
    to = to or (term.path("exports", student) if student else None)         # one student's lines do not replace everybody's
    return exports.export(term, *known(term, only, student), form=form, to=to, only=only.number if only else None, zeros=zeros, bom=bom)
