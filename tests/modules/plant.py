"""Plants an error in a function of a document: the first thing that it does is to raise."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tito.cells import Cell, Document
from tito.check.verdict import Verdict
from tito.dev.checks.mistake import with_cell

PLANTED = 'raise RuntimeError("planted")'
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Spot:
    """A function of an exported cell."""

    cell: Cell
    name: str           # "Tensor.item", "op.lifted"; the rules of a table are all called _, so the line is told, too
    line: int           # of its `def`, in the cell
    source: str         # the cell with the error in it

    def __str__(self) -> str:
        return f"cell {self.label}, {self.name}, line {self.line}"

    @property
    def label(self) -> str:
        """How a verdict calls the cell."""
        return self.cell.grade_id or str(self.cell.index + 1)

    def planted_in(self, work: Document) -> Document:
        return with_cell(work, replace(self.cell, source=self.source))

    def named_by(self, verdict: Verdict) -> bool:
        """Whether somebody who reads the verdict is led to the cell."""
        place = re.compile(rf"\bcell {re.escape(self.label)}(?![\w-])")
        told = [f"{row.at}\n{row.check}\n{row.hint}" for row in verdict.rows if row.state != "passed"]
        told += [f"cell {trouble.cell}: {trouble.error}" for trouble in verdict.troubles]
        return any(place.search(text) for text in told)


def spots(work: Document) -> list[Spot]:
    """Every function and method of the cells that go to the package, functions inside functions too."""
    return [spot for cell in work.code if cell.exported and not cell.analysis for spot in _in_cell(cell)]


def _in_cell(cell: Cell) -> Iterator[Spot]:
    for name, function in _functions(ast.parse(cell.source), ""):
        yield Spot(cell, name, function.lineno, _planted(cell.source, function))


def _functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        name = prefix
        if isinstance(node, Function | ast.ClassDef):
            name = f"{prefix}{node.name}."
        if isinstance(node, Function):
            yield name[:-1], node
        yield from _functions(node, name)


def _planted(source: str, function: Function) -> str:
    first = next((node for node in function.body if not _docstring(node)), None)
    lines = source.split("\n")
    if first is None:                                   # nothing but a docstring
        line, last = function.body[0].end_lineno or 0, function.body[0]
        lines.insert(line, " " * last.col_offset + PLANTED)
        return "\n".join(lines)
    line = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", ()))]) - 1
    before = lines[line].encode()[:first.col_offset].decode()
    if before.strip():                                  # def f(x): return x
        lines[line] = before + PLANTED + "; " + lines[line][len(before):]
    else:
        lines.insert(line, before + PLANTED)
    return "\n".join(lines)


def _docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
