"""The outline of an answer: how long it is and what it is made of, in names alone: it goes into an edition."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tito.dev.source import Notebook, answers, solution_blocks
from tito.ladder.stubs import Scope, dotted, walk

SCHEMA = 1
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.MatMult: "@", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
         ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>", ast.USub: "-", ast.Invert: "~",
         ast.Not: "not", ast.And: "and", ast.Or: "or", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">",
         ast.GtE: ">=", ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in"}
LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.comprehension)
BRANCHES = (ast.If, ast.IfExp, ast.match_case, ast.ExceptHandler)


@dataclass(frozen=True)
class Outline:
    """What the reference has in place of one stub."""

    name: str                       # "Dropout.forward"
    lines: int                      # without blank ones and comments
    uses: tuple[str, ...]           # functions, methods (".sum") and constants (math.pi), in the order of the alphabet
    signs: tuple[str, ...]          # operators
    loops: int
    branches: int
    returns: int


def outline_file(notebook: Notebook) -> str:
    """outline.json: the outlines of a notebook's answers, by grade_id."""
    known = {name: [asdict(o) for o in outlines(text)] for name, text in answers(notebook)}
    return json.dumps({"schema_version": SCHEMA, "answers": known}, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def outlines(source: str) -> list[Outline]:
    """One for each solution in a cell; one for the whole cell where it has no markers."""
    lines = source.split("\n")
    tree = ast.parse("\n".join("" if line.lstrip()[:1] in ("%", "!") else line for line in lines))
    placed = list(walk(tree, ()))
    return [_outline(placed, lines, begin, end) for begin, end in solution_blocks(source) or [(-1, len(lines))]]


def _outline(placed: list[tuple[ast.stmt, tuple[Scope, ...]]], lines: list[str], begin: int, end: int) -> Outline:
    """The outline of what stands between two lines, from 0."""
    inside = [(node, scopes) for node, scopes in placed if begin < node.lineno - 1 < end]
    depth = min((len(scopes) for _, scopes in inside), default=0)
    top = [(node, scopes) for node, scopes in inside if len(scopes) == depth]
    scopes = top[0][1] if top else ()
    nodes = [node for statement in _outermost([node for node, _ in top]) for node in ast.walk(statement)]
    local = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    local |= {n.arg for node in (*nodes, *scopes) for n in ast.walk(node) if isinstance(n, ast.arg)}
    code = [line for line in lines[begin + 1:end] if line.strip() and not line.lstrip().startswith("#")]
    names = sorted(set(_names(nodes, local)), key=lambda name: (name.lstrip(".").lower(), name))
    filters = sum(len(node.ifs) for node in nodes if isinstance(node, ast.comprehension))
    return Outline(dotted(scopes), len(code), tuple(names), tuple(sorted(set(_signs(nodes)))), _count(nodes, LOOPS),
                   _count(nodes, BRANCHES) + filters, _count(nodes, (ast.Return,)))


def _outermost(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Those that stand in none of the others."""
    last = 0
    for statement in statements:
        if statement.lineno > last:
            last = statement.end_lineno or statement.lineno
            yield statement


def _count(nodes: list[ast.AST], kinds: tuple[type, ...]) -> int:
    return sum(isinstance(node, kinds) for node in nodes)


def _names(nodes: list[ast.AST], local: set[str]) -> Iterator[str]:
    """What is called, and what is taken from a library: `np.exp`, `Tensor`, `.sum`; never the answer's own variables."""
    for node in nodes:
        if isinstance(node, ast.Call):
            yield from _called(node.func, local)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "math"):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name):
            yield node.exc.id


def _called(function: ast.expr, local: set[str]) -> Iterator[str]:
    if isinstance(function, ast.Name) and function.id not in local:
        yield function.id
    elif isinstance(function, ast.Attribute):
        owner = ast.unparse(function.value)
        yield f"{owner}.{function.attr}" if owner in ("np", "math") or owner.startswith("np.") and owner.count(".") == 1 else \
            f".{function.attr}"


def _signs(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, (ast.BinOp, ast.BoolOp)) or isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
            yield SIGNS.get(type(node.op), "")
        elif isinstance(node, ast.AugAssign):
            yield SIGNS[type(node.op)] + "="
        elif isinstance(node, ast.Compare):
            yield from (SIGNS[type(op)] for op in node.ops)
        elif isinstance(node, ast.Subscript):
            yield "[…]"
        elif isinstance(node, ast.Lambda):
            yield "lambda"
        elif isinstance(node, (ast.Yield, ast.YieldFrom)):
            yield "yield"
        elif isinstance(node, (ast.With, ast.Try)):
            yield type(node).__name__.lower()
