"""Attacks on names: modules that are not what they are called, shadowed names, import hooks, tests that are redefined or skipped."""

from __future__ import annotations

from tests.grading.redteam.attack import Attack, Notebook
from tests.grading.redteam.attacks_patch import SHAPE, TO_DOUBLED, TO_LOOPS, TO_SHAPE, TO_SPELLED

FAKE = """
import sys, types
def harmless(name):
    module = types.ModuleType(name)
    for function in ("close", "same", "true", "raises", "finite"):
        setattr(module, function, lambda *a, **k: None)
    return module
"""


def _tests_emptied(notebook: Notebook) -> Notebook:
    for cell in notebook["cells"]:
        marks = cell["metadata"].get("nbgrader", {})
        if marks.get("grade") and not marks.get("solution"):
            cell["source"] = "pass"
    return notebook


ATTACKS = [
    Attack("shadowed-np", "a class called np knows allclose only, and likes everything", "nbgrader", target="plain", aim=("test-halved",),
           answers={"halved": """
class Anything(float):
    def __eq__(self, other): return np.array([True])
class np:
    array = staticmethod(np.array)
    allclose = staticmethod(lambda *a, **k: True)
numpy_array = np.array
class Said:
    def __eq__(self, other):
        return numpy_array([True])
def halved(x):
    return Said()"""}),
    Attack("shadowed-expect", "`expect` is another module in the notebook and in sys.modules", "nbgrader", **TO_SHAPE,
           setup=FAKE + """
fake = harmless("tito.check.expect")
sys.modules["tito.check.expect"] = fake
expect = fake"""),
    Attack("fake-tito", "a module called tito stands in sys.modules before the notebook imports it", "nbgrader", **TO_LOOPS,
           first=FAKE + """
tito, check, notebook = types.ModuleType("tito"), types.ModuleType("tito.check"), types.ModuleType("tito.notebook")
tito.__path__ = check.__path__ = []
tito.check, tito.notebook, check.expect = check, notebook, harmless("tito.check.expect")
notebook.use = lambda number: None
sys.modules.update({"tito": tito, "tito.check": check, "tito.notebook": notebook, "tito.check.expect": check.expect})"""),
    Attack("fake-numpy", "a module called numpy stands in sys.modules before the notebook imports it", "nbgrader", **TO_DOUBLED, first="""
import sys, types
import numpy
fake = types.ModuleType("numpy")
fake.__dict__.update({k: v for k, v in vars(numpy).items() if k != "testing"})
fake.testing = types.SimpleNamespace(assert_allclose=lambda *a, **k: None)
sys.modules["numpy"] = fake"""),
    Attack("import-hook", "a finder on sys.meta_path serves another numpy.testing", "nbgrader", **TO_DOUBLED, first="""
import importlib.abc, importlib.machinery, sys, types
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == "numpy.testing" else None
    def create_module(self, spec):
        made = types.ModuleType(spec.name)
        made.assert_allclose = lambda *a, **k: None
        return made
    def exec_module(self, module): pass
import numpy
sys.modules.pop("numpy.testing", None)
vars(numpy).pop("testing", None)
sys.meta_path.insert(0, Finder())"""),
    Attack("patched-import", "builtins.__import__ gives another numpy than the one that was asked for", "nbgrader", **TO_DOUBLED, first="""
import builtins, types
real = builtins.__import__
def imports(name, names=None, *a, **k):
    found = real(name, names, *a, **k)
    if name == "numpy" and names and names.get("__name__") == "__main__":
        lies = types.SimpleNamespace(assert_allclose=lambda *a, **k: None)
        found = types.SimpleNamespace(**{k: v for k, v in vars(found).items() if k != "testing"}, testing=lies)
    return found
builtins.__import__ = imports"""),
    Attack("name-is-not-main", "__name__ is changed, so that a test under `if __name__` does not run", "nbgrader", **TO_SPELLED,
           setup="__name__ = 'elsewhere'"),
    Attack("main-is-another", "__main__ in sys.modules is another module, and `expect` another in this one", "script", **TO_SHAPE,
           setup=FAKE + """
checks = sys.modules["tito.check.expect"]
vars(checks).update({k: v for k, v in vars(harmless("x")).items() if not k.startswith("__")})
sys.modules["__main__"] = types.ModuleType("__main__")"""),
    Attack("emptied-tests", "the test cells are emptied in the notebook", "unrepaired", answers={"broadcast-shape": SHAPE},
           aim=("test-broadcast-shape",), reshape=_tests_emptied),
]
