"""Recording, on SQLite and on PostgreSQL: once, as a whole, and without touching what a person has given."""

from __future__ import annotations

import copy
import itertools
import json
import sqlite3
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Comment, Grade, Gradebook, GradeCell, SolutionCell, SubmittedAssignment, SubmittedNotebook
from sqlalchemy import event, select

from grading.assignment import Assignment, freeze
from grading.book.facts import Facts
from grading.book.gradebook import opened, transaction
from grading.book.record import apply, facts, record, recorder
from grading.book.rows import entered, restore, snapshot
from grading.intake.versions import Version
from grading.term import Term
from tests.grading.handed import MONDAY, copied, hand_in, shelf, verdict, written  # noqa: F401    # a fixture
from tests.grading.postgres import Cluster, cluster  # noqa: F401
from tests.grading.small import unanswered
from tito.errors import ExitCode, TitoError


@pytest.fixture(params=["sqlite", "postgresql"])
def term(request: pytest.FixtureRequest, shelf: Path, tmp_path: Path) -> Term:  # noqa: F811
    return copied(shelf, tmp_path, request.getfixturevalue("cluster").database() if request.param == "postgresql" else "")


@pytest.fixture
def light(shelf: Path, tmp_path: Path) -> Term:  # noqa: F811
    """Where the kind of database does not matter."""
    return copied(shelf, tmp_path)


def counting(term: Term) -> Assignment:
    return Assignment.current(term, term.course.modules[0])


def put_in(term: Term, gradebook: Gradebook, student: str = "ada", notebook: dict[str, Any] | None = None, days: int = 0,
           **states: str) -> Version:
    """Hand in, judge and record."""
    assignment = counting(term)
    version = hand_in(term, assignment, student, notebook, days)
    record(term, gradebook, assignment, verdict(term, assignment, version, **states), version)
    return version


def fact(term: Term, gradebook: Gradebook, student: str = "ada") -> Facts:
    return next(f for f in facts(term, gradebook, term.course.modules[0]) if f.student == student)


@contextmanager
def grade(gradebook: Gradebook, name: str, student: str = "ada") -> Iterator[Grade]:
    """What formgrader changes."""
    with transaction(gradebook) as session:
        query = select(Grade).join(GradeCell, GradeCell.id == Grade.cell_id)
        query = query.join(SubmittedNotebook, SubmittedNotebook.id == Grade.notebook_id)
        query = query.join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
        yield session.scalars(query.where(GradeCell.name == name, SubmittedAssignment.student_id == student)).one()


def by_hand(gradebook: Gradebook, points: float | None, extra: float | None = None, name: str = "why-mean", student: str = "ada") -> None:
    with grade(gradebook, name, student) as row:
        row.manual_score, row.extra_credit, row.needs_manual_grade = points, extra, False


def comments(gradebook: Gradebook) -> dict[str, tuple[str | None, str | None]]:
    with transaction(gradebook) as session:
        query = select(SolutionCell.name, Comment.auto_comment, Comment.manual_comment).join(Comment, Comment.cell_id == SolutionCell.id)
        return {name: (auto, manual) for name, auto, manual in session.execute(query)}


def needs(gradebook: Gradebook, name: str) -> bool:
    with grade(gradebook, name) as row:
        return bool(row.needs_manual_grade)


# ---- what is recorded ------------------------------------------------------------------------------

def test_points_times_and_comments(term: Term) -> None:
    with opened(term) as gradebook:
        version = put_in(term, gradebook, test_mean="failed")
        assert fact(term, gradebook) == Facts(
            "ada", 1, {"test-total": 6.0, "test-mean": 4.0}, {"why-mean": 5.0}, {"test-total": 6.0, "test-mean": 0.0, "why-mean": None},
            submitted=MONDAY, due=datetime(2027, 1, 18, 18, 0, tzinfo=UTC), sha256=version.sha256)
        row = gradebook.find_submission("01_counting", "ada")
        assert (row.timestamp, row.score, row.max_score, row.needs_manual_grade) == (datetime(2027, 1, 18, 12, 0), 6.0, 15.0, True)
        assert comments(gradebook) == {"total": (None, None), "why-mean": (None, None),
                                       "mean": ("test-mean: failed, 0 of 4: look again", None)}


