"""A module's source: percent-format Python, read with jupytext as the notebook that it is, and stripped with nbgrader for students."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tito.cells import Document, document
from tito.errors import ExitCode, TitoError

Notebook = dict[str, Any]       # nbformat 4.5, as JSON has it

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
KEPT = ("nbgrader", "tags")     # of a cell's metadata: the rest is jupytext's own
CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MARKER = re.compile(r"\b(BEGIN|END) SOLUTION\b")
STRIPPERS = ("LockCells", "ClearSolutions", "ClearHiddenTests", "ClearMarkScheme", "ClearOutput", "ComputeChecksums")


def read_source(path: Path) -> Document:
    """A source as a Document.  TitoError where it is missing or not text."""
    return document(notebook(path), path)


def notebook(path: Path) -> Notebook:
    """A source as a notebook, the same bytes at every call: a cell's id is its grade_id, else made from its content."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, UnicodeDecodeError) as err:
        raise TitoError(f"{path.name} cannot be read", why=f"{path}: {err.__class__.__name__}",
                        fix="a module is modules/NN_name/name_dev.py, in UTF-8", code=ExitCode.INTEGRITY) from None
    seen: Counter[str] = Counter()
    cells = []
    for raw in _jupytext().reads(text, fmt="py:percent").cells:
        metadata = {key: json.loads(json.dumps(raw.metadata[key])) for key in KEPT if key in raw.metadata}
        cell: Notebook = {"cell_type": raw.cell_type, "id": "", "metadata": metadata, "source": raw.source}
        cell["id"] = _id(cell, seen)
        if raw.cell_type == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    return {"cells": cells, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}


def _id(cell: Notebook, seen: Counter[str]) -> str:
    name = str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))
    if not CELL_ID.fullmatch(name) or name in seen:
        name = hashlib.sha256(f"{cell['cell_type']}\n{cell['source']}".encode()).hexdigest()[:8]
    seen[name] += 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def dumps(notebook: Notebook) -> str:
    """A notebook's file as nbformat writes it: a list of lines for each source, so that differences can be read."""
    cells = [cell | {"source": cell["source"].splitlines(keepends=True)} for cell in notebook["cells"]]
    return json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def solution_blocks(source: str) -> list[tuple[int, int]]:
    """Where solutions stand in a cell: (line of BEGIN SOLUTION, line of END SOLUTION), from 0.  ValueError if they do not pair."""
    blocks: list[tuple[int, int]] = []
    begin: int | None = None
    for line, text in enumerate(source.split("\n")):
        if not (found := MARKER.search(text)):
            continue
        if (found[1] == "BEGIN") != (begin is None):
            raise ValueError(f"{found[0]} in line {line + 1} of the cell has no partner")
        if begin is None:
            begin = line
        else:
            blocks.append((begin, line))
            begin = None
    if begin is not None:
        raise ValueError(f"BEGIN SOLUTION in line {begin + 1} of the cell has no partner")
    return blocks


def answers(notebook: Notebook) -> Iterator[tuple[str, str]]:
    """(grade_id, source) of each code cell that students fill in; written answers, which a person grades, are none."""
    for cell in notebook["cells"]:
        marks = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] == "code" and marks.get("solution") and not marks.get("grade"):
            yield marks["grade_id"], cell["source"]


def strip(notebook: Notebook) -> Notebook:
    """The student's version, made by nbgrader's own steps in memory: no solutions, no outputs, test cells locked, checksums."""
    preprocessors = _nbgrader()
    for number, cell in enumerate(notebook["cells"], 1):
        _refuse_leak(cell, number)
    student = importlib.import_module("nbformat").from_dict(json.loads(json.dumps(notebook)))
    for name in STRIPPERS:
        student, _ = getattr(preprocessors, name)().preprocess(student, {})
    result: Notebook = json.loads(json.dumps(student))
    return result


def _refuse_leak(cell: Notebook, number: int) -> None:
    """nbgrader would leave the text between unpaired markers where it is, and stops with a traceback at others."""
    marks = cell["metadata"].get("nbgrader", {})
    try:
        if solution_blocks(cell["source"]) and not marks.get("solution"):
            raise ValueError("it has a solution, but its nbgrader metadata do not say so")
    except ValueError as err:
        raise TitoError(f"cell {number} ({marks.get('grade_id') or cell['id']}) cannot be given to students", why=str(err),
                        fix="see all of them with: tito dev lint", code=ExitCode.INTEGRITY) from None


@contextmanager
def _without(*modules: str) -> Iterator[None]:
    """Import something as if these optional modules were not installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))       # type: ignore[arg-type]    # None there means: not to be found
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]


def _jupytext() -> Any:
    # 2 s to import, 1.5 of them for Jupyter's contents manager and a grammar of internationalised addresses, needed by nobody here.
    with _without("rfc3987_syntax", "jupytext.sync_contentsmanager", "jupytext.async_contentsmanager"):
        return importlib.import_module("jupytext")


def _nbgrader() -> Any:
    try:
        with _without("rfc3987_syntax"):
            return importlib.import_module("nbgrader.preprocessors")
    except ImportError as err:
        raise TitoError("nbgrader is not installed here", why=str(err), fix='install it with: pip install -e ".[grading]"',
                        code=ExitCode.ENVIRONMENT) from None
