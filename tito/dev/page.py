"""A module's source as a rule sees it: cells with their raw metadata, their syntax trees and their lines in the file."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tito.cells import Cell, Document, document
from tito.course import Course, Module
from tito.dev.source import notebook

CELL_MARK = re.compile(r"^\s*#\s*%%(%*\s.*)?$")
MAGIC = re.compile(r"^([ \t]*)[%!].*$", re.MULTILINE)


@dataclass(frozen=True)
class Placed:
    """A cell, its raw metadata, and the line of the source in which its text begins."""

    cell: Cell
    metadata: dict[str, Any]
    line: int

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree without magics; empty for markdown, and where it does not parse (which is a problem of its own)."""
        source = self.cell.source if self.cell.kind == "code" else ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for text in (source, MAGIC.sub(r"\1pass", source)):
                try:
                    return ast.parse(text)
                except SyntaxError:
                    continue
        return ast.Module([], [])

    @property
    def marks(self) -> dict[str, Any]:
        marks = self.metadata.get("nbgrader", {})
        return marks if isinstance(marks, dict) else {}

    def at(self, node: ast.AST) -> int:
        return self.line + int(getattr(node, "lineno", 1)) - 1


@dataclass(frozen=True)
class Page:
    """A module's source with everything that a rule may look at."""

    course: Course
    module: Module
    text: str
    cells: tuple[Placed, ...]

    @property
    def code(self) -> list[Placed]:
        return [p for p in self.cells if p.cell.kind == "code"]

    @property
    def exported(self) -> list[Placed]:
        return [p for p in self.code if p.cell.exported]

    @property
    def document(self) -> Document:
        return Document(self.module.source, tuple(p.cell for p in self.cells))


def read_page(course: Course, module: Module) -> Page:
    """A module's source, its cells placed at their lines."""
    raw = notebook(module.source)
    cells = document(raw, module.source).cells
    text = module.source.read_text(encoding="utf-8-sig")
    return Page(course, module, text, tuple(
        Placed(cell, data["metadata"], line) for cell, data, line in zip(cells, raw["cells"], cell_lines(text, cells), strict=True)))


def cell_lines(text: str, cells: tuple[Cell, ...]) -> list[int]:
    """The line of a percent source, from 1, in which each cell's text begins."""
    lines, result, here = text.splitlines(), [], 0
    for index, cell in enumerate(cells):
        first, *rest = cell.source.split("\n")
        if index == 0 and not cell.source and lines and not CELL_MARK.match(lines[0]):
            result.append(1)        # jupytext makes a cell of blank lines above the first marker
            continue
        mark = next((n for n in range(here, len(lines)) if CELL_MARK.match(lines[n])), here - 1)
        # The first cell may stand above the first marker.
        top = here if index == 0 and first.strip() else mark + 1
        start = next((n for n in range(top, len(lines)) if _alike(lines[n], first)), mark + 1)
        result.append(start + 1)
        here = start + (1 + len(rest) if cell.source else 0)
    return result


def _alike(line: str, first: str) -> bool:
    """The same text, whether in a comment, behind opening quotes, or as it is."""
    bare = [re.sub(r"""^\s*(#+\s*)?(r?["']{3})?\s*""", "", text).rstrip() for text in (line, first)]
    return line.rstrip() == first.rstrip() or bool(bare[1]) and bare[0] == bare[1]
