"""Grades for other programs: CSV, Canvas, Moodle and Gradescope.  Computed from the facts at each export; equal facts give equal bytes.

What the infrastructure failed on, and what waits for a person, is an empty cell: never a zero, never an earlier grade.  Work that was not
handed in is an empty cell as well, because a module that is not due yet looks the same; `zeros` makes it a 0, at the end of a term.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grading.book.facts import Facts
from grading.book.rules import GRADED, MISSING, PENDING, Score, by_student, cell_points, scores, total
from grading.result import Result
from grading.tell.shown import card_of, exact, folder, labels, legible, summary
from tito.cli.results import Report
from tito.errors import ExitCode, TitoError
from tito.journal import write_atomically

if TYPE_CHECKING:
    from grading.term import Student, Term

FORMATS = ("csv", "canvas", "moodle", "gradescope")
FORMULA = "=+-@\u2212"              # what makes a spreadsheet compute; the last is the minus sign proper
INNER = re.compile(r"""([,;|\t\r\n"])(\s*)(?=[=+\-@＝＋－＠−])""")     # where another country's spreadsheet begins a new cell
Cell = str | float | None


@dataclass(frozen=True)
class Table:
    """All that an export knows: students in order, the modules' labels, and the scores."""

    students: Mapping[str, Student]
    labels: Mapping[int, str]
    facts: Mapping[str, Mapping[int, Facts]]
    scores: Mapping[tuple[str, int], Score]
    zeros: bool = False

    def final(self, student: str, module: int) -> float | None:
        """The grade; None where there is none."""
        score = self.scores.get((student, module))
        if score is None or score.state in PENDING or score.state == MISSING and not self.zeros:
            return None
        return score.final

    def possible(self, module: int) -> float:
        return max((s.max_points for (_, number), s in self.scores.items() if number == module), default=0.0)

    def pending(self) -> list[tuple[str, int, str]]:
        """(student, module, why) of what is no grade yet."""
        return [(student, module, s.state) for (student, module), s in self.scores.items() if s.state in PENDING]


def export(term: Term, facts: Iterable[Facts], results: Mapping[tuple[str, int], Result], *, form: str = "csv", to: Path | None = None,
           only: int | None = None, zeros: bool = False, bom: bool = False) -> Report:
    """Write the grades to a folder (default: the term's exports/).  `only`: one module; `bom`: for Excel."""
    if form not in FORMATS:
        raise TitoError(f"there is no format '{form}'", why=f"there are: {', '.join(FORMATS)}", fix="tito grade export --format canvas")
    table = tabulate(term, (f for f in facts if only in (None, f.module)), zeros)
    target = to or term.path("exports")
    if form == "gradescope":
        written = _gradescope(table, results, target / form)
    else:
        rows = {"csv": _plain, "canvas": _canvas, "moodle": _moodle}[form](table)
        path = target / (f"{'grades' if form == 'csv' else form}{'' if only is None else f'-{only:02d}'}.csv")
        write_atomically(path, text(rows).encode("utf-8-sig" if bom else "utf-8"))
        written = [path]
    return _report(table, form, target, written)


def tabulate(term: Term, facts: Iterable[Facts], zeros: bool = False) -> Table:
    """The facts in order, with their scores."""
    ordered = by_student(facts)
    return Table(term.students, labels(term.course, {n for modules in ordered.values() for n in modules}), ordered,
                 scores(ordered, term.settings.deadlines), zeros)


def _plain(table: Table) -> list[list[Cell]]:
    """Everything that makes up each grade."""
    parts = ("state", "points", "extra", "late days", "final")
    rows: list[list[Cell]] = [["student", "name", "email", *(f"{label} {part}" for label in table.labels.values() for part in parts),
                               "total", "possible"]]
    for student, modules in table.facts.items():
        row: list[Cell] = [student, *_who(table, student)]
        for module in table.labels:
            row += _parts(table, student, module)
        row += [total(table.scores[student, m] for m in modules), sum(table.possible(m) for m in table.labels)]
        rows.append(row)
    return rows


def _parts(table: Table, student: str, module: int) -> list[Cell]:
    score = table.scores.get((student, module))
    if score is None or score.state != GRADED:
        return ["" if score is None else score.state, None, None, None, table.final(student, module)]
    return [score.state, score.points, score.extra, score.late_days, score.final]


def _canvas(table: Table) -> list[list[Cell]]:
    """Canvas' gradebook.  It finds a student by either SIS id, and an assignment by its title."""
    rows: list[list[Cell]] = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *table.labels.values()],
                              ["    Points Possible", None, None, None, None, *(table.possible(m) for m in table.labels)]]
    return rows + [[_who(table, s)[0] or s, None, s, s, None, *(table.final(s, m) for m in table.labels)] for s in table.facts]