def test_every_student_has_facts_and_so_has_everybody_who_handed_in(term: Term) -> None:
    with opened(term) as gradebook:
        put_in(term, gradebook, "zoe")
        found = facts(term, gradebook, term.course.modules[0])
        assert [(f.student, f.submitted is not None) for f in found] == [("ada", False), ("ben", False), ("cleo", False), ("zoe", True)]
        student = gradebook.find_student("ben")
        assert (student.first_name, student.last_name, student.email) == ("Ben", "Müller", "ben@example.org")


def test_an_extension_is_a_fact(light: Term) -> None:
    light.path("extensions.csv").write_text("student,module,until,reason\nada,01,2027-02-01,ill\n", encoding="utf-8")
    with opened(light) as gradebook:
        assert fact(light, gradebook).until == datetime(2027, 2, 1, 23, 59, tzinfo=UTC)


def test_again_nothing_changes(term: Term) -> None:
    with opened(term) as gradebook:
        assignment = counting(term)
        version = hand_in(term, assignment, "ada")
        result = verdict(term, assignment, version, test_total="failed")
        assert record(term, gradebook, assignment, result, version)
        before = snapshot(gradebook, assignment)
        file = term.path("autograded", "ada", "01_counting", "counting_dev.ipynb")
        stamp = file.stat().st_mtime_ns
        assert not record(term, gradebook, assignment, result, version)
        assert snapshot(gradebook, assignment) == before and file.stat().st_mtime_ns == stamp


def test_another_result_takes_the_place_of_the_first(term: Term) -> None:
    with opened(term) as gradebook:
        put_in(term, gradebook, test_total="error", test_mean="skipped")
        version = put_in(term, gradebook, notebook=written(counting(term), "Another."), days=2)
        found = fact(term, gradebook)
        assert found.auto == {"test-total": 6.0, "test-mean": 4.0, "why-mean": None}
        assert (found.submitted, found.sha256) == (MONDAY + timedelta(days=2), version.sha256)
        assert {auto for auto, _ in comments(gradebook).values()} == {None}


def test_a_result_of_another_version_is_not_recorded(light: Term) -> None:
    assignment = counting(light)
    version = hand_in(light, assignment, "ada")
    with opened(light) as gradebook, pytest.raises(ValueError, match="does not belong"):
        record(light, gradebook, assignment, replace(verdict(light, assignment, version), version="0" * 64), version)


def test_a_run_has_one_gradebook_open(light: Term) -> None:
    assignment = counting(light)
    version = hand_in(light, assignment, "ada")
    with recorder(light) as enter:
        assert enter(assignment, version, verdict(light, assignment, version))
        assert not enter(assignment, version, verdict(light, assignment, version))


# ---- what could not be judged ----------------------------------------------------------------------

def test_infra_is_no_score_and_not_the_earlier_one(term: Term) -> None:
    with opened(term) as gradebook:
        put_in(term, gradebook)
        put_in(term, gradebook, test_mean="infra")
        found = fact(term, gradebook)
        assert found.auto == {"test-total": None, "test-mean": None, "why-mean": None}
        assert needs(gradebook, "test-total") and gradebook.find_submission("01_counting", "ada").score == 0.0
        assert comments(gradebook)["mean"][0] == "test-mean: could not be judged"
        put_in(term, gradebook)
        assert fact(term, gradebook).auto == {"test-total": 6.0, "test-mean": 4.0, "why-mean": None}
        assert not needs(gradebook, "test-total")


def test_a_version_that_is_not_judged_yet_has_no_points(light: Term) -> None:
    with opened(light) as gradebook:
        put_in(light, gradebook)
        hand_in(light, counting(light), "ada", unanswered(counting(light)), days=1)
        assert fact(light, gradebook).auto == {} and fact(light, gradebook).submitted == MONDAY + timedelta(days=1)


