"""What a regrade would do: what differs between two assignments, and for each student what moves, by how much and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from grading.assignment import Assignment
from grading.book.facts import Facts
from grading.book.rules import INFRA, Score, score
from grading.result import Result
from tito.cells import Cell
from tito.check.row import Row, number
from tito.cli.results import number as whole  # the same for JSON
from tito.settings import Deadlines

ABSENT = "absent"               # the state of a check in the assignment that does not have it


@dataclass(frozen=True)
class Change:
    """One check of one student that is not what it was."""

    grade_id: str
    before: str                 # state
    after: str
    old: float                  # points
    new: float
    sentence: str               # what the check promises
    why: str                    # of the verdict that is not "passed": what the student is told
    reason: str = ""            # ... and what only the instructor is told
    by_hand: bool = False       # a person gave points for it: they stand, whatever the check says

    def __str__(self) -> str:
        text = f"{self.grade_id}: {self.before} -> {self.after}, {number(self.old)} -> {number(self.new)}"
        text += " (points given by hand stand)" if self.by_hand else ""
        was = "before: " * (self.after in ("passed", ABSENT) and bool(self.why or self.reason))
        return ": ".join(filter(None, [text, self.sentence.rstrip("."), was + "; ".join(filter(None, [self.why, self.reason]))]))


@dataclass(frozen=True)
class Move:
    """One student's verdict before and after, whether or not anything moves."""

    student: str
    before: Score
    after: Score
    changes: tuple[Change, ...]
    judged: bool                # before, the version that counts
    by_hand: int                # cells whose points a person gave

    @property
    def moves(self) -> bool:
        return self.judged and (bool(self.changes) or self.before != replace(self.after, max_points=self.before.max_points))

    @property
    def by(self) -> float:
        """How many points, before the late rule."""
        return self.after.points - self.before.points

    def lines(self) -> Iterator[str]:
        late = f", {self.after.late_days} day{'s' * (self.after.late_days > 1)} late" if self.after.late_days else ""
        finals = list(dict.fromkeys([_final(self.before), _final(self.after)]))
        yield (f"  {self.student}: {number(self.before.points)} -> {number(self.after.points)} of {number(self.after.max_points)} points "
               f"({self.by:+g}); final {' -> '.join(finals)}{late}")
        yield from (f"      {change}" for change in self.changes)

    def to_dict(self) -> dict[str, Any]:
        return {"student": self.student, "old": whole(self.before.points), "new": whole(self.after.points),
                "old_max": whole(self.before.max_points), "new_max": whole(self.after.max_points), "old_state": self.before.state,
                "new_state": self.after.state, "old_final": whole(self.before.final), "new_final": whole(self.after.final),
                "late_days": self.after.late_days, "by_hand": self.by_hand, "checks": [asdict(change) for change in self.changes]}


def _final(score: Score) -> str:
    return f"{number(round(score.final, 2))}" if score.state == "graded" else f"none yet ({score.state})"


def move(facts: Facts, old: Result | None, new: Result, assignment: Assignment, deadlines: Deadlines) -> Move:
    """What becomes of one student; `old`: the verdict that is in force on the version that counts, if there is one."""
    rows: dict[str, float | None] = {row.grade_id: None if row.state == "infra" else row.points for row in new.rows}
    kept = {name: points for name, points in facts.auto.items() if name in assignment.manual}
    later = replace(facts, points=assignment.points, manual=assignment.manual, auto=kept | rows)
    before = score(facts, deadlines)
    by_hand = {name for name, points in facts.manual_scores.items() if points is not None}
    return Move(facts.student, before, score(later, deadlines), tuple(_changes(old, new, by_hand)) if old else (),
                old is not None and before.state != INFRA, len(by_hand | facts.extra.keys()))


def _changes(old: Result, new: Result, by_hand: set[str]) -> Iterator[Change]:
    one, two = ({row.grade_id: row for row in result.rows} for result in (old, new))
    for name in [*two, *(name for name in one if name not in two)]:
        before, after = one.get(name), two.get(name)
        states, points = [row.state if row else ABSENT for row in (before, after)], [row.points if row else 0.0 for row in (before, after)]
        if states[0] != states[1] or points[0] != points[1]:
            bad, result = (after, new) if after and after.state != "passed" else (before, old)
            yield Change(name, states[0], states[1], points[0], points[1], _sentence(after or before), _why(bad),
                         result.reasons.get(name, ""), name in by_hand)


def _sentence(row: Row | None) -> str:
    return row.sentence if row else ""


