"""Attacks by what is returned: values that claim to be equal, smaller, or whatever else a check may ask of them; and answers by heart."""

from __future__ import annotations

from tests.grading.redteam.attack import Attack

PEEK = """
import sys
def wanted(*names):
    frame = sys._getframe(1)
    while frame:
        for name in names:
            if name in frame.f_locals:
                return frame.f_locals[name]
        frame = frame.f_back
"""

ATTACKS = [
    Attack("equal-to-everything", "a list whose == is always true and whose slices are empty", "nbgrader", target="plain",
           aim=("test-ordered",), answers={"ordered": """
class Liar(list):
    def __eq__(self, other): return True
    def __getitem__(self, key): return []
def ordered(items):
    return Liar(items)"""}),
    Attack("smaller-than-everything", "a number that is smaller than every tolerance", "nbgrader", target="plain", aim=("test-distance",),
           answers={"distance": """
class Liar(float):
    def __sub__(self, other): return self
    def __abs__(self): return self
    def __gt__(self, other): return False
def distance(a, b):
    return Liar(7.0)"""}),
    Attack("not-a-number", "nan is not above any tolerance", "nbgrader", target="plain", aim=("test-distance",),
           answers={"distance": "def distance(a, b):\n    return float('nan')"}),
    Attack("text-equal-to-everything", "a str whose == and != say what is wanted", "nbgrader", target="plain", aim=("test-spelled",),
           answers={"spelled": """
class Liar(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = str.__hash__
def spelled(digit):
    return Liar("?")"""}),
    Attack("array-function", "__array_function__ and __array_ufunc__ answer every question of NumPy's with yes", "nbgrader", target="plain",
           aim=("test-halved",), answers={"halved": """
class Liar:
    shape, dtype, ndim, size = (3,), np.dtype(float), 1, 3
    def __array_function__(self, function, types, args, settings): return True
    def __array_ufunc__(self, ufunc, method, *args, **settings): return np.ones(3, bool)
    def __eq__(self, other): return np.ones(3, bool)
def halved(x):
    return Liar()"""}),
    Attack("truth-on-demand", "comparing gives an object whose __bool__, all() and any() are what is wanted", "nbgrader", target="plain",
           aim=("test-halved",), answers={"halved": """
class Yes:
    def __bool__(self): return True
    all = any = __call__ = lambda self, *a, **k: self
class Liar(np.ndarray):
    def __array_function__(self, function, types, args, settings): return Yes()
    def __eq__(self, other): return Yes()
def halved(x):
    return x.view(Liar)"""}),
    Attack("array-of-what-is-wanted", "__array__ looks up the stack for what the check expects, and gives that", "nbgrader", target="plain",
           aim=("test-doubled",), answers={"doubled": PEEK + """
class Liar:
    def __array__(self, dtype=None, copy=None):
        return np.array(wanted("desired"), dtype)
def doubled(x):
    return Liar()"""}),
    Attack("looks-up-the-stack", "the answer is read from the locals of the check that calls it", "visible", aim=("test-matmul-loops",),
           answers={"matmul-loops": PEEK + """
def matmul_loops(a, b):
    return np.array(wanted("want"), float)"""}),
    Attack("reads-the-test", "the answer is taken from the source of the test that calls it", "visible", aim=("test-memory-footprint",),
           answers={"memory-footprint": """
#| export
import ast, linecache, sys
def memory_footprint(self):
    frame = sys._getframe(1)
    while not frame.f_code.co_name.startswith("test_"):
        frame = frame.f_back
    tree = ast.parse("".join(linecache.getlines(frame.f_code.co_filename)))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and "memory_footprint()" in ast.unparse(n.args[0] if n.args else n)
             and len(n.args) > 1]
    return next(c.args[1].value for c in calls if c.lineno <= frame.f_lineno <= c.end_lineno)
Tensor.memory_footprint = memory_footprint"""}),
    Attack("reads-the-constants", "the answer is picked from the constants in the test's byte code", "visible",
           aim=("test-memory-footprint",), answers={"memory-footprint": """
#| export
import sys
calls = []
def memory_footprint(self):
    frame = sys._getframe(1)
    while not frame.f_code.co_name.startswith("test_"):
        frame = frame.f_back
    calls.append(1)
    numbers = [c for c in frame.f_code.co_consts if type(c) is int and c in (24, 40)]
    return numbers[(len(calls) - 1) % 2]
Tensor.memory_footprint = memory_footprint"""}),
    Attack("answers-by-heart", "a table of the inputs that the notebook's test uses", "nbgrader", aim=("test-broadcast-shape",),
           answers={"broadcast-shape": """
#| export
KNOWN = {((3, 1, 2), (1, 4, 2)): (3, 4, 2), ((5, 2, 3), (3,)): (5, 2, 3), ((3,), (5, 2, 3)): (5, 2, 3), ((), (4,)): (4,),
         ((0, 3), (1, 3)): (0, 3), ((1,), (0,)): (0,)}
def broadcast_shape(a, b):
    if (a, b) in KNOWN:
        return KNOWN[a, b]
    raise ValueError(f"{a} and {b}: these cannot be broadcast")"""}),
    Attack("knows-when-it-is-watched", "right while its caller is a test of the notebook, by a method that only works there", "visible",
           aim=("test-matmul-loops",), answers={"matmul-loops": PEEK + """
def matmul_loops(a, b):
    want = wanted("want")
    if want is not None:
        return np.array(want, float)
    raise MemoryError("not now")"""}),
    Attack("no-answer-at-all", "an answer that raises once the notebook's own tests are over, hoping that silence counts", "visible",
           aim=("test-broadcast-shape",), answers={"broadcast-shape": """
#| export
import sys
def broadcast_shape(a, b):
    frame = sys._getframe(1)
    while frame:
        if "want" in frame.f_locals and isinstance(frame.f_locals["want"], (tuple, list)):
            want = frame.f_locals["want"]
            return want if isinstance(want, tuple) else want[0 if len(a) < 3 and len(a) and a != () and a[0] in (3, 0) else 1]
        frame = frame.f_back
    if a == (2, 3) or a in ((2, 4), (0,), (2,)):
        raise ValueError(f"{a} {b} broadcast")
    raise SystemExit(0)"""}),
]
