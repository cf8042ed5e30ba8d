"""A notebook under damage: its parts as they were released, wherever they have gone."""

from __future__ import annotations

import copy
import random
from typing import Any

Notebook = dict[str, Any]
Cell = dict[str, Any]


class NotHere(Exception):
    """There is nothing in this notebook that could be damaged so."""


class Work:
    """A notebook under damage, and short ways to find its parts."""

    def __init__(self, notebook: Notebook, released: Notebook, seed: int = 0):
        self.notebook, self.released, self.random = copy.deepcopy(notebook), released, random.Random(seed)
        self.lost: set[str] = set()
        for cell in self.cells:
            cell["source"] = text(cell)
        self.original = [(cell, sort(cell), marks(cell).get("grade_id", "")) for cell in self.cells]

    @property
    def cells(self) -> list[Cell]:
        return self.notebook["cells"]       # type: ignore[no-any-return]

    @cells.setter
    def cells(self, cells: list[Cell]) -> None:
        self.notebook["cells"] = cells

    def marked(self, what: str) -> list[Cell]:
        """The cells of one sort (answer, check, locked, given, written) that are still there, in the notebook's order."""
        known = {id(cell) for cell, kind, _ in self.original if kind == what}
        return [c for c in self.cells if id(c) in known]

    def above(self, cell: Cell) -> Cell:
        if not self.place(cell):
            raise NotHere
        return self.cells[self.place(cell) - 1]

    def name(self, cell: Cell) -> str:
        """The grade_id that a cell was released with."""
        return next(name for known, _, name in self.original if known is cell)

    def lose(self, cell: Cell) -> None:
        self.lost |= {name for known, kind, name in self.original if known is cell and kind == "answer"}

    def one(self, what: str, place: int = 0) -> Cell:
        found = self.marked(what)
        if len(found) <= place:
            raise NotHere
        return found[place]

    def place(self, cell: Cell) -> int:
        return next(i for i, c in enumerate(self.cells) if c is cell)

    def merge(self, first: Cell, last: Cell, keep: Cell) -> None:
        """Join two cells, and the code between, as JupyterLab does; the metadata of one of them stay."""
        begin, end = sorted((self.place(first), self.place(last)))
        between = self.cells[begin:end + 1]
        parts = [c for c in between if c["cell_type"] == "code" or c in (first, last)]
        whole = {**keep, "source": "\n\n".join(c["source"] for c in parts)}
        self.cells[begin:end + 1] = [whole, *(c for c in between if c not in parts)]

    def stub(self, grade_id: str) -> str:
        return next(text(c) for c in self.released["cells"] if marks(c).get("grade_id") == grade_id)


def text(cell: Cell) -> str:
    source = cell["source"]
    return "".join(source) if isinstance(source, list) else source      # type: ignore[no-any-return]


def marks(cell: Cell) -> dict[str, Any]:
    return cell["metadata"].get("nbgrader", {}) if isinstance(cell.get("metadata"), dict) else {}


def sort(cell: Cell) -> str:
    """What a released cell is for."""
    known = marks(cell)
    if known.get("solution"):
        return "written" if known.get("grade") else "answer"
    if known.get("grade"):
        return "check"
    return "locked" if known.get("locked") else "given" if cell["cell_type"] == "code" and "tags" not in cell["metadata"] else "other"
