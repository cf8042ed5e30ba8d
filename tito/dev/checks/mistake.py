"""What a module's `mistakes.py` is made of: wrong answers with the hints that they deserve, and mutations that change nothing."""

from __future__ import annotations

import runpy
from dataclasses import dataclass, replace
from pathlib import Path

from tito.cells import Cell, Document
from tito.dev.source import solution_blocks
from tito.errors import ExitCode, TitoError


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that real learners write: a patch of one solution cell, and the words that its card must show as the hint."""

    grade_id: str           # of the solution cell
    name: str               # "forgets dim": what the learner did, unique in its cell
    old: str                # in the solution, exactly once
    new: str
    hint: str               # a part of the first hint

    def __str__(self) -> str:
        return f"{self.grade_id}: {self.name}"

    def in_cell(self, document: Document) -> Cell:
        """The solution cell with the mistake in it.  TitoError where `old` is not in its solution exactly once."""
        cell = next((c for c in document.code if c.solution and c.grade_id == self.grade_id), None)
        if cell is None:
            raise TitoError(f"{self}: there is no solution cell `{self.grade_id}`", why="the first argument is a solution cell's grade_id",
                            fix=f"mend mistakes.py of {document.path.parent.name}", code=ExitCode.INTEGRITY)
        lines = cell.source.split("\n")
        starts = [sum(len(line) + 1 for line in lines[:n]) for n in range(len(lines) + 1)]
        places = [starts[begin + 1] + at for begin, end in solution_blocks(cell.source)
                  for block in ["\n".join(lines[begin + 1:end])] for at in _all(block, self.old)]
        if len(places) != 1:
            raise TitoError(f"{self}: {self.old!r} is in the solution {len(places)} times, not once", why="the answer has changed since",
                            fix=f"mend mistakes.py of {document.path.parent.name}", code=ExitCode.INTEGRITY)
        at = places[0]
        return replace(cell, source=cell.source[:at] + self.new + cell.source[at + len(self.old):])

    def planted(self, document: Document) -> Document:
        """The document with the mistake in it."""
        return with_cell(document, self.in_cell(document))


@dataclass(frozen=True)
class Equivalent:
    """A mutation that no check can tell from the answer, because it gives the same values."""

    grade_id: str           # of the solution cell
    old: str                # the line before and after, as `tito dev check` lists it
    new: str
    why: str


def with_cell(document: Document, cell: Cell) -> Document:
    """The document with one cell replaced by another in the same place."""
    return Document(document.path, tuple(cell if c.index == cell.index else c for c in document.cells))


def load_mistakes(path: Path) -> tuple[list[Mistake], list[Equivalent]]:
    """MISTAKES and EQUIVALENT of a module's `mistakes.py`.  TitoError where it cannot be read."""
    try:
        names = runpy.run_path(str(path))
        return list(names["MISTAKES"]), list(names.get("EQUIVALENT", ()))
    except Exception as err:
        raise TitoError(f"{path.parent.name}/mistakes.py cannot be read", why=f"{type(err).__name__}: {err}", fix="mend it there",
                        code=ExitCode.INTEGRITY) from err


def _all(text: str, part: str) -> list[int]:
    found, at = [], text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found
