"""A cell as it was handed in, a cell as it was released, and the ways to look at their texts."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tito.check.names import defined

LONG = 50_000                   # characters: what is longer than any answer is looked at with patterns alone
HEAD = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
NAMELESS = re.compile(r"^(@[\w.]+\(.*\))[ \t]*\n(?:async[ \t]+)?def[ \t]+_\(", re.MULTILINE)   # @gradient(relu): the decorator is its name
START = re.compile(r"@|#\||(?:async[ \t]+)?(?:def|class)[ \t]")
MAGIC = ("%", "!", "?")


@dataclass(eq=False)
class Piece:
    """One cell of a student's file; `marks` are nbgrader's metadata, None where there were none."""

    kind: str                   # "code", "markdown" or "raw"
    source: str
    id: str = ""
    marks: dict[str, Any] | None = None
    tags: tuple[str, ...] = ()
    attachments: dict[str, Any] = field(default_factory=dict)

    @property
    def grade_id(self) -> str:
        name = (self.marks or {}).get("grade_id")
        return name if isinstance(name, str) else ""

    @cached_property
    def text(self) -> str:
        """The source but for blanks at the ends of lines and of the whole."""
        return plain(self.source)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def names(self) -> frozenset[str]:
        return names_in(self.source)

    def change(self, source: str) -> None:
        """Give it another source."""
        self.source = source
        for name in ("text", "lines", "names"):
            self.__dict__.pop(name, None)


class Slot:
    """A cell of the released notebook: the place that a handed-in cell may take."""

    def __init__(self, index: int, cell: dict[str, Any]):
        source, metadata = cell["source"], cell.get("metadata") or {}
        marks = metadata.get("nbgrader") or {}
        self.index, self.cell, self.marks = index, cell, marks
        self.source: str = "".join(source) if isinstance(source, list) else source
        self.kind: str = cell["cell_type"]
        self.id, self.grade_id = str(cell.get("id", "")), str(marks.get("grade_id", ""))
        self.tags = tuple(metadata.get("tags") or ())
        self.answer = bool(marks.get("solution"))
        self.written = self.answer and bool(marks.get("grade"))
        self.check = not self.answer and bool(marks.get("grade"))
        self.fixed = not self.answer and bool(marks.get("grade") or marks.get("locked"))
        self.text = plain(self.source)

    @cached_property
    def names(self) -> frozenset[str]:
        return names_in(self.source) if self.kind == "code" else frozenset()

    @cached_property
    def shown(self) -> frozenset[str]:
        """Its names, and those of code that stands in a text."""
        return self.names | heads_in(self.source)

    @cached_property
    def heads(self) -> frozenset[str]:
        """The names by which it is known: its functions and classes, else all that it defines."""
        return self.names & heads_in(self.source) or frozenset(n for n in self.names if n[0] != ".") or self.names

    def known_by(self, names: frozenset[str]) -> int:
        """How many of its names are among these; 0 where they are too few to tell."""
        hits = len(self.heads & names)
        return hits if self.answer or self.check or 2 * hits >= len(self.heads) else 0


def plain(source: str) -> str:
    """A source without the blanks that no editor shows."""
    return "\n".join(line.rstrip() for line in source.split("\n")).strip("\n")


def names_in(source: str) -> frozenset[str]:
    """The names that a source defines; of a text that no parser should be given, its functions and classes alone."""
    names = heads_in(source)
    if len(source) <= LONG:
        try:
            with warnings.catch_warnings():                     # a student's "\d" is no business of ours
                warnings.simplefilter("ignore")
                names |= defined(source) - {"_"}
        except (RecursionError, MemoryError):
            pass                                                # the heads have to do
    return names


def heads_in(source: str) -> frozenset[str]:
    """The functions and classes that a source's outermost lines define."""
    return frozenset({*HEAD.findall(source), *NAMELESS.findall(source)} - {"_"})


def parsed(source: str) -> ast.Module | None:
    """The source's tree; None where it is not Python."""
    text = "\n".join("" if line.lstrip().startswith(MAGIC) else line for line in source.split("\n"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text) if len(text) <= LONG * 20 else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def statements(source: str) -> list[str]:
    """The source cut between its outermost statements, what stands above one going with it; joined by line ends they are the source."""
    lines = source.split("\n")
    tree = parsed(source)
    if tree is not None:
        ends = sorted({node.end_lineno or 0 for node in tree.body})[:-1]
    else:
        starts = [i for i, line in enumerate(lines) if START.match(line)]
        ends = [i for i in starts if i and i - 1 not in starts]
    bounds = [0, *ends, len(lines)]
    return ["\n".join(lines[a:b]) for a, b in zip(bounds, bounds[1:]) if a < b]


def without(lines: list[str], block: list[str]) -> tuple[str, str] | None:
    """What stands before and after the first place where `block` stands in `lines`, line for line; None where it does not."""
    place = next((i for i in range(len(lines) - len(block) + 1) if lines[i] == block[0] and lines[i:i + len(block)] == block), None)
    return None if place is None else ("\n".join(lines[:place]).strip("\n"), "\n".join(lines[place + len(block):]).strip("\n"))


def added(lines: list[str], block: list[str]) -> str | None:
    """The lines beside those of `block`, where all of these are there in their order; None where one is missing."""
    rest, wanted = [], iter(block)
    line = next(wanted, None)
    for given in lines:
        if given == line:
            line = next(wanted, None)
        else:
            rest.append(given)
    return "\n".join(rest).strip("\n") if line is None else None
