"""A gradebook, SQLite's or PostgreSQL's, into which verdicts are put, and what is asked of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Comment, Grade, Gradebook, GradeCell, SolutionCell, SubmittedAssignment, SubmittedNotebook
from sqlalchemy import select

from grading.assignment import Assignment
from grading.book.facts import Facts
from grading.book.gradebook import transaction
from grading.book.record import facts, record
from grading.intake.versions import Version
from grading.term import Term
from tests.grading.handed import MONDAY, copied, hand_in, shelf, verdict, written  # noqa: F401    # a fixture
from tests.grading.postgres import Cluster, cluster  # noqa: F401


@pytest.fixture(name="term", params=["sqlite", "postgresql"])
def any_term(request: pytest.FixtureRequest, shelf: Path, tmp_path: Path) -> Term:  # noqa: F811
    return copied(shelf, tmp_path, request.getfixturevalue("cluster").database() if request.param == "postgresql" else "")


@pytest.fixture(name="light")
def light_term(shelf: Path, tmp_path: Path) -> Term:  # noqa: F811
    """Where the kind of database does not matter."""
    return copied(shelf, tmp_path)


def counting(term: Term) -> Assignment:
    return Assignment.current(term, term.course.modules[0])


def put_in(term: Term, gradebook: Gradebook, student: str = "ada", notebook: dict[str, Any] | None = None, days: int = 0,
           **states: str) -> Version:
    """Hand in, judge and record."""
    assignment = counting(term)
    version = hand_in(term, assignment, student, notebook, days)
    record(term, gradebook, assignment, verdict(term, assignment, version, **states), version)
    return version


def fact(term: Term, gradebook: Gradebook, student: str = "ada") -> Facts:
    return next(f for f in facts(term, gradebook, term.course.modules[0]) if f.student == student)


@contextmanager
def grade(gradebook: Gradebook, name: str, student: str = "ada") -> Iterator[Grade]:
    """What formgrader changes."""
    with transaction(gradebook) as session:
        query = select(Grade).join(GradeCell, GradeCell.id == Grade.cell_id)
        query = query.join(SubmittedNotebook, SubmittedNotebook.id == Grade.notebook_id)
        query = query.join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
        yield session.scalars(query.where(GradeCell.name == name, SubmittedAssignment.student_id == student)).one()


def by_hand(gradebook: Gradebook, points: float | None, extra: float | None = None, name: str = "why-mean", student: str = "ada") -> None:
    with grade(gradebook, name, student) as row:
        row.manual_score, row.extra_credit, row.needs_manual_grade = points, extra, False


def comments(gradebook: Gradebook) -> dict[str, tuple[str | None, str | None]]:
    with transaction(gradebook) as session:
        query = select(SolutionCell.name, Comment.auto_comment, Comment.manual_comment).join(Comment, Comment.cell_id == SolutionCell.id)
        return {name: (auto, manual) for name, auto, manual in session.execute(query)}


def needs(gradebook: Gradebook, name: str) -> bool:
    with grade(gradebook, name) as row:
        return bool(row.needs_manual_grade)
