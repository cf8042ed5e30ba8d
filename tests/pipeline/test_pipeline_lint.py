"""Every trap of the tools and every rule of the course is found, at its line, with a mend."""

# ruff: noqa: E501   (a table of cases: one row each)

import re
from pathlib import Path

import pytest

from tests.pipeline.fakes import graded, locked, solution
from tito.course import Course
from tito.dev.lint import Problem, code_lines, lint
from tito.dev.page import read_page


def problems_after(course: Course, number: str, *edits: tuple[str, str]) -> tuple[list[Problem], list[str]]:
    """What lint says of a module after edits to its source, and the source's lines."""
    path = course.module(number).source
    text = path.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return lint(course, course.module(number)), text.split("\n")


def test_the_fake_modules_are_clean(course: Course) -> None:
    assert [str(p) for m in course.modules for p in lint(course, m)] == []


CASES = {
    "text about a later name": ("01", ("Run it first.", "Run `relu(x)` first."), "the text speaks of `relu`", "Run `relu(x)` first."),
    # what nbdev and jupytext pass over in silence
    "two targets": ("01", ("#| export\nimport math", "#| default_exp core.more\nimport math"), "a second `#| default_exp core.more`", "#| default_exp core.more"),
    "no target": ("01", ("#| default_exp core.tensor", "pass"), "no `#| default_exp`", "# %% [markdown]"),
    "target below code": ("01", ("#| default_exp core.tensor", "pass\n#| default_exp core.tensor"), "stands below code", "#| default_exp core.tensor"),
    "target without package": ("03", ("core.autograd", "autograd"), "`autograd` is not a module in a package", "#| default_exp autograd"),
    "late export": ("01", ("#| export\nimport math", "import math\n#| export"), "not the first line", "#| export"),
    "export after a comment": ("01", ("#| export\nclass", "# The class.\n#| export\nclass"), "not the first line", "#| export"),
    "strange export": ("01", ("#| export\nimport math", "# | export\nimport math"), "`# | export` is not understood", "# | export"),
    "export to elsewhere": ("01", ("#| export\nimport math", "#| export core.x\nimport math"), "is not understood", "#| export core.x"),
    "hidden export": ("01", ("#| export\nimport math", "#| exporti\nimport math"), "`#| exporti` is not understood", "#| exporti"),
    "syntax error": ("01", ("total = np.add(a.data, b.data)", "total = = 1"), "invalid syntax in an exported cell", "    total = = 1"),
    "syntax error anywhere": ("01", ("test_unit_add()\n\n", "test_unit_add(\n\n"), "was never closed in a cell", "test_unit_add("),
    "not allowed where it is": ("01", ("Tensor.__add__ = add", "return 1"), "'return' outside function", "return 1"),
    "magic": ("01", ("#| export\nimport math", "#| export\n# %load_ext x\nimport math"), "in an exported cell", "# %load_ext x"),
    "bad escape": ("01", ('"""The sum of two Tensors."""', '"""The sum \\sum of two."""'), "invalid escape sequence", '    """The sum \\sum of two."""'),
    "second class": ("02", ("class ReLU:", "class ReLU: pass\n\n# %%\n#| export\nclass ReLU:"), "a second `ReLU` silently replaces", "class ReLU:"),
    "second function": ("02", ("class ReLU:", "def relu(x): pass\n\nclass ReLU:"), "a second `relu` silently replaces", "def relu(x): pass"),
    "relative import": ("02", ("from tinytorch.core.tensor", "from .tensor"), "relative import", "from .tensor import Tensor, add"),
    # the notebook
    "no locked cell": ("01", (locked("tensor-setup"), ""), "the first code cell must be the locked one", "from tito import notebook"),
    "no use": ("01", ("notebook.use(1)", "notebook"), "the first code cell must be the locked one", "from tito import notebook"),
    "foreign number": ("02", ("tito.notebook.use(2)", "tito.notebook.use(1)"), "is not this folder's number", "tito.notebook.use(1)"),
    "no schema": ("01", ('"schema_version": 3, "solution": true', '"solution": true'), "metadata without schema_version", "#| export"),
    "old schema": ("01", ('"schema_version": 3, "solution": true', '"schema_version": 2, "solution": true'), "of another kind", "#| export"),
    "twice the same": ("01", ('"grade_id": "tensor-add"', '"grade_id": "tensor"'), "`tensor` stands 2 times", "#| export"),
    "strange name": ("01", ('"grade_id": "tensor-add"', '"grade_id": "tensor add"'), "`tensor add` is not a name", "#| export"),
    "no points": ("01", ('"points": 50, ', ""), "`test-add` without points", "def test_unit_add():"),
    "worthless": ("01", ('"points": 50, ', '"points": 0, '), "`test-add` without points", "def test_unit_add():"),
    "graded solution": ("01", (solution("tensor-add"), graded("tensor-add", 1).replace('"solution": false', '"solution": true')),
                        "`tensor-add` is locked or graded", "#| export"),
    "written answer without points": ("01", ('"grade": true, "grade_id": "why-float32"', '"grade": false, "grade_id": "why-float32"'),
                                      "written answer `why-float32` without points", "Why float32?"),
    "unlocked test": ("01", ('"grade": true, "grade_id": "test-add", "locked": true', '"grade": true, "grade_id": "test-add", "locked": false'),
                      "is not a locked code cell", "def test_unit_add():"),
    "no solution in it": ("02", ("    ### BEGIN SOLUTION\n", ""), "has no partner", "#| export"),
    "no markers at all": ("01", ("    ### BEGIN SOLUTION\n    total = np.add(a.data, b.data)\n", "    total = np.add(a.data, b.data)\n"),
                          "END SOLUTION in line 6 of the cell has no partner", "#| export"),
    "a solution elsewhere": ("01", (solution("tensor-add"), ""), "a solution in a cell that is not", "    ### BEGIN SOLUTION"),
    "no docstring": ("01", ('    """The sum of two Tensors."""\n', ""), "`add` is left to the student without a docstring", "def add(a, b):"),
    "docstring in the solution": ("01", ('"""The sum of two Tensors."""\n    ### BEGIN SOLUTION', '### BEGIN SOLUTION\n    """The sum."""'),
                                  "`add` is left to the student without a docstring", "def add(a, b):"),
    "broken stub": ("01", ('    """The sum of two Tensors."""\n    ### BEGIN SOLUTION', '    """The sum."""\n    if True:\n    ### BEGIN SOLUTION\n     pass'),
                    "what is left for the student is not Python", "    ### BEGIN SOLUTION"),
    "heading": ("01", ("<!-- BEGIN SOLUTION -->", "### BEGIN SOLUTION"), "this marker is a heading", "### BEGIN SOLUTION"),
    "test by another name": ("01", ('"grade_id": "test-add"', '"grade_id": "add-test"'), "test cell named `add-test`", "def test_unit_add():"),
    "function by another name": ("01", ("def test_unit_add", "def check_add"), "exactly one function", "def check_add():"),
    "two functions": ("01", ("def test_unit_add", "def helper(): pass\ndef test_unit_add"), "exactly one function", "def helper(): pass"),
    "test without a sentence": ("01", ('    """Two Tensors add up."""\n', ""), "`test_unit_add` has no docstring", "def test_unit_add():"),
    "never called": ("01", ("\ntest_unit_add()\n", "\n1 + 1\n"), "does not end by calling `test_unit_add()`", "1 + 1"),
    "exported test": ("01", ("def test_unit_add", "#| export\ndef test_unit_add"), "a test cell is exported", "#| export"),
    "too few points": ("01", ('"points": 50', '"points": 40'), "worth 50 points", "# %% [markdown]"),
    "too many points": ("01", ('"points": 50', '"points": 95'), "worth 105 points", "# %% [markdown]"),
    "a stopwatch": ("02", ("test_unit_relu()\n", "test_unit_relu()\n\n# %%\nimport timeit\nbest = min(timeit.repeat(lambda: 1, number=1))\n"),
                    "`timeit.repeat` measures, in a cell that is not tagged analysis", "best = min(timeit.repeat(lambda: 1, number=1))"),
    "a helper's stopwatch": ("02", ("test_unit_relu()\n", "test_unit_relu()\n\n# %%\nimport time\ndef took():\n    return time.perf_counter()\n\n# %%\nprint(took())\n"),
                             "`took` measures", "print(took())"),
    # names
    "a library": ("01", ("import math", "import scipy.stats"), "import of `scipy`", "import scipy.stats"),
    "tools in the package": ("01", ("import math", "from tito.check import expect"), "import of `tito`", "from tito.check import expect"),
    "a patch": ("01", ("import math", "from fastcore.basics import patch"), "import of `fastcore`", "from fastcore.basics import patch"),
    "pictures outside analysis": ("01", (' tags=["analysis"]', ""), "import of `matplotlib`", "import matplotlib.pyplot as plt"),
    "itself": ("02", ("import numpy", "import tinytorch.core.activations\nimport numpy"), "belongs to this module itself", "import tinytorch.core.activations"),
    "a later module": ("02", ("import numpy", "from tinytorch.core.autograd import backward\nimport numpy"), "belongs to the later module 03",
                       "from tinytorch.core.autograd import backward"),
    "a later name": ("01", ("import math", "from tinytorch import relu\nimport math"), "`tinytorch.relu` belongs to the later module 02", "from tinytorch import relu"),
    "a later view": ("01", ("import math", "from tinytorch.nn.functional import relu\nimport math"), "`tinytorch.nn.functional.relu` belongs to the later",
                     "from tinytorch.nn.functional import relu"),
    "a later attribute": ("02", ("test_unit_relu()\n", "test_unit_relu()\n\n# %%\nimport tinytorch as tt\ntt.backward\n"), "`tinytorch.backward` belongs to",
                          "tt.backward"),
    "a later attribute of a view": ("02", ("test_unit_relu()\n", "test_unit_relu()\n\n# %%\nfrom tinytorch import optim\noptim.Adam\n"),
                                    "`tinytorch.optim.Adam` belongs to the later module 03", "optim.Adam"),
    "in a test": ("02", ("    assert relu", "    from tinytorch.core.autograd import backward\n    assert relu"), "belongs to the later module 03",
                  "    from tinytorch.core.autograd import backward"),
    "nobody's name": ("02", ("import Tensor, add", "import Tensor, add\nfrom tinytorch import nothing"), "no module exports `tinytorch.nothing`",
                      "from tinytorch import nothing"),
    "a name with two owners": ("02", ("class ReLU:", "class Tensor:"), "`Tensor` is exported by module 01 too", "class Tensor:"),
    "a part's name": ("01", ("Tensor.__add__ = add", "nn = add"), "`nn` is also what tinytorch calls a part", "nn = add"),
    "a target with two owners": ("02", ("default_exp core.activations", "default_exp core.tensor"), "is what module 01 exports to", ""),
    "a strange view": ("02", ("view nn", "view torch-nn"), "`torch-nn` is not a name for a view", "#| view torch-nn"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_finds(course: Course, name: str) -> None:
    number, edit, message, at = CASES[name]
    found, lines = problems_after(course, number, edit)
    hits = [p for p in found if message in p.message]
    assert hits, [str(p) for p in found]
    for problem in hits:
        assert problem.path == course.module(number).source and problem.fix and not problem.warning
        if at and len(hits) == 1:
            assert lines[problem.line - 1] == at
    assert any(not at or lines[p.line - 1] == at for p in hits)


def test_what_is_allowed(course: Course) -> None:
    found, _ = problems_after(course, "02", ("import numpy as np", "import functools, math\nimport numpy as np\nimport tinytorch.core\nfrom tinytorch import built"),
                              ("class ReLU:", "@functools.cache\ndef _(): pass\n\ndef _(): pass\n\nclass ReLU:"),
                              ("test_unit_relu()\n", "test_unit_relu()\n\n# %%\n%time 1\nimport tinytorch as tt\ntt.Tensor\n"))
    assert [str(p) for p in found] == []


def test_a_module_that_does_not_export_spoils_only_its_own_lint(course: Course) -> None:
    problems_after(course, "03", ("tensor.grad = relu(tensor).data", "tensor.grad = ="))
    assert lint(course, course.module("02")) == []
    assert [p.message for p in lint(course, course.module("03"))][0].startswith("invalid syntax")


def test_sizes_are_advice(course: Course) -> None:
    body = "".join(f"x{n} = {n}\n" for n in range(160))
    found, _ = problems_after(course, "02", ("# %%\n#| export\nclass", f"# %%\n#| export\n{body}\n# %%\n#| export\nclass"),
                              ("# %% [markdown]\n", "# %% [markdown]\n" + "# prose\n" * 800))
    assert {(p.warning, re.sub(r"\d+", "N", p.message)) for p in found} == {(True, "N exported lines of code"), (True, "N lines in all")}
    assert "warning: " in str(found[0])
    body = "".join(f"y{n} = {n}\n" for n in range(160))
    assert problems_after(course, "01", ("# %%\n#| export\nimport math", f"# %%\n#| export\n{body}\n# %%\n#| export\nimport math"))[0] == [], "01 may be larger"


def test_code_lines_count_what_does_something(course: Course) -> None:
    page = read_page(course, course.module("01"))
    assert [code_lines(p.tree) for p in page.exported] == [0, 3, 4]


def test_a_problem_reads_as_file_line_message_mend() -> None:
    assert str(Problem(Path("m.py"), 3, "wrong", "mend it")) == "m.py:3: wrong; mend it"
