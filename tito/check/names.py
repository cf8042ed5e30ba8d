"""Which cell uses what: the names that a cell defines and uses, and so which test checks which answer.

Methods and attributes carry a dot: `Tensor.sum = ...` and a method `sum` define ".sum", `x.sum()` uses ".sum", `a @ b` uses ".__matmul__".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

from tito.cells import Cell, Document

OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.MatMult: "matmul", ast.Div: "truediv", ast.FloorDiv: "floordiv",
             ast.Mod: "mod", ast.Pow: "pow", ast.USub: "neg", ast.Invert: "invert", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
             ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
BUILTINS = {"len": "len", "abs": "abs", "repr": "repr", "str": "repr", "print": "repr", "iter": "iter", "list": "iter", "float": "float",
            "int": "int", "bool": "bool", "hash": "hash", "round": "round"}
FOREIGN = {"np", "numpy", "math", "plt", "expect", "random"}        # np.sum is not our .sum
EVERYWHERE = {".__init__", ".__new__", ".__call__"}
_BOUND = re.compile(r"^(?:def|class|async def)\s+(\w+)|^(\w+)\s*=[^=]", re.MULTILINE)
_METHOD = re.compile(r"^\s+def\s+(\w+)\s*\(\s*self|^\w+\.(\w+)\s*=[^=]", re.MULTILINE)
_IMPORT = re.compile(r"^(?:from\s+\S+\s+)?import\s+(.+)$", re.MULTILINE)


def defined(source: str) -> set[str]:
    """The names that a cell defines, imports apart."""
    return set(_parsed(source)[0])


def used(source: str) -> set[str]:
    """The names that a cell uses and does not define itself."""
    return set(_parsed(source)[1])


def bound(source: str) -> set[str]:
    """The names that a cell defines or imports: after an error in it, all of these may be missing."""
    return defined(source) | set(_parsed(source)[2])


@lru_cache(maxsize=1024)
def _parsed(source: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    text = "\n".join("" if line.lstrip()[:1] in ("%", "!", "?") else line for line in source.split("\n"))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):       # a cell that does not parse is read as far as lines can tell
        names = {a or b for a, b in _BOUND.findall(text)} | {"." + (a or b) for a, b in _METHOD.findall(text)}
        imports = {p.split(" as ")[-1].strip(" ()") for line in _IMPORT.findall(text) for p in line.split(",")}
        return frozenset(names), frozenset(set(re.findall(r"[A-Za-z_]\w*", text)) - names), frozenset(imports)
    names = set(_definitions(tree.body)) - EVERYWHERE
    uses = set(_uses(tree)) - EVERYWHERE
    imports = {(a.asname or a.name).split(".")[0] for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
    return frozenset(names), frozenset(uses - names), frozenset(imports)


def _definitions(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from ("." + name for name in _definitions(node.body) if not name.startswith("."))
        elif isinstance(node, (ast.If, ast.For, ast.While, ast.With, ast.Try)):
            yield from _definitions([*node.body, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ())])
        elif isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call) and ast.unparse(call.func) == "setattr":
            yield from ("." + str(a.value) for a in call.args[1:2] if isinstance(a, ast.Constant))
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _targets(node)


def _targets(node: ast.stmt) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id
        elif isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
            yield "." + part.attr


def _uses(tree: ast.AST) -> Iterator[str]:
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        # `mistaken` runs only when a check has failed; `raises` names exceptions.
        stack += [n for n in ast.iter_child_nodes(node) if not (isinstance(n, ast.keyword) and n.arg in ("mistaken", "raises"))]
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and not _foreign(node.value):
            yield "." + node.attr
        else:
            yield from _operators(node)


def _operators(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.BinOp) and not (isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant)):
        name = OPERATORS.get(type(node.op), "")
        yield from (f".__{name}__", f".__r{name}__")
    elif isinstance(node, ast.AugAssign):
        name = OPERATORS.get(type(node.op), "")
        yield from (f".__{name}__", f".__i{name}__")
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield f".__{OPERATORS.get(type(node.op), '')}__"
    elif isinstance(node, ast.Compare):
        yield from (f".__{OPERATORS[type(op)]}__" for op in node.ops if type(op) in OPERATORS)
    elif isinstance(node, ast.Subscript):
        yield ".__getitem__" if isinstance(node.ctx, ast.Load) else ".__setitem__"
    elif isinstance(node, (ast.For, ast.comprehension)):
        yield ".__iter__"
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        yield ".__enter__"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
        yield f".__{BUILTINS[node.func.id]}__"
    elif isinstance(node, ast.FormattedValue):
        yield ".__repr__"


def _foreign(node: ast.expr) -> bool:
    """An attribute of this is not a Tensor's: np.sum, x.numpy().sum, x.data.sum."""
    if isinstance(node, ast.Name):
        return node.id in FOREIGN
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and (node.func.attr == "numpy" or _foreign(node.func.value))
    return isinstance(node, ast.Attribute) and (node.attr == "data" or _foreign(node.value))


class Uses:
    """Which cells of a document a test builds on, and which test is an answer's own check."""

    def __init__(self, document: Document):
        self.cells = [c for c in document.code if not (c.analysis or c.manual)]
        self.tests = [c for c in self.cells if c.test]
        self.own = {c.index: own for c in self.cells if c.solution and not c.grade and (own := self._own(c)) is not None}

    def solutions(self, test: Cell) -> list[Cell]:
        """The answers that a test uses, however indirectly, in the notebook's order."""
        return [c for c in self.cells if c.solution and c.index in self._reached(test, through_solutions=True)]

    def _own(self, solution: Cell) -> Cell | None:
        later = [t for t in self.tests if t.index > solution.index]
        return next((t for t in later if solution.index in self._reached(t, through_solutions=False)), later[0] if later else None)

    def _reached(self, test: Cell, *, through_solutions: bool) -> set[int]:
        definer, ambiguous = self._definers(test)
        reached: set[int] = set()
        waiting = [test]
        while waiting:
            cell = waiting.pop()
            found = {definer[n].index: definer[n] for n in used(cell.source) if n in definer and n not in ambiguous}
            new = [c for i, c in found.items() if i not in reached]
            reached.update(c.index for c in new)
            waiting += [c for c in new if through_solutions or not c.solution]
        return reached

    def _definers(self, test: Cell) -> tuple[dict[str, Cell], set[str]]:
        """Per name the last cell before the test that defines it; methods of one name in several cells tell nothing."""
        definer: dict[str, Cell] = {}
        ambiguous: set[str] = set()
        for cell in self.cells:
            if cell.test or cell.index >= test.index:
                continue
            for name in defined(cell.source):
                if name.startswith(".") and name in definer:
                    ambiguous.add(name)
                definer[name] = cell
        return definer, ambiguous


def skipped_for(document: Document, states: dict[int, str]) -> dict[int, Cell]:
    """{index of a test that did not pass: the earlier test that should be mended first}, where its failure follows from another's."""
    uses = Uses(document)
    found: dict[int, Cell] = {}
    for test in uses.tests:
        if states.get(test.index, "passed") == "passed":
            continue
        checks = [uses.own[s.index] for s in uses.solutions(test) if s.index in uses.own]
        wrong = [c for c in checks if c.index < test.index and states.get(c.index, "passed") != "passed"]
        if wrong:
            first = min(wrong, key=lambda c: c.index)
            found[test.index] = found.get(first.index, first)
    return found
