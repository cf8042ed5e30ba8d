"""What a class's results say about its checks: marks, difficulty, discrimination, and who failed in the same way.  Pure functions."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grading.book.facts import Facts
from grading.book.rules import cell_points
from grading.result import Result
from tito.check.row import Row

MARKS = {"P": "passed", "A": "part of the points, given by a person", "F": "failed", "H": "hidden check failed", "E": "error",
         "T": "timeout", "U": "not written", "S": "skipped: what it uses comes first", "W": "waits for a person",
         "I": "infra: not judged", "N": "not handed in"}
LETTERS = {"passed": "P", "failed": "F", "error": "E", "timeout": "T", "skipped": "S", "infra": "I"}
WRONG = "FHETU"                 # a skipped cell is another one's mistake
UNKNOWN = "WIN"
FRACTION = re.compile(r"-?\d+\.\d+(?:[eE][+-]?\d+)?|\bnan\b|-?\binf\b")


@dataclass(frozen=True)
class Item:
    """How a class did on one cell."""

    id: str
    title: str
    letters: Mapping[str, int]          # mark -> how many
    difficulty: float | None            # the mean share of its points, from 0 (nobody) to 1 (everybody); None: nothing is known
    discrimination: float | None        # correlation of its share with that of the other cells; None: one of them is the same for all
    hint: str = ""                      # the most frequent one
    hinted: int = 0

    @property
    def wrong(self) -> int:
        return sum(self.letters.get(letter, 0) for letter in WRONG)

    @property
    def known(self) -> int:
        return sum(n for letter, n in self.letters.items() if letter not in UNKNOWN)


@dataclass(frozen=True)
class Cluster:
    """Students whose cells failed in the same way."""

    id: str
    state: str
    check: str
    got: str
    hint: str
    students: tuple[str, ...]


def mark(facts: Facts, name: str, row: Row | None, hidden: bool) -> str:
    """One cell of the heat map."""
    if facts.submitted is None:
        return "N"
    earned, most = cell_points(facts, name), facts.points.get(name, facts.manual.get(name, 0.0))
    if earned is None:
        return "W" if name in facts.manual else "I"
    if row is None or facts.manual_scores.get(name) is not None:
        return "P" if earned >= most else "A" if earned else "F"
    return "H" if hidden else "U" if row.unwritten else LETTERS[row.state]


def marks(facts: Facts, result: Result | None) -> dict[str, str]:
    """The marks of one student's cells, in the notebook's order, answers last."""
    rows = {row.grade_id: row for row in result.rows} if result else {}
    hidden = result.reasons if result else {}
    return {name: mark(facts, name, rows.get(name), name in hidden) for name in (*facts.points, *facts.manual)}


def items(facts: Sequence[Facts], results: Sequence[Result | None], table: Sequence[Mapping[str, str]]) -> list[Item]:
    """Every cell of a module, in the notebook's order.  `table`: each student's marks."""
    names = dict.fromkeys(name for one in facts for name in (*one.points, *one.manual))
    shares = [_shares(one) for one in facts]
    totals = [sum(have.values()) for have in shares]
    rows: dict[str, list[Row]] = {name: [] for name in names}
    for result in results:
        for row in result.rows if result else ():
            rows.setdefault(row.grade_id, []).append(row)
    return [_item(name, rows[name], Counter(m[name] for m in table if name in m),
                  [(have[name], total - have[name]) for have, total in zip(shares, totals, strict=True) if name in have]) for name in names]


def _item(name: str, rows: Sequence[Row], letters: Counter[str], shares: Sequence[tuple[float, float]]) -> Item:
    hints = Counter(row.hint for row in rows if row.hint and row.state in ("failed", "error", "timeout"))
    hint, hinted = min(hints.items(), key=lambda pair: (-pair[1], pair[0]), default=("", 0))
    return Item(name, next((row.sentence for row in rows if row.sentence), ""), dict(letters),
                statistics.fmean(own for own, _ in shares) if shares else None, _correlation(shares), hint, hinted)


def _shares(facts: Facts) -> dict[str, float]:
    """cell -> the share of its points, where that is known and it has any."""
    cells = {**facts.points, **facts.manual}
    found = {name: cell_points(facts, name) for name, most in cells.items() if most > 0} if facts.submitted else {}
    return {name: earned / cells[name] for name, earned in found.items() if earned is not None}


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    try:
        return statistics.correlation([own for own, _ in pairs], [rest for _, rest in pairs])
    except statistics.StatisticsError:              # fewer than two students, or all alike
        return None


def clusters(results: Iterable[Result]) -> list[Cluster]:
    """Failures that at least two students share, the most frequent first; hidden ones by the instructor's reason."""
    groups: dict[tuple[str, str, str, str, str], set[str]] = {}
    for result in results:
        for row in result.rows:
            reason = result.reasons.get(row.grade_id, "")
            if row.state in ("failed", "error", "timeout") and not row.unwritten:
                state, got = ("hidden check", alike(reason)) if reason else (row.state, alike(row.got))
                groups.setdefault((row.grade_id, state, row.check, got, row.hint), set()).add(result.student)
    found = [Cluster(*key, tuple(sorted(students))) for key, students in groups.items() if len(students) > 1]
    return sorted(found, key=lambda c: (-len(c.students), c.id, c.state, c.check, c.got, c.hint))


def alike(text: str) -> str:
    """A text without what differs by chance: spaces, and digits of a fraction beyond the third."""
    return " ".join(FRACTION.sub(lambda found: f"{float(found[0]):.3g}", text).split())


def bins(shares: Iterable[float]) -> list[tuple[str, int]]:
    """How many scores lie in each tenth of the maximum; above it, where there is such a score."""
    found = Counter(10 if share > 1 + 1e-9 else min(9, int(share * 10 + 1e-9)) for share in shares)
    tenths = [(f"{10 * k}–{10 * k + 10} %" if k == 9 else f"{10 * k}–{10 * k + 9} %", found[k]) for k in range(10)]
    return [*tenths, ("over 100 %", found[10])] if found[10] else tenths
