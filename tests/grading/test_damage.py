"""Damaged notebooks: right code is worth all its points whatever became of the file, and a stub is worth none."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.check.workbench import PACKAGE
from tests.grading.damage import Case, answered, corpus, meaning
from tests.grading.damage_work import Notebook, marks, sort, text
from tests.pipeline.fakes import SETTINGS, SOURCES
from tito.cells import document
from tito.check.verdict import Verdict, judge
from tito.dev.source import notebook, strip
from tito.repair import Repaired, repair

ROOT = Path(__file__).parents[2]
JUDGED = ("answers_and_their_stubs", "answer_merged_into_its_check", "two_answers_merged_into_the_second", "all_code_in_one_cell",
          "upside_down", "labels_one_further", "all_metadata_removed", "checks_that_always_pass", "only_the_code",
          "cut_off_in_the_last_cell")


@dataclass(frozen=True)
class Pair:
    """A released notebook, and the one of a student who is right."""

    released: Notebook
    right: Notebook

    def expected(self, work: Notebook, lost: frozenset[str]) -> Notebook:
        """The work with stubs in place of what was lost."""
        stubs = {marks(c)["grade_id"]: text(c) for c in self.released["cells"] if marks(c).get("solution")}
        cells = [c | {"source": stubs[marks(c)["grade_id"]] if marks(c).get("grade_id") in lost else text(c)} for c in work["cells"]]
        return work | {"cells": cells}


@cache
def pair(name: str) -> Pair:
    """`tiny` is the first module of the fake course, `real` that of the real one."""
    path = ROOT / "modules/01_tensor/tensor_dev.py"
    if name == "tiny":
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "tensor_dev.py")
            path.write_text(SOURCES["01_tensor"], encoding="utf-8")
            solved = notebook(path)
    else:
        solved = notebook(path)
    released = strip(solved)
    return Pair(released, answered(released, solved))


def the_same(repaired: Repaired, pair: Pair, work: Notebook, case: Case) -> bool:
    """Whether every check meets what it would meet in the work that was not damaged."""
    got, want = meaning(repaired.notebook), meaning(pair.expected(work, case.lost))
    return all(want[check].items() <= got[check].items() for check in want)


@pytest.mark.parametrize(("name", "pairs"), [("tiny", 150), ("real", 20)])
def test_right_answers_survive_every_damage_and_stubs_gain_nothing(name: str, pairs: int) -> None:
    them = pair(name)
    graded = [c for c in them.released["cells"] if marks(c).get("grade_id")]
    answers = {marks(c)["grade_id"] for c in graded if sort(c) == "answer"}
    for work in (them.right, them.released):
        cases = corpus(them.released, work, pairs=pairs)
        assert len(cases) >= 150 and len({c.name for c in cases if " + " not in c.name}) >= 130
        for case in cases:
            repaired = repair(case.content, them.released)
            assert the_same(repaired, them, work, case), (case.name, repaired)
            assert [c for c in repaired.notebook["cells"] if marks(c)] == [
                c | {"source": r["source"]} for c, r in zip(graded, (r for r in repaired.notebook["cells"] if marks(r)))], case.name
            assert answers & set(repaired.lost) == case.lost or work is them.released, case.name


@pytest.mark.parametrize("name", ["tiny", "real"])
def test_what_is_repaired_needs_no_repair(name: str) -> None:
    them = pair(name)
    for case in corpus(them.released, them.right, pairs=20)[::1 if name == "tiny" else 3]:
        repaired = repair(case.content, them.released)
        again = repair(json.dumps(repaired.notebook).encode(), them.released)
        assert (again.notebook, again.notes) == (repaired.notebook, ()), case.name
        assert repaired == repair(case.content, them.released), case.name
        assert len(repaired.notes) <= 21 and not any("\n" in note for note in repaired.notes)


def test_the_corpus_is_the_same_every_time() -> None:
    them = pair("tiny")
    first, second, other = (corpus(them.released, them.right, seed=seed) for seed in (1, 1, 2))
    assert first == second != other


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[Notebook], Verdict]:
    (tmp_path / "settings.ini").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "tinytorch").mkdir()
    (tmp_path / "tinytorch/__init__.py").write_text(PACKAGE, encoding="utf-8")

    def run(notebook: Notebook) -> Verdict:
        return judge(document(copy.deepcopy(notebook), tmp_path / "tensor_dev.ipynb"), tmp_path, 1, "01 tensor")
    return run


@pytest.mark.parametrize("name", JUDGED)
def test_points_after_a_repair(judged: Callable[[Notebook], Verdict], name: str) -> None:
    them = pair("tiny")
    points = []
    for work in (them.right, them.released):
        case = next(c for c in corpus(them.released, work, pairs=0) if c.name == name)
        points.append(judged(repair(case.content, them.released).notebook).points)
    assert points == [50, 0]


def test_points_of_the_real_course_after_a_repair(judged: Callable[[Notebook], Verdict]) -> None:
    them = pair("real")
    points = []
    for work in (them.right, them.released):
        case = next(c for c in corpus(them.released, work, pairs=0) if c.name == "percent_script_without_labels")
        verdict = judged(repair(case.content, them.released).notebook)
        points.append(verdict.points)
    assert points == [verdict.max_points, 0]
