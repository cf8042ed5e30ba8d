"""A repaired notebook: what is whole stays as it is, what is the course's comes back, what is the student's is kept, and no bytes raise."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.check.workbench import ADD, DOUBLE, RIGHT, TEST_ADD, TEST_DOUBLE, code, demo, graded, solution, text
from tito.repair import Repaired, repair

Cells = list[dict[str, Any]]
STUB = "raise NotImplementedError()"
ESSAY = {"cell_type": "markdown", "id": "essay", "source": "YOUR ANSWER HERE",
         "metadata": {"nbgrader": {"grade_id": "essay", "grade": True, "solution": True, "points": 4}}}


def book(cells: Cells) -> dict[str, Any]:
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def released() -> dict[str, Any]:
    return book([*demo(STUB, STUB), text("Why?"), copy.deepcopy(ESSAY)])


def solved() -> Cells:
    answers = [*(c["source"] for c in demo()), "Why?", "Because."]
    return [{**cell, "source": source} for cell, source in zip(released()["cells"], answers)]


def mend(cells: Cells) -> Repaired:
    return repair(json.dumps(book(cells)).encode(), released())


def sources(repaired: Repaired, kind: str = "code") -> list[str]:
    return [c["source"] for c in repaired.notebook["cells"] if c["cell_type"] == kind]


def at(cells: Cells, grade_id: str) -> int:
    return next(i for i, c in enumerate(cells) if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)


@pytest.mark.parametrize("cells", [released()["cells"], solved(), [*solved(), code("x = 1")], [code("import math"), *solved(), text("")]])
def test_what_is_whole_stays_as_it_is(cells: Cells) -> None:
    assert mend(cells) == Repaired(book(cells))


def test_a_cell_of_ones_own_stays_where_it_stood_without_what_it_printed() -> None:
    cells = solved()
    own = code("helper = 1", tags=["analysis"]) | {"outputs": [{"output_type": "stream", "text": "x"}], "execution_count": 7}
    cells.insert(at(cells, "add") + 1, own)
    got = mend(cells)
    assert got.notes == ()
    assert got.notebook["cells"][at(cells, "add") + 1] == own | {"outputs": [], "execution_count": None}


def test_checks_and_locked_cells_are_the_released_ones() -> None:
    cells = solved()
    cells[at(cells, "test-add")].update(source="pass")
    cells[at(cells, "test-double")]["metadata"]["nbgrader"]["points"] = 99
    cells[at(cells, "setup")].update(source="print('mine')")
    got = mend(cells)
    assert got.notebook == book(solved())
    assert got.notes == ("the locked cell setup was changed in the notebook: the released one is used",
                         "the check test-add was changed in the notebook: the released one is used",
                         "the metadata of test-double were missing or changed: the released ones are used")


def test_what_stood_in_a_locked_cell_beside_its_text_is_kept() -> None:
    cells = solved()
    cells[0]["source"] += "\nimport scipy"
    got = mend(cells)
    assert sources(got)[:2] == [solved()[0]["source"], "import scipy"]


def test_deleted_cells_come_back_and_a_deleted_answer_is_lost() -> None:
    kept = [c for c in solved() if c["metadata"].get("nbgrader", {}).get("grade_id") not in ("add", "test-double")]
    got = mend(kept)
    assert got.lost == ("add",) and len(got.notebook["cells"]) == len(solved())
    assert got.notes == ("the cell add was deleted: its stub stands in its place",
                         "the check test-double was deleted: the released one is used")


def test_a_given_cell_may_be_changed_but_is_not_to_be_deleted() -> None:
    cells = solved()
    cells[2]["source"] += "\nimport math"
    assert mend(cells) == Repaired(book(cells))
    del cells[2]
    assert mend(cells).notes == ('the given cell "import numpy as np" was deleted: the released one is used',)


def test_of_two_copies_the_last_with_something_in_it_counts() -> None:
    first, last, stub = (ADD.format(body) for body in ("return 1", RIGHT, STUB))
    cells = solved()
    place = at(cells, "add")
    cells[place:place + 1] = [solution(first, "add"), solution(last, "add"), solution(stub, "add")]
    got = mend(cells)
    assert [s for s in sources(got) if "def add" in s] == [first, last]
    assert got.notebook["cells"][at(got.notebook["cells"], "add")]["source"] == last and "more than once" in got.notes[0]


def test_an_answer_merged_with_its_check_is_separated_from_it() -> None:
    for keep in (0, 1):
        cells = solved()
        place = at(cells, "add")
        pair = cells[place:place + 2]
        cells[place:place + 2] = [pair[keep] | {"source": "\n\n".join(c["source"] for c in pair)}]
        got = mend(cells)
        assert got.notebook == book(solved()) and got.lost == ()


def test_two_answers_in_one_cell_are_two_again() -> None:
    cells = solved()
    cells[at(cells, "add")]["source"] += "\n\n" + cells.pop(at(cells, "double"))["source"]
    got = mend(cells)
    assert got.notebook == book(solved())
    assert got.notes == ("an answer was found in another cell: double",)


def test_a_split_answer_stays_in_order() -> None:
    cells = solved()
    place = at(cells, "double")
    cells.insert(place + 1, code("Tensor.double = double"))
    assert mend(cells) == Repaired(book(cells))


def test_swapped_labels_are_swapped_back() -> None:
    cells = solved()
    a, b = at(cells, "add"), at(cells, "double")
    for key in ("metadata", "id"):
        cells[a][key], cells[b][key] = cells[b][key], cells[a][key]
    assert mend(cells).notebook["cells"][a]["source"] == ADD.format(RIGHT)


def test_answers_are_known_without_any_label() -> None:
    bare = [{"cell_type": c["cell_type"], "metadata": {}, "source": c["source"]} for c in solved()]
    got = mend(bare)
    assert [c["source"] for c in got.notebook["cells"]] == [c["source"] for c in solved()]
    assert got.lost == () and got.notes[0] == "these answers were recognised by name: add, double"


def test_a_check_cannot_be_left_out_and_none_can_be_invented() -> None:
    cells = solved()
    cells[at(cells, "test-add")]["metadata"]["tags"] = ["analysis", "raises-exception"]
    cells[at(cells, "test-double")]["cell_type"] = "raw"
    got = mend([*cells, graded("pass", "mine", 100)])
    assert [c for c in got.notebook["cells"] if c["metadata"].get("nbgrader")] == [c for c in solved() if c["metadata"].get("nbgrader")]
    assert got.notebook["cells"][-1]["metadata"] == {} and "the cell mine is not one of the graded cells" in "".join(got.notes)


def test_a_pasted_picture_stays_in_a_written_answer() -> None:
    cells = solved()
    cells[-1]["attachments"] = {"a.png": {"image/png": "aGk="}}
    assert mend(cells) == Repaired(book(cells))


@pytest.mark.parametrize(("content", "said"), [
    (b"", "the file is empty"), (b"PK\x03\x04", "a zip archive"), (b"<html>", "a web page"), (b"{}", "has no cells"),
    (b"Dear Ada,", "not a notebook"),
    (b'{"cells": [{"cell_type": "code", "source": "#| default_exp core.other"}]}', "another module (core.other)")])
def test_what_is_no_notebook_is_said_and_all_is_lost(content: bytes, said: str) -> None:
    original = released()
    original["cells"].insert(1, code("#| default_exp core.demo"))
    got = repair(content, original)
    assert said in got.notes[0] and len(got.notes) == 1
    assert got.lost == ("add", "double", "essay") and got.notebook == original


def test_many_notes_are_counted() -> None:
    cells = [*solved(), *(graded("pass", f"mine-{i}") for i in range(30))]
    notes = mend(cells).notes
    assert len(notes) == 21 and notes[-1] == "and 10 more"


CODE = st.sampled_from([ADD.format(RIGHT), TEST_ADD, DOUBLE, TEST_DOUBLE])
ANYTHING = st.recursive(st.none() | st.booleans() | st.floats() | st.text() | CODE,
                        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([
                            "cells", "cell_type", "source", "metadata", "nbgrader", "grade_id", "id", "tags", "input", "worksheets", "code",
                            "attachments", "content"]), inner, max_size=5), max_leaves=25)


def holds(repaired: Repaired) -> None:
    """What is true of every repair."""
    cells = repaired.notebook["cells"]
    marked = [c for c in cells if c["metadata"].get("nbgrader")]
    original = [c for c in released()["cells"] if c["metadata"].get("nbgrader")]
    assert [c["metadata"] for c in marked] == [c["metadata"] for c in original]
    assert len({c["id"] for c in cells}) == len(cells)
    again = repair(json.dumps(repaired.notebook).encode(), released())
    assert (again.notebook, again.notes) == (repaired.notebook, ())


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(content: bytes) -> None:
    holds(repair(content, released()))


@settings(max_examples=150, deadline=None)
@given(ANYTHING)
def test_no_json_raises(value: Any) -> None:
    holds(repair(json.dumps(value).encode(), released()))
    cell = {"cell_type": "code", "source": value, "metadata": {"nbgrader": value}}
    holds(repair(json.dumps({"cells": [value, cell]}).encode(), released()))


def test_a_given_cell_that_holds_only_another_ones_text_comes_back() -> None:
    """Torn so that one cell's id met the next one's text: both are there again, and a second repair finds nothing to do."""
    cells = solved()
    assert cells[1]["cell_type"] == "markdown" and cells[2]["source"].startswith("import")
    torn = [cells[0], cells[1] | {"source": cells[2]["source"]}, *cells[3:]]
    repaired = repair(json.dumps(book(torn)).encode(), released())
    assert [c["source"] for c in repaired.notebook["cells"][1:3]] == [cells[1]["source"], cells[2]["source"]]
    holds(repaired)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_torn_notebook_raises(data: st.DataObject) -> None:
    content = json.dumps(book(solved()), indent=1).encode()
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2)))
    holds(repair(content[:begin] + data.draw(st.binary(max_size=5)) + content[end:], released()))


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(len(solved()))), st.integers(0, len(solved())))
def test_any_order_and_any_part_holds(order: list[int], kept: int) -> None:
    got = mend([solved()[i] for i in order][:kept])
    holds(got)
    assert got.lost == tuple(name for name in ("add", "double", "essay") if at(solved(), name) not in order[:kept])


@pytest.mark.parametrize("content", [
    json.dumps(book([*demo(), *(code(f"def own_{i}():\n    return {i}") for i in range(5_000))])).encode(),
    json.dumps(book([{**c, "outputs": [{"text": "x" * 2_000_000}]} for c in demo()])).encode(),
    json.dumps(book([{**c, "outputs": [{"text": ["some text\n"] * 20_000}]} for c in demo()])).encode()[:-3],
    b'{"cells": [' + b'{"a":' * 200_000,
    b'[' * 500_000, b'"' * 2_000_000, b"# %%\n" * 20_000, b"{" + b'"\\' * 1_000_000,
    json.dumps(book([code("#| export\n" * 200_000 + "def add(a, b):\n    pass")])).encode(),
    ("x = " + "(" * 100_000).encode(), ("x = " + "-" * 100_000 + "1").encode()],
    ids=["cells", "outputs", "cut", "nested", "brackets", "quotes", "markers", "escapes", "lines", "parentheses", "signs"])
def test_size_is_no_obstacle(content: bytes) -> None:
    began = time.process_time()
    repair(content, released())
    assert time.process_time() - began < 6
