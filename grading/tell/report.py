"""The instructor's page: how a class stands, which checks fail, who failed alike, and what waits for a person.  One file, read offline."""

from __future__ import annotations

import base64
import hashlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grading.book.facts import Facts
from grading.book.rules import GRADED, INFRA, MISSING, WAITING, Score, by_student, scores, waiting
from grading.result import Result
from grading.tell import analysis, shown
from tito.cli.results import Report
from tito.journal import write_atomically

if TYPE_CHECKING:
    from markupsafe import Markup

    from grading.term import Term

CLUSTERS = 40               # of a module: those of the fewest students are left out, and counted
STATES = {GRADED: "graded", WAITING: "wait", INFRA: "infra", MISSING: "not handed in"}


@dataclass(frozen=True)
class Line:
    """One student's row of a module's heat map."""

    student: str
    name: str
    grade: str
    order: float                # by which it sorts
    cells: Markup


@dataclass(frozen=True)
class Part:
    """One module's section."""

    label: str
    id: str
    states: Mapping[str, int]
    late: int
    handed_in: int
    median: float | None        # of the grades, as shares of the maximum
    lines: Sequence[Line]
    items: Sequence[analysis.Item]
    clusters: Sequence[analysis.Cluster]
    left_out: int
    histogram: Mapping[str, Any]


@dataclass(frozen=True)
class Class:
    """All that the page is made from."""

    term: Term
    facts: Mapping[str, Mapping[int, Facts]]
    scores: Mapping[tuple[str, int], Score]
    results: Mapping[tuple[str, int], Result]
    labels: Mapping[int, str]

    def name(self, student: str) -> str:
        return self.term.students[student].name if student in self.term.students else ""

    def of(self, module: int) -> list[Facts]:
        return [modules[module] for modules in self.facts.values() if module in modules]

    def each(self, *states: str) -> list[tuple[Facts, Score]]:
        """Facts in these states, by module, then student."""
        return [(f, self.scores[f.student, m]) for m in self.labels for f in self.of(m) if self.scores[f.student, m].state in states]


def report(term: Term, facts: Iterable[Facts], results: Mapping[tuple[str, int], Result], *, to: Path | None = None,
           only: int | None = None) -> Report:
    """Write the page (default: the term's reports/report.html).  `only`: one module."""
    ordered = by_student(f for f in facts if only in (None, f.module))
    whole = Class(term, ordered, scores(ordered, term.settings.deadlines), results,
                  shown.labels(term.course, {n for modules in ordered.values() for n in modules}))
    path = to or term.path("reports", "report.html" if only is None else f"report-{only:02d}.html")
    parts = [_part(whole, module) for module in whole.labels]
    write_atomically(path, _page(whole, parts))
    states = {state: len(whole.each(state)) for state in STATES}
    lines = [f"{part.label}  {part.handed_in} handed in, {part.states[GRADED]} graded, {part.states[WAITING]} wait for a person, "
             f"{part.states[INFRA]} not judged, {part.late} late" for part in parts]
    return Report(str(path), tuple(lines), {"file": str(path), "students": len(ordered), "states": states},
                  next="tito grade autograde" if states[INFRA] else "tito grade formgrader" if states[WAITING] else "")


def _page(whole: Class, parts: Sequence[Part]) -> bytes:
    script = (shown.PAGES / "report.js").read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return shown.page("report.html", course=whole.term.settings.course, parts=parts, students=len(whole.facts), script=script,
                      digest=digest, marks=analysis.MARKS, infra=_infra(whole), waits=_waiting(whole), late=_late(whole),
                      missing=_missing(whole), repairs=_repairs(whole), hidden=_hidden(whole))


