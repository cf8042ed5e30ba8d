"""The stubs of an answer's cell: what is given of each function that is to be written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Stub:
    """One `raise NotImplementedError()`: the function that it stands in."""

    name: str                   # "Dropout.forward"; empty outside of functions
    given: str                  # the lines with its signature and its docstring, and those of what it stands in
    decorator: str = ""         # "@gradient(multiply)"

    def named_in(self, text: str) -> bool:
        """Whether a sentence speaks of it, in backticks or as a call; of a rule, by the operation that it is the rule of."""
        own = self.decorator.rpartition("(")[2].rstrip(")") if self.name == "_" else self.name.rpartition(".")[2]
        return bool(own) and re.search(rf"\b{re.escape(own)}\)?[`(.]", text) is not None


def stubs(source: str) -> list[Stub]:
    """The stubs of a released cell, from the top."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    return [_stub(scopes, source.split("\n")) for node, scopes in walk(tree, ()) if isinstance(node, ast.Raise) and _unwritten(node)]


def walk(node: ast.AST, scopes: tuple[Scope, ...]) -> Iterator[tuple[ast.stmt, tuple[Scope, ...]]]:
    """Every statement below a node, and the functions and classes that it stands in, the outermost first."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child, scopes
        yield from walk(child, (*scopes, child) if isinstance(child, Scope) else scopes)


def is_text(node: ast.stmt) -> TypeGuard[ast.Expr]:
    """Whether a statement is nothing but a text, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def dotted(scopes: tuple[Scope, ...]) -> str:
    return ".".join(scope.name for scope in scopes)


def _unwritten(node: ast.Raise) -> bool:
    error = node.exc.func if isinstance(node.exc, ast.Call) and not node.exc.args else node.exc
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"


def _stub(scopes: tuple[Scope, ...], lines: list[str]) -> Stub:
    given = [line for scope in scopes for line in _head(scope, lines)]
    decorated = scopes[-1].decorator_list if scopes else []
    return Stub(dotted(scopes), "\n".join(given), f"@{ast.unparse(decorated[0])}" if decorated else "")


def _head(scope: Scope, lines: list[str]) -> list[str]:
    """From the decorators to the end of the docstring."""
    begin = min([scope.lineno, *(d.lineno for d in scope.decorator_list)])
    first = scope.body[0]
    above = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", ()))]) - 1
    head = lines[begin - 1:first.end_lineno if is_text(first) else max(above, scope.lineno)]
    while len(head) > 1 and (not head[-1].strip() or head[-1].lstrip().startswith("#")):
        head.pop()
    return head
