"""A change is followed as far as it reaches; what cannot be known counts as reached."""

from __future__ import annotations

import pytest

from tests.modules.shelf import COURSE, each_module, solved, subject_of
from tests.sampling import chosen
from tito.cells import Document
from tito.check.row import blank
from tito.course import Module
from tito.watch.affected import affected, needed, unchanged
from tito.watch.standing import Check, Standing, stamp

from .conftest import document

Cells = list[tuple[str, str]]

START: Cells = [
    ("given", "from tinytorch import door, op, Layer"),
    ("answer", "def one():\n    return 1"),
    ("test", "def test_one():\n    expect.same(lambda: one(), 1)\ntest_one()"),
    ("answer", "def two():\n    return 2"),
    ("test", "def test_two():\n    expect.same(lambda: two(), 2)\ntest_two()"),
    ("given", "def three():\n    return one() + 2"),
    ("test", "def test_three():\n    expect.same(lambda: three(), 3)\ntest_three()"),
]


def after(cells: Cells, at: int, source: str, passed: set[int] | None = None) -> set[int]:
    """What is affected where one cell says something else."""
    before, changed = document(*cells), list(cells)
    changed[at] = changed[at][0], source
    return affected(before, document(*changed), {c.index for c in before.tests} if passed is None else passed)


def test_only_tests_that_use_what_changed_are_affected() -> None:
    assert after(START, 3, "def two():\n    return 3") == {4}


def test_a_change_reaches_through_cells_between() -> None:
    assert after(START, 1, "def one():\n    return 2") == {2, 6}


def test_a_test_above_the_change_keeps_its_row_where_it_passed_but_not_the_words_of_one_that_failed() -> None:
    cells = [("test", "two()"), *START]
    assert after(cells, 4, "def two():\n    return 3") == {5}
    assert after(cells, 4, "def two():\n    return 3", passed={5}) == {0, 5}


def test_a_local_name_is_nobody_elses() -> None:
    cells = [*START, ("answer", "size = 3"), ("test", "def test_size():\n    size = 1\n    expect.same(size, 1)\ntest_size()")]
    assert after(cells, 7, "size = 4") == set()


@pytest.mark.parametrize("cell, change, test", [
    ("class Net:\n    pass\nNet.depth = 1", "class Net:\n    pass\nNet.depth = 2", "some.depth"),
    ("def relu(x):\n    return x", "@op\ndef relu(x):\n    return x", "np.relu(x)"),
    ("def relu(x):\n    return x", "def relu(x):\n    return -x", "TABLE['relu']"),
    ("def relu(x):\n    return x", "def relu(x):\n    return -x", "getattr(some, name)"),
    ("def relu(x):\n    return x", "def relu(x):\n    return -x", "eval(text)"),
    ("class Net:\n    def step(self):\n        return 1", "class Net:\n    def step(self):\n        return 2", "some.step()"),
    ("def set_it():\n    global size\n    size = 1", "def set_it():\n    global size\n    size = 2", "size"),
], ids=["an attribute", "NumPy finds it", "by its text", "by any text", "evaluated", "a method", "global"])
def test_what_is_found_in_another_way_than_by_its_name_is_affected(cell: str, change: str, test: str) -> None:
    assert after([*START, ("answer", cell), ("test", test)], 7, change) == {8}


def test_a_class_that_gets_a_method_later_is_affected_though_its_users_never_name_the_method() -> None:
    """A layer's `forward` is called by the package."""
    cells = [*START, ("given", "class Net(Layer):\n    pass"), ("answer", "def _forward(self, x):\n    return x\nNet.forward = _forward"),
             ("test", "net = Net()\nexpect.same(lambda: net(1), 1)")]
    assert after(cells, 8, "def _forward(self, x):\n    return -x\nNet.forward = _forward") == {9}


