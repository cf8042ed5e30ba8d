"""Every small slip that could stand in a module's solutions: the mutants that its checks must tell from the answer.

cosmic-ray 8.7 and mutmut 3.8 do not serve here: both mutate a project's files and run its tests once a mutant, neither drops statements,
exchanges arguments, adds a minus or changes a dtype, and mutmut leaves functions with a decorator such as `@op` alone.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from tito.cells import Cell, Document
from tito.dev.checks.operators import (
    Operator,
    arithmetic,
    augmented,
    axis,
    boolean,
    comparison,
    constant,
    dtype,
    off_limits,
    sign,
)
from tito.dev.checks.splice import Edits, Text, splice
from tito.dev.checks.structure import call, name, parts, statement, twins
from tito.dev.source import solution_blocks

# The special before the general: of two operators that make the same mutant, the first gives it its name.
OPERATORS: tuple[Operator, ...] = (
    axis, dtype, augmented, statement, comparison, boolean, sign, twins, constant, arithmetic, call, parts, name,
)


@dataclass(frozen=True)
class Mutant:
    """A solution cell with one slip in it."""

    cell: Cell              # with the slip in its source
    operator: str           # the kind of slip: "axis", "sign", "drop", ...
    line: int               # in the cell, from 1
    old: str                # the logical lines that it changes, without a comment at their end, before
    new: str                # and after

    @property
    def grade_id(self) -> str:
        return self.cell.grade_id

    def __str__(self) -> str:
        return f"{self.grade_id}, line {self.line}, {self.operator}: `{self.old}` -> `{self.new}`"


def mutants(document: Document, seed: int = 0) -> list[Mutant]:
    """All mutants of a document's solutions: every operator at every place where it applies, in the order of the places.

    Where an operator has more choices than it makes (which other sign, constant, axis or name), `seed` chooses.
    """
    return [mutant for cell in document.code if cell.solution for mutant in _of_cell(cell, seed)]


def _of_cell(cell: Cell, seed: int) -> Iterator[Mutant]:
    blocks = solution_blocks(cell.source)
    if not blocks:
        return
    text = Text(cell.source)
    seen = {_program(cell.source)}
    found: list[tuple[int, Mutant]] = []
    for number, operator in enumerate(OPERATORS):
        for node in _nodes(text, blocks):
            for group, (kind, take, choices) in enumerate(operator(text, node)):
                at = text.span(node)
                Random(f"{seed} {cell.grade_id} {at} {number} {group}").shuffle(choices)
                for edits in choices:
                    if take and (mutant := _mutant(cell, text, kind, edits, seen)):
                        found.append((min(edits)[0], mutant))
                        take -= 1
    yield from (mutant for _, mutant in sorted(found, key=lambda pair: pair[0]))


def _nodes(text: Text, blocks: list[tuple[int, int]]) -> list[ast.AST]:
    """The expressions, statements and keywords that stand in a solution and are not a text's or a message's."""
    forbidden = off_limits(text)
    return [node for node in ast.walk(text.tree) if isinstance(node, (ast.expr, ast.stmt, ast.keyword)) and node not in forbidden
            and any(begin + 1 < node.lineno and (node.end_lineno or 0) <= end for begin, end in blocks)]


def _mutant(cell: Cell, text: Text, operator: str, edits: Edits, seen: set[str]) -> Mutant | None:
    """The mutant, unless it is not Python or the same program as one that was seen."""
    source = splice(cell.source, edits)
    try:
        with warnings.catch_warnings(action="ignore"):          # `1 is x`, and other things that no one would write
            compile(source, "mutant", "exec")
            program = _program(source)
    except SyntaxError:
        return None
    if program in seen:
        return None
    seen.add(program)
    start, end = text.logical(min(edits)[0], max(e[1] for e in edits))
    grown = len(source) - len(cell.source)
    return Mutant(replace(cell, source=source), operator, text.line(min(edits)[0]),
                  _one_line(cell.source[start:end]), _one_line(source[start:end + grown]))


class _Plain(ast.NodeTransformer):
    """A program without what plainly does nothing: `z = z` is a `pass`, and `a and a` is `a`."""

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        self.generic_visit(node)
        nothing = len(node.targets) == 1 and ast.unparse(node.targets[0]) == ast.unparse(node.value)
        return ast.Pass() if nothing else node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.Pass() if isinstance(node.value, (ast.Name, ast.Constant)) else node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        node.values = list({ast.unparse(value): value for value in node.values}.values())
        return node if len(node.values) > 1 else node.values[0]


def _program(source: str) -> str:
    """What two sources of the same program have in common."""
    return ast.dump(_Plain().visit(ast.parse(source)))


def _one_line(text: str) -> str:
    return " ".join(filter(None, map(str.strip, text.split("\n"))))
