"""Who imports whom: tinytorch nothing of ours, tito no grading, and what runs inside a notebook only what every notebook has."""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.modules.conftest import Run
from tests.modules.shelf import ROOT

STANDARD = sys.stdlib_module_names
TITO = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "tito").rglob("*.py"))
TINYTORCH = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "tinytorch").rglob("*.py"))
NOTEBOOK = ["tito/notebook.py", "tito/cells.py", "tito/errors.py", *(p for p in TITO if p.startswith("tito/check/"))]


def _imports(path: str, *, at_once: bool = False) -> Iterator[str]:
    """The modules that a file imports; `at_once`: when it is imported itself, not in a function and not only for types."""
    waiting: list[ast.AST] = [ast.parse((ROOT / path).read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if at_once and (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _for_types(node)):
            continue
        waiting += ast.iter_child_nodes(node)
        yield from _imported(node)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        where = f"{node.module}." if node.level == 0 else "tinytorch."      # nbdev writes relative imports within the package
        yield from (where + alias.name for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        yield from (a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str))


def _top(name: str) -> str:
    return name.partition(".")[0]


def test_there_is_something_to_look_at() -> None:
    assert "tinytorch/core/tensor.py" in TINYTORCH and "tito/check/expect.py" in NOTEBOOK
    assert "numpy" in set(_imports("tito/check/compare.py")), "a lazy import counts"
    assert {_top(n) for n in _imports("tito/dev/source.py")} >= {"jupytext", "nbformat"}


@pytest.mark.parametrize("path", TINYTORCH)
def test_tinytorch_imports_numpy_and_the_standard_library(path: str) -> None:
    assert {_top(name) for name in _imports(path)} <= STANDARD | {"numpy", "tinytorch"}


@pytest.mark.parametrize("path", TITO)
def test_tito_does_not_need_the_instructors_half(path: str) -> None:
    needed = {name for name in _imports(path) if _top(name) == "grading"}
    assert needed <= ({"grading.cli"} if path == "tito/cli/app.py" else set()), "one door, taken where the folder is there"
    assert not {name for name in _imports(path, at_once=True) if _top(name) == "grading"}
    if not path.startswith("tito/dev/"):
        at_once = [name for name in _imports(path, at_once=True) if name.startswith("tito.dev")]
        assert at_once == [], "a student edition has no tito/dev"


@pytest.mark.parametrize("path", NOTEBOOK)
def test_what_runs_in_notebooks_imports_what_every_notebook_has(path: str) -> None:
    allowed = STANDARD | {"numpy", "tito"}
    if path in ("tito/notebook.py", "tito/check/child.py"):
        allowed |= {"tinytorch"}                        # to hide what comes later; to put questions to what is there
    if path == "tito/check/shell.py":
        allowed |= {"IPython", "traitlets"}             # loaded where a student's cell needs IPython's syntax
    assert {_top(name) for name in _imports(path)} <= allowed


@pytest.mark.parametrize("name", ["tito.notebook", "tito.check.expect"])
def test_a_notebook_loads_nothing_else(name: str, python: Run) -> None:
    """The same of modules that are in fact loaded by a notebook's first cell."""
    program = f"import sys; before = set(sys.modules); import {name}; print(*{{m.partition('.')[0] for m in set(sys.modules) - before}})"
    done: subprocess.CompletedProcess[str] = python(ROOT, "-c", program)
    assert done.returncode == 0, done.stderr
    extra = {n for n in done.stdout.split() if n not in STANDARD and not n.startswith("_")}
    assert extra <= {"tito", *(["numpy"] if name == "tito.check.expect" else [])}
