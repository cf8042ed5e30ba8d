"""A course to which work is handed in: its students, notebooks, and the folders and archives in which they come."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from grading.intake import versions
from grading.term import Term
from tests.grading.test_archives import Date, member, packed
from tito.course import Course

ROWS = """\
id,name,email,aliases
ada,Ada Lovelace,ada@example.org,
ben,Ben Müller,ben@example.org,Participant 777;b-m
ben2,Ben Müller,ben2@example.org,benmüller 4711
cleo,Cleo Ann O'Hara,cleo@example.org,
jo-1,Zoë van der Berg,,
"""
NOON = (2027, 1, 18, 12, 0, 0)


def notebook(number: int = 1, text: str = "", ids: tuple[str, ...] = ()) -> bytes:
    cells = [{"cell_type": "code", "source": f"from tito import notebook\nnotebook.use({number})", "metadata": {}}] if number else []
    cells += [{"cell_type": "code", "source": text, "metadata": {"nbgrader": {"grade_id": i}}} for i in ids or [text]]
    return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}).encode()


@pytest.fixture(name="term")
def new_term(tmp_path: Path) -> Term:
    root = tmp_path / "course é"
    for name in ("01_counting", "02_scaling", "10_fast_counting"):
        (root / "modules" / name).mkdir(parents=True)
    rules = "[course]\nid = small\n[deadlines]\ntimezone = Europe/Berlin\n01 = 2027-01-18 18:00\n"
    (root / "settings.ini").write_text(rules, encoding="utf-8")
    made = Term.of(Course(root))
    made.create()
    made.path("students.csv").write_text(ROWS, encoding="utf-8")
    return made


def lay(folder: Path, name: str, content: bytes, when: datetime | None = None) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if when:
        os.utime(path, (when.timestamp(), when.timestamp()))
    return path


def zipped(folder: Path, members: dict[str, bytes], when: Date = NOON) -> Path:
    return lay(folder, "submissions.zip", packed((member(name, when=when), content) for name, content in members.items()))


def arrived(report: Any) -> dict[str, list[str]]:
    """Whose notebooks of which modules came."""
    return {student: [f"{one['module']:02d}" for one in found] for student, found in report.data["students"].items()}


def reasons(report: Any) -> list[str]:
    return [one["reason"] for one in report.data["refusals"]]


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != ".lock"}


def received(term: Term, student: str = "ada") -> tuple[str, str]:
    version = versions.latest(term, student, term.course.modules[0])
    assert version
    return versions.stamp(version.received), version.clock
