"""The hidden part: probes compared outside, means that a task forbids, and rows that are only ever lowered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grading.run.forbidden import used
from grading.run.judge import HIDDEN, exam, lowered
from tests.check.workbench import code, graded, solution
from tito.cells import Document, document
from tito.check.probing import Ban
from tito.check.row import blank
from tito.check.session import Answer
from tito.check.values import pack
from tito.check.verdict import Verdict

TEST = "def test_unit_double():\n    \"\"\"Twice.\"\"\"\n    assert double(2) == 4\ntest_unit_double()"
PROBES = """
from tito.check.probing import exact, forbid, probe

ban = forbid("test-double", "np.multiply", "sum", "@")

@probe("test-double", exact)
def twice(tinytorch, rng):
    return tinytorch.double(rng.normal(size=3))
"""
EXAM = exam(PROBES, "01_demo", b"s" * 32)
VALUE = pack(np.arange(3.0))


def answer(source: str, *helpers: str) -> Document:
    cells = [*map(code, helpers), solution(source, "double"), graded(TEST, "test-double")]
    return document({"cells": cells}, Path("demo.ipynb"))


def judged(source: str, *values: Any, state: str = "passed") -> tuple[Any, dict[str, str]]:
    work = answer(source)
    answers = [v if isinstance(v, Answer) else Answer(v) for v in values]
    verdict = Verdict("01 demo", [blank(work.tests[0], "01 demo", state)], answers=answers)
    rows, reasons = lowered(work, verdict, EXAM, REFERENCE, [VALUE] * len(EXAM.questions.asked))
    return rows[0], reasons


RIGHT = "def double(x):\n    return x + x"
REFERENCE = answer(RIGHT)


def test_points_need_both() -> None:
    row, reasons = judged(RIGHT, VALUE, VALUE)
    assert (row.state, row.points, reasons) == ("passed", 5, {})
    row, reasons = judged(RIGHT, VALUE, pack(np.arange(3.0) + 1e-9))
    assert (row.state, row.points, row.max_points, row.check) == ("failed", 0, 5, HIDDEN)
    assert list(reasons) == ["test-double"] and "twice" in reasons["test-double"]
    assert "twice" not in str(row.to_dict()) and not row.got and not row.expected


@pytest.mark.parametrize("state", ["failed", "error", "timeout", "skipped", "infra"])
def test_a_row_is_never_raised(state: str) -> None:
    row, reasons = judged(RIGHT, VALUE, VALUE, state=state)
    assert (row.state, row.points, reasons) == (state, 0, {})


@pytest.mark.parametrize("value", [Answer(error="did not end"), None, [], {}, {"array": "AAAA", "dtype": "O", "shape": [1]}, "x" * 10**5,
                                   float("nan"), {"dict": [[{}, 1]]}, [[[[[]]]]] * 3,
                                   {"array": VALUE["array"], "dtype": "<f8", "shape": [3, 1]},
                                   {"array": VALUE["array"], "dtype": ">f8", "shape": [3]}])
def test_no_answer_of_another_kind_is_taken_for_right(value: Any) -> None:
    row, _ = judged(RIGHT, VALUE, value)
    assert row.state == "failed" and row.check == HIDDEN


def test_the_seeds_come_from_the_secret_and_stay_over_a_regrade() -> None:
    other = exam(PROBES, "01_demo", b"t" * 32)
    assert exam(PROBES + "\n# edited", "01_demo", b"s" * 32).questions.asked == EXAM.questions.asked
    assert {s for _, s in other.questions.asked}.isdisjoint({s for _, s in EXAM.questions.asked})
    assert len({s for _, s in EXAM.questions.asked}) == len(EXAM.questions.asked)


BAN = Ban("test-double", ("np.multiply", "sum", "@"))


@pytest.mark.parametrize(("source", "found"), [
    ("return np.multiply(x, 2)", "np.multiply"), ("return x @ x", "@"), ("x @= x\n    return x", "@"), ("return sum([x, x])", "sum"),
    ("return getattr(np, 'multiply')(x, 2)", "np.multiply"),
    ("return getattr(np, 'multi' + 'ply')(x, 2)", "getattr with a computed name"),
    ("return eval('x+x')", "eval"), ("from numpy import multiply as m\n    return m(x, 2)", "np.multiply"),
    ("return np.__dict__['x'](x)", "__dict__"), ("import importlib", "importlib"), ("s = np\n    return s.multiply(x, 2)", "np.multiply"),
    ("return x + x", ""), ("return x.sum() * 0 + 2 * x", ""), ("return getattr(x, 'real', x) + x", ""),
    ("%time pass\n    return x + x", ""),
    ("%time y = np.multiply(x, 2)\n    return x + x", "multiply"),
    ("'''Twice; np.multiply and sum are not needed.'''\n    return x + x", ""),
    ("return (", "code that cannot be read without running it"),
    ("import re\n    re.compile('x')\n    print('multiply')\n    return x + x", ""), ("return x.__matmul__(x)", "@"),
    ("y = (x\n% 5)\n    return np.multiply(x, 2)", "np.multiply"), ("return builtins.sum([x, x])", "builtins")])
def test_forbidden_means_are_found_in_the_answer(source: str, found: str) -> None:
    assert used(answer(f"def double(x):\n    {source}"), BAN, REFERENCE) == found


def test_helpers_are_read_too_and_other_cells_are_not() -> None:
    helped = "def helped(x):\n    return np.multiply(x, 2)"
    assert used(answer("def double(x):\n    return helped(x)", helped), BAN, REFERENCE) == "np.multiply"
    assert used(answer(RIGHT, "shown = np.multiply(3, 2)"), BAN, REFERENCE) == ""


def test_the_answer_is_found_wherever_it_stands() -> None:
    """In a cell of its own, above or below, through helpers of helpers, under another name."""
    bad = "def double(x):\n    return np.multiply(x, 2)"
    assert used(answer("pass", bad), BAN, REFERENCE) == "np.multiply"
    deep = ["def deeper(x):\n    return np.multiply(x, 2)", "def helper(x):\n    return deeper(x)"]
    assert used(answer("def double(x):\n    return helper(x)", *deep), BAN, REFERENCE) == "np.multiply"
    assert used(answer("def double(x):\n    return twice(x, 2)", "from numpy import multiply as twice"), BAN, REFERENCE) == "np.multiply"
    assert used(answer("def double(x):\n    return multiply(x, 2)", "from numpy import *"), BAN, REFERENCE) == "np.multiply"
    assert used(answer("def double(x):\n    multiply = 2 * x\n    return multiply"), BAN, REFERENCE) == ""


def test_a_forbidden_means_is_told() -> None:
    row, reasons = judged("def double(x):\n    return sum([x, x])", VALUE, VALUE)
    assert row.state == "failed" and row.points == 0 and row.hint == "this task is to be done without sum"
    assert reasons == {"test-double": "forbidden: sum"}
