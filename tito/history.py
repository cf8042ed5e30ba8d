"""Nothing is ever lost: what a command replaces is kept below `.tito/history/NN/`, and can be brought back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tito import journal
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.journal import Change
from tito.state import STATE, Record, State, load, record_from

STAMP = "%Y%m%dT%H%M%S.%fZ"
ENTRY = re.compile(r"\d{8}T\d{6}\.\d{6}Z-\w+")


@dataclass(frozen=True)
class Entry:
    """One command's replaced files, and the module's progress before it."""

    folder: Path
    action: str
    when: str
    files: tuple[tuple[str, str | None], ...]     # (path, name of the kept copy; None where there was no file)
    record: Record | None
    started: bool

    @property
    def name(self) -> str:
        return self.folder.name

    def changes(self) -> list[Change]:
        """What brings these files back."""
        return [Change(path, None if copy is None else (self.folder / copy).read_bytes()) for path, copy in self.files]


@dataclass(frozen=True)
class Undone:
    """What `undo` brought back."""

    module: Module
    entry: Entry
    restored: tuple[str, ...]
    removed: tuple[str, ...]


def keep(course: Course, module: Module, action: str, changes: Sequence[Change], state: State) -> None:
    """Apply the changes to a module's files and progress in one transaction, keeping what they replace.  Call it under the lock."""
    before = load(course)
    record = before.completed.get(module.number)
    note = {"schema_version": 1, "module": module.number, "action": action, "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "record": asdict(record) if record else None, "started": module.number in before.started}
    needed = [c for c in changes if _differs(course.root / c.path, c.content)]
    if state != before:
        needed.append(Change(STATE, state.to_bytes()))
    if needed:
        journal.commit(course.root, needed, f".tito/history/{module.number:02d}/{_stamp(course, module)}-{action}", note)


def entries(course: Course, module: Module) -> list[Entry]:
    """A module's kept versions, oldest first."""
    folder = _folder(course, module)
    return [_read(folder / name) for name in _names(folder)]


def undo(course: Course, module: Module, name: str = "") -> Undone:
    """Bring back what the last command (or the entry called `name`) replaced; itself a command that can be undone."""
    found = [e for e in entries(course, module) if not name or e.name == name]
    if not found:
        raise TitoError(f"there is nothing to undo in module {module.label}" if not name else f"no kept version is called {name}",
                        fix=f"see what is kept with: tito module undo {module.number:02d} --list")
    entry = found[-1]
    state = load(course).with_module(module.number, entry.record, started=entry.started)
    changes = entry.changes()
    keep(course, module, "undo", changes, state)
    restored = tuple(c.path for c in changes if c.content is not None)
    return Undone(module, entry, restored, tuple(c.path for c in changes if c.content is None))


def _folder(course: Course, module: Module) -> Path:
    return course.root / ".tito" / "history" / f"{module.number:02d}"


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if ENTRY.fullmatch(p.name)) if folder.is_dir() else []


def _stamp(course: Course, module: Module) -> str:
    """The time in UTC, later than every kept version's even where the clock was set back."""
    stamp = datetime.now(UTC)
    folder = _folder(course, module)
    if names := _names(folder):
        last = datetime.strptime(names[-1].partition("-")[0], STAMP).replace(tzinfo=UTC)
        stamp = max(stamp, last + timedelta(microseconds=1))
    return stamp.strftime(STAMP)


def _read(folder: Path) -> Entry:
    try:
        note: dict[str, Any] = json.loads((folder / "note.json").read_text(encoding="utf-8"))
        files = tuple((journal.inside(path), copy and journal.inside(copy)) for path, copy in note["files"] if path != STATE)
        record = note["record"] and record_from(note["record"])
        return Entry(folder, str(note["action"]), str(note["when"]), files, record, bool(note["started"]))
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise TitoError("a kept version cannot be read", why=f".tito/history/{folder.parent.name}/{folder.name}: {err}",
                        fix="the kept files themselves are in that folder; copy back what you need", code=ExitCode.INTEGRITY) from None


def _differs(path: Path, content: bytes | None) -> bool:
    return path.exists() if content is None else not path.exists() or path.read_bytes() != content
