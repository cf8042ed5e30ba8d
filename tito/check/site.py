"""From a frame back to the words: which call of `expect` this is, and the call of the student's function as one would write it."""

from __future__ import annotations

import ast
import copy
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

import numpy as np

from tito.check.compare import array_of
from tito.check.shown import clean, kind, short

PLACES = {"raises": (1, "call")}            # which argument is the call; the first, `got`, elsewhere
WHY = {"close": 2, "same": 2, "raises": 2, "true": 1, "finite": 1}


@dataclass(frozen=True)
class Spot:
    """One frame of a traceback, or of a running stack."""

    frame: FrameType
    line: int
    last: int                               # index of the instruction

    @property
    def code(self) -> CodeType:
        return self.frame.f_code

    @property
    def file(self) -> str:
        return self.code.co_filename


def spots(error: BaseException) -> list[Spot]:
    """The frames of an exception, outermost first."""
    found, tb = [], error.__traceback__
    while tb is not None:
        found.append(Spot(tb.tb_frame, tb.tb_lineno, tb.tb_lasti))
        tb = tb.tb_next
    return found


def stack(frame: FrameType | None) -> list[Spot]:
    """The frames of a running thread, outermost first."""
    found = []
    while frame is not None:
        found.append(Spot(frame, frame.f_lineno, frame.f_lasti))
        frame = frame.f_back
    return found[::-1]


def text_of(file: str) -> str:
    return "".join(linecache.getlines(file))


def line_of(file: str, line: int) -> str:
    return clean(linecache.getline(file, line).strip(), 200)


def decorator_of(spot: Spot) -> str:
    """What a nameless function is, by its decorator: below `@gradient(multiply)`, the gradient of `multiply`."""
    tree = _tree(text_of(spot.file))
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.FunctionDef) and node.lineno <= spot.line <= (node.end_lineno or 0):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and mark.args:
                    return f"the {ast.unparse(mark.func)} of `{ast.unparse(mark.args[0])}`"
    return ""


def call_of(spot: Spot, name: str) -> str:
    """The call that `expect.<name>`, called at this spot, looks at.  Empty where there is no source."""
    call = next((c for c in _calls(spot) if _expects(c) == name), None)
    if call is None:
        return ""
    place, keyword = PLACES.get(name, (0, "got"))
    given = [*call.args[place:place + 1], *(k.value for k in call.keywords if k.arg == keyword)]
    if not given or isinstance(found := _unfolded(given[0], spot), ast.Name):
        return given[0].id if given and isinstance(given[0], ast.Name) else ""
    return spell(found, spot.frame)


def around(spot: Spot) -> tuple[str, str, dict[str, str]]:
    """For an exception in the midst of a test: the check it is in, the call that raised, and the hints of that check's `raises`."""
    call = next((c for c in _calls(spot) if _expects(c)), None)
    why, hints = "", {}
    if call is not None:
        place = WHY[_expects(call)]
        found = [*call.args[place:place + 1], *(k.value for k in call.keywords if k.arg == "why")]
        why = str(found[0].value) if found and isinstance(found[0], ast.Constant) else ""
        hints = dict(_raises(call))
    inner = _innermost(spot)
    if inner is None or _name(inner).startswith("test_"):
        return why, "", hints
    return why, call_of(spot, _expects(inner)) if _expects(inner) else spell(inner, spot.frame), hints


