"""A tiny course with one module, and notebooks as students might leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

from tito.cells import Document, document
from tito.check.row import Row
from tito.check.verdict import Verdict, judge

PACKAGE = '''
def limit(number):
    global limited
    limited = number
'''
SETUP = """from tito import notebook
notebook.use(1)"""
IMPORTS = """import numpy as np
from tito.check import expect

class Tensor:
    def __init__(self, data):
        self.data = np.asarray(data, np.float32)"""
ADD = '''#| export
def add(a, b):
    """The sum."""
    {}'''
TEST_ADD = '''def test_unit_add():
    """Adding works entry by entry."""
    a, b = Tensor([1.0, 2.0, 3.0]), Tensor([10.0, 20.0, 30.0])
    expect.close(lambda: add(a, b), [11.0, 22.0, 33.0], "three numbers are added", mistaken={
        "this subtracts": lambda got: np.allclose(got, [-9, -18, -27])}, raises={ValueError: "make the shapes agree"})
    expect.same(add(a, b).data.dtype, np.float32, "float32 stays float32")

test_unit_add()'''
DOUBLE = """def double(a):
    {}"""
TEST_DOUBLE = '''def test_unit_double():
    """Doubling adds a Tensor to itself."""
    expect.close(double(Tensor([[1.0, 2.0], [3.0, 4.0]])), [[2.0, 4.0], [6.0, 8.0]], "twice as much")

test_unit_double()'''
RIGHT = "return Tensor(a.data + b.data)"


def code(source: str, **marks: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"tags": marks.pop("tags")} if "tags" in marks else {}
    if marks:
        metadata["nbgrader"] = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False, **marks}
    return {"cell_type": "code", "id": f"c{crc32(source.encode()):010d}", "metadata": metadata, "execution_count": None, "outputs": [],
            "source": source}


def text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": f"m{crc32(source.encode()):010d}", "metadata": {}, "source": source}


def solution(source: str, grade_id: str) -> dict[str, Any]:
    return code(source, grade_id=grade_id, solution=True)


def graded(source: str, grade_id: str, points: float = 5) -> dict[str, Any]:
    return code(source, grade_id=grade_id, grade=True, locked=True, points=points)


def demo(add: str = RIGHT, double: str = "return add(a, a)", *, whole: str | None = None, extra: tuple[dict[str, Any], ...] = (),
         test_add: str = TEST_ADD, test_double: str = TEST_DOUBLE) -> list[dict[str, Any]]:
    """The notebook of a module with two answers, the second of which uses the first."""
    return [code(SETUP, grade_id="setup", locked=True), text("# Demo"), code(IMPORTS), *extra, text("## Addition: a first operation"),
            solution(whole if whole is not None else ADD.format(add), "add"), graded(test_add, "test-add"),
            text("## Doubling"), solution(DOUBLE.format(double), "double"), graded(test_double, "test-double", 3)]


class Bench:
    """A course folder in which notebooks are put and judged."""

    def __init__(self, root: Path):
        self.root = root
        (root / "settings.ini").write_text("[course]\n", encoding="utf-8")
        (root / "tinytorch").mkdir()
        (root / "tinytorch" / "__init__.py").write_text(PACKAGE, encoding="utf-8")
        (root / "modules" / "01_demo").mkdir(parents=True)
        self.path = root / "modules" / "01_demo" / "demo_dev.ipynb"

    def put(self, cells: list[dict[str, Any]]) -> Document:
        notebook = {"cells": cells, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
                    "nbformat": 4, "nbformat_minor": 5}
        self.path.write_text(json.dumps(notebook), encoding="utf-8")
        return document(notebook, self.path)

    def judge(self, cells: list[dict[str, Any]], **how: Any) -> Verdict:
        return judge(self.put(cells), self.root, 1, "01 demo", **how)

    def row(self, cells: list[dict[str, Any]], **how: Any) -> Row:
        """The row of the first graded cell."""
        return self.judge(cells, **how).rows[0]
