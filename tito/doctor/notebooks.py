"""The notebooks: each is there, can be read, runs in the right kernel, and has no double."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tito import state
from tito.cells import document, read_notebook
from tito.course import Course, Module
from tito.doctor.check import Check, problem, spoilt, warning
from tito.doctor.visit import Look, Visit, put_notebook
from tito.errors import TitoError
from tito.released import released

CONFLICT = re.compile(r"^<{7} .*?\n(.*?)^={7}\n.*?^>{7} .*?(?:\n|\Z)", re.MULTILINE | re.DOTALL)
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def originals(visit: Visit) -> Iterator[Check]:
    """The released notebooks are whole."""
    for module in visit.course.modules:
        try:
            read_notebook(released(module))
        except TitoError as err:
            why = "is missing" if not released(module).exists() else f"was changed ({err.why})"
            yield spoilt("originals", f"{visit.name(released(module))} {why}", "copy it from a fresh student edition")


def notebooks(visit: Visit) -> Iterator[Check]:
    """Every notebook is there and can be read."""
    for module in visit.course.modules:
        name = visit.name(module.notebook)
        try:
            read_notebook(module.notebook)
            continue
        except TitoError as err:
            trouble = _trouble(module.notebook) or f"is damaged: {err.why}"
        if best := _best(visit.course, module):
            yield spoilt("notebooks", f"{name} {trouble}", f"tito doctor --fix puts back {best[0]}").by(
                partial(_restored, visit.course, module))
        else:
            yield spoilt("notebooks", f"{name} {trouble}, and no version is left", "copy it from a fresh student edition")


def _trouble(path: Path) -> str:
    """What can be said of a notebook that cannot be read."""
    if not path.exists():
        return "is missing"
    content = path.read_bytes()
    if not content.strip(b" \n\r\t\0"):
        return "is empty"
    return "has git's conflict marks in it: two versions were merged" if re.search(rb"(?m)^<{7} ", content) else ""


def _best(course: Course, module: Module) -> tuple[str, bytes] | None:
    """The latest version of a notebook that can be read: what it is, and its content."""
    path = module.notebook
    if path.exists() and (merged := CONFLICT.sub(r"\1", path.read_bytes().decode("utf-8", "replace")).encode()) and _readable(merged):
        return "your side of the merge", merged
    kept = list((course.root / ".tito" / "history" / f"{module.number:02d}").glob(f"*/[0-9]*-{path.name}"))
    own = [path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint.ipynb", path.with_name(f".~{path.name}")]
    for place in sorted((p for p in (*kept, *own, *_copies(module)) if p.is_file()), key=lambda p: -p.stat().st_mtime):
        if _readable(content := place.read_bytes()):
            what = "a kept version" if place in kept else "JupyterLab's last checkpoint" if place in own else "the copy beside it"
            return f"the latest that can be read: {what}", content
    original = released(module)
    return ("the released one", original.read_bytes()) if original.is_file() and _readable(original.read_bytes()) else None


def _readable(content: bytes) -> bool:
    try:
        return any(cell.grade_id for cell in document(json.loads(content), Path()).cells)
    except (ValueError, TitoError):
        return False


def _restored(course: Course, module: Module) -> str:
    with state.locked(course):
        best = _best(course, module)
        if best is None:
            raise TitoError("there is no version that can be read")
        return f"put back {best[0]}; {put_notebook(course, module, best[1])}"


def kernels(visit: Visit) -> Iterator[Check]:
    """Every notebook asks for the kernel python3."""
    for module in visit.course.modules:
        name = _kernel(_json(module.notebook))
        if name not in ("", "python3"):
            yield problem("kernels", f"{visit.name(module.notebook)} asks for the kernel {name}, which is not this course's",
                          "in JupyterLab: Kernel, Change Kernel, Python 3").by(partial(_ask_for_python3, visit.course, module))


def _json(path: Path) -> dict[str, Any]:
    """A notebook as it is; empty where it cannot be read (the look `notebooks` tells)."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _kernel(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    spec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    return str(spec.get("name", "")) if isinstance(spec, dict) else ""


def _ask_for_python3(course: Course, module: Module) -> str:
    with state.locked(course):
        notebook = _json(module.notebook)
        notebook["metadata"]["kernelspec"] = KERNEL
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        put_notebook(course, module, text.encode())
    return "it asks for python3 now; close and open it in JupyterLab"


def copies(visit: Visit) -> Iterator[Check]:
    """No notebook has a double beside it."""
    for module in visit.course.modules:
        if number := len(_copies(module)):      # not their names: some programs put a person's into them
            yield warning("copies", f"{visit.name(module.folder)} has {number} cop{'y' if number == 1 else 'ies'} of its notebook: "
                          f"only {module.notebook.name} is tested and handed in", "see that your work is in it, then move the others away")


def _copies(module: Module) -> list[Path]:
    return sorted(p for p in module.folder.glob(f"{module.notebook.stem}?*.ipynb") if p.is_file())


LOOKS: tuple[Look, ...] = (originals, notebooks, kernels, copies)