def _why(row: Row | None) -> str:
    return (row.hint or row.check or row.got) if row and row.state != "passed" else ""


# ---- two assignments ---------------------------------------------------------------------------

def differences(old: Assignment, new: Assignment) -> list[str]:
    """What differs between two assignments, in words."""
    one, two = _graded(old), _graded(new)
    found = [f"{name} is new: {_worth(cell)}" for name, cell in two.items() if name not in one]
    found += [f"{name} is gone: {_worth(cell)}" for name, cell in one.items() if name not in two]
    for name, cell in two.items():
        if name in one and one[name].points != cell.points:
            found.append(f"{name} is worth {number(cell.points)}, not {number(one[name].points)}")
        if name in one and one[name].source != cell.source:
            found.append(f"{name} asks something else")
    found += ["the probes are others"] if old.probes != new.probes else []
    found += ["the answers are others"] if _answers(old) != _answers(new) else []
    found += ["the package before it is another one"] if old.package != new.package else []
    return found or ["texts or cells that are not graded"]


def _graded(assignment: Assignment) -> dict[str, Cell]:
    return {cell.grade_id: cell for cell in assignment.document.cells if cell.grade}


def _worth(cell: Cell) -> str:
    return f"{number(cell.points)} points" + (", given by a person" if cell.manual else "")


def _answers(assignment: Assignment) -> list[str]:
    marked = [(cell["metadata"].get("nbgrader", {}), cell["source"]) for cell in assignment.solved["cells"]]
    return ["".join(source) for marks, source in marked if marks.get("solution")]


# ---- all students ------------------------------------------------------------------------------

@dataclass(frozen=True)
class Outlook:
    """What a regrade would do to everybody who handed in."""

    changed: tuple[str, ...]            # of the assignment
    moves: tuple[Move, ...]
    infra: tuple[tuple[str, str], ...]  # (student, why): not judged by the new assignment
    lost: tuple[str, ...]               # points given by hand for which there would be no cell

    @property
    def moved(self) -> list[Move]:
        return [m for m in self.moves if m.moves]

    def lines(self) -> Iterator[str]:
        yield "what changed: " + "; ".join(self.changed)
        for m in self.moved:
            yield from m.lines()
        if fresh := [m.student for m in self.moves if not m.judged]:
            yield f"  not graded before (tito grade autograde does): {', '.join(fresh)}"
        yield f"  untouched: {self._untouched}"
        yield f"total: {self._count(1)} up, {self._count(-1)} down" + self._means()
        if by_hand := sum(m.by_hand for m in self.moves):
            yield f"points given by hand: {by_hand}, all of them stay as they are"
        for why in dict.fromkeys(why for _, why in self.infra):
            yield f"  NOT judged: {', '.join(student for student, reason in self.infra if reason == why)}: {why}"
        yield from (f"  would be lost: {text}" for text in self.lost)

    @property
    def _untouched(self) -> int:
        return sum(m.judged and not m.moves for m in self.moves)

    def _count(self, sign: int) -> int:
        return sum(m.by * sign > 0 for m in self.moved)

    def _means(self) -> str:
        judged = [m for m in self.moves if m.judged]
        if not judged:
            return ""
        old, new = (_mean([s.points for s in found]) for found in ([m.before for m in judged], [m.after for m in judged]))
        return f"; mean {old:.2f} -> {new:.2f} points"

    def to_dict(self) -> dict[str, Any]:
        return {"changed": list(self.changed), "moved": [m.to_dict() for m in self.moved], "untouched": self._untouched,
                "first": [m.student for m in self.moves if not m.judged], "up": self._count(1), "down": self._count(-1),
                "by_hand": sum(m.by_hand for m in self.moves), "infra": [{"student": s, "why": why} for s, why in self.infra],
                "lost": list(self.lost)}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def lost_by_hand(snapshot: Mapping[str, Mapping[str, Mapping[str, Any]]], assignment: Assignment) -> list[str]:
    """Points that a person gave for cells which an assignment does not have, by cell."""
    known = assignment.points.keys() | assignment.manual.keys()
    names = {cell["id"]: cell["name"] for cell in snapshot["base_cell"].values()}
    counts: dict[str, int] = {}
    for grade in snapshot["grade"].values():
        name = names[grade["cell_id"]]
        if name not in known and (grade["manual_score"] is not None or grade["extra_credit"] is not None):
            counts[name] = counts.get(name, 0) + 1
    return [f"{name}, which is gone: points given by hand to {count} student{'s' * (count > 1)}" for name, count in counts.items()]