def _moodle(table: Table) -> list[list[Cell]]:
    """Moodle's grade import: map "ID number" or "Email address" to the student, and each other column to the item of its name."""
    rows: list[list[Cell]] = [["ID number", "Full name", "Email address", *table.labels.values()]]
    return rows + [[s, *_who(table, s), *(table.final(s, m) for m in table.labels)] for s in table.facts]


def _who(table: Table, student: str) -> list[str]:
    known = table.students.get(student)
    return [known.name, known.email] if known else ["", ""]


def text(rows: Sequence[Sequence[Cell]]) -> str:
    """A CSV file's text (RFC 4180): numbers as numbers, and no cell that a spreadsheet would run."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerows([[_cell(cell) for cell in row] for row in rows])
    return file.getvalue()


def _cell(cell: Cell) -> str:
    return "" if cell is None else safe(cell) if isinstance(cell, str) else str(exact(cell))


def safe(cell: str) -> str:
    """The text, with an apostrophe in front of what a spreadsheet would take for a formula: also after spaces, and at a separator in it."""
    cell = INNER.sub(r"\1\2'", cell)
    first = next((c for c in cell if unicodedata.category(c)[0] not in "ZC"), "")
    return f"'{cell}" if cell[:1] in ("\t", "\r", "\n") or unicodedata.normalize("NFKC", first)[:1] in tuple(FORMULA) else cell


def _gradescope(table: Table, results: Mapping[tuple[str, int], Result], target: Path) -> list[Path]:
    """One results.json for each student and module that has a grade; an older one of a student who has none now is taken away."""
    written = []
    for student, modules in table.facts.items():
        for module, facts in modules.items():
            path = target / folder(table.labels[module]) / student / "results.json"
            final = table.final(student, module)
            if final is None:
                path.unlink(missing_ok=True)
                continue
            content = _results(facts, table.scores[student, module], results.get((student, module)))
            write_atomically(path, (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode())
            written.append(path)
    return written


def _results(facts: Facts, score: Score, result: Result | None) -> dict[str, Any]:
    """What Gradescope shows.  Its `score` stands above the sum of the tests', so the late rule and extra credit are in it."""
    rows = {row.grade_id: row for row in result.rows} if result else {}
    tests = []
    for name, most in {**facts.points, **facts.manual}.items():
        earned = cell_points(facts, name) or 0.0
        said = [text for text in (card_of(rows[name]) if name in rows else "", facts.comments.get(name)) if text]
        tests.append({"name": rows[name].sentence or name if name in rows else name, "score": exact(earned), "max_score": exact(most),
                      "status": "passed" if earned >= most else "failed", "output": legible("\n\n".join(said)), "visibility": "visible"})
    return {"score": exact(score.final), "tests": tests, "output": summary(score), "visibility": "visible", "output_format": "text",
            "test_output_format": "text", "test_name_format": "text"}


def _report(table: Table, form: str, target: Path, written: Sequence[Path]) -> Report:
    pending = table.pending()
    lines = [f"no grade  {student}  {table.labels[module]}  {why}" for student, module, why in pending]
    missing = sum(s.state == MISSING for s in table.scores.values())
    if missing:
        lines.append(f"{missing} not handed in: {'exported as 0' if table.zeros else 'left empty'}")
    if pending and form in ("canvas", "moodle"):
        lines.append("an empty cell may clear a grade that is there already: resolve these first, or take their rows out")
    what = (f"{len(written)} results in {target / form}" if form == "gradescope" else
            f"{len(table.facts)} students, {len(table.labels)} modules: {written[0]}")
    data = {"format": form, "files": [str(p) for p in written], "students": len(table.facts), "missing": missing,
            "pending": [{"student": s, "module": m, "state": why} for s, m, why in pending]}
    return Report(what, tuple(lines), data, next="tito grade report" if pending else "",
                  code=ExitCode.INFRASTRUCTURE if any(why == "infra" for *_, why in pending) else ExitCode.OK)
