"""Several files changed together: all of them or, whatever happens in between, none.

A change is prepared beside the files it replaces, inside `.tito/preparing`. Renaming that folder to `.tito/pending` is the
one moment at which the change counts: a process that dies before it has changed nothing, one that dies after it is
finished by the next command. Where a file cannot be replaced, `.tito/undoing` says that all are put back.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tito.errors import ExitCode, TitoError

PREPARING, PENDING, UNDOING = "preparing", "pending", "undoing"


@dataclass(frozen=True)
class Change:
    """One file's new content; None removes it.  `path` is relative to the course's root, with forward slashes."""

    path: str
    content: bytes | None


@dataclass(frozen=True)
class Plan:
    """What `journal.json` says: where the replaced files are to be kept, and (path, has new content, name of the kept copy)."""

    entry: str
    files: tuple[tuple[str, bool, str | None], ...]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = sibling(path)
    try:
        _write(new, content)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def commit(root: Path, changes: Sequence[Change], entry: str, note: dict[str, Any]) -> None:
    """Apply all changes, or none; the replaced files and the note (as `note.json`) go to the folder `entry`."""
    work = root / ".tito"
    try:
        _prepare(root, changes, entry, note)
        (work / PREPARING).replace(work / PENDING)
    except BaseException:
        with suppress(OSError):             # what cannot be cleaned up now is cleaned up by the next command
            _discard(root)
        raise
    try:
        _finish(root)
    except OSError:
        (work / PENDING).replace(work / UNDOING)
        _put_back(root)
        raise
    finally:
        with suppress(OSError):
            _discard(root)


def interrupted(root: Path) -> bool:
    """Whether a command was stopped in the middle: `recover` has something to do."""
    return any((root / ".tito" / name).exists() for name in (PREPARING, PENDING, UNDOING))


def recover(root: Path) -> None:
    """Finish or take back what an interrupted command left.  Call it under the lock."""
    work = root / ".tito"
    if (work / UNDOING).exists():
        _put_back(root)
    if (work / PENDING).exists():
        _finish(root)
    if (work / PREPARING).exists():
        _discard(root)


def sibling(path: Path) -> Path:
    """Where a file's new content waits: in the same folder, hence on the same disk."""
    return path.with_name(f".{path.name}.new")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _prepare(root: Path, changes: Sequence[Change], entry: str, note: dict[str, Any]) -> None:
    folder = root / ".tito" / PREPARING
    kept = folder / "kept"
    kept.mkdir(parents=True)
    copies = [f"{i}-{PurePosixPath(c.path).name}" if (root / c.path).exists() else None for i, c in enumerate(changes)]
    files = [[c.path, c.content is not None, copy] for c, copy in zip(changes, copies, strict=True)]
    _write(folder / "journal.json", _json({"schema_version": 1, "entry": entry, "files": files}))     # first: it names what to clean up
    for change, copy in zip(changes, copies, strict=True):
        target = root / change.path
        if copy is not None:
            _write(kept / copy, target.read_bytes())
        if change.content is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(sibling(target), change.content)
    _write(kept / "note.json", _json({**note, "files": [[path, copy] for path, _, copy in files]}))


def _finish(root: Path) -> None:
    work = root / ".tito"
    plan = _plan(root, PENDING)
    kept = work / PENDING / "kept"
    for path, new, copy in plan.files:
        target, waiting = root / path, sibling(root / path)
        if waiting.exists() or not new and target.exists():
            _keep_later_edits(target, kept, copy)
        if not new:
            target.unlink(missing_ok=True)
        elif waiting.exists():
            waiting.replace(target)
    if kept.exists():
        (root / plan.entry).parent.mkdir(parents=True, exist_ok=True)
        kept.replace(root / plan.entry)
    (work / PENDING).replace(work / PREPARING)


def _keep_later_edits(target: Path, kept: Path, copy: str | None) -> None:
    """Between an interruption and the next command a person may have gone on editing: that version is the one to keep."""
    if copy is not None and kept.exists() and target.exists() and (now := target.read_bytes()) != (kept / copy).read_bytes():
        _write(kept / copy, now)


def _put_back(root: Path) -> None:
    work = root / ".tito"
    plan = _plan(root, UNDOING)
    kept = work / UNDOING / "kept"
    if not kept.exists():
        (root / plan.entry).replace(kept)
    for path, new, copy in plan.files:
        target, waiting = root / path, sibling(root / path)
        if new and waiting.exists():
            waiting.unlink()                                # it was never put in place
        elif copy is None:
            target.unlink(missing_ok=True)
        elif not target.exists() or target.read_bytes() != (kept / copy).read_bytes():
            write_atomically(target, (kept / copy).read_bytes())
    (work / UNDOING).replace(work / PREPARING)


def _discard(root: Path) -> None:
    folder = root / ".tito" / PREPARING
    if not folder.exists():
        return
    try:
        plan = _plan(root, PREPARING)
    except TitoError:
        plan = Plan("", ())                                 # stopped while writing the journal itself: nothing waits yet
    for path, new, _ in plan.files:
        if new:
            sibling(root / path).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _plan(root: Path, name: str) -> Plan:
    path = root / ".tito" / name / "journal.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        files = tuple((inside(str(p)), bool(new), None if copy is None else inside(str(copy))) for p, new, copy in data["files"])
        return Plan(inside(str(data["entry"])), files)
    except (FileNotFoundError, ValueError, KeyError, TypeError) as err:
        raise TitoError("an interrupted command left a journal that cannot be read", why=f".tito/{name}/journal.json: {err}",
                        fix="repair it with: tito module status --rebuild", code=ExitCode.INTEGRITY) from None


def inside(path: str) -> str:
    """The relative path itself; ValueError for one that leaves its folder."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or ":" in path or "\\" in path:
        raise ValueError(f"{path} leaves the course's folder")
    return path


def set_aside(root: Path, stamp: str) -> list[str]:
    """Move journals that cannot be read to `.tito/aside`, keeping them; their names."""
    moved = []
    for name in (PREPARING, PENDING, UNDOING):
        if (root / ".tito" / name).exists():
            moved.append(f".tito/aside/{stamp}-{name}")
            (root / ".tito" / "aside").mkdir(exist_ok=True)
            (root / ".tito" / name).replace(root / moved[-1])
    return moved


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8")
