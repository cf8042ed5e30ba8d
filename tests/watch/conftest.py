"""The small edition of tests/cli, and documents of a few short cells."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import edition as edition
from tests.cli.conftest import installed as installed
from tests.cli.conftest import tito as tito
from tito.cells import Cell, Document

KINDS = {"given": {}, "answer": {"solution": True}, "test": {"grade": True, "points": 1.0}, "picture": {"tags": ("analysis",)}}


def document(*cells: tuple[str, str]) -> Document:
    """Cells as (kind, source): given, answer, test, picture, or text."""
    return Document(Path("small.ipynb"), tuple(
        Cell(k, "markdown" if kind == "text" else "code", source, "", grade_id=f"{kind}-{k}", **KINDS.get(kind, {}))
        for k, (kind, source) in enumerate(cells)))
