"""Recording, on SQLite and on PostgreSQL: once, as a whole, and without touching what a person has given."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from nbgrader.api import Comment
from sqlalchemy import select

from grading.book.facts import Facts
from grading.book.gradebook import opened, transaction
from grading.book.record import facts, record, recorder
from grading.book.rows import snapshot
from grading.term import Term
from tests.grading.handed import MONDAY, copied, hand_in, shelf, verdict, written  # noqa: F401    # a fixture
from tests.grading.postgres import Cluster, cluster  # noqa: F401
from tests.grading.recorded import any_term, by_hand, comments, counting, fact, grade, light_term, needs, put_in  # noqa: F401    # fixtures
from tests.grading.small import unanswered
from tito.errors import TitoError

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
