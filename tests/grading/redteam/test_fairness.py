"""Right answers earn all their points, however they are written; and grading shows the very rows that the student saw at home."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grading.sandbox import Sandbox
from tests.grading.redteam import driver
from tests.grading.redteam.attack import Handed
from tests.grading.redteam.fair import FAIR
from tests.grading.redteam.targets import TARGETS
from tito.cells import document
from tito.check.verdict import Verdict, judge

WRONG = [
    Handed("unwritten", "one answer is not written", answers={"lift": "raise NotImplementedError()"}),
    Handed("wrong-shape", "one answer is wrong", answers={"broadcast-shape": "#| export\ndef broadcast_shape(a, b):\n    return a"}),
    Handed("raises", "one answer raises", target="plain", answers={"halved": "def halved(x):\n    return x / y"}),
    Handed("does-not-parse", "one answer does not parse", target="plain", answers={"ordered": "def ordered(items:\n    return items"}),
    Handed("ends-python", "one answer ends Python", target="plain", answers={"doubled": "import os\ndef doubled(x):\n    os._exit(3)"}),
]
names = {"ids": lambda handed: handed.name}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student's course, before anything is built in it."""
    root = tmp_path_factory.mktemp("home")
    for path, text in TARGETS["tensor"].assignment.package.items():
        (root / "tinytorch" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "tinytorch" / path).write_text(text, encoding="utf-8")
    return root


def at_home(handed: Handed, root: Path) -> Verdict:
    notebook = json.loads(handed.file({}).decode("utf-8-sig"))
    return judge(document(notebook, Path(f"{handed.target}_dev.ipynb")), root, 1, TARGETS[handed.target].assignment.label)


def test_there_are_many_and_no_two_are_the_same() -> None:
    assert len({f.name for f in FAIR}) == len(FAIR) >= 25


@pytest.mark.parametrize("handed", FAIR, **names)
def test_a_right_answer_earns_all_and_looks_as_at_home(handed: Handed, box: Sandbox, home: Path) -> None:
    result = driver.grade(handed.file({}), handed.target, box, caps=driver.Limits())
    assert [(row.grade_id, row.state, row.got, row.hint) for row in result.rows if row.state != "passed"] == []
    assert result.points == sum(TARGETS[handed.target].assignment.points.values())
    assert (result.state, result.reasons) == ("graded", {})
    assert _bytes(result.rows) == _bytes(at_home(handed, home).rows)


@pytest.mark.parametrize("handed", WRONG, **names)
def test_what_is_wrong_looks_as_at_home_too(handed: Handed, box: Sandbox, home: Path) -> None:
    result = driver.grade(handed.file({}), handed.target, box, caps=driver.Limits())
    assert result.points < sum(TARGETS[handed.target].assignment.points.values())
    assert _bytes(result.rows) == _bytes(at_home(handed, home).rows)


def _bytes(rows: object) -> bytes:
    return json.dumps([row.to_dict() for row in rows], ensure_ascii=False).encode()     # type: ignore[attr-defined]
