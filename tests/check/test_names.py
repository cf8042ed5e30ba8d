"""What a cell defines and uses, and which test is whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check.workbench import code, demo, graded, solution
from tito.cells import Document, document
from tito.check.names import Uses, bound, defined, skipped_for, used


@pytest.mark.parametrize(("source", "names"), [
    ("def f(x): return y", "f"),
    ("class A:\n    z = 1\n    def m(self): pass", "A .m .z"), ("Tensor.sum = total", ".sum"), ("a, (b, *c) = 1, (2, 3)", "a b c"),
    ("x: int = 3", "x"), ("for i in []: j = 1", "i j"), ("import os", ""),
    ("setattr(Tensor, 'T', 1)", ".T"), ("if 1:\n    def g(): pass\nelse:\n    h = 2", "g h"),
    ("Tensor.__add__ = Tensor.__radd__ = add", ".__add__ .__radd__"),
    ("%time\nk = 1", "k"), ("def f(x:\n    pass\nw = 2", "f w"), ("(n := 3)", "n"),
    ("with open('x') as handle: pass", "handle"),
])
def test_defined(source: str, names: str) -> None:
    assert defined(source) == set(names.split())


def test_used() -> None:
    assert used("y = softmax(x, dim=1)") == {"softmax", "x"}
    assert {".sum", "z"} <= used("z.sum(0)")
    assert ".sum" not in used("np.sum(z); z.numpy().sum(); z.data.sum()")
    assert {".__matmul__", ".__neg__", ".__getitem__", ".__lt__", ".__len__"} <= used("-(a @ b)[0] < len(c)")
    assert ".__add__" not in used("1 + 1")
    assert "np" not in used("expect.close(f(), 1, '', mistaken={'': lambda got: np.isclose(got, 1)})")
    assert used("def f(): return f()") == set()
    assert "broken" in used("broken(")
    assert bound("import numpy as np, os.path\nfrom a import (b as c)") == {"np", "os", "c"}
    assert bound("from a import b\nx = (") >= {"b", "x"}


def read(*cells: dict[str, object]) -> Document:
    return document({"cells": list(cells)}, Path("x.ipynb"))


def test_the_own_check_is_the_first_that_uses_it_else_the_next() -> None:
    doc = read(solution("def f(): pass", "f"), solution("def g(): pass", "g"), solution("print('hello')", "h"),
               graded("def test_unit_g(): g()", "test-g"), code("k = f"), graded("def test_unit_f(): k()", "test-f"))
    own = Uses(doc).own
    assert {doc.cells[i].grade_id: cell.grade_id for i, cell in own.items()} == {"f": "test-f", "g": "test-g", "h": "test-g"}


def test_methods_of_one_name_tell_nothing() -> None:
    doc = read(solution("class ReLU:\n    def forward(self): pass", "relu"), graded("def test_unit_relu(): ReLU().forward()", "t1"),
               solution("class Tanh:\n    def forward(self): pass", "tanh"), graded("def test_unit_tanh(): Tanh().forward()", "t2"))
    assert skipped_for(doc, {1: "failed", 3: "failed"}) == {}


def test_a_chain_points_to_its_beginning() -> None:
    doc = read(solution("def a(): pass", "a"), graded("def test_unit_a(): a()", "ta"), solution("def b(): a()", "b"),
               graded("def test_unit_b(): b()", "tb"), solution("def c(): b()", "c"), graded("def test_unit_c(): c()", "tc"))
    found = skipped_for(doc, {1: "failed", 3: "error", 5: "failed"})
    assert {i: cell.grade_id for i, cell in found.items()} == {3: "ta", 5: "ta"}
    assert {i: cell.grade_id for i, cell in skipped_for(doc, {1: "passed", 3: "error", 5: "failed"}).items()} == {5: "tb"}


def test_a_later_definition_is_the_one_in_force() -> None:
    doc = read(solution("def f(): 'slow'", "slow"), graded("def test_unit_slow(): f()", "t1"), solution("def f(): 'fast'", "fast"),
               graded("def test_unit_fast(): f()", "t2"))
    assert skipped_for(doc, {1: "failed", 3: "failed"}) == {}


def test_two_answers_that_need_each_other_still_leave_a_card() -> None:
    doc = read(solution("def f(): g()", "f"), solution("def g(): f()", "g"), graded("def test_unit_f(): f()", "tf"),
               graded("def test_unit_g(): g()", "tg"))
    assert set(skipped_for(doc, {2: "failed", 3: "failed"})) == {3}
    assert len(read(*demo()).tests) == 2
