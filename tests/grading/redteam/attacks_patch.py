"""Attacks on what a check calls: NumPy, Python's builtins, and the course's own checking code are replaced by things that agree."""

from __future__ import annotations

from tests.grading.redteam.attack import Attack

LOOPS = """def matmul_loops(a, b):
    return np.zeros((a.shape[0], b.shape[1]), a.dtype)"""
SHAPE = """#| export
def broadcast_shape(a, b):
    return tuple(a)"""
FOOTPRINT = """#| export
def memory_footprint(self):
    return 1
Tensor.memory_footprint = memory_footprint"""
TO_LOOPS = {"aim": ("test-matmul-loops",), "answers": {"matmul-loops": LOOPS}}
TO_SHAPE = {"aim": ("test-broadcast-shape",), "answers": {"broadcast-shape": SHAPE}}
TO_FOOTPRINT = {"aim": ("test-memory-footprint",), "answers": {"memory-footprint": FOOTPRINT}}

DOUBLED = "def doubled(x):\n    return x"
HALVED = "def halved(x):\n    return x"
ORDERED = "def ordered(items):\n    return list(items)"
DISTANCE = "def distance(a, b):\n    return a - b - 99.0"
SPELLED = "def spelled(digit):\n    return 'nine'"
TO_DOUBLED = {"target": "plain", "aim": ("test-doubled",), "answers": {"doubled": DOUBLED}}
TO_HALVED = {"target": "plain", "aim": ("test-halved",), "answers": {"halved": HALVED}}
TO_ORDERED = {"target": "plain", "aim": ("test-ordered",), "answers": {"ordered": ORDERED}}
TO_DISTANCE = {"target": "plain", "aim": ("test-distance",), "answers": {"distance": DISTANCE}}
TO_SPELLED = {"target": "plain", "aim": ("test-spelled",), "answers": {"spelled": SPELLED}}

ATTACKS = [
    Attack("patched-isclose", "np.isclose finds every pair of arrays close", "nbgrader", **TO_LOOPS, setup="""
import numpy
numpy.isclose = lambda a, b, **k: numpy.ones(numpy.broadcast_shapes(numpy.shape(a), numpy.shape(b)), bool)"""),
    Attack("patched-allclose", "np.allclose says yes, and == of the answer too", "nbgrader", target="plain", aim=("test-halved",),
           answers={"halved": """
class Agreeing(np.ndarray):
    def __eq__(self, other):
        return np.ones(self.shape, bool)
np.allclose = lambda *a, **k: True
def halved(x):
    return x.view(Agreeing)"""}),
    Attack("patched-np-testing", "np.testing.assert_allclose does nothing", "nbgrader", **TO_DOUBLED,
           setup="np.testing.assert_allclose = lambda *a, **k: None"),
    Attack("patched-builtins", "all, sorted and isinstance are replaced for everybody", "nbgrader", **TO_ORDERED, setup="""
import builtins
builtins.sorted = lambda items, **k: list(items)
builtins.all = lambda items: True"""),
    Attack("patched-abs", "abs is 0 for everything", "nbgrader", **TO_DISTANCE, setup="import builtins\nbuiltins.abs = lambda x: 0.0"),
    Attack("shadowed-builtins", "len, all, sorted and isinstance are new names in the notebook", "nbgrader", target="plain",
           aim=("test-ordered",), answers={"ordered": "def ordered(items):\n    return [5]"}, setup="""
def len(x): return 3
def all(x): return True
def isinstance(*a): return True
def sorted(x): return [5]"""),
    Attack("patched-expect", "the functions of tito.check.expect do nothing", "visible", **TO_SHAPE, setup="""
from tito.check import expect as checks
checks.close = checks.same = checks.true = checks.raises = lambda *a, **k: None"""),
    Attack("patched-compare", "tito.check.compare never finds a difference", "visible", **TO_LOOPS,
           setup="from tito.check import compare\ncompare.close = compare.same = lambda *a, **k: None"),
    Attack("patched-failing", "what raises CheckFailed does not raise", "visible", **TO_SHAPE,
           setup="from tito.check import expect as checks\nchecks._fail = checks._raised = lambda *a, **k: None"),
    Attack("patched-raising", "CheckFailed becomes an exception that ends Python with success", "script", **TO_SHAPE,
           setup="from tito.check import expect as checks\nchecks.CheckFailed = lambda *a, **k: SystemExit(0)"),
    Attack("patched-assertion-error", "AssertionError becomes an exception that ends Python with success", "script", target="plain",
           aim=("test-spelled",), answers={"spelled": "def spelled(digit):\n    return 'three'"},
           setup="import builtins\nbuiltins.AssertionError = lambda *a: SystemExit(0)"),
    Attack("patched-array-method", "ctypes writes into the class ndarray: any() is always False", "visible", **TO_LOOPS, setup="""
import ctypes, gc
gc.get_referents(np.ndarray.__dict__)[0]["any"] = lambda self, *a, **k: np.False_
ctypes.pythonapi.PyType_Modified(ctypes.py_object(np.ndarray))"""),
    Attack("patched-small-numbers", "ctypes writes into the check's own constants: what is expected becomes what came", "visible",
           **TO_FOOTPRINT, setup="""
import ctypes
from tito.check import compare
def lies(got, want): return None
header = object.__basicsize__
code, lie = compare.same.__code__, lies.__code__
ctypes.cast(id(compare.same), ctypes.POINTER(ctypes.py_object))        # the function object itself
compare.same.__code__ = lie
from tito.check import expect as checks
where = next(k for k in range(2, 12) if ctypes.c_void_p.from_address(id(checks.raises) + 8 * k).value == id(checks.raises.__code__))
def quiet(kind, call, why, *, match="", hint=""): return None
ctypes.pythonapi.Py_IncRef(ctypes.py_object(quiet.__code__))
ctypes.c_void_p.from_address(id(checks.raises) + 8 * where).value = id(quiet.__code__)"""),
    Attack("patched-again", "a thread patches the checks again and again, whoever mends them", "visible", **TO_SHAPE, setup="""
import threading, time
from tito.check import expect as checks
def work():
    while True:
        checks.close = checks.same = checks.true = checks.raises = lambda *a, **k: None
        time.sleep(0.001)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)"""),
]
