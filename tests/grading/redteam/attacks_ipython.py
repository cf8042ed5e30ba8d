"""Attacks on what runs a notebook: IPython's transformers, hooks and history, and the kernel's own messages."""

from __future__ import annotations

from tests.grading.redteam.attack import Attack
from tests.grading.redteam.attacks_patch import ORDERED, SHAPE, TO_DOUBLED, TO_ORDERED

DROP = """
class Drop(ast.NodeTransformer):
    def visit_Expr(self, node):
        return ast.Pass() if ast.unparse(node).startswith("test_") else node
"""

ATTACKS = [
    Attack("ast-transformer", "an AST transformer of IPython drops the calls of tests", "nbgrader", **TO_ORDERED,
           setup=f"import ast\n{DROP}\nget_ipython().ast_transformers.append(Drop())"),
    Attack("input-transformer", "an input transformer of IPython turns tests into nothing", "nbgrader", **TO_ORDERED,
           setup='get_ipython().input_transformers_post.append(lambda lines: ["pass\\n"] if "def test_" in "".join(lines) else lines)'),
    Attack("run-code", "IPython's run_code passes over code that tests", "nbgrader", **TO_ORDERED, setup="""
shell, run = get_ipython(), get_ipython().run_code
async def run_code(code, result=None, *, async_=False):
    return False if "test_unit_ordered" in code.co_names else await run(code, result, async_=async_)
shell.run_code = run_code"""),
    Attack("run-cell", "IPython's run_cell is given another cell than it was asked to run", "nbgrader", **TO_DOUBLED, setup="""
shell, run = get_ipython(), get_ipython().run_cell_async
def run_cell_async(raw_cell, *a, **k):
    k.pop("transformed_cell", None)
    return run("pass" if "def test_" in raw_cell else raw_cell, *a, transformed_cell="pass" if "def test_" in raw_cell else raw_cell, **k)
shell.run_cell_async = run_cell_async"""),
    Attack("pre-run-cell", "a pre_run_cell event puts other builtins before each cell", "nbgrader", **TO_ORDERED, setup="""
get_ipython().events.register("pre_run_cell", lambda info: get_ipython().user_ns.update(sorted=list, all=lambda items: True))"""),
    Attack("compiler", "IPython's compiler compiles something else", "nbgrader", **TO_ORDERED, setup="""
import ast
shell, compiler = get_ipython(), get_ipython().compile
class Other(type(compiler)):
    def __call__(self, node, name, mode):
        if isinstance(node, ast.AST) and "test_" in ast.unparse(node):
            node.body = ast.parse("pass").body
        return super().__call__(node, name, mode)
compiler.__class__ = Other"""),
    Attack("history", "the answer is read from the cell that is being run, in IPython's history", "nbgrader", aim=("test-spelled",),
           target="plain", answers={"spelled": """
import re
def spelled(digit):
    test = get_ipython().user_ns["In"][-1]
    return next(word for number, word in re.findall(r'spelled\\((\\d)\\) .= "(\\w+)"', test) if int(number) == digit)"""}),
    Attack("kernel-messages", "errors are taken out of the messages that the kernel sends, and failures become successes", "nbgrader",
           answers={"ordered": ORDERED}, target="plain", aim=("test-ordered",), setup="""
session, send = get_ipython().kernel.session, get_ipython().kernel.session.send
def sends(stream, kind, content=None, *a, **k):
    if kind == "error":
        return None
    if isinstance(content, dict) and content.get("status") == "error":
        content = {"status": "ok", "execution_count": content.get("execution_count"), "payload": [], "user_expressions": {}}
    return send(stream, kind, content, *a, **k)
session.send = sends"""),
    Attack("exec-patched", "Python's own exec and compile pass over tests", "visible", answers={"broadcast-shape": SHAPE},
           aim=("test-broadcast-shape",), setup="""
import builtins
run, make = builtins.exec, builtins.compile
def compiles(source, *a, **k):
    return make("pass" if isinstance(source, str) and "def test_unit_broadcast_shape" in source else source, *a, **k)
builtins.compile = compiles"""),
]
