"""Nobody gains a point, a secret or a neighbour: every notebook here cheats some careless judge, and nothing of it works under ours."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Iterator

import pytest
from filelock import FileLock

from grading.result import Result
from grading.run import work
from grading.sandbox import Sandbox
from tests.grading.redteam import baseline, driver, weak
from tests.grading.redteam.attack import Attack
from tests.grading.redteam.corpus import ATTACKS
from tests.grading.redteam.fair import FAIR
from tests.grading.redteam.scene import Scene, leaked, scene
from tests.grading.redteam.targets import TARGETS

MUCH = 1 << 20                      # bytes: no result, and no notebook kept, is that large for what a cheater does
LONG = 45.0                         # seconds: no submission keeps the others waiting for longer
UNDER_NBGRADER = [a for a in ATTACKS if "nbgrader" in a.works_under]
WRONG = {str(a.answers): a for a in ATTACKS if a.answers and a.aim and a.trick and a.works_under != "no static check"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandboxes that are attacked are Linux's")
each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)


@pytest.fixture(scope="module")
def place() -> Iterator[Scene]:
    with scene() as made:
        yield made


@pytest.fixture(scope="module")
def nbgrader(place: Scene, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> baseline.Graded:
    """What nbgrader gives to all attacks that are said to work under it: one batch, whichever process asks first."""
    if importlib.util.find_spec("nbgrader") is None:
        pytest.skip("nbgrader is not installed")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "nbgrader"
    with FileLock(f"{folder}.lock"):
        if not (folder / "points.json").exists():
            folder.mkdir()
            handed_in = {name: {a.name: a.file(place.places) for a in UNDER_NBGRADER if a.target == name} for name in TARGETS}
            for name, target in TARGETS.items():
                handed_in[name][f"honest-{name}"] = json.dumps(target.solved).encode()
                handed_in[name][f"stub-{name}"] = json.dumps(target.released).encode()
            handed_in["plain"]["stderr"] = next(f for f in FAIR if f.name == "stderr").file({})
            handed_in["plain"]["neighbour"] = json.dumps(TARGETS["plain"].solved).encode()
            graded = baseline.autograde(folder, place.course, {name: target.solved for name, target in TARGETS.items()}, handed_in)
            (folder / "points.json").write_text(json.dumps(graded.points), encoding="utf-8")
        return baseline.Graded(json.loads((folder / "points.json").read_text(encoding="utf-8")), folder)


@pytest.fixture(autouse=True)
def _short_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CELL_SECONDS", driver.CELL_SECONDS)


def test_the_corpus_is_large_and_each_attack_says_what_it_tries() -> None:
    assert len(ATTACKS) >= 100
    assert len({a.name for a in ATTACKS}) == len(ATTACKS)
    assert all(a.tries and (a.works_under in weak.JUDGES or a in UNDER_NBGRADER) for a in ATTACKS)
    assert all(a.answers or a.reshape for a in ATTACKS if a.aim)        # points are gained for wrong answers, or for edited notebooks


@each_attack
def test_it_is_an_attack(attack: Attack, place: Scene, request: pytest.FixtureRequest) -> None:
    if attack.needs and importlib.util.find_spec(attack.needs) is None:
        pytest.skip(f"{attack.needs} is not installed")
    if attack not in UNDER_NBGRADER:
        gained = weak.JUDGES[attack.works_under](attack, place)
        time.sleep(attack.lingers)
        place.touched()
        assert gained, "nothing is gained under this judge"
        return
    graded: baseline.Graded = request.getfixturevalue("nbgrader")
    if attack.works_under == "nbgrader":
        assert attack.gain(graded.points[attack.name])
    else:
        assert len(graded.kept(attack.name)) > 10 * MUCH


@pytest.mark.parametrize("attack", WRONG.values(), ids=lambda a: a.name)
def test_without_its_trick_the_wrong_answer_gains_nothing(attack: Attack, place: Scene) -> None:
    assert weak.visible(attack.plainly(), place) == ""


def test_nbgrader_knows_right_from_unwritten(nbgrader: baseline.Graded) -> None:
    for name, target in TARGETS.items():
        assert sum(nbgrader.points[f"honest-{name}"].values()) == sum(target.assignment.points.values())
        assert sum(nbgrader.points[f"stub-{name}"].values()) == 0


def test_nbgrader_gives_nothing_to_a_right_answer_that_prints_to_stderr(nbgrader: baseline.Graded) -> None:
    assert nbgrader.points["stderr"]["test-doubled"] == 0


@pytest.mark.parametrize("name", TARGETS)
def test_right_answers_earn_all_and_no_answers_nothing(name: str, box: Sandbox) -> None:
    target = TARGETS[name]
    right, unwritten = (driver.grade(json.dumps(notebook).encode(), name, box) for notebook in (target.solved, target.released))
    assert (right.state, right.points, right.reasons) == ("graded", sum(target.assignment.points.values()), {})
    assert (unwritten.state, unwritten.points) == ("graded", 0)


@each_attack
def test_it_gains_nothing(attack: Attack, place: Scene, box: Sandbox) -> None:
    began = time.monotonic()
    result = driver.grade(attack.file(place.places), attack.target, box)
    seconds = time.monotonic() - began
    time.sleep(attack.lingers)
    said = json.dumps(result.to_dict())
    assert place.touched() == []
    assert not leaked(said)
    assert attack.gain({row.grade_id: row.points for row in result.rows}) == ""
    assert all(row.points <= TARGETS[attack.target].assignment.points[row.grade_id] for row in result.rows)
    assert [row.grade_id for row in result.rows] == list(TARGETS[attack.target].assignment.points)
    assert result.state == "graded"
    assert result.sandbox == box.name
    assert len(said) < MUCH
    assert seconds < LONG
    _names_its_reason(attack, result)


def _names_its_reason(attack: Attack, result: Result) -> None:
    rows = {row.grade_id: row for row in result.rows}
    for name in attack.aim if attack.answers else ():
        row = rows[name]
        assert row.state != "passed"
        assert result.reasons.get(name) or row.check or row.got or row.hint


def test_the_next_one_is_judged_as_if_nobody_had_cheated_before(place: Scene, box: Sandbox) -> None:
    right = json.dumps(TARGETS["plain"].solved).encode()
    before = driver.grade(right, "plain", box).to_dict()
    for name in ("lives-on", "fork-bomb", "patched-array-method", "leaves-a-file"):
        driver.grade(next(a for a in ATTACKS if a.name == name).file(place.places), "tensor", box)
    after = driver.grade(right, "plain", box).to_dict()
    assert {**after, "seconds": 0} == {**before, "seconds": 0}
