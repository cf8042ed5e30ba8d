"""Slips in what stands where: a statement, an argument or a call left out, two things exchanged, another name or function.

Operators as in `operators.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tito.dev.checks.operators import KEEPDIMS, Group, called, names, read
from tito.dev.checks.splice import SUM, Text

PAIRS = ("maximum minimum", "max min", "amax amin", "zeros ones", "zeros_like ones_like", "sum mean", "any all", "exp log", "log1p log",
         "expm1 exp", "argmax argmin", "floor ceil", "sin cos", "tanh sinh", "logical_and logical_or", "isnan isinf", "ndim size")
TWINS: dict[str, list[str]] = {}
for _one, _two in map(str.split, PAIRS):
    TWINS.setdefault(_one, []).append(_two)
    TWINS.setdefault(_two, []).append(_one)
EXCEPTIONS = {"ValueError": "TypeError", "TypeError": "ValueError"}
COMMUTE = {"max", "min", "maximum", "minimum", "add", "multiply", "isclose", "gcd", "hypot"}


def twins(text: Text, node: ast.AST) -> Iterator[Group]:
    end = text.span(node)[1]
    match node:
        case ast.Name(id=word) if word in TWINS and read(node) and word not in names(text, node):
            yield "twin", 1, [((end - len(word), end, other),) for other in TWINS[word]]
        case ast.Attribute(attr=word) if word in TWINS and read(node):
            yield "twin", 1, [((end - len(word), end, other),) for other in TWINS[word]]
        case ast.Call(func=ast.Name(id="range"), args=[ast.expr() as stop]) if not isinstance(stop, ast.Starred):
            yield "range", 2, [(text.put(stop, f"{text.held(stop, SUM)} - 1", SUM),), (text.put(stop, f"{text.held(stop, SUM)} + 1", SUM),),
                               ((text.full(stop)[0],) * 2 + ("1, ",),)]
        case ast.Call(func=ast.Name(id="enumerate"), args=[_]) | ast.Call(func=ast.Attribute(attr="pop"), args=[]):
            yield "twin", 1, [((end - 1, end - 1, ", 1" if node.args else "0"),)]
        case ast.Raise(exc=ast.Name(id=word) as name) | ast.Raise(exc=ast.Call(func=ast.Name(id=word) as name)):
            yield "exception", 1, [(text.put(name, EXCEPTIONS.get(word, "ValueError")),)]


def name(text: Text, node: ast.AST) -> Iterator[Group]:
    """Another local name in the place of one."""
    if isinstance(node, ast.Name) and read(node) and text.parent(node)[1] != "func" and node.id in (known := names(text, node)):
        yield "name", 1, [(text.put(node, other),) for other in known if other != node.id]


def statement(text: Text, node: ast.AST) -> Iterator[Group]:
    if isinstance(node, ast.stmt) and not isinstance(node, ast.Pass):
        start, end = text.span(node)
        if decorators := getattr(node, "decorator_list", []):
            start = text.span(decorators[0])[0] - len("@")
        yield "drop", 1, [((start, end, "pass"),)]
    if isinstance(node, (ast.For, ast.While)) and (last := node.body[-1]).lineno > node.lineno:
        start, end = text.span(node)[0], text.span(last)[1]
        yield "loop", 1, [((start, start, ""), (end, end, "\n" + " " * node.body[0].col_offset + "break"))]    # told with all of the loop


def call(text: Text, node: ast.AST) -> Iterator[Group]:
    """A call without an argument, with two of them exchanged, or what it is called on instead of the call."""
    if not isinstance(node, ast.Call):
        return
    items = sorted((*node.args, *node.keywords), key=lambda n: text.span(n))
    for number, item in enumerate(items):
        if isinstance(item, ast.keyword) and item.arg:
            kind = "keepdims" if KEEPDIMS.fullmatch(item.arg) else "dtype" if item.arg == "dtype" else "drop"
            yield kind, 1, [text.without(items, number)]
    if len(node.args) > 1 and not isinstance(node.args[-1], ast.Starred):
        yield "drop", 1, [text.without(items, items.index(node.args[-1]))]
    commutes = node.args if called(node) in COMMUTE or _unpacked(text, node) else node.args[1:] if called(node) == "swapaxes" else []
    for one, two in zip(node.args, node.args[1:]):
        if one not in commutes and not {type(one), type(two)} & {ast.Starred, ast.GeneratorExp}:
            yield "swap", 1, [text.exchange(one, two)]
    func = node.func
    if isinstance(text.parent(node)[0], ast.Expr):
        return
    if isinstance(func, ast.Attribute) and not (isinstance(func.value, ast.Name) and func.value.id not in ("self", *names(text, node))):
        yield "drop", 1, [(text.move(node, func.value),)]
    else:
        yield "drop", 1, [(text.move(node, arg),) for arg in node.args if not isinstance(arg, ast.Starred)]


def _unpacked(text: Text, node: ast.AST) -> bool:
    """Whether names take up what a zip gives: then the names are exchanged, not the arguments."""
    parent, field = text.parent(node)
    return called(node) == "zip" and field == "iter" and isinstance(getattr(parent, "target", None), ast.Tuple)


def parts(text: Text, node: ast.AST) -> Iterator[Group]:
    """Elements dropped or exchanged, `.mT` and `[...]` forgotten, the other end of a slice."""
    match node:
        case ast.Attribute(attr="T" | "mT" | "data", value=value) if read(node) and text.parent(node)[1] != "func":
            yield "drop", 1, [(text.move(node, value),)]
        case ast.Subscript(value=value, slice=index) if not read(node) or isinstance(index, ast.Slice):
            yield "drop", 1, [(text.move(node, value),)]
        case ast.Tuple(elts=elts) | ast.List(elts=elts) if len(elts) > 1:
            parent, _ = text.parent(node)
            unordered = isinstance(parent, ast.Compare) or called(parent) == "isinstance"
            doubled = isinstance(parent, ast.Assign) and read(node) and isinstance(parent.targets[0], ast.Tuple)
            if not unordered and not doubled:
                for one, two in zip(elts, elts[1:]):
                    yield "swap", 1, [((*text.full(one), _own(text, two)), (*text.full(two), _own(text, one)))]
            if read(node):
                for number in range(len(elts)):
                    yield "drop", 1, [text.without(elts, number, "," if isinstance(node, ast.Tuple) else "")]
        case ast.Slice(lower=lower, upper=upper, step=None):
            low, high = (text.text(side) if side else "" for side in (lower, upper))
            yield "swap", 1, [((*text.span(node), f"{high}:{low}"),)]
            if low and high:
                yield "drop", 2, [((*text.span(node), f"{low}:"),), ((*text.span(node), f":{high}"),)]


def _own(text: Text, node: ast.AST) -> str:
    start, end = text.full(node)
    return text.source[start:end]
