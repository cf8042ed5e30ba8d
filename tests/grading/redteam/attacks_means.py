"""Attacks by forbidden means: right numbers, but not made by loops over single numbers, as the task asks."""

from __future__ import annotations

from tests.grading.redteam.attack import Attack

PEEK_WANT = """
import sys
def wanted():
    frame = sys._getframe(1)
    while "want" not in frame.f_locals:
        frame = frame.f_back
    return np.array(frame.f_locals["want"], float)
"""


def _loops(name: str, tries: str, body: str, **more: str) -> Attack:
    source = f"def matmul_loops(a, b):\n    a, b = np.asarray(a), np.asarray(b)\n    {body}"
    return Attack(f"means-{name}", tries, "no static check", aim=("test-matmul-loops",), answers={"matmul-loops": source}, **more)


def _sorts(name: str, tries: str, body: str, **more: str) -> Attack:
    return Attack(f"means-{name}", tries, "no static check", target="plain", aim=("test-ordered",),
                  answers={"ordered": f"def ordered(items):\n    {body}"}, **more)


ATTACKS = [
    _loops("operator", "the operator @", "return a @ b"),
    _loops("matmul", "np.matmul", "return np.matmul(a, b)"),
    _loops("dot", "a method", "return a.dot(b)"),
    _loops("einsum", "np.einsum", 'return np.einsum("ik,kj", a, b)'),
    _loops("broadcast", "broadcasting and a sum, without a loop", "return (a[:, :, None] * b[None]).sum(1, dtype=a.dtype)"),
    _loops("renamed", "np.matmul under another name", "return product(a, b)", setup="from numpy import matmul as product"),
    _loops("star", "np.matmul as a plain name", "return matmul_(a, b)", setup="from numpy import *\nmatmul_ = matmul\n"
           "del sum, min, max, abs, round, any, all"),
    _loops("getattr", "np.matmul by a computed name", 'return getattr(np, "mat" + "mul")(a, b)'),
    _loops("special-method", "the method behind the operator", "return a.__matmul__(b)"),
    _loops("eval", "the operator in a text that is evaluated", 'return eval("a " + chr(64) + " b")'),
    _loops("helper", "the operator in a helper", "return helper(a, b)", setup="""
def deeper(a, b):
    return a @ b
def helper(a, b):
    return deeper(a, b)"""),
    _loops("helper-of-helper", "a helper's helper, in a cell of its own", "return helper(a, b)",
           first="def deeper(a, b):\n    return a @ b", setup="def helper(a, b):\n    return deeper(a, b)"),
    _loops("pickle", "np.matmul by unpickling its name", 'return pickle.loads(b"cnumpy\\nmatmul\\n.")(a, b)', setup="import pickle"),
    _loops("resolve-name", "np.matmul by a library that finds names", 'return resolve_name("numpy:mat" + "mul")(a, b)',
           setup="from pkgutil import resolve_name"),
    _loops("torch", "another library", "return torch.mm(torch.from_numpy(a), torch.from_numpy(b)).numpy()", setup="import torch",
           needs="torch"),
    _loops("modulo-line", "a line that begins with % makes the reader of the code stumble", "n = (7\n         % 5)\n    return a @ b"),
    _loops("shell-line", "a line of IPython's own syntax makes the reader of the code stumble", "n = !ls\n    return a @ b"),
    Attack("means-elsewhere", "the answer's cell is empty, and the answer is in a cell above it", "no static check",
           aim=("test-matmul-loops",), answers={"matmul-loops": "# see above"},
           setup="def matmul_loops(a, b):\n    return np.asarray(a) @ np.asarray(b)"),
    Attack("means-below", "a right answer, and behind its test another one by forbidden means, for those who ask later", "no static check",
           aim=("test-matmul-loops",), answers={"matmul-loops": "#| export\ndef matmul_loops(a, b):\n    return wanted()"},
           setup=PEEK_WANT, last="def matmul_loops(a, b):\n    return np.asarray(a) @ np.asarray(b)"),
    _sorts("sorted", "the builtin that the task forbids", "return sorted(items)"),
    _sorts("list-sort", "the method that the task forbids", "items = list(items)\n    items.sort()\n    return items"),
    _sorts("aliased", "the builtin under another name, given elsewhere", "return order(items)", setup="order = sorted"),
    _sorts("builtins", "the builtin through its module", 'import builtins\n    return builtins.sorted(items)'),
    _sorts("numpy", "another library's", "return np.sort(np.array(items, int)).tolist()"),
    _sorts("default-argument", "the builtin as a default argument of an inner function", "return (lambda f=sorted: f(items))()"),
]
