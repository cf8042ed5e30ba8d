"""`tito bench`: what is wrong is not timed, what is there is measured, what was found is kept.  No figure is judged here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinytorch as tt
from tito.bench import __main__ as child
from tito.bench.cases import CASES, Case
from tito.bench.measure import Side
from tito.cli import bench
from tito.cli.results_runs import Benched
from tito.course import Course
from tito.errors import ExitCode, TitoError
from tito.milestones import catalogue

from .conftest import REPOSITORY, Answer, Edition

HERE = Course(REPOSITORY)


def run(course: Course, *modules: str) -> Benched:
    return bench.run(course, modules, rounds=2, least=1e-4)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course of the first modules, with the reference's package."""
    root = tmp_path / "mein Kurs ü"
    for name in ("modules/01_tensor", "modules/02_activations", "tinytorch", "tito"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(REPOSITORY / "settings.ini", root)
    for late in (root / "tinytorch").rglob("*.py"):
        if late.name not in ("__init__.py", "tensor.py", "activations.py"):
            late.unlink()
    return Course(root)


def made() -> list[Case]:
    names = catalogue(HERE)[1]
    return [case for case in CASES if all(name in names for name in case.uses)]


@pytest.mark.parametrize("case", made(), ids=lambda case: case.title)
@pytest.mark.parametrize("torch", [True, False], ids=["torch", "no torch"])
def test_every_side_of_every_case_computes_the_same(case: Case, torch: bool) -> None:
    module = child.torch_or_none() if torch else None
    if torch and module is None:
        pytest.skip("torch is not installed")
    row = child.measured(case, tt, module, 2, 1e-4)
    assert not row["error"] and row["ours"] > 0 and row["over_numpy"] > 0 and ("over_torch" in row) == torch


def test_what_is_wrong_has_no_figures() -> None:
    def make(ours: Any) -> Case:
        by_hand = Side(lambda: np.ones(3), lambda y: [y])
        return Case("a", ("Tensor",), lambda tt, torch: {"ours": Side(ours, lambda y: [y]), "numpy": by_hand})
    assert child.measured(make(lambda: np.ones(3)), tt, None, 2, 1e-5).keys() >= {"ours", "over_numpy"}
    wrong = [(lambda: np.zeros(3), "not NumPy's"), (lambda: np.ones((1, 3)), "not NumPy's"), (lambda: 1 / 0, "ZeroDivisionError")]
    for ours, said in wrong:
        row = child.measured(make(ours), tt, None, 2, 1e-5)
        assert said in row["error"] and row.keys() == {"title", "error"}


def test_the_modules_that_are_there_are_measured_and_kept(course: Course) -> None:
    first, second = run(course), run(course, "2")
    assert {row.number for row in first.rows} == {1, 2} and {row.number for row in second.rows} == {2}
    assert all(row.before is None for row in first.rows) and all(row.before for row in second.rows)
    saved = json.loads((course.root / bench.HISTORY).read_bytes())
    assert [len(one["rows"]) for one in saved["runs"]] == [len(first.rows), len(second.rows)] and saved["runs"][0]["when"]
    assert first.code == second.code == ExitCode.OK and not first.note


def test_a_library_that_is_wrong_is_told(course: Course) -> None:
    path = course.package / "core" / "activations.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n\ndef softmax(x, dim):\n    print('noise')\n    return x\n", encoding="utf-8")
    result = run(course, "02")
    assert result.code == ExitCode.CHECKS_FAILED and "not NumPy's" in result.rows[0].error and result.rows[0].ours is None
    path.write_text("raise ValueError('broken in two')\n", encoding="utf-8")
    assert "broken in two" in run(course, "02").rows[0].error
    top = course.package / "__init__.py"
    top.write_text(top.read_text(encoding="utf-8") + "\n1 / 0\n", encoding="utf-8")
    with pytest.raises(TitoError, match="could not be measured") as failed:
        run(course, "02")
    assert failed.value.code == ExitCode.CHECKS_FAILED and "ZeroDivisionError" in failed.value.why


def test_what_is_not_there_is_said(course: Course, edition: Edition) -> None:
    (course.package / "core" / "activations.py").unlink()
    with pytest.raises(TitoError, match="02 activations is not in your tinytorch yet"):
        run(course, "02")
    with pytest.raises(TitoError, match="nothing to measure yet") as failed:
        run(Course(edition.root))
    assert "tito module start 01" in failed.value.fix or not Course(edition.root).is_edition


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b'{"schema_version": 9, "runs": []}'])
def test_a_history_that_cannot_be_read_stops_nothing_and_stays(course: Course, content: bytes) -> None:
    path = course.root / bench.HISTORY
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    result = run(course, "01")
    assert result.rows and "cannot be read" in result.note and path.read_bytes() == content


def test_only_what_is_apart_has_changed() -> None:
    last = {"over_numpy": 2.0, "spread_numpy": 0.05}
    row = {"title": "a", "error": "", "ours": 1e-3, "spread_numpy": 0.05}
    told = [bench._row(1, row | {"over_numpy": now}, last).change for now in (2.0, 2.15, 2.5, 1.5)]
    assert told == ["", "", "slower", "faster"]
    assert bench._row(1, row | {"over_numpy": 9.0}, None).change == "" == bench._row(1, {"title": "a", "error": "no"}, last).change


def test_what_it_looks_like(tito: Callable[..., Answer], course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course.root)
    found = {"numpy": "2.4.6", "torch": None, "rows": [
        {"title": "add, 4 numbers", "error": "", "ours": 1.25e-6, "numpy": 4e-7, "over_numpy": 3.1, "spread_numpy": 0.1},
        {"title": "softmax, 1000 x 100", "error": "AssertionError: result 1 of ours is not NumPy's"}]}
    monkeypatch.setattr(bench, "_measured", lambda *given: found)
    answer = tito("bench")
    assert answer.code == ExitCode.CHECKS_FAILED and max(map(len, answer.out.splitlines())) <= 80
    assert "add, 4 numbers" in answer.out and "1.25 us" in answer.out and "3.1 ± 0.1" in answer.out and "not NumPy's" in answer.out
    assert "torch is not installed" in answer.out and tito("bench", "--json").json["rows"][0]["before"] == 3.1


def test_a_student_edition_has_it() -> None:
    code = "import tito.bench.cases, sys; print(sorted(n for n in sys.modules if n.partition('.')[0] in ('torch', 'tinytorch', 'grading')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
