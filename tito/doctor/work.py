"""The student's work as tito keeps it: settings, progress, the journal, kept versions, and the package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from tito import history, journal, state
from tito.cells import read_notebook
from tito.course import Course, Module
from tito.doctor.check import Check, listed, spoilt, warning
from tito.doctor.visit import Look, Visit, aside, put
from tito.errors import ExitCode, TitoError
from tito.export import GENERATED, entry, module_text
from tito.journal import Change
from tito.package import skeleton
from tito.released import exported, read, released
from tito.settings import read_settings

STATUS = "tito module status"           # any command that takes the lock settles what was interrupted


def settings(visit: Visit) -> Iterator[Check]:
    """settings.ini is understood."""
    read_settings(visit.root / "settings.ini")
    yield from ()


def lock(visit: Visit) -> Iterator[Check]:
    """No other tito is at work here."""
    if visit.busy:
        yield warning("lock", "another tito is at work in this folder", "wait until it has finished, or end it; then look again")


def interrupted(visit: Visit) -> Iterator[Check]:
    """No command was interrupted in the middle."""
    if visit.busy or not journal.interrupted(visit.root):
        return
    names = [name for name in (journal.PREPARING, journal.PENDING, journal.UNDOING) if (visit.root / ".tito" / name).exists()]
    try:
        for name in names:
            json.loads((visit.root / ".tito" / name / "journal.json").read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        if names != [journal.PREPARING]:
            yield spoilt("interrupted", "a command was interrupted, and its journal cannot be read",
                         "tito module status --rebuild").by(partial(_given_up, visit))
            return
    yield warning("interrupted", "a command was interrupted in the middle", STATUS).by(partial(_recovered, visit))


def _recovered(visit: Visit) -> str:
    with state.locked(visit.course):
        return "it was finished, or taken back whole"


def _given_up(visit: Visit) -> str:
    with state.locked(visit.course, recover=False):
        return f"it was put aside: {listed(journal.set_aside(visit.root, state.stamp()))}"


def progress(visit: Visit) -> Iterator[Check]:
    """The record of your progress can be read."""
    try:
        state.parse((visit.root / state.STATE).read_bytes())
    except FileNotFoundError:
        return
    except TitoError as err:
        yield spoilt("progress", f"{err.what}: {err.why}", "tito module status --rebuild").by(partial(_rebuilt, visit))


def _rebuilt(visit: Visit) -> str:
    from tito.cli.status import rebuild
    kept = rebuild(visit.course).aside
    return "progress was rebuilt from your notebooks" + (f"; kept: {listed(list(kept))}" if kept else "")


def leftovers(visit: Visit) -> Iterator[Check]:
    """Nothing unfinished lies about."""
    if visit.busy or journal.interrupted(visit.root):
        return
    places = (visit.root / ".tito", visit.course.package, *(m.folder for m in visit.course.modules))
    found = [p for place in places if place.is_dir() for p in place.rglob(".*.new") if not _kept(visit, p)]
    found += [p for p in (visit.root / ".tito" / "stage", *visit.root.glob(f".{visit.course.package.name}-*")) if p.is_dir()]
    if found:
        yield warning("leftovers", f"left by a command that was killed: {listed([visit.name(p) for p in found])}", "tito doctor --fix").by(
            partial(_cleared, visit, found))


def _kept(visit: Visit, path: Path) -> bool:
    return path.relative_to(visit.root).parts[:2] in ((".tito", "history"), (".tito", "aside"))


def _cleared(visit: Visit, paths: list[Path]) -> str:
    with state.locked(visit.course):
        return f"put aside: {listed([aside(visit.course, path) for path in paths if path.exists()])}"


def kept(visit: Visit) -> Iterator[Check]:
    """The versions that were kept can be brought back."""
    for module in visit.course.modules:
        for name in history.names(visit.course, module):
            folder = history.folder(visit.course, module) / name
            try:
                history.entry(visit.course, module, name)
            except TitoError:
                yield spoilt("kept", f"{visit.name(folder)} cannot be read, and stands in the way of tito module undo {module.number:02d}",
                             "move that folder away; the files in it are whole").by(partial(_put_aside, visit, folder))


def _put_aside(visit: Visit, folder: Path) -> str:
    with state.locked(visit.course):
        return f"its files are in {aside(visit.course, folder)}"


# ---- the package -------------------------------------------------------------------------------

def top(visit: Visit) -> Iterator[Check]:
    """The frame of tinytorch/ is whole."""
    frame = [visit.course.package / "__init__.py"]
    for module in visit.course.modules:
        with suppress(TitoError):               # the look `released` tells
            if target := exported(visit.course, module):
                frame += [folder / "__init__.py" for folder in target.parents if folder.is_relative_to(visit.course.package)]
    broken = [path for path in dict.fromkeys(frame) if not _sound(path)]
    if broken:
        names = listed([visit.name(path) for path in broken])
        yield spoilt("top", f"missing, or not as it was made: {names}", "tito doctor --fix").by(partial(_framed, visit.course))


def _sound(path: Path) -> bool:
    try:
        content = path.read_bytes()
        compile(content, path.name, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return False
    return any(mark in content for mark in GENERATED)


def _framed(course: Course) -> str:
    """The frame again, from what the released notebooks say that each module brings."""
    table = []
    for module in course.modules:
        document = read_notebook(released(module))
        table.append(entry(module.number, document, module_text(document, module.notebook.name)))
    files = {course.package / path: text.encode() for path, text in skeleton(table).items()}
    wrong = [path for path, content in files.items() if not path.exists() or path.read_bytes() != content]
    changes = [Change(path.relative_to(course.root).as_posix(), files[path]) for path in wrong]
    with state.locked(course):
        return f"it was made anew; {put(course, changes, course.package.name)}"


def package(visit: Visit) -> Iterator[Check]:
    """It has what you completed, as it was exported."""
    for module in visit.course.modules:
        record, target = visit.state.completed.get(module.number), exported(visit.course, module)
        if target is None:
            continue
        name, again = visit.name(target), f"tito module complete {module.number:02d}"
        if record is None:
            if target.is_file():
                yield warning("package", f"{name} is there, but {module.label} is not complete", again)
            continue
        same = _unchanged(module, record.notebook_sha256)
        if not target.is_file():
            check = spoilt("package", f"{module.label} is complete, but {name} is missing", again)
        elif sha256(target.read_bytes()).hexdigest() != record.export_sha256:
            check = spoilt("package", f"{name} is not as it was exported: it was edited by hand, or spoilt", again)
        elif not same:
            yield warning("package", f"the notebook of {module.label} was changed since {name} was exported", again)
            continue
        else:
            continue
        yield check.by(partial(_exported_again, visit.course, module, target)) if same else check


def _unchanged(module: Module, notebook_sha256: str) -> bool:
    """The notebook's code is what it was when the module was completed."""
    try:
        return state.code_sha256(read(module).document) == notebook_sha256
    except TitoError:                           # the look `notebooks` tells
        return False


def _exported_again(course: Course, module: Module, target: Path) -> str:
    """Export the notebook that was completed once more; what stood there is kept."""
    with state.locked(course):
        now = state.load(course)
        record = now.completed[module.number]
        document = read(module, whole=True).document
        content = module_text(document, module.notebook.relative_to(course.root).as_posix()).encode()
        if state.code_sha256(document) != record.notebook_sha256:
            raise TitoError("the notebook was changed meanwhile", code=ExitCode.INTEGRITY)
        path = target.relative_to(course.root).as_posix()
        record = replace(record, export_sha256=sha256(content).hexdigest())
        history.keep(course, module, "mend", [Change(path, content)], now.with_module(module.number, record, started=True))
    return f"exported again from the notebook; what stood there is kept: tito module undo {module.number:02d}"


# In this order: a journal stands in the way of every mend, and progress is rebuilt from notebooks and a package that are whole.
FIRST: tuple[Look, ...] = (settings, lock, interrupted)
FRAME: tuple[Look, ...] = (top,)
THEN: tuple[Look, ...] = (leftovers, kept, progress)
LAST: tuple[Look, ...] = (package,)
