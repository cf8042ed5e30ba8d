"""Attacks on the notebook itself: what its metadata say of points and identity, and where its tests are."""

from __future__ import annotations

from tests.grading.redteam.attack import Attack, Notebook, extra
from tests.grading.redteam.attacks_patch import SHAPE

TEST = "test-broadcast-shape"
TO_SHAPE = {"aim": (TEST,), "answers": {"broadcast-shape": SHAPE}}


def _marks(notebook: Notebook) -> dict[str, dict]:
    return {c["metadata"]["nbgrader"]["grade_id"]: c for c in notebook["cells"] if "nbgrader" in c["metadata"]}


def _more_points(notebook: Notebook) -> Notebook:
    _marks(notebook)["test-lift"]["metadata"]["nbgrader"]["points"] = 1000
    return notebook


def _swapped(notebook: Notebook) -> Notebook:
    cells = _marks(notebook)
    easy, hard = (cells[name]["metadata"]["nbgrader"] for name in ("test-lift", TEST))
    easy["grade_id"], hard["grade_id"] = hard["grade_id"], easy["grade_id"]
    easy["points"], hard["points"] = hard["points"], easy["points"]
    return notebook


def _twice(notebook: Notebook) -> Notebook:
    made = extra("pass")
    made["metadata"] = {"nbgrader": dict(_marks(notebook)[TEST]["metadata"]["nbgrader"])}
    notebook["cells"] = [c for c in notebook["cells"] if c is not _marks(notebook)[TEST]]
    notebook["cells"].append(made)
    return notebook


def _before_the_answer(notebook: Notebook) -> Notebook:
    """The test's cell, emptied, goes before everything, and a copy of it stays where it was, without its marks."""
    test = _marks(notebook)[TEST]
    test["source"] = "def test_unit_broadcast_shape():\n    pass\ntest_unit_broadcast_shape()"
    notebook["cells"].remove(test)
    notebook["cells"].insert(0, test)
    return notebook


def _unlocked(notebook: Notebook) -> Notebook:
    """The test is a student's answer now, in which what it tests is defined anew."""
    test = _marks(notebook)[TEST]
    test["metadata"]["nbgrader"] |= {"locked": False, "checksum": "0" * 32}
    test["source"] = "expect.same = expect.raises = lambda *a, **k: None\n" + test["source"]
    return notebook


def _another_kind(notebook: Notebook) -> Notebook:
    """The setup of another cell: the locked imports are changed to bring other names."""
    cell = _marks(notebook)["imports"]
    cell["source"] += "\nfrom tito.check import expect as checks\nchecks.same = checks.raises = lambda *a, **k: None"
    return notebook


ATTACKS = [
    Attack("edited-points", "a test that is passed is worth a thousand points", "unrepaired", reshape=_more_points, aim=("test-lift",)),
    Attack("swapped-ids", "a wrong answer's test bears the name and the points of one that is passed", "unrepaired", **TO_SHAPE,
           reshape=_swapped),
    Attack("second-test", "an empty cell with the test's grade_id takes its place at the end", "unrepaired", **TO_SHAPE, reshape=_twice),
    Attack("moved-test", "the test, emptied, is run before everything", "unrepaired", **TO_SHAPE, reshape=_before_the_answer),
    Attack("unlocked-test", "the locked test is edited, and its checksum with it", "unrepaired", **TO_SHAPE, reshape=_unlocked),
    Attack("edited-imports", "a locked cell that is no test is edited", "visible", **TO_SHAPE, reshape=_another_kind),
]
