"""Assignments: what nbgrader would release is what is frozen, the gradebook knows its cells, and nothing graded changes its meaning."""

from __future__ import annotations

import copy
import json
import sqlite3
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from grading.assignment import Assignment
from grading.author.generate import generate, nbgraders
from grading.author.release import release, releases
from grading.book.gradebook import opened, transaction
from grading.book.record import facts, record
from grading.book.rows import entered, snapshot
from grading.term import Term
from tests.grading.handed import copied, hand_in, shelf, verdict  # noqa: F401    # a fixture
from tests.grading.small import write_term
from tito.course import Module
from tito.errors import ExitCode, TitoError


@pytest.fixture
def term(shelf: Path, tmp_path: Path) -> Term:  # noqa: F811
    return copied(shelf, tmp_path)


def silent(*_: object) -> None:
    """No progress bar."""


def first(term: Term) -> Module:
    return term.course.modules[0]


def change(term: Term, old: str, new: str) -> None:
    text = first(term).source.read_text(encoding="utf-8")
    assert old in text
    first(term).source.write_text(text.replace(old, new), encoding="utf-8")


def worth_more(term: Term) -> None:
    change(term, '"points": 6', '"points": 7')


# ---- generate --------------------------------------------------------------------------------------

def test_what_nbgrader_releases_is_what_is_frozen(term: Term) -> None:
    for module in term.course.modules:
        assignment = Assignment.current(term, module)
        theirs = nbgraders(term, assignment, database=False)["cells"]
        assert [{**c, "source": "".join(c["source"])} for c in theirs] == assignment.released["cells"]


def test_nbgraders_folders_hold_the_two_notebooks(term: Term) -> None:
    assignment = Assignment.current(term, first(term))
    files = {step: term.path(step, "01_counting", "counting_dev.ipynb") for step in ("source", "release")}
    held = {step: json.loads(path.read_text(encoding="utf-8")) for step, path in files.items()}
    for step, notebook in (("source", assignment.solved), ("release", assignment.released)):
        assert [{**c, "source": "".join(c["source"])} for c in held[step]["cells"]] == notebook["cells"]
    assert "found += number" in json.dumps(held["source"]) and "found += number" not in json.dumps(held["release"])


def test_the_gradebook_has_cells_points_and_deadlines(term: Term) -> None:
    rows = sqlite3.connect(term.path("gradebook.db")).execute
    cells = "SELECT name, max_score, cell_type FROM base_cell JOIN grade_cells USING (id) ORDER BY name"
    assert rows(cells).fetchall() == [("test-mean", 4.0, "code"), ("test-mix", 10.0, "code"), ("test-scale", 10.0, "code"),
                                      ("test-total", 6.0, "code"), ("why-mean", 5.0, "markdown")]
    assert rows("SELECT name, duedate FROM assignment ORDER BY name").fetchall() == [
        ("01_counting", "2027-01-18 18:00:00.000000"), ("02_scaling", "2027-01-25 23:59:00.000000"), ("03_mixing", None)]
    assert rows("SELECT id, first_name, last_name FROM student ORDER BY id").fetchall() == [
        ("ada", "Ada", "Lovelace"), ("ben", "Ben", "Müller"), ("cleo", "Cleo", "O'Hara")]


def test_the_gradebook_can_be_migrated_though_no_alembic_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.script import ScriptDirectory
    from nbgrader.dbutil import ALEMBIC_DIR
    monkeypatch.setenv("PATH", "/nowhere")
    term = write_term(tmp_path)
    generate(term, term.course.modules[:1], progress=silent)
    versions = sqlite3.connect(term.path("gradebook.db")).execute("SELECT version_num FROM alembic_version").fetchall()
    assert versions == [(ScriptDirectory(ALEMBIC_DIR).get_current_head(),)]


