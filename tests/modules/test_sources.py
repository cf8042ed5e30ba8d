"""The sources and the package made of them: a fresh export, examples that come true, and notebooks that run as scripts."""

import json

import pytest

from tests.modules.conftest import Run
from tests.modules.shelf import COURSE, MODULES, ROOT, each_module, package_file
from tito.course import Module
from tito.export import export_course


def test_the_package_is_a_fresh_export() -> None:
    assert export_course(COURSE, check=True) == [], "run: tito dev export"


@each_module
def test_a_solved_notebook_runs_as_a_script(module: Module, python: Run) -> None:
    """All cells, those with pictures included."""
    pytest.importorskip("matplotlib")
    done = python(ROOT, module.source.relative_to(ROOT).as_posix())
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr


EXAMPLES = """
import ast, doctest, importlib, json, sys
import tinytorch
tinytorch.limit(int(sys.argv[2]))
module = importlib.import_module(sys.argv[1])
with open(module.__file__, encoding="utf-8") as file:
    tree = ast.parse(file.read())
parser, runner, said = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False), []
for node in ast.walk(tree):
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
        name, text = getattr(node, "name", "module"), ast.get_docstring(node) or ""
        test = parser.get_doctest(text, vars(module), name, module.__file__, node.body[0].lineno - 1)
        runner.run(test, out=said.append)
print(json.dumps([runner.tries, runner.failures, "".join(said)]))
"""


@pytest.mark.parametrize("built", ["so far", "all"])
@each_module
def test_the_examples_in_docstrings_come_true(module: Module, built: str, python: Run) -> None:
    """On the day when the module is built, and when the later ones are there, too."""
    name = ".".join(package_file(module).with_suffix("").parts)
    done = python(ROOT, "-c", EXAMPLES, name, str(1 + (MODULES[-1] if built == "all" else module).number))
    assert done.returncode == 0, done.stderr
    tried, failed, said = json.loads(done.stdout)
    assert failed == 0, said
    assert tried >= 3