def test_a_damaged_file_is_recorded_as_what_it_is(light: Term) -> None:
    assignment = counting(light)
    version = hand_in(light, assignment, "ada")
    version.path.write_bytes(b"something else")
    with opened(light) as gradebook:
        assert record(light, gradebook, assignment, verdict(light, assignment, version, test_mean="infra"), version)
        with pytest.raises(TitoError):
            record(light, gradebook, assignment, verdict(light, assignment, version), version)


# ---- what a person gave ----------------------------------------------------------------------------

def test_what_a_person_gave_outlives_recording(term: Term) -> None:
    with opened(term) as gradebook:
        put_in(term, gradebook)
        by_hand(gradebook, 4.5, 1.0)
        by_hand(gradebook, 2.0, name="test-mean")
        with transaction(gradebook) as session:
            for comment in session.scalars(select(Comment)):
                comment.manual_comment = "well said"
        put_in(term, gradebook, test_mean="failed", days=1)         # the same text, handed in again and judged otherwise
        found = fact(term, gradebook)
        assert (found.manual_scores, found.extra) == ({"why-mean": 4.5, "test-mean": 2.0}, {"why-mean": 1.0})
        assert found.auto["test-mean"] == 0.0 and set(found.comments.values()) == {"well said"}
        assert not needs(gradebook, "why-mean") and not needs(gradebook, "test-mean")


def test_only_a_new_text_asks_for_a_person_again(term: Term) -> None:
    assignment = counting(term)
    with opened(term) as gradebook:
        put_in(term, gradebook, notebook=written(assignment, "Outliers."))
        by_hand(gradebook, 3.0)
        put_in(term, gradebook, notebook=written(assignment, "Outliers.  \r\n\n"), days=1)
        assert not needs(gradebook, "why-mean") and fact(term, gradebook).manual_scores == {"why-mean": 3.0}
        put_in(term, gradebook, notebook=written(assignment, "Outliers, mostly."), days=2)
        assert needs(gradebook, "why-mean") and fact(term, gradebook).manual_scores == {}
        with grade(gradebook, "why-mean") as row:
            assert row.manual_score == 3.0
            row.needs_manual_grade = False
        put_in(term, gradebook, notebook=written(assignment, "Outliers, mostly."), days=2, test_mean="failed")
        assert fact(term, gradebook).manual_scores == {"why-mean": 3.0}


def test_no_answer_needs_no_person(light: Term) -> None:
    with opened(light) as gradebook:
        put_in(light, gradebook, notebook=unanswered(counting(light)), test_total="failed", test_mean="skipped")
        assert fact(light, gradebook).auto["why-mean"] == 0.0 and not needs(gradebook, "why-mean")
        assert comments(gradebook)["why-mean"] == ("No response.", None)


# ---- what formgrader shows -------------------------------------------------------------------------

def test_the_notebook_has_cards_and_no_outputs_of_its_own(light: Term) -> None:
    assignment = counting(light)
    notebook = copy.deepcopy(assignment.solved)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "<script>mine</script>"}]
    with opened(light) as gradebook:
        put_in(light, gradebook, notebook=notebook, test_mean="failed")
    text = light.path("autograded", "ada", "01_counting", "counting_dev.ipynb").read_text(encoding="utf-8")
    outputs = {c["metadata"].get("nbgrader", {}).get("grade_id"): c["outputs"] for c in json.loads(text)["cells"] if c.get("outputs")}
    assert "mine" not in text and set(outputs) == {"test-total", "test-mean"}
    assert outputs["test-total"][0]["output_type"] == "stream" and outputs["test-total"][0]["text"].startswith("PASSED  6 of 6")
    assert outputs["test-mean"][0]["output_type"] == "error" and "the promise of test-mean" in outputs["test-mean"][0]["traceback"][0]


def test_nbgrader_counts_it_as_autograded(term: Term) -> None:
    from nbgrader.apps.api import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory
    with opened(term) as gradebook:
        put_in(term, gradebook, test_mean="failed")
        put_in(term, gradebook, "ben", test_mean="infra")
    hand_in(term, counting(term), "cleo")
    api = NbGraderAPI(CourseDirectory(root=str(term.folder), db_url=term.database, course_id="small"))
    found = {s["student"]: (s["autograded"], s["score"], s["needs_manual_grade"]) for s in api.get_submissions("01_counting")}
    assert found == {"ada": (True, 6.0, True), "ben": (True, 0.0, True), "cleo": (False, 0.0, False)}
    assert len(api.get_notebook_submissions("01_counting", "counting_dev")) == 2


