"""Progress of another machine taken in: what is further wins, and what does not win is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from tito import history, journal
from tito import state as progress
from tito.course import Course, Module
from tito.errors import TitoError
from tito.history import Entry
from tito.journal import Change
from tito.progress_file import Archive, Snapshot, snapshot, written
from tito.released import exported
from tito.state import Passed, Record, State
from tito.versions import cells, same


@dataclass(frozen=True)
class Merged:
    """What was done with a module: "taken" from the file, "same" in both, or this machine's "stayed"."""

    module: Module
    did: str
    standing: Snapshot              # the one that stands now
    kept: bool = False              # the other notebook went into the history
    versions: int = 0               # kept versions that came along
    note: str = ""


def merge(course: Course, archive: Archive) -> Iterator[Merged]:
    """Take in all modules, one by one, then the milestones.  Stopped in the middle, it goes on when it is done again.

    Call it under the lock.
    """
    for module in course.modules:
        versions = _versions(course, module, archive)
        theirs = archive.snapshot(module)
        if theirs is not None:
            yield replace(_module(course, module, theirs), versions=versions)
        elif versions:
            yield Merged(module, "same", snapshot(course, module, progress.load(course)), versions=versions)
    _milestones(course, archive.state)


def _versions(course: Course, module: Module, archive: Archive) -> int:
    """Add the kept versions that are not here; how many there were."""
    here = set(history.names(course, module))
    missing = [(entry, reads) for entry, reads in archive.entries(module) if entry.name not in here]
    for entry, reads in missing:
        history.add(course, module, entry, reads)
    return len(missing)


def _module(course: Course, module: Module, theirs: Snapshot) -> Merged:
    note = ""
    if not theirs.fits:
        theirs = replace(theirs, record=None, started=True, package=None)
        note = "its exported file is not the one that was recorded, so it counts as started"
    state = progress.load(course)
    ours = snapshot(course, module, state)
    equal = ours.notebook is not None and theirs.notebook is not None and same(ours.notebook, theirs.notebook)
    if equal and theirs.package == ours.package:                # as complete here as there
        _note_down(course, module, state, theirs)
        return Merged(module, "same", ours, note=note)
    if _further(module, theirs, equal) > _further(module, ours, equal):
        return replace(_take(course, module, state, ours, theirs, equal=equal), note=note)
    _note_down(course, module, state, theirs)
    kept = not equal and _keep(course, module, theirs)
    return Merged(module, "same" if equal else "stayed", ours, kept, note=note)


def _further(module: Module, found: Snapshot, equal: bool) -> tuple[Any, ...]:
    """How far a module has come, to be compared: complete, points, when; of two that are not complete what was written, and saved later."""
    content, record = found.notebook or b"", found.record
    if equal:
        return record is not None, _done(record)
    return record is not None, _done(record), written(module, found), cells(content) is not None, found.saved, sha256(content).digest()


def _done(record: Record | None) -> tuple[Any, ...]:
    return (record.points, _moment(record.when), record.max_points, record.notebook_sha256, record.export_sha256) if record else ()


def _take(course: Course, module: Module, state: State, ours: Snapshot, theirs: Snapshot, *, equal: bool) -> Merged:
    changes = []
    if theirs.notebook is not None and not equal:
        changes.append(Change(module.notebook.relative_to(course.root).as_posix(), theirs.notebook, theirs.saved))
    path = exported(course, module)
    if theirs.package is not None and path is not None:
        changes.append(Change(path.relative_to(course.root).as_posix(), theirs.package))
    kept = bool(changes) and not equal and (written(module, ours) or ours.record is not None)
    state = state.with_module(module.number, theirs.record, started=ours.started or theirs.started)
    history.keep(course, module, "import", changes, state)
    return Merged(module, "taken", theirs, kept)


def _note_down(course: Course, module: Module, state: State, theirs: Snapshot) -> None:
    """That it was started there; and where the same is complete on both, the later time."""
    record = state.completed.get(module.number)
    if record and theirs.record and theirs.record.export_sha256 == record.export_sha256:
        record = max(record, theirs.record, key=_done)
    started = module.number in state.started or theirs.started
    _write(course, state.with_module(module.number, record, started=started))


def _keep(course: Course, module: Module, theirs: Snapshot) -> bool:
    """Let a notebook that did not win be a kept version, with what belongs to it; whether it is not one already."""
    notebook = module.notebook.relative_to(course.root).as_posix()
    if theirs.notebook is None or any(same(content, theirs.notebook) for content in _kept(course, module, notebook)):
        return False
    files = {notebook: ("0-" + module.notebook.name, theirs.notebook)}
    path = exported(course, module)
    if theirs.package is not None and path is not None:
        files[path.relative_to(course.root).as_posix()] = ("1-" + path.name, theirs.package)
    entry = Entry(Path(history.new_name(course, module, "import")), "import", progress.now(),
                  tuple((path, copy) for path, (copy, _) in files.items()), theirs.record, theirs.started)
    history.add(course, module, entry, {copy: partial(bytes, content) for copy, content in files.values()})
    return True


def _kept(course: Course, module: Module, path: str) -> Iterator[bytes]:
    """A file as it was in every kept version that can be read."""
    for name in history.names(course, module):
        with suppress(TitoError, FileNotFoundError):
            if (content := history.entry(course, module, name).kept(path)) is not None:
                yield content


def _milestones(course: Course, theirs: State) -> None:
    """All that was passed on either machine; of one that was passed on both, the first time."""
    state = progress.load(course)
    for name, passed in theirs.milestones.items():
        here = state.milestones.get(name)
        if here is None or _first(passed) < _first(here):
            state = state.with_milestone(name, passed)
    _write(course, state)


def _first(passed: Passed) -> tuple[Any, ...]:
    return _moment(passed.when), passed.seed, passed.bars


def _moment(when: str) -> datetime:
    found = datetime.fromisoformat(when)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _write(course: Course, state: State) -> None:
    if state != progress.load(course):
        journal.write_atomically(course.root / progress.STATE, state.to_bytes())
