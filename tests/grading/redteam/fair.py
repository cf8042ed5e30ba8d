"""Right answers as people really write them: each of these notebooks deserves all its points."""

from __future__ import annotations

import re

from tests.grading.redteam.attack import Handed, Notebook

PLAIN = {"target": "plain"}
LOOPS = """def matmul_loops(a, b):
    (n, inner), m = a.shape, b.shape[1]
    c = np.zeros((n, m), dtype=a.dtype)
    for i in range(n):
        for j in range(m):
            for k in range(inner):
                c[i, j] += a[i, k] * b[k, j]
    return c"""


def _indented(by: str) -> str:
    return re.sub(r"^( {4})+", lambda m: by * (len(m[0]) // 4), LOOPS, flags=re.MULTILINE)


def _windows(notebook: Notebook) -> Notebook:
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r\n")
    return notebook


def _listed(notebook: Notebook) -> Notebook:
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    return notebook


def _worked_in(notebook: Notebook) -> Notebook:
    """Outputs, counts, widths, collapsed cells: what JupyterLab leaves behind."""
    for count, cell in enumerate(notebook["cells"]):
        cell["metadata"] |= {"collapsed": False, "jupyter": {"outputs_hidden": False}}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": count, "outputs": [{"output_type": "stream", "name": "stderr", "text": "a warning\n"}]}
    notebook["metadata"] |= {"widgets": {}, "toc": {"base_numbering": 1}}
    return notebook


SEMICOLONS = """def ordered(items):
    found = []; rest = list(items);
    while rest:
        least = 0;
        for k in range(len(rest)):
            if rest[k] < rest[least]: least = k;
        found.append(rest.pop(least));
    return found;"""

FAIR = [
    Handed("stderr", "prints to stderr, at the top and in an answer", **PLAIN, setup="import sys\nprint('hello', file=sys.stderr)",
           answers={"doubled": "import sys\ndef doubled(x):\n    print('called with', x, file=sys.stderr)\n    return 2 * x"}),
    Handed("warns", "warns in every call", **PLAIN, answers={
        "doubled": "import warnings\ndef doubled(x):\n    warnings.warn('slow', stacklevel=2)\n    return 2 * x"}),
    Handed("deprecated", "warnings of Python and NumPy at import and in use", setup="import warnings\nwarnings.simplefilter('always')\n"
           "np.log(np.zeros(2))\nnp.float32(1e38) * np.float32(10)\n'\\d'"),
    Handed("errstate", "NumPy's warnings are made errors, and mended", setup="np.seterr(all='warn')", answers={
        "memory-footprint": "#| export\ndef memory_footprint(self):\n    with np.errstate(all='raise'):\n        "
                            "return int(np.prod(self.shape)) * self.dtype.itemsize\n\nTensor.memory_footprint = memory_footprint"}),
    Handed("matplotlib-inline", "%matplotlib inline in its own first cell", first="%matplotlib inline\nimport matplotlib.pyplot as plt"),
    Handed("plots", "a plot is drawn and shown", **PLAIN, last="import matplotlib.pyplot as plt\nplt.plot([1, 2], [3, 4])\nplt.show()"),
    Handed("time-magic", "%%time and %timeit in extra cells", **PLAIN, setup="%%time\nsum(range(100))",
           last="%timeit -n1 -r1 doubled(np.ones(3))"),
    Handed("time-magic-on-answer", "%%time above an answer", **PLAIN, answers={"doubled": "%%time\ndef doubled(x):\n    return 2 * x"}),
    Handed("shell", "!ls and its result", **PLAIN, setup="!ls\nfiles = !ls"),
    Handed("asks-the-keyboard", "input() in an extra cell, where nobody types", **PLAIN, last="name = input('your name? ')"),
    Handed("extra-imports", "imports that are not needed",
           setup="import os, sys, json, collections, itertools, random, statistics, fractions\n"
           "from functools import reduce, lru_cache\nimport numpy.linalg as la"),
    Handed("missing-import", "an import of a library that is not there, in an extra cell", **PLAIN, setup="import pandas_of_mine as pd"),
    Handed("extra-cells", "trials and errors between the answers", **PLAIN, setup="1 / 0", after={
        "doubled": "doubled(np.ones(2))", "test-doubled": "assert False, 'a trial'", "ordered": "# nothing\n", "distance": "x = ("}),
    Handed("tabs", "indented by tabs", answers={"matmul-loops": _indented("\t")}),
    Handed("two-spaces", "indented by two spaces", answers={"matmul-loops": _indented("  ")}),
    Handed("windows", "Windows' ends of lines in every cell", reshape=_windows),
    Handed("windows-file", "Windows' ends of lines in the file itself", **PLAIN, text=lambda text: text.replace("\n", "\r\n")),
    Handed("byte-order-mark", "a byte order mark before the file", **PLAIN, text=lambda text: "\ufeff" + text),
    Handed("lists-of-lines", "sources as lists of lines, as JupyterLab saves them", reshape=_listed),
    Handed("worked-in", "outputs, counts and the marks of JupyterLab", reshape=_worked_in),
    Handed("semicolons", "semicolons, and several statements in a line", **PLAIN, answers={"ordered": SEMICOLONS}),
    Handed("helper-function", "a helper in a cell of its own", **PLAIN, setup="def at_least(a, b):\n    return a if a > b else b",
           answers={"distance": "def distance(a, b):\n    return at_least(a - b, b - a)"}),
    Handed("helper-class", "a class and a closure behind an answer", **PLAIN, answers={"doubled": """
class Times:
    def __init__(self, factor):
        self.factor = factor
    def __call__(self, x):
        return self.factor * x
doubled = Times(2)"""}),
    Handed("type-hints", "full type hints", **PLAIN, answers={
        "distance": "from typing import TypeVar\nN = TypeVar('N', float, 'np.ndarray')\n"
                    "def distance(a: N, b: N) -> N:\n    return abs(a - b)"}),
    Handed("unicode", "names and comments in other letters", **PLAIN, answers={
        "distance": "def distance(α, β):  # расстояние, 距離\n    größe = α - β\n    return größe if größe >= 0 else -größe"}),
    Handed("await", "await at the top of a cell", **PLAIN, setup="import asyncio\nawait asyncio.sleep(0)",
           after={"doubled": "async def later(x):\n    return doubled(x)\nawait later(np.ones(2))"}),
    Handed("floods", "a flood of prints, in a cell and in an answer", **PLAIN, setup="for k in range(100_000):\n    print(k, 'x' * 50)",
           answers={"doubled": "def doubled(x):\n    print('x' * 100_000)\n    return 2 * x"}),
    Handed("logging", "logging is set up, to stderr and loud", **PLAIN, setup="import logging\nlogging.basicConfig(level=logging.DEBUG)\n"
           "log = logging.getLogger('mine')", answers={"doubled": "def doubled(x):\n    log.warning('here: %s', x)\n    return 2 * x"}),
    Handed("seeds", "seeds are set everywhere", setup="import random\nrandom.seed(1)\nnp.random.seed(1)\nrng = np.random.default_rng(1)"),
    Handed("no-collector", "the garbage collector is off, the recursion limit high", setup="import gc, sys\ngc.disable()\n"
           "sys.setrecursionlimit(5000)"),
    Handed("star-import", "from numpy import * in an extra cell", **PLAIN, setup="from numpy import *"),
    Handed("print-options", "NumPy and pandas-like display options", last="np.set_printoptions(precision=2, suppress=True)"),
    Handed("redefined-before", "a first try, and the right answer in a cell below it", **PLAIN,
           answers={"doubled": "def doubled(x):\n    return x"}, after={"doubled": "def doubled(x):\n    return x + x"}),
    Handed("redefined-after", "another right answer at the very end", **PLAIN, last="def doubled(x):\n    return np.multiply(x, 2)"),
    Handed("threads", "a thread and a subprocess-free pool that end by themselves", **PLAIN, setup="""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    print(list(pool.map(abs, [-1, 2])))"""),
    Handed("writes-a-file", "a file is written, read and removed in the working folder", **PLAIN, setup="""
from pathlib import Path
Path("notes.txt").write_text("mine")
print(Path("notes.txt").read_text())
Path("notes.txt").unlink()"""),
    Handed("cached", "a memory for what was computed", **PLAIN, answers={"spelled": """
from functools import lru_cache
@lru_cache(maxsize=None)
def spelled(digit):
    return ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"][digit]"""}),
    Handed("numpys-own-shapes", "another algorithm: NumPy's rule, in our words", answers={"broadcast-shape": """#| export
def broadcast_shape(a, b):
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        n, m = next((n, m) for n, m in zip(a[::-1], b[::-1]) if n != m and 1 not in (n, m))
        raise ValueError(f"{n} does not fit {m}: these cannot be broadcast") from None"""}),
    Handed("sums-of-products", "another algorithm: one sum for each number", answers={"matmul-loops": """
def matmul_loops(a, b):
    n, m, inner = len(a), b.shape[1], len(b)
    c = np.zeros((n, m), a.dtype)
    for i in range(n):
        for j in range(m):
            total = a.dtype.type(0)
            for k in range(inner):
                total = total + a[i][k] * b[k][j]
            c[i, j] = total
    return c"""}),
    Handed("bytes-of-the-array", "another algorithm: counted one by one", answers={"memory-footprint": """#| export
def memory_footprint(self):
    count = 1
    for size in self.shape:
        count *= size
    return count * np.empty(0, self.dtype).itemsize

Tensor.memory_footprint = memory_footprint"""}),
    Handed("speaks-of-matmul", "the name of a forbidden means in a message", answers={
        "matmul-loops": LOOPS.replace("    return c", "    print('matmul', c.shape)\n    return c")}),
    Handed("compiles-a-pattern", "re.compile in a task that forbids a means", **PLAIN, answers={
        "ordered": "import re\nDIGITS = re.compile('[0-9]+')\n" + SEMICOLONS}),
    Handed("merge-sort", "another algorithm: sorting by merging", **PLAIN, answers={"ordered": """
def ordered(items):
    if len(items) < 2:
        return list(items)
    left, right, found = ordered(items[:len(items) // 2]), ordered(items[len(items) // 2:]), []
    while left and right:
        found.append((left if left[0] <= right[0] else right).pop(0))
    return found + left + right"""}),
]