def test_a_gradebook_that_was_half_made_is_refused(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    sqlite3.connect(term.path("gradebook.db")).execute("CREATE TABLE student (id VARCHAR(128))")
    with pytest.raises(TitoError, match="which version of nbgrader") as caught, opened(term):
        pass
    assert caught.value.code == ExitCode.INTEGRITY


def test_again_nothing_happens(term: Term) -> None:
    with opened(term) as gradebook:
        before = snapshot(gradebook, Assignment.current(term, first(term)))
    report = generate(term, term.course.modules, progress=silent)
    assert report.data["made"] == []
    with opened(term) as gradebook:
        assert snapshot(gradebook, Assignment.current(term, first(term))) == before


def test_what_is_missing_is_made_anew_and_what_is_graded_stays(term: Term) -> None:
    assignment = Assignment.current(term, first(term))
    with opened(term) as gradebook:
        version = hand_in(term, assignment, "ada")
        record(term, gradebook, assignment, verdict(term, assignment, version), version)
        by_hand(gradebook, "why-mean", 4.5)
        before = snapshot(gradebook, assignment)
    term.path("release", "01_counting", "counting_dev.ipynb").unlink()
    term.path("assignments", "01_counting", f"{assignment.digest}.json").unlink()
    assert generate(term, [first(term)], progress=silent).data["made"] == [1]
    assert term.path("release", "01_counting", "counting_dev.ipynb").exists()
    with opened(term) as gradebook:
        assert snapshot(gradebook, assignment) == before
        assert facts(term, gradebook, first(term))[0].manual_scores == {"why-mean": 4.5}


def by_hand(gradebook: object, name: str, points: float) -> None:
    from nbgrader.api import Grade, GradeCell
    from sqlalchemy import select
    with transaction(gradebook) as session:
        grade = session.scalars(select(Grade).join(GradeCell, GradeCell.id == Grade.cell_id).where(GradeCell.name == name)).one()
        grade.manual_score, grade.needs_manual_grade = points, False


def test_a_change_before_anything_is_graded_makes_another_assignment(term: Term) -> None:
    old = Assignment.current(term, first(term))
    worth_more(term)
    generate(term, [first(term)], progress=silent)
    new = Assignment.current(term, first(term))
    assert (old.points["test-total"], new.points["test-total"]) == (6.0, 7.0)
    assert Assignment.load(term, first(term), old.digest) == old
    with opened(term) as gradebook:
        assert entered(gradebook, new) and not entered(gradebook, old)


def test_a_change_after_that_is_a_regrade(term: Term) -> None:
    assignment = Assignment.current(term, first(term))
    with opened(term) as gradebook:
        version = hand_in(term, assignment, "ada")
        record(term, gradebook, assignment, verdict(term, assignment, version), version)
    worth_more(term)
    with pytest.raises(TitoError) as caught:
        generate(term, [first(term)], progress=silent)
    assert "1 submissions are graded" in caught.value.what and "tito grade regrade 01 --preview" in caught.value.fix
    assert Assignment.current(term, first(term)) == assignment


def test_what_nbgrader_refuses_is_said_and_not_printed(term: Term, capfd: pytest.CaptureFixture[str]) -> None:
    assignment = Assignment.current(term, first(term))
    solved = copy.deepcopy(assignment.solved)
    twin = next(c for c in solved["cells"] if c["metadata"].get("nbgrader", {}).get("grade"))
    solved["cells"].append({**twin, "id": "twin"})
    with pytest.raises(TitoError, match="01 counting") as caught:
        nbgraders(term, replace(assignment, solved=solved), database=False)
    assert "test-total" in caught.value.why and "tito dev lint 01" in caught.value.fix
    assert capfd.readouterr() == ("", "")


# ---- release ---------------------------------------------------------------------------------------

def test_the_edition_is_the_same_zip_every_time(term: Term) -> None:
    report = release(term, term.course.modules, to=None)
    path = term.path("editions", "small.zip")
    content = path.read_bytes()
    assert report.data["path"] == str(path) and report.data["beside"] == []
    for file in term.course.root.rglob("*"):
        file.touch()
    release(term, term.course.modules, to=None)
    assert path.read_bytes() == content


def test_the_edition_has_the_frozen_notebooks_and_nothing_hidden(term: Term) -> None:
    release(term, term.course.modules, to=None)
    with zipfile.ZipFile(term.path("editions", "small.zip")) as archive:
        names = archive.namelist()
        text = b"".join(archive.read(name) for name in names)
        notebook = json.loads(archive.read("small/modules/01_counting/counting_dev.ipynb"))
    released = Assignment.current(term, first(term)).released["cells"]
    assert [{**c, "source": "".join(c["source"])} for c in notebook["cells"]] == released
    assert not [name for name in names if "probes" in name or "grading" in name or name.endswith("_dev.py")]
    assert b"_canary" not in text and b"found += number" not in text and b"When a few numbers" not in text


def test_a_folder_in_place_of_a_zip(term: Term, tmp_path: Path) -> None:
    release(term, term.course.modules, to=tmp_path / "for students")
    assert (tmp_path / "for students" / "modules" / "01_counting" / "counting_dev.ipynb").is_file()


def test_what_is_no_assignment_or_has_changed_is_not_released(term: Term) -> None:
    term.path("assignments", "02_scaling", "current").unlink()
    with pytest.raises(TitoError, match="02 scaling is not an assignment yet"):
        release(term, term.course.modules, to=None)
    worth_more(term)
    with pytest.raises(TitoError, match="01 counting has changed") as caught:
        release(term, [first(term)], to=None)
    assert caught.value.fix == "tito grade generate 01"
    assert not term.path("editions").exists() and releases(term) == {}


def test_the_day_of_a_release_is_noted_once(term: Term) -> None:
    day = release(term, [first(term)], to=None).data["released"]["01_counting"]
    path = term.path("releases.json")
    path.write_text(path.read_text(encoding="utf-8").replace(day, "2026-12-01T00:00:00+00:00"), encoding="utf-8")
    report = release(term, [first(term)], to=None)
    assert releases(term) == {"01_counting": {Assignment.current(term, first(term)).digest: "2026-12-01T00:00:00+00:00"}}
    assert report.data["beside"] == ["02 scaling", "03 mixing"]


def test_dates_that_cannot_be_read_are_not_overwritten(term: Term) -> None:
    term.path("releases.json").write_text("{", encoding="utf-8")
    with pytest.raises(TitoError, match=r"releases\.json cannot be read"):
        release(term, [first(term)], to=None)
    assert term.path("releases.json").read_text(encoding="utf-8") == "{"
