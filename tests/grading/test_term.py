"""A whole small term at the command line: three modules, twelve students, lateness, an extension, written answers, a regrade, no leak."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grading.assignment import Assignment
from grading.sandbox import named
from grading.term import Term
from tests.grading.small import answered, packed, unanswered, write_course
from tito.cli import main
from tito.course import Course

pytestmark = pytest.mark.skipif(bool(named("bubblewrap").works()), reason="the term is graded in bubblewrap")
CANARY = "kanarienvogel"                                # stands in every hidden part
WHO = [f"s{k:02d}" for k in range(1, 13)]
ROSTER = "id,name,email,aliases\n" + "".join(f'{who},"Student, {who.upper()} é",{who}@example.org,\n' for who in WHO)
NO_EMPTY = "def total(numbers):\n    found = numbers[0]\n    for n in numbers[1:]:\n        found += n\n    return found"
ESSAY = "When a few numbers are far away. =1+1 <script>alert(1)</script>"


@dataclass
class Desk:
    """An instructor at a terminal in the course's folder."""

    course: Course
    capture: pytest.CaptureFixture[str]
    said: list[str]

    @property
    def term(self) -> Term:
        return Term.open(self.course)

    def tito(self, *words: str, code: int = 0) -> dict[str, Any]:
        """What `tito grade … --json` says; and once more as a person would read it, where that changes nothing."""
        self.capture.readouterr()
        assert main(["grade", *words, "--json"]) == code, self.capture.readouterr()
        out = self.capture.readouterr()
        self.said += [out.out, out.err]
        return dict(json.loads(out.out))

    def grades(self) -> dict[str, dict[str, str]]:
        self.tito("export")
        with self.term.path("exports", "grades.csv").open(encoding="utf-8", newline="") as file:
            return {row["student"]: row for row in csv.DictReader(file)}

    def final(self, module: str) -> dict[str, str]:
        return {who: row[f"{module} final"] for who, row in self.grades().items()}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    course = write_course(tmp_path / "a course é")
    for module in course.modules:
        for path, old in ((module.source, "### BEGIN SOLUTION\n"), (module.folder / "probes.py", "tinytorch, rng):\n")):
            text = path.read_text(encoding="utf-8")
            hidden = f"    # {CANARY}\n" + f"    hidden = '{CANARY}'\n" * (path.name == "probes.py")
            path.write_text(text.replace(old, old + hidden), encoding="utf-8")
    monkeypatch.chdir(course.root)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")      # the course's clock is the settings' own
    if hasattr(time, "tzset"):
        time.tzset()
    yield Desk(course, capsys, [])
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


def handed_in(desk: Desk, number: int, works: dict[str, bytes], received: str) -> dict[str, Any]:
    folder = desk.course.root.parent / f"handed in {number} {received[:10]}"
    module = desk.course.module(str(number))
    for who, work in works.items():
        (folder / who / module.folder.name).mkdir(parents=True)
        (folder / who / module.folder.name / module.notebook.name).write_bytes(work)
    return desk.tito("collect", str(folder), "--received", received)


def essay(assignment: Assignment, **answers: str) -> bytes:
    return packed(answered(assignment, why_mean=ESSAY, **answers))


