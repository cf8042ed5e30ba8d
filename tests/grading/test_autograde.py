"""Autograding: what is judged anew and what is not, what an instructor is told, and that a run may be stopped at any line."""

from __future__ import annotations

import hashlib
import json
import math
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from grading.assignment import Assignment, Notebook
from grading.intake.versions import Version, receive
from grading.result import Result
from grading.run.autograde import Record, autograde
from grading.run.jobs import Job, Work
from grading.sandbox import choose
from grading.sandbox.plain import Plain
from grading.term import Term
from tests.grading import small
from tests.grading.clusters import needs_bubblewrap
from tests.grading.desk import Here
from tito.check.row import Row
from tito.cli.results import Report
from tito.course import Course
from tito.errors import ExitCode, TitoError

WRONG = "#| export\ndef mix(a, b, share):\n    return share * a\n"
MONDAY = datetime(2027, 1, 18, 12, tzinfo=UTC)


def marked(job: Job) -> dict[str, Any]:
    """A verdict that follows from the notebook's text alone, without running it."""
    paper = json.loads(job["paper"])
    cells = [cell for cell in job["cells"] if cell["grade"] and not cell["solution"]]
    digest = hashlib.sha256(json.dumps(job["cells"], sort_keys=True).encode()).digest()
    rows = tuple(Row("passed" if digest[n] % 2 else "failed", cell["grade_id"], cell["points"] * (digest[n] % 2), cell["points"])
                 for n, cell in enumerate(cells))
    return Result(job["student"], paper["number"], job["version"], paper["digest"], job["key"], rows, tuple(job["repairs"]),
                  sandbox=paper["sandbox"]).to_dict()


def failing(job: Job) -> dict[str, Any]:
    if job["student"] == "ben":
        raise OSError("no room in /tmp")
    return marked(job)


