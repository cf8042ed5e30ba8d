"""Every module of the course, graded as a worker does it: who is right gets all points, whatever became of the file, and nobody else does.

A run of every day takes a few of the wrong answers and damages, others after every change of a module; with TITO_ALL=1 it takes all.
"""

from __future__ import annotations

import hashlib
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from grading.assignment import Assignment, freeze
from grading.author.rehearsal import rehearse
from grading.result import Result
from grading.run import work
from grading.sandbox import Limits, Sandbox
from grading.term import Term
from tests.grading.damage import answered, corpus
from tests.grading.redteam.attack import extra, filled
from tests.grading.slots import FIRST
from tests.modules.shelf import COURSE, MODULES, each_module, subject_of
from tests.sampling import ALL, chosen
from tito.cells import document
from tito.check.verdict import Verdict, judge
from tito.course import Module
from tito.repair import repair
from tito.settings import Settings

CAPS = Limits(cpu_seconds=60, wall_seconds=90)
Notebook = dict[str, Any]

# What somebody writes who has no answers: a cell before the first of them, and one at the end.
HOSTILE = {
    "silent-checks": ("""
import sys
checks = sys.modules["tito.check.expect"]
for name in ("close", "same", "true", "raises", "finite"):
    setattr(checks, name, lambda *a, **k: None)
    setattr(expect, name, lambda *a, **k: None)""", ""),
    "everything-is-equal": ("""
import builtins, numpy
for name in ("allclose", "array_equal", "isclose", "shares_memory"):
    setattr(numpy, name, lambda *a, **k: True)
numpy.testing.assert_allclose = lambda *a, **k: None
builtins.AssertionError = type("AssertionError", (Warning,), {})""", ""),
    "answers-from-the-disk": ("""
import glob, importlib, sys
for path in [p for top in [*sys.path, "/", "/work", "/tmp"] for p in glob.glob(f"{top or '.'}/**/@NAME@*", recursive=True)][:50]:
    try:
        text = open(path).read()
        exec(text, globals())
        print("found", path)
    except Exception as error:
        print(path, error)
import tinytorch
tinytorch.limit(None)
try:
    globals().update(vars(importlib.import_module("@MODULE@")))
except ImportError as error:
    print(error)""", ""),
    "own-verdict": ("""
import os, sys, json
for stream in (1, 2):
    os.write(stream, b'\\n{"rows": [{"state": "passed", "points": 100}], "ok": true}\\n')
raise SystemExit(0)""", "import os\nos._exit(0)"),
    "tests-replaced": ("import builtins\nbuiltins.__build_class__ = None", """
for name in [n for n in globals() if n.startswith('test_')]:
    globals()[name] = lambda: None"""),
    "endless": ("", "while True:\n    pass"),
}


TRICKS = [(module, name) for module in MODULES for name in chosen(module, list(HOSTILE), 3)]


@cache
def assignment(module: Module) -> Assignment:
    return freeze(Term(COURSE, Settings(), COURSE.root), module)


@pytest.fixture(autouse=True)
def _short_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CELL_SECONDS", 6.0)


def right(module: Module) -> Notebook:
    """The notebook of a student who is right."""
    return answered(assignment(module).released, assignment(module).solved)


def graded(module: Module, content: bytes | Notebook, box: Sandbox) -> Result:
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    made = assignment(module)
    job = work.make_job(made, work.paper(made, bytes(32), box, CAPS), student="ada", version=hashlib.sha256(content).hexdigest(),
                        content=content, key="k")
    return Result.from_dict(work.examine({**job, "slot": FIRST + 50}))


def at_home(module: Module, content: bytes | Notebook) -> Verdict:
    """As `tito module test` judges it."""
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    mended = repair(content, assignment(module).released).notebook
    return judge(document(mended, Path(f"{module.name}_dev.ipynb")), COURSE.root, module.number, module.label)


def with_answer(notebook: Notebook, grade_id: str, source: str) -> Notebook:
    cells = [c | {"source": source} if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id else c for c in notebook["cells"]]
    return notebook | {"cells": cells}


@each_module
def test_it_is_fit_for_students(module: Module) -> None:
    """What `tito grade release` looks for: 20 seeds there, a few here."""
    assert [p for p in rehearse(Term(COURSE, Settings(), COURSE.root), module, seeds=20 if ALL else 2) if p.blocks] == []


@each_module
def test_right_answers_get_all_points_and_stubs_none(module: Module, box: Sandbox) -> None:
    made = assignment(module)
    result = graded(module, right(module), box)
    assert (result.state, result.points, result.reasons) == ("graded", sum(made.points.values()), {})
    assert [row.to_dict() for row in result.rows] == [row.to_dict() for row in at_home(module, right(module)).rows]
    empty = graded(module, made.released, box)
    assert (empty.state, empty.points) == ("graded", 0)
    assert [row.to_dict() for row in empty.rows] == [row.to_dict() for row in at_home(module, made.released).rows]


@each_module
def test_a_mistake_costs_its_points_and_no_others(module: Module, box: Sandbox) -> None:
    mistakes, _ = subject_of(module).written
    by_cell = {mistake.grade_id: mistake for mistake in random.Random(1).sample(mistakes, len(mistakes))}
    for mistake in chosen(module, sorted(by_cell.values(), key=str), 3):
        notebook = with_answer(right(module), mistake.grade_id, mistake.in_cell(subject_of(module).solved).source)
        result, home, again = graded(module, notebook, box), at_home(module, notebook), at_home(module, notebook)
        assert result.state == "graded" and not home.ok, mistake
        # Who draws from a generator that nobody has seeded shows other numbers, at other places, each time, at home as well.
        drawn = home.rows != again.rows or "default_generator" in mistake.new
        numbers = dict.fromkeys(("call", "expected", "got", "first") if drawn else ())
        assert [row.to_dict() | numbers for row in result.rows if row.grade_id not in result.reasons] == [
            row.to_dict() | numbers for row in home.rows if row.grade_id not in result.reasons], mistake
        lost = {row.grade_id for row in home.rows if row.state != "passed"}
        assert result.points <= home.points == sum(row.max_points for row in home.rows if row.grade_id not in lost), mistake


@pytest.mark.parametrize(("module", "name"), TRICKS, ids=lambda value: value if isinstance(value, str) else value.folder.name)
def test_tricks_without_answers_gain_nothing(module: Module, name: str, box: Sandbox) -> None:
    made = assignment(module)
    places = {"NAME": module.name, "MODULE": f"tinytorch.{made.document.default_exp}"}
    first, last = (filled(text, places) for text in HOSTILE[name])
    cells = list(made.released["cells"])
    at = next(k for k, c in enumerate(cells) if c["metadata"].get("nbgrader", {}).get("solution"))
    result = graded(module, made.released | {"cells": [*cells[:at], extra(first), *cells[at:], extra(last)]}, box)
    assert (result.state, result.points) == ("graded", 0)


@each_module
def test_damage_costs_nothing(module: Module, box: Sandbox) -> None:
    made = assignment(module)
    cases = [case for case in corpus(made.released, right(module), pairs=0) if not case.lost]
    assert len(cases) > 100
    split = [case for case in cases if case.name == "given_cells_split"]            # their parts are still nobody's own
    for case in [*split, *chosen(module, cases, 3)]:
        result = graded(module, case.content, box)
        assert (result.state, result.points) == ("graded", sum(made.points.values())), (case.name, result.repairs)
