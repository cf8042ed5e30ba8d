"""The whole corpus of damage through the grader: the batch comes to its end, right code gets its points, a stub none."""

from __future__ import annotations

from pathlib import Path

import pytest

from grading.assignment import Assignment
from grading.result import Result
from grading.run.jobs import Local
from grading.run.work import examine, make_job, paper
from grading.sandbox import Limits, named
from grading.term import Term
from tests.grading.damage import Case, answered, corpus
from tests.grading.small import write_term
from tito.cells import document
from tito.check.verdict import judge
from tito.repair import repair

pytestmark = pytest.mark.skipif(bool(named("bubblewrap").works()), reason="the batch is graded in bubblewrap")
NEEDS = {"test-total": {"total"}, "test-mean": {"total", "mean"}}       # which answers a check stands on
AT_HOME = 15                    # of the cases: judged once more as `tito module test` does


@pytest.fixture(scope="module")
def term(tmp_path_factory: pytest.TempPathFactory) -> Term:
    return write_term(tmp_path_factory.mktemp("term"))


def graded(term: Term, assignment: Assignment, cases: list[Case]) -> dict[int, Result]:
    text = paper(assignment, term.secret, named("bubblewrap"), Limits(wall_seconds=30))
    jobs = ({**make_job(assignment, text, student=f"s{n}", version="v", content=case.content, key="k"), "n": n}
            for n, case in enumerate(cases))
    found = {}
    for job, outcome in Local(2).run(examine, jobs):
        assert isinstance(outcome, dict), f"{cases[job['n']].name}: {outcome}"
        found[job["n"]] = Result.from_dict(outcome)
    return found


def test_right_code_gets_its_points_and_a_stub_none(term: Term) -> None:
    assignment = Assignment.current(term, term.course.module("1"))
    right = corpus(assignment.released, answered(assignment.released, assignment.solved), pairs=20)
    stubs = corpus(assignment.released, assignment.released, pairs=0)[::5]
    assert len(right) >= 100 and len(stubs) >= 25
    found = graded(term, assignment, [*right, *stubs])
    assert len(found) == len(right) + len(stubs)
    for n, case in enumerate(right):
        earned = {row.grade_id: row.points for row in found[n].rows}
        wanted = {name: 0.0 if needs & case.lost else assignment.points[name] for name, needs in NEEDS.items()}
        assert (found[n].state, earned) == ("graded", wanted), (case.name, [row.card() for row in found[n].rows], found[n].repairs)
    for n, case in enumerate(stubs, len(right)):
        assert (found[n].state, found[n].points) == ("graded", 0), case.name
    for n in range(0, len(right), len(right) // AT_HOME):
        mended = repair(right[n].content, assignment.released).notebook
        home = judge(document(mended, Path(f"{assignment.notebook}.ipynb")), term.course.root, 1, assignment.label)
        assert [r.to_dict() for r in home.rows] == [r.to_dict() for r in found[n].rows], right[n].name
