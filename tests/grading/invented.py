"""Invented facts and results of a class, for what is computed from them: no notebook is run."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grading.book.facts import Facts
from grading.result import Result
from grading.term import Term
from tito.check.row import Row
from tito.course import Course

DUE = datetime(2027, 1, 18, 18, tzinfo=UTC)
POINTS, MANUAL = {"test-total": 6.0, "test-mean": 4.0}, {"why-mean": 5.0}
SETTINGS = """\
[course]
id = small
title = Small numbers
term = spring 2027

[deadlines]
late_days = 3
01 = 2027-01-18 18:00
02 = 2027-01-25 18:00
"""
STUDENTS = "id,name,email\nada,Ada Lovelace,ada@example.org\nben,Ben Müller,ben@example.org\ncleo,Cleo O'Hara,cleo@example.org\n"


def write_term(root: Path, students: str = STUDENTS) -> Term:
    """A term of two modules without a line of code."""
    for folder in ("01_counting", "02_scaling"):
        (root / "course" / "modules" / folder).mkdir(parents=True)
    (root / "course" / "settings.ini").write_text(SETTINGS, encoding="utf-8")
    term = Term.of(Course(root / "course"))
    term.create()
    term.path("students.csv").write_text(students, encoding="utf-8")
    return term


def known(student: str = "ada", module: int = 1, **changes: Any) -> Facts:
    """Work handed in an hour before the deadline, with everything right."""
    full: dict[str, Any] = {"student": student, "module": module, "points": POINTS, "manual": MANUAL, "auto": POINTS,
                            "manual_scores": {"why-mean": 5.0}, "submitted": DUE - timedelta(hours=1), "due": DUE, "sha256": "ab" * 32}
    return Facts(**{**full, **changes})


def row(state: str, grade_id: str = "test-total", most: float = 6.0, **changes: Any) -> Row:
    """A row as the judge makes it."""
    full: dict[str, Any] = {"sentence": "A total adds every number once.", "section": "1 · Totals", "module": "01 counting", "cell": 5}
    if state in ("failed", "hidden"):
        full |= {"check": "three numbers add up", "call": "total([1.0, 2.0, 4.5])", "expected": "7.5", "got": "6.5", "line": 3,
                 "hint": "the first number is left out"}
    if state == "hidden":
        full |= {"check": "hidden check", "call": "", "expected": "", "got": "",
                 "hint": "right for the inputs that the notebook shows, not for others like them"}
    shown = "failed" if state == "hidden" else state
    return Row(shown, grade_id, most if state == "passed" else 0.0, most, **{**full, **changes})


def verdict(student: str = "ada", module: int = 1, rows: tuple[Row, ...] = (), **changes: Any) -> Result:
    """A result with these rows (default: all passed)."""
    rows = rows or (row("passed"), row("passed", "test-mean", 4.0, sentence="The mean is the total over the count."))
    return replace(Result(student, module, "ab" * 32, "cd" * 32, "0123456789abcdef", rows, sandbox="bubblewrap", seconds=1.25), **changes)


def whole_class(students: int, checks: int, seed: int = 1) -> tuple[list[Facts], dict[tuple[str, int], Result]]:
    """A large class on module 1: every state, lateness, repairs, hidden checks, clusters."""
    rng = random.Random(seed)
    facts, results = [], {}
    points = {f"test-{WORDS[k % len(WORDS)]}-{k}": 1.0 + k % 3 for k in range(checks)}
    difficulty = {name: rng.uniform(0.2, 0.98) for name in points}
    for number in range(students):
        student, skill = f"s{number:03d}", rng.uniform(0.4, 1.3)
        if rng.random() < 0.04:
            facts.append(Facts(student, 1, points, MANUAL, due=DUE))
            continue
        rows, reasons = [], {}
        for name, most in points.items():
            state = "passed" if rng.random() < difficulty[name] * skill else rng.choice(WRONG)
            kind = rng.randrange(3)
            rows.append(row(state, name, most, **({"hint": HINTS[kind], "got": f"{6.5 + kind}"} if state == "failed" else {})))
            if state == "hidden":
                reasons[name] = f"probe wide_{kind}: [0]: 0.{kind}, not 1.0"
        if rng.random() < 0.02:
            rows = [row("infra", name, most, got="Python cannot be started: out of memory") for name, most in points.items()]
            reasons = {}
        judged = rows[0].state != "infra"
        results[student, 1] = verdict(student, 1, tuple(rows), reasons=reasons,
                                      repairs=("the cell test-mean-1 was deleted: put back",) if rng.random() < 0.06 else ())
        facts.append(Facts(student, 1, points, MANUAL, {r.grade_id: r.points if judged else None for r in rows},
                           {"why-mean": None if rng.random() < 0.1 else float(rng.randrange(6))},
                           submitted=DUE + timedelta(hours=rng.choice([-30, -5, -1, -1, 0, 3, 30])), due=DUE,
                           until=DUE + timedelta(days=2) if rng.random() < 0.03 else None))
    return facts, results


WRONG = (*["failed"] * 6, "hidden", "hidden", "error", "skipped", "timeout")
WORDS = ("as-array", "memory-footprint", "lift", "broadcast", "reshape", "matmul", "sum", "mean", "softmax")
HINTS = ("the first number is left out", "the columns add up to 1: use dim", "the sum where the mean is asked for")
