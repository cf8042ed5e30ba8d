"""From facts to a score: the late rule, extensions, partial and extra credit.  Pure: the same facts give the same score at any time.

* A cell gives what a person said, else what the judge said; never less than 0, never more than its maximum (formgrader holds
  itself to the same two bounds): what goes beyond the maximum is extra credit.
* Extra credit is never negative: to take points away, lower the cell's own.  It may lift a score above the module's maximum.
* The late rule takes its share of both: final = (points + extra) * share, so that work handed in too late counts for nothing at all.
* An extension is a deadline of the student's own.  After it the same rule begins anew: the grace, the percent of each day begun, the
  last day.  One that ends before the deadline changes nothing, and a module without a deadline is never late.
* A day is 24 hours that have passed, also where the clocks are changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from grading.book.facts import Facts
from tito.settings import Deadlines

GRADED, WAITING, INFRA, MISSING = "graded", "needs manual grading", "infra", "missing"
PENDING = (INFRA, WAITING)          # neither is a grade yet


@dataclass(frozen=True)
class Score:
    """A score, and how it came about.  Only in state "graded" is `final` a grade; in "missing" it is 0."""

    state: str
    points: float           # of all cells, before the late rule; what is not known yet counts 0
    max_points: float
    extra: float
    late_days: int
    share: float            # of the points that counts, from 0 to 1
    final: float


def score(facts: Facts, deadlines: Deadlines) -> Score:
    """What the work is worth."""
    cells = {**facts.points, **facts.manual}
    state = state_of(facts)
    extra = _sum(max(0.0, facts.extra.get(name, 0.0)) for name in cells)
    points = _sum(cell_points(facts, name) or 0.0 for name in cells)
    days, share = late_days(facts, deadlines), share_of(facts, deadlines)
    if state == MISSING:
        points = extra = 0.0
    return Score(state, points, _sum(max(0.0, most) for most in cells.values()), extra, days, share, (points + extra) * share)


def state_of(facts: Facts) -> str:
    """Whether there is a grade, and why not."""
    if facts.submitted is None:
        return MISSING
    if any(cell_points(facts, name) is None for name in facts.points):
        return INFRA
    return WAITING if waiting(facts) else GRADED


def waiting(facts: Facts) -> list[str]:
    """The answers that wait for a person."""
    return [name for name in facts.manual if facts.submitted and cell_points(facts, name) is None]


def cell_points(facts: Facts, grade_id: str) -> float | None:
    """What one cell gives; None where nobody knows yet."""
    most = facts.points.get(grade_id, facts.manual.get(grade_id, 0.0))
    said = facts.manual_scores.get(grade_id)
    given = facts.auto.get(grade_id) if said is None else said
    return None if given is None else min(max(0.0, given), max(0.0, most))


def deadline(facts: Facts) -> datetime | None:
    """When this student's work is due."""
    if facts.due is None:
        return None
    return max(facts.due, facts.until).astimezone(UTC) if facts.until else facts.due.astimezone(UTC)


def accepted_until(facts: Facts, deadlines: Deadlines) -> datetime | None:
    """The end of the last day that counts for anything; None where it never ends."""
    end, percent = deadline(facts), deadlines.late_percent_per_day
    days = min(deadlines.late_days, math.ceil(100 / percent) - 1) if percent else deadlines.late_days
    return end and end + max(timedelta(days=days), timedelta(minutes=deadlines.grace_minutes))


def late_days(facts: Facts, deadlines: Deadlines) -> int:
    """The days begun since the student's deadline, as settings.ini counts them; 0 where nothing was handed in."""
    return _own(facts, deadlines).late(facts.module, facts.submitted) if facts.submitted else 0


def share_of(facts: Facts, deadlines: Deadlines) -> float:
    """The share of the points that the late rule leaves."""
    return _own(facts, deadlines).share(facts.module, facts.submitted) if facts.submitted else 1.0


def total(scores: Iterable[Score]) -> float | None:
    """Of a student's modules; None while one of them is no grade yet."""
    found = list(scores)
    return None if any(s.state in PENDING for s in found) else _sum(s.final for s in found)


def by_student(facts: Iterable[Facts]) -> dict[str, dict[int, Facts]]:
    """Facts by student and module, in the order of their ids and numbers.  ValueError where two tell of the same work."""
    table: dict[str, dict[int, Facts]] = {}
    for one in sorted(facts, key=lambda f: (f.student, f.module)):
        modules = table.setdefault(one.student, {})
        if one.module in modules:
            raise ValueError(f"two facts about {one.student}, module {one.module}")
        modules[one.module] = one
    return table


def scores(table: Mapping[str, Mapping[int, Facts]], deadlines: Deadlines) -> dict[tuple[str, int], Score]:
    """(student, module) -> score."""
    return {(student, number): score(one, deadlines) for student, modules in table.items() for number, one in modules.items()}


def _own(facts: Facts, deadlines: Deadlines) -> Deadlines:
    """The rule with this student's deadline.  In UTC: of two times in one zone Python subtracts what the clocks show."""
    due = deadline(facts)
    return replace(deadlines, due={} if due is None else {facts.module: due})


def _sum(values: Iterable[float]) -> float:
    """The same whatever the order."""
    return math.fsum(values)
