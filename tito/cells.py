"""A module's cells as plain values, read from a notebook's JSON with the standard library alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tito.errors import ExitCode, TitoError

DEFAULT_EXP = re.compile(r"^#\|\s*default_exp\s+(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,3}\s+(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One cell and what its metadata say of it."""

    index: int                  # from 0, as in the notebook's JSON
    kind: str                   # "code" or "markdown"
    source: str
    heading: str                # of the section in which it stands
    id: str = ""
    tags: tuple[str, ...] = ()
    grade_id: str = ""
    grade: bool = False
    solution: bool = False
    locked: bool = False
    points: float = 0.0

    @property
    def exported(self) -> bool:
        return self.kind == "code" and re.match(r"#\|\s*export\b", self.source) is not None

    @property
    def analysis(self) -> bool:
        return "analysis" in self.tags

    @property
    def test(self) -> bool:
        """Graded by running it."""
        return self.kind == "code" and self.grade and not self.solution

    @property
    def manual(self) -> bool:
        """Graded by a person."""
        return self.grade and self.solution


@dataclass(frozen=True)
class Document:
    """A notebook, or a source read as one."""

    path: Path
    cells: tuple[Cell, ...]

    @property
    def default_exp(self) -> str:
        """The module it exports to, below `tinytorch`: "core.tensor".  Empty where there is none."""
        found = [m[1] for c in self.cells if c.kind == "code" for m in DEFAULT_EXP.finditer(c.source)]
        return found[0] if found else ""

    @property
    def code(self) -> list[Cell]:
        return [c for c in self.cells if c.kind == "code"]

    @property
    def tests(self) -> list[Cell]:
        return [c for c in self.cells if c.test]

    @property
    def manual_points(self) -> float:
        return sum(c.points for c in self.cells if c.manual)

    def values(self) -> list[dict[str, Any]]:
        """The cells as JSON knows them."""
        return [vars(c) for c in self.cells]

    @classmethod
    def of(cls, path: Path, values: list[dict[str, Any]]) -> Document:
        """The document whose `values()` these are."""
        return cls(path, tuple(Cell(**{**c, "tags": tuple(c["tags"])}) for c in values))


def read_notebook(path: Path) -> Document:
    """A notebook file as a Document.  TitoError where it is missing, not JSON, or not a notebook."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TitoError(f"{path.name} is missing", why=f"expected at {path}",
                        fix="bring it back with: tito module reset NN", code=ExitCode.ENVIRONMENT) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise TitoError(f"{path.name} is not a readable notebook", why=f"it is not JSON: {err}",
                        fix="bring back an earlier version with: tito module undo NN", code=ExitCode.INTEGRITY) from None
    return document(notebook, path)


def document(notebook: Any, path: Path) -> Document:
    """A notebook's parsed JSON (nbformat 4) as a Document."""
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise TitoError(f"{path.name} is not a notebook", why="its JSON has no list of cells",
                        fix="bring back an earlier version with: tito module undo NN", code=ExitCode.INTEGRITY)
    return Document(path, tuple(_cells(notebook["cells"])))


def _cells(raw: list[Any]) -> Iterator[Cell]:
    heading = ""
    for index, cell in enumerate(raw):
        cell = cell if isinstance(cell, dict) else {}
        source = cell.get("source", "")
        source = "".join(source) if isinstance(source, list) else str(source)
        kind = str(cell.get("cell_type", ""))
        if kind == "markdown" and (found := HEADING.findall(source)):
            heading = found[-1]
        metadata = cell.get("metadata") or {}
        marks = metadata.get("nbgrader")
        marks = marks if isinstance(marks, dict) else {}
        yield Cell(index, kind, source, heading, str(cell.get("id", "")), tuple(metadata.get("tags") or ()),
                   str(marks.get("grade_id", "")), bool(marks.get("grade")), bool(marks.get("solution")),
                   bool(marks.get("locked")), _number(marks.get("points")))


def _number(points: Any) -> float:
    """Points as far as they are some: what is wrong with metadata is for lint to say."""
    return float(points) if isinstance(points, (int, float)) and math.isfinite(points) else 0.0
