"""The `tito progress` commands as functions: progress moves to another machine."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from tito import state as progress
from tito.cli.module import next_command
from tito.cli.results import Report, number
from tito.course import Course
from tito.errors import ExitCode, TitoError
from tito.journal import sibling
from tito.moves import put


def export(course: Course, path: Path | None, *, force: bool) -> Report:
    """Write everything that makes up a student's progress into one file."""
    from tito.progress_file import pack
    _edition(course, "export")
    path = path or Path(f"tinytorch-progress-{datetime.now():%Y%m%d}.zip")
    if path.exists() and not force:
        raise _there(path)
    new = sibling(path)
    try:
        with progress.locked(course):
            state = progress.load(course)
            versions, unread = pack(course, state, new)
        _place(new, path, force=force)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)
    lines = [f"  {len(state.completed)} modules complete, {len(state.milestones)} milestones passed, {versions} kept versions"]
    lines += [f"  left out, for it cannot be read: the kept version {name}" for name in unread]
    shown = f'"{path}"' if " " in str(path) else str(path)
    lines.append(f"  on the other machine, in its course folder: tito progress import {shown}")
    data = {"file": str(path), "complete": len(state.completed), "milestones": len(state.milestones), "kept": versions, "left_out": unread}
    return Report(f"your progress is in {path}", tuple(lines), data)


def import_(course: Course, path: Path) -> Report:
    """Take in the progress of another machine: no completed module and no version of a notebook is lost."""
    from tito.progress_file import opened
    from tito.progress_merge import Merged, merge
    _edition(course, "import")
    done: list[Merged] = []
    with opened(course, path) as archive, progress.locked(course):
        progress.load(course)
        others = [m.label for m in course.modules if archive.other_version(m)]
        try:
            done.extend(merge(course, archive))
        except OSError as err:
            raise TitoError("the import has stopped part of the way; what it took in is whole", why=f"{err.strerror or err}",
                            fix="make room or see to the folder's permissions, then import the file again: it goes on from there",
                            code=ExitCode.ENVIRONMENT) from None
        command = next_command(course, progress.load(course))
    longest = max((len(m.module.label) for m in done), default=0)
    lines = [f"  {m.module.label:<{longest}}  {_line(m)}" for m in done]
    if others:
        lines.append(f"  note: it comes from another version of this course, where {', '.join(others)} began differently")
    data = {"modules": [{"module": m.module.label, "did": m.did, "kept": m.kept, "versions": m.versions, "note": m.note} for m in done],
            "other_version": others}
    changed = any(m.did == "taken" or m.kept or m.versions for m in done)
    what = f"took in the progress in {path.name}" if changed else f"all that is in {path.name} is here already"
    return Report(what, tuple(lines), data, command)


def _line(merged: Any) -> str:
    record = merged.standing.record
    stands = f"complete, {number(record.points)} of {number(record.max_points)} points" if record else "not complete yet"
    said = {"taken": f"taken from the file: {stands}" + ("; yours is kept" if merged.kept else ""),
            "stayed": f"yours stays: {stands}" + ("; the other one is kept" if merged.kept else ""),
            "same": "the same in both"}[merged.did]
    if merged.versions:
        said += f"; {merged.versions} kept version{'s' if merged.versions > 1 else ''} came along"
    return said + (f" ({merged.note})" if merged.note else "")


def _place(new: Path, path: Path, *, force: bool) -> None:
    if force:
        new.replace(path)
        return
    try:
        put(new, path)
    except FileExistsError:
        raise _there(path) from None


def _there(path: Path) -> TitoError:
    return TitoError(f"{path} is there already", why="nothing is overwritten unasked", fix="name another file, or add --force")


def _edition(course: Course, command: str) -> None:
    if not course.is_edition:
        raise TitoError(f"tito progress {command} is for student editions; this is the course repository",
                        fix="see where you are with: tito")