def test_a_term(desk: Desk) -> None:
    desk.tito("autograde", code=3)                      # before there is a term: what to do is said
    desk.tito("init")
    desk.term.path("students.csv").write_text(ROSTER, encoding="utf-8")
    desk.term.path("extensions.csv").write_text("student,module,until,reason\ns03,01,2027-01-20 18:00,ill\n", encoding="utf-8")
    desk.tito("generate")
    edition = desk.course.root.parent / "edition"
    desk.tito("release", "--to", str(edition), "--untried")
    one, two, three = (Assignment.current(desk.term, m) for m in desk.course.modules)

    # ---- module 01: in time, late, with an extension, far too late, wrong, empty-handed, only known answers
    in_time = {"s01": essay(one), "s02": packed(one.solved), "s05": essay(one, total=NO_EMPTY), "s06": packed(unanswered(one)),
               "s07": essay(one, mean="def mean(numbers):\n    return {3: 3.0}[len(numbers)]"), "s08": b"{broken", "s09": essay(one),
               "s10": essay(one, total="def total(numbers):\n    return float(sum(numbers))")}
    found = handed_in(desk, 1, in_time, "2027-01-18T17:59")
    assert found["exit_code"] == 0
    handed_in(desk, 1, {"s03": essay(one), "s04": essay(one)}, "2027-01-20T17:30")      # s04 has no extension: two days begun
    handed_in(desk, 1, {"s11": essay(one)}, "2027-01-25T12:00")                         # over late_days
    handed_in(desk, 1, {"s09": essay(one, total=NO_EMPTY)}, "2027-01-17T12:00")         # an older version arrives later
    graded = desk.tito("autograde")
    assert graded["exit_code"] == 0
    again = desk.tito("autograde")
    assert again["data" if "data" in again else "exit_code"] is not None

    assert desk.final("01 counting")["s01"] == "", "a written answer waits for a person: no grade yet, and no zero"
    by_hand(desk, one)
    final = desk.final("01 counting")
    assert final["s01"] == "14" and final["s03"] == "14", "10 by checks, 4 by hand; the extension holds"
    assert final["s04"] == "11.2", "two days late: 10 percent each"
    assert final["s11"] == "0" and final["s12"] == "", "too late; nothing handed in"
    assert final["s02"] == "14" and final["s06"] == "0"
    assert final["s05"] == "8" and final["s07"] == "10", "a hidden check, and a wrong answer"
    assert final["s09"] == "14" and final["s10"] == "8"

    # ---- modules 02 and 03
    handed_in(desk, 2, {who: packed(two.solved if k % 2 else unanswered(two)) for k, who in enumerate(WHO)}, "2027-01-25T23:00")
    handed_in(desk, 3, {who: packed(three.solved) for who in WHO[:6]}, "2027-03-01T12:00")
    desk.tito("autograde", "--module", "02")
    desk.tito("autograde")
    grades = desk.grades()
    assert [grades[who]["02 scaling final"] for who in WHO[:4]] == ["0", "10", "0", "10"]
    assert [grades[who]["03 mixing final"] for who in WHO[5:7]] == ["10", ""]

    # ---- a regrade: the check that nothing adds up to 0 was unfair
    before = exported(desk)
    source = desk.course.modules[0].source
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace('    expect.close(lambda: total([]), 0.0, "nothing adds up to 0")\n', ""), encoding="utf-8")
    probes = source.with_name("probes.py")
    probes.write_text(probes.read_text(encoding="utf-8").replace("(0, 1, 7)", "(1, 7)"), encoding="utf-8")
    seen = desk.tito("regrade", "01", "--preview")
    assert "s05" in json.dumps(seen) and exported(desk) == before
    desk.tito("regrade", "01")
    after = desk.final("01 counting")
    assert {who for who in WHO if after[who] != final[who]} == {"s05"} and after["s05"] == "14", "the points by hand are still there"
    desk.tito("regrade", "01", "--undo")
    assert exported(desk) == before
    desk.tito("regrade", "01")

    # ---- what is told
    desk.tito("feedback")
    desk.tito("report")
    for form in ("canvas", "moodle", "gradescope"):
        desk.tito("export", "--format", form)
    once = exported(desk)
    desk.tito("export", "--format", "gradescope")
    assert exported(desk) == once, "the same again, byte for byte"
    assert CANARY not in "".join(desk.said)
    for folder in (desk.term.path("feedback"), desk.term.path("exports"), desk.term.path("reports"), edition):
        told = [(p, p.read_bytes()) for p in folder.rglob("*") if p.is_file()]
        assert told and not [p for p, text in told if CANARY.encode() in text or b"_canary" in text and "reports" not in p.parts]
    page = desk.term.path("feedback", "s05", "01_counting.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "s01" not in page


def by_hand(desk: Desk, assignment: Assignment) -> None:
    """As formgrader does: 4 points for each written answer that waits."""
    from nbgrader.api import Gradebook
    with Gradebook(desk.term.database) as book:
        for submission in book.assignment_submissions(assignment.folder):
            for grade in submission.notebooks[0].grades:
                if grade.cell.name == "why-mean" and grade.needs_manual_grade:
                    grade.manual_score, grade.needs_manual_grade = 4.0, False
        book.db.commit()


def exported(desk: Desk) -> dict[str, bytes]:
    desk.tito("export")
    folder = desk.term.path("exports")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
