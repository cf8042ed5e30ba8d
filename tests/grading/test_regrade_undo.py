"""A regrade is taken back exactly, and one that was killed is finished by the next command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader")

from grading import regrade as regrading
from grading.assignment import freeze
from tests.grading.desk import MILD, NEW, NEW_TEST, OLD, WHOLE_MEAN, Desk, graded
from tests.grading.handed import copied, shelf  # noqa: F401    # a fixture
from tests.grading.postgres import Cluster, cluster  # noqa: F401    # a fixture
from tests.grading.small import answered
from tito.errors import TitoError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def desk(shelf: Path, tmp_path: Path) -> Desk:  # noqa: F811
    return graded(copied(shelf, tmp_path))


# ---- taking back -------------------------------------------------------------------------------

def test_undoing_brings_everything_back_exactly(desk: Desk) -> None:
    before, files, finals = desk.rows(), desk.files(), desk.finals()
    desk.edit(*MILD)
    done = desk.regrade(NEW)
    assert desk.rows() != before and desk.files() != files and desk.finals() != finals
    told = desk.undo()
    assert (desk.rows(), desk.files(), desk.finals()) == (before, files, finals)
    assert told.data["in_force"] == desk.force.digest == done.data["from"]
    assert desk.regrades() == [f"{done.data['record']}.undone.json"]
    with pytest.raises(TitoError, match="no regrade of 01 counting to take back"):
        desk.undo()
    assert "2 of 3" in desk.regrade(NEW).what               # and it can be done again


@pytest.mark.parametrize("form", ["csv", "gradescope"])
def test_an_export_after_undoing_has_the_bytes_of_one_before(desk: Desk, form: str) -> None:
    before = desk.exported(form)
    desk.edit(*MILD)
    desk.regrade(NEW)
    assert desk.exported(form) != before
    desk.undo()
    assert desk.exported(form) == before


def test_postgresql_does_the_same(shelf: Path, tmp_path: Path, cluster: Cluster) -> None:  # noqa: F811
    desk = Desk(copied(shelf, tmp_path, cluster.database()))
    desk.autograde(OLD)
    desk.by_hand("ben", 2.5, "test-mean", extra=0.5)
    before, exported = desk.rows(), desk.exported("csv")
    desk.edit('# %% tags=["analysis"]\n', NEW_TEST)
    desk.edit(*MILD)
    assert [m["student"] for m in desk.regrade(NEW).data["moved"]] == ["ada", "ben", "cleo"]
    desk.undo()
    assert (desk.rows(), desk.exported("csv")) == (before, exported)


def test_two_regrades_are_taken_back_one_after_the_other(desk: Desk) -> None:
    before = desk.rows(), desk.files()
    desk.edit(*MILD)
    desk.regrade(NEW)
    between = desk.rows(), desk.files()
    desk.edit('"points": 4', '"points": 8')
    desk.regrade(OLD)
    desk.undo()
    assert (desk.rows(), desk.files()) == between
    desk.undo()
    assert (desk.rows(), desk.files()) == before


def test_what_was_recorded_since_keeps_a_regrade_from_being_taken_back(desk: Desk) -> None:
    desk.edit(*MILD)
    desk.regrade(NEW)
    desk.hand_in("ben", answered(desk.force, mean=WHOLE_MEAN), days=2)
    desk.hand_in("dora")
    desk.autograde(NEW)
    rows, files = desk.rows(), desk.files()
    with pytest.raises(TitoError) as caught:
        desk.undo()
    assert caught.value.why == "recorded since: ben, dora" and (desk.rows(), desk.files()) == (rows, files)


def test_another_assignment_in_force_keeps_it_too(desk: Desk) -> None:
    old = desk.force
    desk.edit(*MILD)
    desk.regrade(NEW)
    old.use(desk.term)
    with pytest.raises(TitoError, match="cannot be taken back"):
        desk.undo()


def test_a_record_that_cannot_be_read_is_not_passed_over(desk: Desk) -> None:
    desk.edit(*MILD)
    record = desk.regrade(NEW).data["record"]
    desk.term.path("regrades", "01_counting", f"{record}.json").write_text("{", encoding="utf-8")
    with pytest.raises(TitoError, match="cannot be used"):
        desk.undo()


# ---- killed ------------------------------------------------------------------------------------

class Killed(BaseException):
    """The end of the process, whatever it is in the middle of."""


STEPS = [("grading.book.record", "apply"), ("grading.regrade.ledger", "Record.save"), ("grading.author.generate", "write"),
         ("grading.assignment", "Assignment.use"), ("grading.book.record", "show"), ("grading.regrade.ledger", "Plan.done")]
BACK = [("grading.regrade.ledger", "Plan.write"), ("grading.book.rows", "restore"), *STEPS[2:5],
        ("grading.regrade.ledger", "Record.undone"), STEPS[5]]


def killing(monkeypatch: pytest.MonkeyPatch, step: tuple[str, str], after: bool) -> None:
    """At this step, before or after it."""
    import importlib
    owner: Any = importlib.import_module(step[0])
    *outer, name = step[1].split(".")
    for part in outer:
        owner = getattr(owner, part)
    real: Callable[..., Any] = getattr(owner, name)

    def last(*args: Any, **kwargs: Any) -> Any:
        if after:
            real(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(owner, name, last)


def test_nothing_is_judged_between_a_regrade_that_was_killed_and_its_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.edit(*MILD)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killing(patch, ("grading.book.record", "apply"), after=True)
        desk.regrade(NEW)
    with pytest.raises(TitoError, match="was interrupted") as caught:
        desk.autograde(NEW)
    assert caught.value.fix == "finish it with: tito grade regrade 01"
    desk.regrade(NEW)
    desk.autograde(NEW)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
def test_a_regrade_that_was_killed_is_finished_by_the_next(desk: Desk, monkeypatch: pytest.MonkeyPatch, step: tuple[str, str],
                                                           after: bool) -> None:
    before = desk.rows(), desk.files()
    desk.edit(*MILD)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killing(patch, step, after)
        desk.regrade(NEW)
    assert (regrading.unfinished(desk.term, desk.module) == "") == (step[1] == "Plan.done" and after)
    told = desk.regrade(NEW)
    assert told.data["applied"] or step[1] == "Plan.done" and after
    assert not regrading.unfinished(desk.term, desk.module)
    assert desk.facts()["ben"].auto["test-mean"] == 4 and desk.facts()["cleo"].auto["test-mean"] == 0
    assert desk.force.digest == freeze(desk.term, desk.module).digest and len(desk.regrades()) == 1
    desk.undo()
    assert (desk.rows(), desk.files()) == before


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", BACK, ids=lambda step: step[1])
def test_an_undoing_that_was_killed_is_finished_by_the_next(desk: Desk, monkeypatch: pytest.MonkeyPatch, step: tuple[str, str],
                                                            after: bool) -> None:
    before = desk.rows(), desk.files()
    desk.edit(*MILD)
    desk.regrade(NEW)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killing(patch, step, after)
        desk.undo()
    begun = bool(regrading.unfinished(desk.term, desk.module))
    try:
        desk.undo()
    except TitoError as err:                                # it was finished first, and there is no other one
        assert "is finished now" in err.why if begun else "none" in err.why
    assert (desk.rows(), desk.files()) == before


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
def test_with_no_submissions_at_all(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: tuple[str, str]) -> None:  # noqa: F811
    empty = Desk(copied(shelf, tmp_path), empty=True)
    before = empty.rows(), empty.files()
    empty.edit('"points": 4', '"points": 8')
    with monkeypatch.context() as patch, suppress(Killed):
        killing(patch, step, True)
        empty.regrade(NEW)
    empty.regrade(NEW)
    assert [c["max_score"] for c in empty.rows()["grade_cells"].values() if c["max_score"] == 8] == [8]
    empty.undo()
    assert (empty.rows(), empty.files()) == before


KILL = """
import os, sys
from functools import partial
from pathlib import Path
import grading.author.generate
from grading.regrade import regrade
from grading.sandbox.plain import Plain
from grading.term import Term
from tests.grading.desk import NEW, Here, quiet
from tito.course import Course
grading.author.generate.write = lambda *args: os.kill(os.getpid(), 9)
term = Term.open(Course(Path(sys.argv[1])))
regrade(term, term.course.modules[0], preview=False, jobs=Here(), sandbox=Plain(), progress=quiet, work=NEW)
"""


def test_kill_9_between_the_gradebook_and_the_files(desk: Desk) -> None:
    before = desk.rows(), desk.files()
    desk.edit(*MILD)
    done = subprocess.run([sys.executable, "-c", KILL, str(desk.term.course.root)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == -9, done.stderr
    assert regrading.unfinished(desk.term, desk.module).startswith("the regrade of 01 counting of ")
    assert {state for state, _ in desk.finals().values()} == {"infra"}          # no grade is exported from half a regrade
    desk.by_hand("ada", 4.5)                                                    # a person goes on meanwhile
    assert "was interrupted, and is finished now" in desk.regrade(NEW).what
    assert {state for state, _ in desk.finals().values()} == {"graded"}
    desk.undo()
    desk.by_hand("ada", 3.0)
    assert (desk.rows(), desk.files()) == before
