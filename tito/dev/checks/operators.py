"""Slips in values: for a node of a solution, the other sign, constant, operator, comparison, axis or dtype.

An operator gives groups `(name, how many, choices)`: so many of the choices become mutants.  What is plainly the same program is no choice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from tito.dev.checks.splice import ARITHMETIC, ATOM, NOT, SUM, UNARY, Edits, Text

Group = tuple[str, int, list[Edits]]
Operator = Callable[[Text, ast.AST], Iterator[Group]]

AXIS = re.compile(r"(\w+_)?(axis|axes|dims?)\d?")
KEEPDIMS = re.compile(r"keepdims?")
OTHERS = {"+": "- * /", "-": "+ * /", "*": "/ + - **", "/": "* // - +", "//": "/ * %", "%": "// / *", "**": "* + /", "@": "* + -"}
COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"), ast.Eq: ("!=",), ast.NotEq: ("==",),
    ast.In: ("not in",), ast.NotIn: ("in",), ast.Is: ("is not",), ast.IsNot: ("is",),
}
DTYPES = {"float32": "float64", "float64": "float32", "int64": "int32", "int32": "int64"}
UNSIGNED = {"isinstance", "len", "zip", "enumerate", "callable", "id", "type", "str", "list", "set", "tuple", "dict", "sorted", "setattr",
            "getattr", "abs", "absolute", "cos", "cosh", "ndim", "shape", "add"}     # what they take has no sign, or it is nothing to them


def off_limits(text: Text) -> set[ast.AST]:
    """What is written for people: texts, messages of exceptions, annotations, and values that nothing but a message reads."""
    found: set[ast.AST] = set()
    for node in ast.walk(text.tree):
        match node:
            case ast.JoinedStr() | ast.Constant(value=str() | bytes()):
                found |= set(ast.walk(node))
            case ast.Expr(value=ast.Constant(value=str())):
                found.add(node)
            case ast.Raise(exc=ast.Call(args=args, keywords=keywords) as exception):
                found |= {exception, *(below for part in (*args, *keywords) for below in ast.walk(part))}
            case ast.AnnAssign(annotation=annotation) | ast.arg(annotation=annotation) | ast.FunctionDef(returns=annotation):
                found |= set(ast.walk(annotation)) if annotation else set()
    for node in ast.walk(text.tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                uses = [n for n in ast.walk(text.tree) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
                if uses and all(n in found for n in uses):
                    found |= set(ast.walk(value))
    return found


def called(node: ast.AST) -> str:
    """The last word of what a call calls."""
    func = node.func if isinstance(node, ast.Call) else None
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def read(node: ast.AST) -> bool:
    return not isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def names(text: Text, node: ast.AST) -> list[str]:
    """The local names that can be read at a node: parameters, what was assigned before, and what a comprehension around it binds."""
    found: dict[str, None] = {}
    functions = 0
    for above in text.above(node):
        match above:
            case ast.FunctionDef(args=a) | ast.Lambda(args=a):
                found |= dict.fromkeys(p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if p)
                functions += 1
                found |= dict.fromkeys(n.id for n in ast.walk(above) if isinstance(n, ast.Name) and not read(n)
                                       and n.lineno < getattr(node, "lineno", 0)
                                       and not any(isinstance(up, ast.comprehension) for up in text.above(n)))
            case ast.ListComp(generators=g) | ast.SetComp(generators=g) | ast.GeneratorExp(generators=g) | ast.DictComp(generators=g):
                if not any(node is below for c in g[:1] for below in ast.walk(c.iter)):
                    found |= dict.fromkeys(n.id for c in g for n in ast.walk(c.target) if isinstance(n, ast.Name))
    return [name for name in found if name != "self"]


def axis(text: Text, node: ast.AST) -> Iterator[Group]:
    parent, field = text.parent(node)
    keyword = parent.arg or "" if isinstance(parent, ast.keyword) else ""
    name = node.id if isinstance(node, ast.Name) and read(node) and field != "func" else ""
    if AXIS.fullmatch(keyword) or AXIS.fullmatch(name):
        choices: list[Edits] = [(text.put(node, value, UNARY if value < "0" else ATOM),) for value in ("0", "1", "-1", "None")]
        if not isinstance(node, ast.Constant) and not (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)):
            choices += [(text.put(node, f"-{text.held(node, UNARY)}", UNARY),), (text.put(node, f"{text.held(node, SUM)} + 1", SUM),)]
        yield "axis", 3, choices
    if KEEPDIMS.fullmatch(keyword) or KEEPDIMS.fullmatch(name):
        if isinstance(node, ast.Constant):
            yield "keepdims", 1, [(text.put(node, str(not node.value)),)]
        else:
            yield "keepdims", 2, [(text.put(node, "True"),), (text.put(node, "False"),),
                                  (text.put(node, f"not {text.held(node, NOT)}", NOT),)]


def dtype(text: Text, node: ast.AST) -> Iterator[Group]:
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word) if word in DTYPES and read(node):
            end = text.span(node)[1]
            yield "dtype", 1, [((end - len(word), end, DTYPES[word]),)]
        case ast.Call(func=ast.Attribute(value=value, attr="astype")):
            yield "dtype", 1, [(text.move(node, value),)]
        case ast.Constant(value=float()) if isinstance(text.parent(node)[0], ast.BinOp) and "np." in text.source:
            yield "dtype", 1, [(text.put(node, f"np.float64({text.text(node)})"),)]     # makes float64 of a float32 array, as 0.5 does not


def augmented(text: Text, node: ast.AST) -> Iterator[Group]:
    if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield "augmented", 1, [(text.between(node.target, node.value, "="),)]
        others = OTHERS.get(ARITHMETIC[type(node.op)][0], "").split()
        yield "augmented", 1, [(text.between(node.target, node.value, f"{other}="),) for other in others]


def comparison(text: Text, node: ast.AST) -> Iterator[Group]:
    if not isinstance(node, ast.Compare):
        return
    sides = [node.left, *node.comparators]
    for left, op, right in zip(sides, node.ops, sides[1:]):
        yield "comparison", 2, [(text.between(left, right, other),) for other in COMPARISONS[type(op)]]
        words = any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in (left, right))
        dtypes = any(isinstance(side, ast.Name) and side.id in DTYPES for side in (left, right))
        if isinstance(op, (ast.Eq, ast.NotEq)) and not words and not dtypes:        # neither of which is greater than another
            yield "comparison", 1, [(text.between(left, right, other),) for other in ("<", "<=", ">", ">=")]


def boolean(text: Text, node: ast.AST) -> Iterator[Group]:
    match node:
        case ast.BoolOp(op=op, values=values):
            other = "or" if isinstance(op, ast.And) else "and"
            yield "boolean", 1, [tuple(text.between(a, b, other) for a, b in zip(values, values[1:]))]
            yield "drop", len(values), [(text.move(node, value),) for value in values] if len(values) == 2 else []
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "boolean", 1, [(text.move(node, operand),)]
        case ast.IfExp(body=body, orelse=orelse):
            yield "boolean", 1, [text.exchange(body, orelse)]
    parent, field = text.parent(node)
    if field in ("test", "ifs"):
        choices: list[Edits] = [(text.put(node, "False"),)]
        if not isinstance(parent, ast.While):                   # `while True` may never end
            choices.append((text.put(node, "True"),))
        yield "boolean", 2, choices
        if not (isinstance(node, ast.Compare) and len(node.ops) == 1):      # its negation is the other comparison
            yield "boolean", 1, [(text.put(node, f"not {text.held(node, NOT)}", NOT),)]


def arithmetic(text: Text, node: ast.AST) -> Iterator[Group]:
    if not isinstance(node, ast.BinOp) or not (others := OTHERS.get(symbol := ARITHMETIC[type(node.op)][0])):
        return
    neutral = isinstance(node.right, ast.Constant) and node.right.value == {"+": 0, "-": 0}.get(symbol, 1)
    same = ({"+", "-"} if symbol in "+-" else {"*", "/", "**"}) if neutral else set()
    yield "arithmetic", 2, [text.arithmetic(node, other) for other in others.split() if other not in same]
    yield "drop", 2, [(text.move(node, side),) for side in (node.left, node.right) if not (neutral and side is node.left)]
    if symbol not in "+*":
        yield "swap", 1, [text.exchange(node.left, node.right)]


def sign(text: Text, node: ast.AST) -> Iterator[Group]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", 1, [(text.move(node, node.operand),)]
    elif isinstance(node, (ast.Name, ast.Call, ast.BinOp, ast.Attribute, ast.Subscript)) and read(node) and _signed(text, node):
        yield "sign", 1, [(text.put(node, f"-{text.held(node, UNARY)}", UNARY),)]


def _signed(text: Text, node: ast.AST) -> bool:
    """Whether a minus before the node is a slip of its own: of a product, one factor stands for all."""
    product = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div, ast.MatMult))
    parent, field = text.parent(node)
    match parent:
        case ast.BinOp(op=ast.Mult() | ast.Div() | ast.MatMult(), left=left):
            return not product and (field == "left" or isinstance(left, ast.Constant))
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return not product and field == "left"
        case ast.BinOp():
            return not product
        case ast.Call() if field == "args":
            return called(parent) not in UNSIGNED and not product and not KEEPDIMS.fullmatch(text.text(node))
    while isinstance(parent, (ast.Tuple, ast.IfExp)) and field != "test":
        parent, field = text.parent(parent)
    return isinstance(parent, (ast.Return, ast.Assign)) and not product and text.text(node) != "self"


def constant(text: Text, node: ast.AST) -> Iterator[Group]:
    parent, _ = text.parent(node)
    value = _number(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", 1, [(text.put(node, str(not node.value)),)]
    elif value is not None and not (isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.USub)):
        whole = isinstance(value, int)
        others = [value + 1, value - 1, 0, 1, -value, 2 * value] if whole else [2 * value, value / 2, 0.0, 1.0, -value, value + 1]
        others = [other for n, other in enumerate(others) if other != value and other not in others[:n]]
        if isinstance(parent, ast.Subscript) and value in (0, -1):
            yield "index", 1, [(text.put(node, str(-1 - value)),)]
        yield "constant", 3, [(text.put(node, repr(other), UNARY if other < 0 else ATOM),) for other in others]
    if value is not None and isinstance(parent, ast.keyword) and not AXIS.fullmatch(parent.arg or ""):
        yield "constant", 1, [(text.put(node, "None"),)]


def _number(node: ast.AST) -> int | float | None:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if not isinstance(value, bool):
            return -value
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
    return None
