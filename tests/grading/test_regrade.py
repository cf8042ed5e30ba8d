"""Regrading: who would move, by how much and why; applied as a whole; and what a person has given stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from grading.assignment import freeze
from grading.intake.versions import counting
from grading.regrade import ledger, moves
from grading.result import Result
from grading.run.jobs import Work
from tests.grading.desk import MILD, NEW, NEW_TEST, NO_TOTAL, OLD, WHOLE_MEAN, Desk, graded, says
from tests.grading.handed import copied, shelf  # noqa: F401    # a fixture
from tests.grading.small import answered
from tito.check.row import Row
from tito.errors import ExitCode, TitoError


@pytest.fixture
def desk(shelf: Path, tmp_path: Path) -> Desk:  # noqa: F811
    return graded(copied(shelf, tmp_path))


# ---- the preview -------------------------------------------------------------------------------

def test_a_preview_says_who_moves_by_how_much_and_why_and_changes_nothing(desk: Desk) -> None:
    before, files, finals = desk.rows(), desk.files(), desk.finals()
    desk.edit(*MILD)
    told = desk.regrade(NEW, preview=True)
    assert told.what == "01 counting: 2 of 3 students would move" and told.code is ExitCode.OK and told.next == "tito grade regrade 01"
    ben, cleo = told.data["moved"]
    assert (ben["student"], ben["old"], ben["new"], ben["late_days"]) == ("ben", 9, 13, 1)
    assert (ben["old_final"], ben["new_final"]) == (pytest.approx(8.1), pytest.approx(11.7))      # a day late: 90 percent
    assert (cleo["student"], cleo["old"], cleo["new"]) == ("cleo", 7, 3)
    check = cleo["checks"][0]
    assert (check["grade_id"], check["before"], check["after"], check["old"], check["new"]) == ("test-mean", "passed", "failed", 4, 0)
    assert (check["sentence"], check["why"]) == ("the sentence of test-mean", "look again")
    assert (told.data["up"], told.data["down"], told.data["untouched"], told.data["by_hand"]) == (1, 1, 1, 3)
    text = "\n".join(told.lines)
    for words in ("test-mean asks something else", "ben: 9 -> 13 of 15 points (+4); final 8.1 -> 11.7, 1 day late", "untouched: 1",
                  "cleo: 7 -> 3 of 15 points (-4)", "test-mean: failed -> passed, 0 -> 4: the sentence of test-mean: before: look again",
                  "total: 1 up, 1 down; mean 9.67 -> 9.67 points", "points given by hand: 3"):
        assert words in text, text
    assert (desk.rows(), desk.files(), desk.finals(), desk.regrades()) == (before, files, finals, [])


def test_applying_after_a_preview_judges_nothing_again(desk: Desk) -> None:
    desk.edit(*MILD)
    desk.regrade(NEW, preview=True)
    assert sorted(desk.jobs.done) == ["ada", "ben", "cleo"]
    desk.jobs.done.clear()
    desk.regrade(NEW)
    assert desk.jobs.done == []


def test_what_is_previewed_is_what_happens(desk: Desk) -> None:
    desk.edit(*MILD)
    preview, done = desk.regrade(NEW, preview=True), desk.regrade(NEW)
    assert preview.lines == done.lines and preview.data["moved"] == done.data["moved"]
    assert done.data["applied"] and not preview.data["applied"]
    assert {m["student"]: m["new_final"] for m in done.data["moved"]} == \
        {name: pytest.approx(final) for name, (_, final) in desk.finals().items() if name != "ada"}
    assert desk.force.digest == freeze(desk.term, desk.module).digest == done.data["to"]


def test_a_source_that_was_not_changed_is_not_regraded(desk: Desk) -> None:
    told = desk.regrade(NEW)
    assert "in force" in told.what and not told.data["applied"] and desk.jobs.done == [] and desk.regrades() == []


# ---- what may have changed ---------------------------------------------------------------------

@pytest.mark.parametrize("name, file, old, new, words", [
    ("points", "counting_dev.py", '"points": 4', '"points": 8', "test-mean is worth 8, not 4"),
    ("probes", "probes.py", "size=5", "size=6", "the probes are others"),
    ("the answer", "counting_dev.py", "return total(numbers) / len(numbers)", "count = len(numbers)\n    return total(numbers) / count",
     "the answers are others"),
    ("prose", "counting_dev.py", "Add things up.", "Add them up.", "not graded"),
])
def test_whatever_is_edited_is_named(desk: Desk, name: str, file: str, old: str, new: str, words: str) -> None:
    desk.edit(old, new, file)
    told = desk.regrade(OLD, preview=True)
    assert words in told.lines[0]


def test_other_points_move_who_has_them(desk: Desk) -> None:
    desk.edit('"points": 4', '"points": 8')
    told = desk.regrade(OLD)
    assert [(m["student"], m["old"], m["new"], m["old_max"], m["new_max"]) for m in told.data["moved"]] == \
        [("ada", 13, 17, 15, 19), ("cleo", 7, 11, 15, 19)] and told.data["untouched"] == 1
    assert desk.facts()["ada"].points["test-mean"] == 8


def test_a_check_that_is_added(desk: Desk) -> None:
    desk.edit('# %% tags=["analysis"]\n', NEW_TEST)
    told = desk.regrade(partial(says, {"ben test-mean": "failed", "cleo test-total": "failed", "cleo test-more": "error"}))
    assert "test-more is new: 2 points" in told.lines[0]
    assert [(m["student"], m["new"] - m["old"]) for m in told.data["moved"]] == [("ada", 2), ("ben", 2), ("cleo", 0)]
    assert told.data["moved"][2]["checks"][0]["before"] == "absent"
    assert desk.facts()["ada"].auto["test-more"] == 2 and {state for state, _ in desk.finals().values()} == {"graded"}
    before_undo = desk.rows()
    desk.undo()
    assert "test-more" not in desk.facts()["ada"].auto and desk.rows() != before_undo


def test_a_check_that_is_renamed_is_one_gone_and_one_new(desk: Desk) -> None:
    before = desk.rows()
    desk.edit('"grade_id": "test-mean"', '"grade_id": "test-average"')
    desk.edit('"test-mean"', '"test-average"', "probes.py")
    told = desk.regrade(partial(says, {"ben test-average": "failed", "cleo test-total": "failed"}))
    assert "test-average is new: 4 points" in told.lines[0] and "test-mean is gone: 4 points" in told.lines[0]
    assert {name: sum(v or 0 for v in f.auto.values()) for name, f in desk.facts().items()} == {"ada": 10, "ben": 6, "cleo": 4}
    desk.undo()
    assert desk.rows() == before


# ---- points given by hand ----------------------------------------------------------------------

def test_points_given_by_hand_stay_through_a_regrade_and_its_undoing(desk: Desk) -> None:
    desk.by_hand("ben", 2.5, "test-mean", extra=0.5)        # partial credit
    before = desk.rows()
    desk.edit(*MILD)
    told = desk.regrade(NEW)
    ben = next(m for m in told.data["moved"] if m["student"] == "ben")
    assert ben["old"] == ben["new"] == 11.5 and ben["checks"][0]["by_hand"]
    assert "points given by hand stand" in "\n".join(told.lines)
    now = desk.facts()
    assert now["ben"].manual_scores == {"test-mean": 2.5, "why-mean": 3.0} and now["ben"].extra == {"test-mean": 0.5}
    assert {name: one.manual_scores["why-mean"] for name, one in now.items()} == dict.fromkeys(now, 3.0)
    desk.undo()
    assert desk.rows() == before


def test_what_people_enter_between_a_regrade_and_its_undoing_stays(desk: Desk) -> None:
    desk.edit(*MILD)
    desk.regrade(NEW)
    desk.by_hand("ada", 5.0)
    desk.undo()
    assert desk.facts()["ada"].manual_scores["why-mean"] == 5.0 and desk.facts()["ben"].auto["test-mean"] == 0


def test_a_cell_with_points_by_hand_is_not_dropped(desk: Desk) -> None:
    desk.by_hand("ben", 2.5, "test-mean")
    before, files = desk.rows(), desk.files()
    desk.edit('"grade_id": "test-mean"', '"grade_id": "test-average"')
    desk.edit('"test-mean"', '"test-average"', "probes.py")
    told = desk.regrade(NEW, preview=True)
    assert told.code is ExitCode.INTEGRITY and told.data["lost"] == ["test-mean, which is gone: points given by hand to 1 student"]
    with pytest.raises(TitoError) as caught:
        desk.regrade(NEW)
    assert "test-mean" in caught.value.why and caught.value.code is ExitCode.INTEGRITY
    assert (desk.rows(), desk.files(), desk.regrades()) == (before, files, [])


# ---- what cannot be judged ---------------------------------------------------------------------

def test_nothing_is_applied_where_one_could_not_be_judged(desk: Desk) -> None:
    broken: Work = partial(says, {"ben test-mean": "infra", "ben test-total": "infra"})
    before, files = desk.rows(), desk.files()
    desk.edit(*MILD)
    told = desk.regrade(broken, preview=True)
    assert told.code is ExitCode.INFRASTRUCTURE and told.data["infra"] == [{"student": "ben", "why": "no room"}]
    with pytest.raises(TitoError) as caught:
        desk.regrade(broken)
    assert "ben: no room" in caught.value.why and caught.value.code is ExitCode.INFRASTRUCTURE
    assert (desk.rows(), desk.files(), desk.regrades()) == (before, files, [])
    assert "2 of 3 students moved" in desk.regrade(NEW).what            # once it can be


def test_a_submission_whose_file_is_damaged_holds_the_regrade_up(desk: Desk) -> None:
    version = counting(desk.term, desk.module)["ben"]
    version.path.write_bytes(b"something else")
    desk.edit(*MILD)
    told = desk.regrade(NEW, preview=True)
    assert [i["student"] for i in told.data["infra"]] == ["ben"] and "its content is not that of its name" in told.data["infra"][0]["why"]


def test_a_submission_that_was_never_graded_is_named_and_is_graded_later(desk: Desk) -> None:
    desk.hand_in("dora")
    desk.edit(*MILD)
    told = desk.regrade(NEW)
    assert told.data["first"] == ["dora"] and "not graded before (tito grade autograde does): dora" in "\n".join(told.lines)
    assert not desk.term.path("autograded", "dora").exists()
    desk.jobs.done.clear()
    desk.autograde(NEW)
    assert desk.jobs.done == [] and desk.facts()["dora"].auto["test-mean"] == 4


def test_a_version_that_came_since_is_the_one_that_is_regraded(desk: Desk) -> None:
    desk.hand_in("ben", answered(desk.force, mean=WHOLE_MEAN), days=2)
    desk.edit(*MILD)
    told = desk.regrade(NEW)
    assert told.data["first"] == ["ben"]
    assert desk.facts()["ben"].auto["test-mean"] == 4 and desk.facts()["ben"].sha256 == counting(desk.term, desk.module)["ben"].sha256



# ---- real runs ---------------------------------------------------------------------------------

@pytest.fixture
def lab(shelf: Path, tmp_path: Path) -> Iterator[Desk]:  # noqa: F811
    desk = Desk(copied(shelf, tmp_path))
    desk.hand_in("ben", answered(desk.force, mean=WHOLE_MEAN), days=2)
    desk.hand_in("cleo", answered(desk.force, total=NO_TOTAL), days=2)
    yield desk


def test_from_an_edited_check_to_points_with_nothing_pretended(lab: Desk) -> None:
    from grading.run.work import examine
    lab.edit("size=5", "size=1, scale=0.0", "probes.py")         # a probe that sees nothing, as it was handed out
    first = freeze(lab.term, lab.module)
    first.save(lab.term)
    first.use(lab.term)
    lab.autograde(examine)
    assert {name: lab.facts()[name].auto["test-mean"] for name in ("ada", "ben")} == {"ada": 4, "ben": 4}
    lab.edit("size=1, scale=0.0", "size=5", "probes.py")
    told = lab.regrade(examine)
    assert told.data["changed"] == ["the probes are others"]
    assert [(m["student"], m["old"], m["new"]) for m in told.data["moved"]] == [("ben", 10, 6)]
    check = told.data["moved"][0]["checks"][0]
    assert check["reason"].startswith("probe means_canary") and "not for others" in check["why"]
    lab.undo()
    assert lab.facts()["ben"].auto["test-mean"] == 4


# ---- parts -------------------------------------------------------------------------------------

def test_a_move_without_an_earlier_verdict_is_none(desk: Desk) -> None:
    version = counting(desk.term, desk.module)["ada"]
    rows = Row("passed", "test-total", 6, 6), Row("passed", "test-mean", 4, 4)
    result = Result("ada", 1, version.sha256, desk.force.digest, "k", rows)
    found = moves.move(replace(desk.facts()["ada"], auto={}), None, result, desk.force, desk.term.settings.deadlines)
    assert not found.moves and not found.judged and found.after.state == "graded"


def test_a_pending_plan_that_cannot_be_read_stops_everything(desk: Desk) -> None:
    path = desk.term.path("regrades", "01_counting", ledger.PENDING)
    path.parent.mkdir(parents=True)
    path.write_text('{"schema_version": 1, "kind": "apply"}', encoding="utf-8")
    with pytest.raises(TitoError, match="cannot be used"):
        desk.regrade(NEW, preview=True)
