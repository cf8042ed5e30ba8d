"""The notebook as it was released: an edition carries each one below `modules/NN_name/.released/`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tito.cells import Document, document, read_notebook
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.repair import repair

Seen = Callable[[Path, bytes], tuple[bytes, tuple[str, ...]]]
seen: ContextVar[Seen] = ContextVar("seen", default=lambda path, content: (content, ()))     # a file as an editor has it, and notes of that


@dataclass(frozen=True)
class Work:
    """A student's notebook as it is judged, and what was repaired for that; `lost` are the answers that are not there."""

    document: Document
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def released(module: Module) -> Path:
    """The untouched copy of a module's notebook, which only an edition has."""
    return module.folder / ".released" / module.notebook.name


def exported(course: Course, module: Module) -> Path | None:
    """Where a module's code is exported to, as its released notebook says; None where it does not say."""
    name = read_notebook(released(module)).default_exp
    return course.exported(name) if name else None


def read(module: Module, *, whole: bool = False) -> Work:
    """A module's document as it is to be judged.  TitoError where no answer is left, or, if it has to be `whole`, where one is lost."""
    if not released(module).is_file():
        return _as_it_is(module)
    try:
        content = module.notebook.read_bytes()
    except FileNotFoundError:
        raise TitoError(f"{module.notebook.name} is missing", why=f"expected at {module.notebook}",
                        fix=f"bring it back with: tito module reset {module.number:02d}", code=ExitCode.ENVIRONMENT) from None
    content, notes = seen.get()(module.notebook, content)
    original = _original(module)
    repaired = repair(content, original.notebook)
    if repaired.lost and (whole or set(repaired.lost) == original.answers):
        raise _lost(module, repaired.notes, repaired.lost)
    back = (f"bring back what was deleted with: tito module undo {module.number:02d}",) if repaired.lost else ()
    return Work(document(repaired.notebook, module.notebook), notes + repaired.notes + back, repaired.lost)


@dataclass(frozen=True)
class _Original:
    notebook: dict[str, Any]
    answers: set[str]


def _original(module: Module) -> _Original:
    path = released(module)
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        return _Original(notebook, {c.grade_id for c in document(notebook, path).cells if c.solution})
    except (ValueError, TitoError):
        raise TitoError(f"the released notebook of {module.label} cannot be read", why=f"{path} was changed",
                        fix="copy it from a fresh student edition", code=ExitCode.INTEGRITY) from None


def _as_it_is(module: Module) -> Work:
    try:
        found = module.read()
    except TitoError as err:
        err.fix = err.fix.replace("NN", f"{module.number:02d}")
        raise
    if not found.tests:
        raise _lost(module, ("it has no graded cells",), ())
    return Work(found)


def _lost(module: Module, notes: tuple[str, ...], lost: tuple[str, ...]) -> TitoError:
    number = f"{module.number:02d}"
    names = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
    missing = f"it has lost the answer{'s' if len(lost) > 1 else ''} {names}" if lost else ""
    # What a file is comes first of a repair's notes; that a cell was deleted is said already.
    why = "; ".join(filter(None, [notes[0] if notes and " was deleted" not in notes[0] else "", missing]))
    return TitoError(f"{module.label} cannot be judged", why=why, code=ExitCode.INTEGRITY,
                     fix=f"undo it in JupyterLab, bring back an earlier version: tito module undo {number}, "
                         f"or take a fresh notebook (yours is kept): tito module reset {number}")