# ---- all of it, or nothing -------------------------------------------------------------------------

def test_a_transaction_that_fails_leaves_nothing_half(term: Term, monkeypatch: pytest.MonkeyPatch) -> None:
    assignment = counting(term)
    version = hand_in(term, assignment, "ada")
    result = verdict(term, assignment, version)
    with opened(term) as gradebook:
        before = snapshot(gradebook, assignment)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("grading.book.record._comments", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            record(term, gradebook, assignment, result, version)
        assert snapshot(gradebook, assignment) == before and not term.path("autograded").exists()
        assert fact(term, gradebook).auto == {}
        assert record(term, gradebook, assignment, result, version)


def test_a_notebook_that_was_not_written_is_written_the_next_time(light: Term) -> None:
    assignment = counting(light)
    version = hand_in(light, assignment, "ada")
    result = verdict(light, assignment, version)
    light.path("autograded").write_text("in the way", encoding="utf-8")
    with opened(light) as gradebook:
        with pytest.raises(TitoError, match="cannot write") as caught:
            record(light, gradebook, assignment, result, version)
        assert caught.value.code == ExitCode.INFRASTRUCTURE
        light.path("autograded").unlink()
        assert record(light, gradebook, assignment, result, version)
        assert not record(light, gradebook, assignment, result, version)


def test_a_gradebook_that_somebody_holds_is_waited_for_and_then_named(light: Term) -> None:
    assignment = counting(light)
    version = hand_in(light, assignment, "ada")
    other = sqlite3.connect(light.path("gradebook.db"))
    with opened(light, patience=0.1) as gradebook:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TitoError, match="the gradebook cannot be used") as caught:
            record(light, gradebook, assignment, verdict(light, assignment, version), version)
        assert "locked" in caught.value.why and "end the other program" in caught.value.fix
        assert caught.value.code == ExitCode.INFRASTRUCTURE
        other.rollback()
        assert record(light, gradebook, assignment, verdict(light, assignment, version), version)
    other.close()


def test_a_full_disk_is_named_and_leaves_nothing_half(light: Term) -> None:
    assignment = counting(light)
    versions = [hand_in(light, assignment, f"student{n:03d}") for n in range(60)]
    done = 0
    with opened(light) as gradebook:
        pages = sqlite3.connect(light.path("gradebook.db")).execute("PRAGMA page_count").fetchone()[0]
        event.listen(gradebook.engine, "checkout", lambda connection, *_: connection.execute(f"PRAGMA max_page_count = {pages + 2}"))
        with pytest.raises(TitoError, match="the gradebook cannot be used") as caught:
            for version in versions:
                before = snapshot(gradebook, assignment)
                record(light, gradebook, assignment, verdict(light, assignment, version), version)
                done += 1
        assert "full" in caught.value.why and "make room" in caught.value.fix
    with opened(light) as gradebook:
        assert snapshot(gradebook, assignment) == before
        assert [f.auto != {} for f in facts(light, gradebook, light.course.modules[0])].count(True) == done


def test_a_file_that_is_no_database_is_named(light: Term) -> None:
    light.path("gradebook.db").write_bytes(b"no database at all, but long enough to be read as one" * 20)
    with pytest.raises(TitoError, match="the gradebook cannot be used") as caught, opened(light):
        pass
    assert "from a backup" in caught.value.fix


# ---- many ------------------------------------------------------------------------------------------

def test_a_submission_takes_milliseconds_and_no_memory_stays(light: Term) -> None:
    assignment = counting(light)
    versions = iter([hand_in(light, assignment, f"student{n:03d}") for n in range(80)])
    with opened(light) as gradebook:
        def batch(count: int) -> tuple[float, int]:
            began, before = time.perf_counter(), tracemalloc.get_traced_memory()[0]
            for version in itertools.islice(versions, count):
                record(light, gradebook, assignment, verdict(light, assignment, version), version, assignment.solved)
            return (time.perf_counter() - began) / count, tracemalloc.get_traced_memory()[0] - before

        batch(10)
        fast, _ = batch(40)
        tracemalloc.start()
        try:
            batch(10)
            _, grown = batch(20)
        finally:
            tracemalloc.stop()
    assert fast < 0.05                          # 0.006 s on a quiet machine; this one may be busy
    assert grown < 100_000


