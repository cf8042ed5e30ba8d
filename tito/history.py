"""Nothing is ever lost: what a command replaces is kept below `.tito/history/NN/`, and can be brought back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tito import journal
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.journal import Change
from tito.moves import write
from tito.state import STATE, Record, State, load, now, record_from

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
    elsewhere: bool = False                       # on another machine: `tito progress import` brought it

    @property
    def name(self) -> str:
        return self.folder.name

    def changes(self) -> list[Change]:
        """What brings these files back."""
        return [Change(path, None if copy is None else (self.folder / copy).read_bytes()) for path, copy in self.files]

    def kept(self, path: str) -> bytes | None:
        """What a file had in it; None where it is not among these, or was not there."""
        copy = dict(self.files).get(path)
        return None if copy is None else (self.folder / copy).read_bytes()


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
    note = _note(module, action, now(), record, started=module.number in before.started)
    needed = [c for c in changes if _differs(course.root / c.path, c.content)]
    if state != before:
        needed.append(Change(STATE, state.to_bytes()))
    if needed:
        journal.commit(course.root, needed, f".tito/history/{module.number:02d}/{new_name(course, module, action)}", note)


def add(course: Course, module: Module, entry: Entry, copies: Mapping[str, Callable[[], bytes]]) -> None:
    """Take in a version that was kept on another machine: all of it, or nothing.  Call it under the lock."""
    arriving = course.root / ".tito" / "arriving"
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(parents=True)
    for name, read in copies.items():
        write(arriving / name, read())
    note = _note(module, entry.action, entry.when, entry.record, started=entry.started)
    journal.write_atomically(arriving / "note.json", journal.to_json({**note, "files": entry.files, "elsewhere": True}))
    folder(course, module).mkdir(parents=True, exist_ok=True)
    arriving.replace(folder(course, module) / entry.name)


def names(course: Course, module: Module) -> list[str]:
    """A module's kept versions, oldest first."""
    place = folder(course, module)
    return sorted(p.name for p in place.iterdir() if is_name(p.name)) if place.is_dir() else []


def is_name(text: str) -> bool:
    """Whether a kept version may be called so: by a moment, which leaves room for later ones, and what was done."""
    try:
        return ENTRY.fullmatch(text) is not None and moment(text).year < 9000
    except ValueError:
        return False


def moment(name: str) -> datetime:
    """When something was kept, by its name."""
    return datetime.strptime(name.partition("-")[0], STAMP).replace(tzinfo=UTC)


def entry(course: Course, module: Module, name: str) -> Entry:
    """One kept version.  TitoError (INTEGRITY) where it cannot be read."""
    return _read(folder(course, module) / name)


def undo(course: Course, module: Module, name: str = "") -> Undone:
    """Bring back what the last command here (or the entry called `name`) replaced; itself a command that can be undone."""
    found = (entry(course, module, n) for n in reversed(names(course, module)) if name in ("", n))
    chosen = next((e for e in found if name or not e.elsewhere), None)
    if chosen is None:
        raise TitoError(f"there is nothing to undo in module {module.label}" if not name else f"no kept version is called {name}",
                        fix=f"see what is kept with: tito module history {module.number:02d}")
    state = load(course).with_module(module.number, chosen.record, started=chosen.started)
    changes = chosen.changes()
    keep(course, module, "undo", changes, state)
    restored = tuple(c.path for c in changes if c.content is not None)
    return Undone(module, chosen, restored, tuple(c.path for c in changes if c.content is None))


def folder(course: Course, module: Module) -> Path:
    """Where a module's kept versions are."""
    return course.root / ".tito" / "history" / f"{module.number:02d}"


def new_name(course: Course, module: Module, action: str) -> str:
    """What the next kept version is called: the time in UTC, later than every kept version's even where the clock was set back."""
    stamp = datetime.now(UTC)
    if kept := names(course, module):
        stamp = max(stamp, moment(kept[-1]) + timedelta(microseconds=1))
    return f"{stamp.strftime(STAMP)}-{action}"


def _note(module: Module, action: str, when: str, record: Record | None, *, started: bool) -> dict[str, Any]:
    return {"schema_version": 1, "module": module.number, "action": action, "when": when, "record": asdict(record) if record else None,
            "started": started}


def _read(folder: Path) -> Entry:
    try:
        return parse(folder, (folder / "note.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise TitoError("a kept version cannot be read", why=f".tito/history/{folder.parent.name}/{folder.name}: {err}",
                        fix="the kept files themselves are in that folder; copy back what you need", code=ExitCode.INTEGRITY) from None


def parse(folder: Path, note: bytes) -> Entry:
    """An entry from its note.  ValueError, KeyError or TypeError where that cannot be read."""
    data: dict[str, Any] = json.loads(note)
    files = tuple((journal.inside(path), copy and journal.inside(copy)) for path, copy in data["files"] if path != STATE)
    record = data["record"] and record_from(data["record"])
    datetime.fromisoformat(data["when"])
    return Entry(folder, str(data["action"]), data["when"], files, record, bool(data["started"]), bool(data.get("elsewhere")))


def _differs(path: Path, content: bytes | None) -> bool:
    return path.exists() if content is None else not path.exists() or path.read_bytes() != content
