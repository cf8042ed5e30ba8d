"""A page for each student and module: points, cards, answers and comments, and how to go on.  Nothing that is hidden is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grading.book.facts import Facts
from grading.book.rules import GRADED, INFRA, MISSING, WAITING, Score, accepted_until, by_student, cell_points, score
from grading.result import Result
from grading.run.judge import HIDDEN
from grading.tell import shown
from tito.cells import Cell, read_notebook
from tito.check.row import Row, short_heading
from tito.cli.results import Report
from tito.errors import TitoError
from tito.journal import write_atomically

if TYPE_CHECKING:
    from grading.term import Term

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Check:
    """One automatic cell on the page."""

    place: int              # on the page, from 1
    id: str
    title: str
    state: str              # in words
    kind: str               # for the style
    points: float | None
    most: float
    card: str
    person: bool            # a person gave the points
    comment: str


@dataclass(frozen=True)
class Answer:
    """One written answer on the page."""

    id: str
    title: str
    points: float | None
    most: float
    text: str
    comment: str


def feedback(term: Term, facts: Iterable[Facts], results: Mapping[tuple[str, int], Result], *,
             progress: Progress = lambda done, total, what: None) -> Report:
    """Write the page of everything that was handed in, to feedback/STUDENT/NN_name.html."""
    ordered = [f for modules in by_student(facts).values() for f in modules.values()]
    handed_in = [f for f in ordered if f.submitted]
    names = shown.labels(term.course, {f.module for f in ordered})
    states: dict[str, int] = {}
    for done, one in enumerate(handed_in, 1):
        found = score(one, term.settings.deadlines)
        states[found.state] = states.get(found.state, 0) + 1
        path = term.path("feedback", one.student, f"{shown.folder(names[one.module])}.html")
        write_atomically(path, render(term, one, found, results.get((one.student, one.module)), names[one.module]))
        progress(done, len(handed_in), f"{one.student} {names[one.module]}")
    states[MISSING] = len(ordered) - len(handed_in)
    lines = [f"{n:4d}  {text}" for state, text in SAID.items() if (n := states.get(state, 0))]
    return Report(f"{shown.count(len(handed_in), 'page')} in {term.path('feedback')}", tuple(lines),
                  {"pages": len(handed_in), "states": {state: states.get(state, 0) for state in SAID}},
                  next="tito grade autograde" if states.get(INFRA) else "tito grade formgrader" if states.get(WAITING) else "")


SAID = {GRADED: "are graded", WAITING: "wait for a person to grade an answer", INFRA: "were not judged, and say so",
        MISSING: "not handed in: no page"}


def render(term: Term, facts: Facts, found: Score, result: Result | None, label: str) -> bytes:
    """One page's bytes: the same for the same facts, result and notebook."""
    rules, cells = term.settings.deadlines, _cells(term, facts, shown.folder(label))
    person = term.students.get(facts.student)
    rows = {row.grade_id: row for row in result.rows} if result else {}
    checks = [_check(place, facts, name, rows.get(name)) for place, name in enumerate(facts.points, 1)]
    answers = [_answer(facts, name, most, cells.get(name)) for name, most in facts.manual.items()]
    told = {*facts.points, *facts.manual}
    return shown.page(
        "feedback.html", course=term.settings.course, student=facts.student, name=person.name if person else "", label=label,
        number=f"{facts.module:02d}", score=found, rules=rules, facts=facts, checks=checks, answers=answers,
        submitted=shown.when(facts.submitted, rules.timezone), due=shown.when(facts.due, rules.timezone),
        until=shown.when(facts.until, rules.timezone), last=shown.when(accepted_until(facts, rules), rules.timezone),
        repairs=result.repairs if result else (), troubles=result.troubles if result else (),
        comments={name: said for name, said in facts.comments.items() if name not in told and said},
        first=next((c for c in checks if c.kind not in ("passed", "skipped", "infra") and not c.person), None),
        passed=all(c.kind == "passed" for c in checks), hidden=any(c.kind == "hidden" for c in checks),
        waits=sum(a.points is None for a in answers))


def _check(place: int, facts: Facts, name: str, row: Row | None) -> Check:
    earned, most = cell_points(facts, name), facts.points[name]
    person = facts.manual_scores.get(name) is not None
    kind = _kind(row) if row else "infra" if earned is None else "passed" if earned >= most else "failed"
    said = {"hidden": f"failed, {HIDDEN}", "infra": "not judged yet", "unwritten": "not written yet"}.get(kind, kind)
    title, card = (row.sentence or name, shown.card_of(row)) if row else (name, "")
    return Check(place, name, title, said, kind, earned, most, card, person, facts.comments.get(name, ""))


def _kind(row: Row) -> str:
    return "hidden" if row.check == HIDDEN and row.state == "failed" else "unwritten" if row.unwritten else row.state


def _answer(facts: Facts, name: str, most: float, cell: Cell | None) -> Answer:
    title = short_heading(cell.heading) if cell and cell.heading else name
    return Answer(name, title, cell_points(facts, name), most, cell.source if cell else "", facts.comments.get(name, ""))


def _cells(term: Term, facts: Facts, folder: str) -> dict[str, Cell]:
    """The written answers as they were graded: of the repaired notebook, else of the one handed in; nothing where neither can be read."""
    for kind in ("autograded", "submitted"):
        for path in sorted(term.path(kind, facts.student, folder).glob("*.ipynb")):
            try:
                return {cell.grade_id: cell for cell in read_notebook(path).cells if cell.grade_id in facts.manual}
            except (TitoError, OSError, ValueError, TypeError, AttributeError):
                continue                            # a damaged file has no answers to show; the points are still there
    return {}