class Book:
    """A gradebook in memory; `away`: how often it does not answer."""

    def __init__(self, away: int = 0):
        self.points: dict[tuple[str, str], tuple[str, str, float]] = {}
        self.changes, self.away = 0, away

    @contextmanager
    def __call__(self, term: Term) -> Iterator[Record]:
        self._answer()
        yield self._enter

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise TitoError("the gradebook cannot be used", why="connection refused", fix="start it", code=ExitCode.INFRASTRUCTURE)

    def _enter(self, assignment: Assignment, version: Version, result: Result) -> None:
        self._answer()
        entry = (result.key, result.state, result.points)
        where = (version.student, assignment.folder)
        assert result.student == version.student and result.version == version.sha256
        self.changes += self.points.get(where) != entry
        self.points[where] = entry


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A term in which three students handed in all modules."""
    root = tmp_path_factory.mktemp("template")
    term = small.write_term(root)
    for module in term.course.modules:
        assignment = Assignment.current(term, module)
        hand_in(term, "ada", module.number, small.answered(assignment))
        hand_in(term, "ben", module.number, small.unanswered(assignment))
        hand_in(term, "cleo", module.number, small.answered(assignment, mix=WRONG))
    return root


@pytest.fixture
def term(template: Path, tmp_path: Path) -> Term:
    shutil.copytree(template, tmp_path / "copy", ignore=shutil.ignore_patterns("tito"))
    return Term.open(Course(next(path.parent for path in (tmp_path / "copy").glob("*/settings.ini"))))


def hand_in(term: Term, student: str, number: int, notebook: Notebook, when: datetime = MONDAY) -> None:
    receive(term, student, term.course.module(str(number)), small.packed(notebook), when, "test")


def run(term: Term, book: Book | None = None, work: Work = marked, **more: Any) -> tuple[Report, Here]:
    jobs = more.pop("jobs", Here())
    options = {"sandbox": Plain(), "progress": lambda *_: None, "outage": 0.5, **more}
    return autograde(term, options.pop("modules", term.course.modules), jobs=jobs, work=work, recorder=book or Book(), **options), jobs


# ---- what is judged --------------------------------------------------------------------------------

def test_everything_is_judged_once_and_recorded(term: Term) -> None:
    book, seen = Book(), []
    report, jobs = run(term, book, progress=lambda *words: seen.append(words))
    assert report.code is ExitCode.OK and report.what.startswith("9 submissions: 9 judged") and "none" in report.what
    assert report.data["states"] == {"graded": 9} and report.data["sandbox"] == "none" and report.data["jobs"] == "here"
    assert sum(report.data["cells"].values()) == 12 and report.data["per_second"] > 0
    assert len(book.points) == 9 and book.changes == 9
    assert [done for done, _, _ in seen] == list(range(10)) and {total for _, total, _ in seen} == {9}
    again, jobs = run(term, book)
    assert jobs.done == [] and book.changes == 9 and again.data["known"] == 9 and "9 known" in again.what


def test_a_result_is_on_disk_before_it_is_recorded(term: Term) -> None:
    class Looking(Book):
        def _enter(self, assignment: Assignment, version: Version, result: Result) -> None:
            assert Result.load(term.path("results", assignment.folder, version.student, f"{result.key}.json")) == result
            super()._enter(assignment, version, result)
    assert run(term, Looking())[0].data["judged"] == 9


def test_only_what_is_new_is_judged_again(term: Term) -> None:
    book = Book()
    run(term, book)
    module = term.course.modules[2]
    hand_in(term, "cleo", 3, small.answered(Assignment.current(term, module)), MONDAY.replace(hour=13))
    before = dict(book.points)
    report, jobs = run(term, book)
    assert jobs.done == ["cleo"] and report.data["judged"] == 1
    assert {where for where in before if before[where] != book.points[where]} == {("cleo", "03_mixing")}


@pytest.mark.parametrize("harm", ["torn", "empty", "gone", "of another key", "infra"])
def test_a_result_that_does_not_stand_is_made_again(term: Term, harm: str) -> None:
    book = Book()
    run(term, book)
    path = next(term.path("results", "01_counting", "ada").glob("*.json"))
    right = path.read_bytes()
    facts = json.loads(right)
    if harm == "gone":
        path.unlink()
    else:
        facts["rows"][0]["state"] = "infra"
        path.write_bytes({"torn": right[:99], "empty": b"", "of another key": right.replace(facts["key"].encode(), b"0" * 16),
                          "infra": json.dumps(facts).encode()}[harm])
    _, jobs = run(term, book)
    assert jobs.done == ["ada"] and path.read_bytes() == right and book.changes == 9


def test_force_judges_what_is_known(term: Term) -> None:
    book = Book()
    run(term, book)
    report, jobs = run(term, book, force=True)
    assert len(jobs.done) == 9 and report.data["known"] == 0 and book.changes == 9


def test_some_students_and_some_modules(term: Term) -> None:
    book = Book()
    report, _ = run(term, book, students={"ada", "nobody"}, modules=term.course.modules[:2])
    assert sorted(book.points) == [("ada", "01_counting"), ("ada", "02_scaling")] and report.data["submissions"] == 2


def test_nothing_to_do_says_what_comes_first(term: Term) -> None:
    report, _ = run(term, students={"nobody"})
    assert report.code is ExitCode.OK and report.next == "tito grade collect"


# ---- what goes wrong -------------------------------------------------------------------------------

def test_what_cannot_be_judged_is_told_and_tried_again(term: Term) -> None:
    book = Book()
    report, _ = run(term, book, failing)
    assert report.code is ExitCode.INFRASTRUCTURE and report.data["states"] == {"graded": 6, "infra": 3}
    assert report.data["infra"][0] == {"student": "ben", "module": "01 counting", "why": "OSError: no room in /tmp"}
    assert "3 could NOT be judged" in report.what and any("not judged: ben, 01 counting: OSError" in line for line in report.lines)
    assert report.next == "tito grade autograde" and book.points["ben", "01_counting"][1:] == ("infra", 0.0)
    report, jobs = run(term, book)
    assert jobs.done == ["ben"] * 3 and report.code is ExitCode.OK and book.points["ben", "01_counting"][1] == "graded"


@pytest.mark.parametrize("known", [False, True])
def test_a_damaged_version_is_one_submissions_matter(term: Term, known: bool) -> None:
    book = Book()
    if known:
        run(term, book)
    before = dict(book.points)
    path = next(term.path("versions", "ada", "01_counting").glob("*.ipynb"))
    path.write_bytes(b"{}")
    report, _ = run(term, book)
    assert report.code is ExitCode.INFRASTRUCTURE and [i["student"] for i in report.data["infra"]] == ["ada"]
    assert "content is not that of its name" in report.data["infra"][0]["why"]
    assert book.points.get(("ada", "01_counting")) == before.get(("ada", "01_counting"))           # no zero, nothing lost
    assert sum(state == "graded" for _, state, _ in book.points.values()) == 9 - (not known)


def test_a_gradebook_that_comes_back_is_waited_for(term: Term) -> None:
    book = Book(away=2)
    report, _ = run(term, book, outage=10.0)
    assert report.code is ExitCode.OK and book.changes == 9


def test_a_gradebook_that_stays_away_ends_the_run_and_no_verdict_is_lost(term: Term) -> None:
    class Short(Book):
        def _enter(self, *of: Any) -> None:
            if self.changes == 4:
                self.away = 10 ** 6
            super()._enter(*of)
    book = Short()
    with pytest.raises(TitoError) as error:
        run(term, book, outage=0.2)
    assert error.value.code is ExitCode.INFRASTRUCTURE and "the verdicts so far are kept" in error.value.fix
    whole = Book()
    report, jobs = run(term, whole)
    assert len(jobs.done) == 4 and report.data["known"] == 5 and len(whole.points) == 9


def test_a_mistake_in_recording_is_not_waited_for(term: Term) -> None:
    @contextmanager
    def unknown(term: Term) -> Iterator[Record]:
        raise TitoError("the gradebook does not know 01", fix="tito grade generate 01", code=ExitCode.INTEGRITY)
        yield
    with pytest.raises(TitoError, match="does not know"):
        run(term, unknown, outage=60.0)        # type: ignore[arg-type]


def test_two_at_once_are_refused(term: Term) -> None:
    with term.lock(), pytest.raises(TitoError, match="another tito grade"):
        run(term)


def test_repairs_are_told_of_each_student(term: Term) -> None:
    assignment = Assignment.current(term, term.course.modules[0])
    notebook = small.answered(assignment)
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") != "test-mean"]
    hand_in(term, "ada", 1, notebook, MONDAY.replace(hour=13))
    report, _ = run(term)
    assert [(r["student"], r["module"]) for r in report.data["repaired"]] == [("ada", "01 counting")]
    assert any("repaired: ada, 01 counting" in line for line in report.lines)


# ---- stopped at any line ---------------------------------------------------------------------------

class Stop(BaseException):
    """As if the process were killed here."""


KEEPING = ("grading.run.autograde", "grading.result", "tito.journal")
RECORDING = (*KEEPING, "grading.book.record", "grading.book.rows", "grading.book.gradebook")


def stopped(run: Callable[[], object], after: float, names: tuple[str, ...] = KEEPING) -> list[tuple[str, int]]:
    """Run, stopped before the so manieth line of these modules; the lines that were run."""
    watched = {sys.modules[name].__file__ for name in names}
    lines: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in watched:
            return None
        if event == "line":
            if len(lines) >= after:
                sys.settrace(None)
                raise Stop
            lines.append((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except Stop:
        pass
    finally:
        sys.settrace(before)
    return lines


def kept(term: Term) -> dict[str, bytes]:
    """All results, byte for byte."""
    return {path.relative_to(term.folder).as_posix(): path.read_bytes() for path in term.path("results").rglob("*") if path.is_file()}


def test_a_run_that_is_stopped_at_any_line_is_finished_by_the_next(term: Term) -> None:
    only: dict[str, Any] = {"modules": term.course.modules[:1], "students": {"ada", "ben"}}
    undisturbed = Book()
    lines = stopped(lambda: run(term, undisturbed, **only), math.inf)
    wanted = kept(term)
    first, last = {line: n for n, line in reversed([*enumerate(lines)])}, {line: n for n, line in enumerate(lines)}
    assert len(wanted) == 2 and len(first) > 50
    for after in sorted({*first.values(), *last.values()}):
        shutil.rmtree(term.path("results"), ignore_errors=True)
        book, jobs = Book(), Here()
        assert len(stopped(lambda: run(term, book, jobs=jobs, **only), after)) == after     # noqa: B023  # called at once
        resumed, judged = len(jobs.done), len(kept(term))
        assert all(undisturbed.points[where] == entry for where, entry in book.points.items())
        report, _ = run(term, book, jobs=jobs, **only)
        assert report.code is ExitCode.OK and kept(term) == wanted
        assert book.points == undisturbed.points and book.changes == 2                      # none lost, none doubled, none wrong
        assert len(jobs.done) - resumed <= 2 and judged <= resumed


# ---- the real gradebook, the real judge ------------------------------------------------------------

def dump(term: Term) -> list[tuple[Any, ...]]:
    """Every grade of the gradebook, and every row of ours."""
    from sqlalchemy import create_engine, text
    engine = create_engine(term.database)
    handed_in = "submitted_assignment s JOIN assignment a ON a.id = s.assignment_id"
    queries = (f"SELECT s.student_id, a.name, c.name, g.auto_score, g.manual_score, g.needs_manual_grade FROM {handed_in} "
               "JOIN submitted_notebook n ON n.assignment_id = s.id JOIN grade g ON g.notebook_id = n.id "
               "JOIN base_cell c ON c.id = g.cell_id",
               f"SELECT s.student_id, a.name, count(*) FROM {handed_in} GROUP BY 1, 2",
               f"SELECT s.student_id, r.key, r.version, r.assignment, r.state FROM {handed_in} "
               "JOIN submitted_notebook n ON n.assignment_id = s.id JOIN tinytorch_recorded r ON r.id = n.id")
    try:
        with engine.connect() as connection:
            return sorted((tuple(row) for query in queries for row in connection.execute(text(query))), key=repr)
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def generated(template: Path) -> Path:
    from grading.author.generate import generate
    term = Term.open(Course(next(path.parent for path in template.glob("*/settings.ini"))))
    generate(term, term.course.modules, progress=lambda *_: None)
    return template


@pytest.fixture
def real(generated: Path, term: Term) -> Term:
    return term


def graded(term: Term, **more: Any) -> Report:
    options: dict[str, Any] = {"jobs": Here(), "sandbox": Plain(), "progress": lambda *_: None, **more}
    return autograde(term, term.course.modules, **options)


@needs_bubblewrap
def test_the_whole_of_it_in_a_sandbox_and_in_the_gradebook(real: Term) -> None:
    sandbox = choose(real.settings.grading)
    report = graded(real, sandbox=sandbox)
    assert report.code is ExitCode.OK and report.data["states"] == {"graded": 9} and report.data["sandbox"] == sandbox.name
    points = {(row[0], row[2]): row[3] for row in dump(real) if len(row) == 6}
    assert [points["ada", name] for name in ("test-total", "test-mean", "test-scale", "test-mix")] == [6, 4, 10, 10]
    assert [points["ben", name] for name in ("test-total", "test-mean", "test-scale", "test-mix")] == [0, 0, 0, 0]
    assert [points["cleo", name] for name in ("test-total", "test-mean", "test-scale", "test-mix")] == [6, 4, 10, 0]
    before = dump(real)
    assert graded(real, sandbox=sandbox).data["known"] == 9 and dump(real) == before


def test_the_real_gradebook_after_stops_here_and_there(real: Term, generated: Path) -> None:
    graded(real, work=marked)
    wanted, results = dump(real), kept(real)
    assert len(results) == 9

    def anew() -> None:
        shutil.rmtree(real.path("results"))
        shutil.rmtree(real.path("autograded"))
        shutil.copy(generated.joinpath(real.folder.name, "gradebook.db"), real.path("gradebook.db"))

    anew()
    lines = stopped(lambda: graded(real, work=marked), math.inf, RECORDING)
    for after in sorted(random.Random(7).sample(range(len(lines)), 12)):
        anew()
        assert len(stopped(lambda: graded(real, work=marked), after, RECORDING)) == after       # noqa: B023
        assert graded(real, work=marked).code is ExitCode.OK
        assert dump(real) == wanted and kept(real) == results


def test_an_unjudged_submission_has_no_points_in_the_gradebook(real: Term) -> None:
    assert graded(real, work=marked).code is ExitCode.OK
    assert graded(real, work=failing, force=True).code is ExitCode.INFRASTRUCTURE
    rows = [row for row in dump(real) if len(row) == 6 and row[0] == "ben" and row[2].startswith("test-")]
    assert len(rows) == 4 and all(row[3] is None for row in rows)
    assert graded(real, work=marked).data["judged"] == 3
    assert all(row[3] is not None for row in dump(real) if len(row) == 6 and row[2].startswith("test-"))
