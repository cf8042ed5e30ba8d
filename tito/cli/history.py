"""`tito module history` as a function: what is kept of a module, and how it differs from what is there now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tito import history
from tito.cli.results import Kept, KeptVersion
from tito.course import Course, Module
from tito.errors import TitoError
from tito.versions import difference
from tito.when import since


def kept(course: Course, module: Module) -> Kept:
    """The kept versions of a module, newest first."""
    now = _content(module.notebook)
    found = [_version(course, module, name, now) for name in reversed(history.names(course, module))]
    return Kept(module.label, tuple(found))


def _version(course: Course, module: Module, name: str, now: bytes | None) -> KeptVersion:
    folder = history.folder(course, module) / name
    beside = tuple(path.relative_to(course.root).as_posix() for path in sorted(folder.glob("earlier-*")))
    try:
        entry = history.entry(course, module, name)
        when = datetime.fromisoformat(entry.when)
        notebook = entry.kept(module.notebook.relative_to(course.root).as_posix())
        differs = difference(notebook, now) if notebook is not None else ""
        return KeptVersion(name, entry.action, entry.elsewhere, *_times(when), tuple(path for path, _ in entry.files), differs, beside)
    except (TitoError, OSError):
        where = f"cannot be read: see {folder.relative_to(course.root).as_posix()}"
        return KeptVersion(name, name.partition("-")[2], False, *_times(history.moment(name)), (), where, beside)


def _times(when: datetime) -> tuple[str, str, str]:
    """In UTC for programs; for a person by the clock on the wall, and how long ago."""
    return when.astimezone(UTC).isoformat(), f"{when.astimezone():%Y-%m-%d %H:%M}", since(when)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
