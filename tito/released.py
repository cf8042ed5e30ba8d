"""The notebook as it was released: an edition carries each one below `modules/NN_name/.released/`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tito.cells import Cell, Document, read_notebook
from tito.course import Module
from tito.errors import ExitCode, TitoError


@dataclass(frozen=True)
class Work:
    """A student's notebook, with the released checks in place of those that were changed."""

    document: Document
    notes: tuple[str, ...] = ()


def released(module: Module) -> Path:
    """The untouched copy of a module's notebook, which only an edition has."""
    return module.folder / ".released" / module.notebook.name


def read(module: Module) -> Work:
    """A module's document as it is to be judged.  TitoError where graded cells or answers are gone."""
    try:
        document = module.read()
        original = read_notebook(released(module)) if released(module).is_file() else None
    except TitoError as err:
        err.fix = err.fix.replace("NN", f"{module.number:02d}")
        raise
    if original:
        return _with_released_checks(module, document, original)
    if not document.tests:
        raise _lost(module, "it has no graded cells")
    return Work(document)


def _with_released_checks(module: Module, document: Document, original: Document) -> Work:
    here = {c.grade_id: c for c in document.cells if c.grade_id}
    wanted = {c.grade_id: c for c in original.cells if c.grade_id}
    if lost := [name for name in wanted if name not in here]:
        raise _lost(module, f"it has lost the cell{'s' if len(lost) > 1 else ''} {_listed(lost)}")
    cells: list[Cell] = []
    notes: list[str] = []
    for cell in document.cells:
        model = wanted.get(cell.grade_id)
        if model and model.test:
            judged = replace(model, index=cell.index, id=cell.id, heading=cell.heading, tags=cell.tags)
            if judged != cell:
                notes.append(f"the check {cell.grade_id} was changed in the notebook: the released one is used")
            cell = judged
        cells.append(cell)
    return Work(Document(document.path, tuple(cells)), tuple(notes))


def _lost(module: Module, why: str) -> TitoError:
    number = f"{module.number:02d}"
    return TitoError(f"{module.label} cannot be judged", why=why, code=ExitCode.INTEGRITY,
                     fix=f"undo it in JupyterLab, or take a fresh notebook (yours is kept): tito module reset {number}")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