# ---- a regrade's half of it ------------------------------------------------------------------------

def other_assignment(term: Term) -> Assignment:
    """The mean is worth 3, and the test of the total has another name."""
    source = term.course.modules[0].source
    text = source.read_text(encoding="utf-8")
    for old, new in (('"points": 4', '"points": 3'), ('"grade_id": "test-total"', '"grade_id": "test-sum"')):
        assert old in text
        text = text.replace(old, new)
    source.write_text(text, encoding="utf-8")
    return freeze(term, term.course.modules[0])


def test_apply_and_restore(term: Term) -> None:
    old, new = counting(term), other_assignment(term)
    with opened(term) as gradebook:
        versions = [put_in(term, gradebook, "ada"), put_in(term, gradebook, "ben", test_mean="failed")]
        by_hand(gradebook, 4.5, 0.5)
        before = json.loads(json.dumps(snapshot(gradebook, old)))
        apply(gradebook, new, [verdict(term, new, version) for version in versions])
        after = json.loads(json.dumps(snapshot(gradebook, new)))
        assert entered(gradebook, new)
        new.save(term)
        new.use(term)
        assert fact(term, gradebook).auto == {"test-sum": 6.0, "test-mean": 3.0, "why-mean": None}
        assert fact(term, gradebook).manual_scores == {"why-mean": 4.5} and fact(term, gradebook).extra == {"why-mean": 0.5}
        restore(gradebook, old, before, after)
        assert snapshot(gradebook, old) == before and entered(gradebook, old)


def test_apply_is_all_or_nothing(term: Term) -> None:
    old, new = counting(term), other_assignment(term)
    with opened(term) as gradebook:
        version = put_in(term, gradebook)
        before = snapshot(gradebook, old)

        def results() -> Iterator[Any]:
            yield verdict(term, new, version)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            apply(gradebook, new, results())
        assert snapshot(gradebook, old) == before


def test_points_given_by_hand_do_not_go_with_a_cell(term: Term) -> None:
    old, new = counting(term), other_assignment(term)
    with opened(term) as gradebook:
        version = put_in(term, gradebook)
        by_hand(gradebook, 5.0, name="test-total")
        before = snapshot(gradebook, old)
        with pytest.raises(TitoError, match="test-total is gone"):
            apply(gradebook, new, [verdict(term, new, version)])
        assert snapshot(gradebook, old) == before


def test_what_happened_after_a_regrade_is_not_undone_with_it(term: Term) -> None:
    old, new = counting(term), other_assignment(term)
    with opened(term) as gradebook:
        versions = [put_in(term, gradebook, "ada"), put_in(term, gradebook, "ben")]
        before = snapshot(gradebook, old)
        apply(gradebook, new, [verdict(term, new, version) for version in versions])
        after = snapshot(gradebook, new)
        new.save(term)
        new.use(term)
        by_hand(gradebook, 2.5)                                                 # somebody reads ada's answer
        put_in(term, gradebook, "ben", written(new, "Later."), days=1)          # ben hands in again
        put_in(term, gradebook, "cleo")                                         # cleo for the first time
        restore(gradebook, old, before, after)
        old.use(term)
        assert entered(gradebook, old)
        assert fact(term, gradebook).manual_scores == {"why-mean": 2.5}
        assert fact(term, gradebook).auto == {"test-total": 6.0, "test-mean": 4.0, "why-mean": None}
        assert fact(term, gradebook, "ben").auto == fact(term, gradebook, "cleo").auto == {}        # to be judged anew
        put_in(term, gradebook, "cleo", days=1)
        assert fact(term, gradebook, "cleo").auto == {"test-total": 6.0, "test-mean": 4.0, "why-mean": None}