def spell(expression: ast.expr, frame: FrameType) -> str:
    """The expression as text, with its Tensors and arrays as "Tensor (2, 3)", and few numbers and short local values written out."""
    if isinstance(expression, ast.Lambda):
        expression = expression.body
    try:
        own = {n.id for n in ast.walk(expression) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        own |= {a.arg for a in ast.walk(expression) if isinstance(a, ast.arg)}
        return clean(ast.unparse(_Spelled(frame, own).visit(copy.deepcopy(expression))), 300)
    except (RecursionError, ValueError):
        return ""


class _Spelled(ast.NodeTransformer):
    def __init__(self, frame: FrameType, own: set[str]):
        self.local, self.world, self.own = frame.f_locals, frame.f_globals, own

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.own or node.id not in self.local and node.id not in self.world:
            return node
        value = self.local[node.id] if node.id in self.local else self.world[node.id]
        if text := brief(value):
            return ast.Name(text, node.ctx)
        if node.id in self.local and isinstance(value, (int, float, str, bool, tuple, type(None))) and len(short(value)) <= 20:
            return ast.Name(short(value), node.ctx)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        func = node.func if isinstance(node.func, ast.Name) else self.visit(node.func)
        return ast.Call(func, [self.visit(a) for a in node.args], [self.visit(k) for k in node.keywords])


def brief(value: Any) -> str:
    """What has a shape: its numbers where they are few, else its kind.  Empty for everything else."""
    return (_numbers(value) or kind(value)) if _has_shape(value) else ""


def _numbers(value: Any) -> str:
    """A few numbers written out, "Tensor([-1, 0.5])"; empty where they are many, or stand in rows."""
    array = array_of(value)
    if array is None or array.ndim > 1 or array.size == 0 or array.dtype.kind not in "fiu":
        return ""
    numbers = ", ".join(f"{number:.6g}" for number in array.reshape(-1).tolist())
    name = type(value).__name__.replace("ndarray", "array")
    return f"{name}({f'[{numbers}]' if array.ndim else numbers})" if len(numbers) <= 24 else ""


def _has_shape(value: Any) -> bool:
    try:
        return not isinstance(value, (type, np.dtype)) and "(" in kind(value)       # a dtype has a shape, and its name says more
    except Exception:                       # a student's attribute may raise anything
        return False


def _unfolded(given: ast.expr, spot: Spot) -> ast.expr:
    """`y.sum()` after `y = softmax(z)` reads `softmax(z).sum()`: where a name stands for a call, the call."""
    root: ast.expr = given
    while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)):
        root = root.func if isinstance(root, ast.Call) else root.value
    tree = _tree(text_of(spot.file))
    if not isinstance(root, ast.Name) or tree is None:
        return given
    known = [n for n in ast.walk(tree) if isinstance(n, ast.Assign) and n.lineno < spot.line and n.lineno >= spot.code.co_firstlineno
             and any(isinstance(t, ast.Name) and t.id == root.id for t in n.targets)]
    if not known or not isinstance(value := known[-1].value, (ast.Call, ast.BinOp)) or _name(value)[:1].isupper():
        return given
    if isinstance(value, ast.BinOp) and root is not given or any(isinstance(n, ast.Name) and n.id == root.id for n in ast.walk(value)):
        return given
    return value if root is given else _Put(root.id, value).visit(copy.deepcopy(given))


class _Put(ast.NodeTransformer):
    """Puts an expression in place of a name."""

    def __init__(self, name: str, value: ast.expr):
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.value if node.id == self.name else node


def _raises(call: ast.Call) -> Iterator[tuple[str, str]]:
    for keyword in call.keywords:
        if keyword.arg == "raises" and isinstance(keyword.value, ast.Dict):
            for key, value in zip(keyword.value.keys, keyword.value.values):
                if isinstance(key, ast.Name) and isinstance(value, ast.Constant):
                    yield key.id, str(value.value)


def _expects(node: ast.AST) -> str:
    """The name of the `expect` function that a call calls; empty for any other node."""
    func = node.func if isinstance(node, ast.Call) else None
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "expect" and func.attr in WHY:
        return func.attr
    return ""


def _name(node: ast.expr) -> str:
    func = node.func if isinstance(node, ast.Call) else None
    return func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""


def _calls(spot: Spot) -> list[ast.Call]:
    """The calls that the spot is in, innermost first."""
    tree = _tree(text_of(spot.file))
    if tree is None:
        return []
    place = _place(spot)
    around = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _covers(n, spot.line, place)]
    return sorted(around, key=lambda n: ((n.end_lineno or 0) - n.lineno, (n.end_col_offset or 0) - n.col_offset))


def _innermost(spot: Spot) -> ast.expr | None:
    """The expression that was being evaluated: a call, an operation, a subscript."""
    tree, place = _tree(text_of(spot.file)), _place(spot)
    if tree is None or place is None:
        return None
    kinds = (ast.Call, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Subscript, ast.Attribute)
    end = place[1], place[3]
    found = [n for n in ast.walk(tree) if isinstance(n, kinds) and (n.end_lineno, n.end_col_offset) == end and _covers(n, spot.line, place)]
    return min(found, key=lambda n: (abs(n.lineno - place[0]), abs(n.col_offset - place[2])), default=None)


def _covers(node: ast.expr, line: int, place: tuple[int, int, int, int] | None) -> bool:
    last, column = node.end_lineno or node.lineno, node.end_col_offset or 0
    if place is None:
        return node.lineno <= line <= last
    return (node.lineno, node.col_offset) <= (place[0], place[2]) and (place[1], place[3]) <= (last, column)


def _place(spot: Spot) -> tuple[int, int, int, int] | None:
    """(first line, last line, first column, last column) of the instruction at work."""
    for k, place in enumerate(spot.code.co_positions()):
        if k == spot.last // 2:
            first, last, start, end = place
            return None if first is None or last is None or start is None or end is None else (first, last, start, end)
    return None


@lru_cache(maxsize=64)
def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None