def _part(whole: Class, module: int) -> Part:
    facts = whole.of(module)
    results = [whole.results.get((f.student, module)) if f.submitted else None for f in facts]
    marks = [analysis.marks(f, r) for f, r in zip(facts, results, strict=True)]
    found = [whole.scores[f.student, module] for f in facts]
    items = analysis.items(facts, results, marks)
    clusters = analysis.clusters(r for r in results if r)
    grades = [s.final / s.max_points for s in found if s.state == GRADED and s.max_points]
    states = {state: sum(s.state == state for s in found) for state in STATES}
    return Part(whole.labels[module], f"m{module:02d}", states, sum(s.late_days > 0 for s in found), len(found) - states[MISSING],
                statistics.median(grades) if grades else None,
                [_line(whole, f, s, m, items) for f, s, m in zip(facts, found, marks, strict=True)],
                items, clusters[:CLUSTERS], max(0, len(clusters) - CLUSTERS), _histogram(grades))


def _line(whole: Class, facts: Facts, score: Score, marks: Mapping[str, str], items: Sequence[analysis.Item]) -> Line:
    from markupsafe import Markup
    grade = str(shown.exact(score.final)) if score.state == GRADED else STATES[score.state]
    cells = "".join(f'<td class="{m}">{m}</td>' if (m := marks.get(item.id)) else "<td></td>" for item in items)
    return Line(facts.student, whole.name(facts.student), grade, score.final if score.state == GRADED else -1.0, Markup(cells))


def _histogram(grades: Sequence[float]) -> dict[str, Any]:
    """Bars of a drawing 640 wide and 200 high."""
    bins = analysis.bins(grades)
    most, step = max([1, *(n for _, n in bins)]), 640 / len(bins)
    bars = [{"label": label, "n": n, "x": round(k * step + 3, 1), "width": round(step - 6, 1), "height": round(140 * n / most, 1),
             "middle": round((k + 0.5) * step, 1), "y": round(165 - 140 * n / most, 1)} for k, (label, n) in enumerate(bins)]
    return {"bars": bars, "count": len(grades)}


def _infra(whole: Class) -> list[tuple[str, str, str]]:
    """(module, student, what the machine said)."""
    return [(whole.labels[f.module], f.student, _problem(whole.results.get((f.student, f.module)))) for f, _ in whole.each(INFRA)]


def _problem(result: Result | None) -> str:
    if result is None:
        return "there is no result yet"
    return next((row.got or row.hint for row in result.rows if row.state == "infra"), "" if result.rows else "the result has no rows")


def _waiting(whole: Class) -> list[tuple[str, str, str]]:
    """(module, student, answers)."""
    return [(whole.labels[f.module], f.student, ", ".join(found)) for f, _ in whole.each(*STATES) if (found := waiting(f))]


def _late(whole: Class) -> list[tuple[str, str, str, str, int, float]]:
    """(module, student, handed in, extension, days, share): all that is late, and all who have an extension."""
    zone = whole.term.settings.deadlines.timezone
    return [(whole.labels[f.module], f.student, shown.when(f.submitted, zone), shown.when(f.until, zone), s.late_days, s.share)
            for f, s in whole.each(GRADED, WAITING, INFRA) if s.late_days or f.until]


def _missing(whole: Class) -> list[tuple[str, list[str]]]:
    """(module, students)."""
    found = [(label, [f.student for f in whole.of(module) if f.submitted is None]) for module, label in whole.labels.items()]
    return [(label, students) for label, students in found if students]


def _repairs(whole: Class) -> list[tuple[str, str, tuple[str, ...]]]:
    """(module, student, repairs)."""
    return [(whole.labels[f.module], f.student, result.repairs) for f, _ in whole.each(GRADED, WAITING, INFRA)
            if (result := whole.results.get((f.student, f.module))) and result.repairs]


def _hidden(whole: Class) -> list[tuple[str, str, str, list[str]]]:
    """(module, check, reason, students): cells that passed before the eyes of the student, and not behind them."""
    groups: dict[tuple[int, str, str], list[str]] = {}
    for f, _ in whole.each(GRADED, WAITING, INFRA):
        result = whole.results.get((f.student, f.module))
        for name, reason in result.reasons.items() if result else ():
            groups.setdefault((f.module, name, reason), []).append(f.student)
    ordered = sorted(groups.items(), key=lambda pair: (pair[0][0], pair[0][1], -len(pair[1]), pair[0][2]))
    return [(whole.labels[module], name, reason, students) for (module, name, reason), students in ordered]