def test_a_table_that_a_decorator_fills_is_affected() -> None:
    cells = [*START, ("given", "RULES = []\ndef rule(f):\n    RULES.append(f)\n    return f"),
             ("answer", "@rule\ndef double(x):\n    return 2 * x"), ("test", "expect.same(lambda: [f(1) for f in RULES], [2])")]
    assert after(cells, 8, "@rule\ndef double(x):\n    return 3 * x") == {9}


def test_what_a_cell_holds_while_it_calls_what_changed_is_affected() -> None:
    cells = [*START, ("given", "kept = []"), ("given", "fill(kept)"), ("test", "expect.same(kept, [1])")]
    cells[3] = "answer", "def fill(kept):\n    kept.append(1)"
    assert after(cells, 3, "def fill(kept):\n    kept.append(2)") == {9}


@pytest.mark.parametrize("source", [
    "from math import *\ndef two():\n    return 2", "def two():\n    return globals()['one']()",
    "def two():\n    return 2\nprint(two())", "def two():\n    return 2\ndoor.record = two",
    "def two():\n    return 2\nLayer.__add__ = two", "def two(name):\n    setattr(Layer, name, 2)",
    "@op(door)\ndef two():\n    return 2", "import random\nseed = random.random()",
], ids=["star", "globals", "acts", "package", "operator", "setattr", "taught", "chance"])
def test_what_cannot_be_known_affects_all_that_follows(source: str) -> None:
    assert after(START, 3, source) == {4, 6}


@pytest.mark.parametrize("source", ["def two(:", "%run other.py", "# nothing yet", "raise NotImplementedError()"])
def test_a_cell_that_does_not_tell_what_it_defines_affects_everything(source: str) -> None:
    assert after(START, 3, source) == {2, 4, 6}


@pytest.mark.parametrize("cells", [[*START, ("given", "")], START[:-1], [START[3], *START[:3], *START[4:]], [("text", "hello"), *START]],
                         ids=["added", "removed", "moved", "a text added"])
def test_other_cells_affect_everything(cells: Cells) -> None:
    new = document(*cells)
    assert affected(document(*START), new, {2, 4, 6}) == {c.index for c in new.tests}


def test_what_is_not_run_affects_nothing() -> None:
    cells = [*START, ("text", "prose"), ("picture", "plot(1)")]
    assert after(cells, 7, "other prose") == after(cells, 8, "plot(2)") == set()
    assert unchanged(document(*cells), document(*cells[:7], ("text", "more"), ("text", "and more"), ("picture", "plot(3)")))
    assert not unchanged(document(*cells), document(*START[:6], ("test", "pass")))


def test_a_test_whose_helper_another_test_defines_is_run_with_it() -> None:
    work = document(*START, ("test", "def test_both():\n    test_one()\n    test_two()\ntest_both()"))
    assert needed(work, {6}) == {6}
    assert needed(work, {7}) == {2, 4, 7}
    assert needed(document(*START, ("given", "test_two()")), set()) == {4}


def planted(module: Module, work: Document) -> Standing:
    found = Check(COURSE, module, work, None).run()
    assert found is not None
    return found[0]


@each_module
def test_every_row_that_a_mistake_changes_is_among_the_affected(module: Module) -> None:
    right = solved(module)
    for mistake in chosen(module, subject_of(module).written[0], 1):
        wrong = mistake.planted(right)
        rows = planted(module, wrong).rows
        changed = {i for i, row in rows.items() if row.state != "passed"}
        assert changed and changed <= affected(right, wrong, set(rows)), mistake


@pytest.mark.parametrize("number", ["05", "13", "17"])
def test_rows_that_were_carried_over_make_the_verdict_of_a_full_check(number: str) -> None:
    module = COURSE.module(number)
    right = solved(module)
    before = Standing(right, stamp(COURSE.package), {c.index: blank(c, module.label) for c in right.tests})
    for mistake in chosen(module, subject_of(module).written[0], 1):
        part, full = (Check(COURSE, module, mistake.planted(right), last).run() for last in (before, None))
        assert part is not None and full is not None
        assert [(r.state, r.check, r.hint) for r in part[1].rows] == [(r.state, r.check, r.hint) for r in full[1].rows], mistake
