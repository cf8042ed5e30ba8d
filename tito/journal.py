"""Several files changed together: all of them or, whatever happens in between, none.

A change is prepared beside the files it replaces, inside `.tito/preparing`. Renaming that folder to `.tito/pending` is the
one moment at which the change counts: a process that dies before it has changed nothing, one that dies after it is
finished by the next command. Where a file cannot be replaced, `.tito/undoing` says that all are put back.

An editor may save at any moment, so nothing is ever renamed over a file: what stands there is moved into the kept folder, whatever
it is at that moment, and the new file goes only to where there is none. An editor that is just writing goes on writing the kept one.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from tito.errors import ExitCode, TitoError
from tito.moves import digest, put, take
from tito.moves import write as _write

PREPARING, PENDING, UNDOING = "preparing", "pending", "undoing"
OURS = ".tito/"             # only tito writes there, under the lock, and reads it without: its files are replaced in one step


@dataclass(frozen=True)
class Change:
    """One file's new content; None removes it.  `path` is relative to the course's root, with forward slashes."""

    path: str
    content: bytes | None
    saved: int | None = None    # when a person saved it, in nanoseconds since 1970, where that was elsewhere; else it is now


@dataclass(frozen=True)
class File:
    """One file of a plan."""

    path: str
    new: str | None             # the SHA-256 of its new content; None removes it
    copy: str                   # the name of the kept one


@dataclass(frozen=True)
class Plan:
    """What `journal.json` says: where the replaced files are to be kept, and which they are."""

    entry: str
    files: tuple[File, ...]


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
    except (OSError, TitoError) as err:
        (work / PENDING).replace(work / UNDOING)
        _put_back(root)
        if isinstance(err, TitoError):
            err.why += "; nothing was changed"
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


def _prepare(root: Path, changes: Sequence[Change], entry: str, note: dict[str, Any]) -> None:
    folder = root / ".tito" / PREPARING
    kept = folder / "kept"
    kept.mkdir(parents=True)
    files = [[c.path, None if c.content is None else sha256(c.content).hexdigest()] for c in changes]
    _write(folder / "journal.json", to_json({"schema_version": 1, "entry": entry, "files": files}))     # first: it names what to clean up
    plan = _plan(root, PREPARING)
    for change, file in zip(changes, plan.files, strict=True):
        target = root / change.path
        if target.exists():
            _write(kept / file.copy, target.read_bytes())
        if change.content is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(sibling(target), change.content)
            if change.saved is not None:
                os.utime(sibling(target), ns=(change.saved, change.saved))
    _write(kept / "note.json", to_json({**note, "files": _kept_files(kept, plan)}))


def _finish(root: Path) -> None:
    work = root / ".tito"
    plan = _plan(root, PENDING)
    kept = work / PENDING / "kept"
    if kept.exists():
        for file in plan.files:
            try:
                _apply(root / file.path, kept, file)
            except PermissionError as err:                  # on Windows a file that is open anywhere cannot be moved
                raise TitoError(f"{file.path} cannot be replaced", why=f"{err.strerror}: a program may have it open",
                                fix="close it in JupyterLab, then run the command again", code=ExitCode.ENVIRONMENT) from None
        _settle(kept, plan)
        (root / plan.entry).parent.mkdir(parents=True, exist_ok=True)
        kept.replace(root / plan.entry)
    (work / PENDING).replace(work / PREPARING)


def _apply(target: Path, kept: Path, file: File) -> None:
    """Replace or remove one file, or go on where that was stopped."""
    waiting = sibling(target)
    if file.path.startswith(OURS) and file.new and waiting.exists():
        waiting.replace(target)
    while file.new and waiting.exists():
        if target.exists() and waiting.samefile(target):
            waiting.unlink()                                # stopped in the middle of `put`
            continue
        take(target, kept, file.copy)
        with suppress(FileExistsError):                     # saved anew in between: that is taken too
            put(waiting, target)
    if not file.new:
        take(target, kept, file.copy)


def _settle(kept: Path, plan: Plan) -> None:
    """Let the kept copy be what was really replaced; an earlier one that differs stays beside it."""
    for file in plan.files:
        copy, taken = kept / file.copy, _taken(kept, file)
        for old in [copy, *taken][:-1]:
            if old != copy or copy.exists() and copy.read_bytes() != taken[-1].read_bytes():
                old.replace(kept / f"earlier-{old.name}")
        if taken:
            taken[-1].replace(copy)
    _note(kept, _kept_files(kept, plan))


def _put_back(root: Path) -> None:
    work = root / ".tito"
    plan = _plan(root, UNDOING)
    kept = work / UNDOING / "kept"
    if not kept.exists():
        (root / plan.entry).replace(kept)
    left = [spare for file in plan.files if (spare := _restore(root / file.path, kept, file))]
    if left or any(kept.glob("earlier-*")):
        _note(kept, left)
        (root / plan.entry).parent.mkdir(parents=True, exist_ok=True)
        kept.replace(root / plan.entry)
    (work / UNDOING).replace(work / PREPARING)


def _restore(target: Path, kept: Path, file: File) -> list[str | None] | None:
    """Put back what a command had replaced, unless it was saved since: then that stays, and what is still to be kept is returned."""
    waiting = sibling(target)
    if waiting.exists() and target.exists() and waiting.samefile(target):
        waiting.unlink()
    if not waiting.exists() and target.exists() and digest(target) == file.new:
        target.replace(waiting)
    if waiting.exists() and digest(waiting) != file.new:               # saved between the look and the move
        try:
            put(waiting, target)
        except FileExistsError:
            take(waiting, kept, f"earlier-{file.copy}")
    versions = [path for path in (kept / file.copy, *_taken(kept, file)) if path.exists()]
    if versions and not target.exists():
        with suppress(FileExistsError):
            put(versions[-1], target)
    spare = [path for path in versions if path.exists() and path.read_bytes() != target.read_bytes()]
    return [file.path, spare[-1].name] if spare and not file.path.startswith(OURS) else None


def _taken(kept: Path, file: File) -> list[Path]:
    """What `take` has moved here of a file, in order."""
    found = kept.glob(f"{glob.escape(file.copy)}.*")
    return sorted(found, key=lambda path: int(path.suffix[1:]))


def _kept_files(kept: Path, plan: Plan) -> list[list[str | None]]:
    """(path, name of the kept copy; None where there was no file), as a note has them."""
    return [[file.path, file.copy if (kept / file.copy).exists() else None] for file in plan.files]


def _note(kept: Path, files: list[list[str | None]]) -> None:
    note = json.loads((kept / "note.json").read_text(encoding="utf-8"))
    if note["files"] != files:
        write_atomically(kept / "note.json", to_json({**note, "files": files}))


def _discard(root: Path) -> None:
    folder = root / ".tito" / PREPARING
    if not folder.exists():
        return
    try:
        plan = _plan(root, PREPARING)
    except TitoError:
        plan = Plan("", ())                                 # stopped while writing the journal itself: nothing waits yet
    for file in plan.files:
        if file.new:
            sibling(root / file.path).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _plan(root: Path, name: str) -> Plan:
    path = root / ".tito" / name / "journal.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(File(inside(str(path)), new and str(new), f"{i}-{PurePosixPath(path).name}")
                      for i, (path, new, *_) in enumerate(data["files"]))
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


def aside(root: Path, path: Path, stamp: str) -> str:
    """Move a file or a folder below `.tito/aside`, keeping it; its new name."""
    folder, name = root / ".tito" / "aside", f"{stamp}-{path.name.lstrip('.')}"
    folder.mkdir(parents=True, exist_ok=True)
    place = next(p for n in count(1) if not (p := folder / (name if n == 1 else f"{n}-{name}")).exists())
    path.replace(place)
    return place.relative_to(root).as_posix()


def set_aside(root: Path, stamp: str) -> list[str]:
    """Put journals aside that cannot be read; their names."""
    return [aside(root, path, stamp) for name in (PREPARING, PENDING, UNDOING) if (path := root / ".tito" / name).exists()]


def to_json(value: Any) -> bytes:
    """As tito writes down what it has to remember."""
    return (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8")
