"""Submissions and verdicts as the pipeline would make them, without running anything."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grading.assignment import Assignment
from grading.intake.versions import Version, receive
from grading.result import Result, key_of
from grading.term import Term
from tests.grading.small import packed, write_term
from tito.check.row import blank
from tito.course import Course

MONDAY = datetime(2027, 1, 18, 12, 0, tzinfo=UTC)


def hand_in(term: Term, assignment: Assignment, student: str, notebook: dict[str, Any] | None = None, days: int = 0) -> Version:
    """A student's submission; the solved notebook where none is given."""
    content = packed(notebook or assignment.solved)
    return receive(term, student, term.course.module(assignment.name), content, MONDAY + timedelta(days=days), "a test")


def verdict(term: Term, assignment: Assignment, version: Version, **states: str) -> Result:
    """Every test passed, but for those of these states ("-" is written "_")."""
    rows = []
    for cell in assignment.document.tests:
        state = states.get(cell.grade_id.replace("-", "_"), "passed")
        said = {} if state == "passed" else {"check": f"the promise of {cell.grade_id}", "hint": "look again"}
        rows.append(replace(blank(cell, assignment.label, state), **said))
    return Result(version.student, assignment.number, version.sha256, assignment.digest,
                  key_of(version.sha256, assignment.digest, term.secret), tuple(rows))


def written(assignment: Assignment, text: str) -> dict[str, Any]:
    """The solved notebook with this text as every written answer."""
    notebook = copy.deepcopy(assignment.solved)
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") in assignment.manual:
            cell["source"] = text
    return notebook


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small course and its term, in which all modules are assignments, to be copied."""
    from grading.author.generate import generate
    term = write_term(tmp_path_factory.mktemp("shelf"))
    generate(term, term.course.modules, progress=lambda *_: None)
    return term.course.root.parent


def copied(shelf: Path, to: Path, url: str = "") -> Term:
    """A term of one's own; with a database other than the file, its gradebook has module 01."""
    from grading.author.generate import generate
    shutil.copytree(shelf, to, dirs_exist_ok=True)
    course = Course(next(to.glob("small course*/settings.ini")).parent)
    if url:
        settings = course.root / "settings.ini"
        settings.write_text(settings.read_text(encoding="utf-8") + f"\n[gradebook]\nurl = {url}\n", encoding="utf-8")
        generate(Term.open(course), course.modules[:1], progress=lambda *_: None)
    return Term.open(course)
