"""Progress in one file, to take to another machine: what is in it, how it is written, and how it is read without trusting it.

`progress.json` says what is complete, started and passed; below `modules/NN_name/` lie the notebook, the package's file of a module that
is complete, and what is kept of it.  There is no name and no path of anybody's in it.
"""

from __future__ import annotations

import errno
import functools
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from tito import history, zips
from tito import state as progress
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.history import Entry
from tito.journal import to_json
from tito.released import exported, released
from tito.settings import read_settings
from tito.state import Record, State
from tito.versions import same

SCHEMA = 1
ABOUT, NOTEBOOK, PACKAGE, NOTE = "progress.json", "notebook.ipynb", "package.py", "note.json"
MEMBER = re.compile(r"modules/(\d\d_[a-z][a-z0-9_]*)/(notebook\.ipynb|package\.py|history/([^/\\:]+)/([^/\\:]+))")
COPY = re.compile(r"(earlier-)?\d+-\w{1,60}\.(ipynb|py)(\.\d+)*", re.ASCII)
EXPORTED = re.compile(r"tinytorch(/[a-z_][a-z0-9_]*)+\.py")
MILESTONE = re.compile(r"\d\d_[a-z][a-z0-9_]*")
DIGEST = re.compile(r"[0-9a-f]{64}")
MEMBERS, BYTES, ALL_BYTES = 200_000, 64 << 20, 4 << 30
DAMAGED = (*zips.DAMAGED, KeyError, TypeError, AttributeError)
NO_PLACE = errno.EINVAL                     # the system's word for a place before the file's beginning, which only a damaged file names
Reads = Mapping[str, Callable[[], bytes]]


@dataclass(frozen=True)
class Snapshot:
    """Where a module stands on one machine."""

    notebook: bytes | None = None
    saved: int = 0                          # when, in nanoseconds since 1970
    record: Record | None = None
    started: bool = False
    package: bytes | None = None            # the exported file, where the module is complete

    @property
    def fits(self) -> bool:
        """Whether the exported file is the one that the record speaks of."""
        return self.record is None or self.package is not None and sha256(self.package).hexdigest() == self.record.export_sha256


def snapshot(course: Course, module: Module, state: State) -> Snapshot:
    """Where a module stands here."""
    record = state.completed.get(module.number)
    found = Snapshot(record=record, started=module.number in state.started)
    if module.notebook.is_file():
        found = replace(found, notebook=module.notebook.read_bytes(), saved=module.notebook.stat().st_mtime_ns)
    path = exported(course, module) if record else None
    return replace(found, package=path.read_bytes()) if path and path.is_file() else found


def written(module: Module, found: Snapshot) -> bool:
    """Whether there is anything in the notebook that was not there when it was released."""
    original = released(module)
    return found.notebook is not None and not (original.is_file() and same(found.notebook, original.read_bytes()))


def pack(course: Course, state: State, path: Path) -> tuple[int, list[str]]:
    """Write the file; how many kept versions are in it, and which of them could not be read."""
    modules: dict[str, Any] = {}
    count, unread = 0, []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in course.modules:
            folder = f"modules/{module.folder.name}"
            found = snapshot(course, module, state)
            if found.started or found.record or written(module, found):
                modules[module.folder.name] = {"saved": found.saved, "released": _original(module)}
                for name, content in ((NOTEBOOK, found.notebook), (PACKAGE, found.package)):
                    if content is not None:
                        zips.add(archive, f"{folder}/{name}", content)
            for name in history.names(course, module):
                try:
                    files = _kept(course, module, name)
                except (TitoError, ValueError):
                    unread.append(name)
                    continue
                for copy, content in files.items():
                    zips.add(archive, f"{folder}/history/{name}/{copy}", content)
                count += 1
        about = {"schema_version": SCHEMA, "course": read_settings(course.root / "settings.ini").course.id, "modules": modules,
                 "state": json.loads(state.to_bytes())}
        zips.add(archive, ABOUT, to_json(about))
    return count, unread


def _kept(course: Course, module: Module, name: str) -> dict[str, bytes]:
    """A kept version's files: its note, and all that it has of the module's.  ValueError where it would not be taken in elsewhere."""
    place = history.folder(course, module) / name
    entry = history.entry(course, module, name)
    note = {**json.loads((place / NOTE).read_bytes()), "files": entry.files}
    files = {p.name: p.read_bytes() for p in sorted(place.iterdir()) if COPY.fullmatch(p.name) and p.is_file()}
    _sound_entry(module, entry, files)
    return {NOTE: to_json(note), **files}


def _original(module: Module) -> str:
    path = released(module)
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@dataclass(frozen=True)
class Archive:
    """A file that was found to be whole."""

    course: Course
    zip: zipfile.ZipFile
    state: State
    about: dict[str, Any]

    @functools.cached_property
    def members(self) -> dict[str, dict[str, dict[str, str]]]:
        """{module's folder: {kept version: {file: member}}}"""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for name in self.zip.namelist():
            if (match := MEMBER.fullmatch(name)) and match[3]:
                found.setdefault(match[1], {}).setdefault(match[3], {})[match[4]] = name
        return found

    def snapshot(self, module: Module) -> Snapshot | None:
        """Where a module stands there; None where it was not begun."""
        about = self.about["modules"].get(module.folder.name)
        if about is None:
            return None
        content = {name: self._read(f"modules/{module.folder.name}/{name}") for name in (NOTEBOOK, PACKAGE)}
        record = self.state.completed.get(module.number)
        started = record is not None or module.number in self.state.started
        return Snapshot(content[NOTEBOOK], about["saved"], record, started, content[PACKAGE])

    def entries(self, module: Module) -> Iterator[tuple[Entry, Reads]]:
        """What is kept there, oldest first, and how its files are read."""
        for name, files in sorted(self.members.get(module.folder.name, {}).items()):
            reads = {file: functools.partial(self.zip.read, member) for file, member in files.items()}
            yield history.parse(Path(name), reads.pop(NOTE)()), reads

    def other_version(self, module: Module) -> bool:
        """Whether the module's released notebook there is not the one here."""
        about = self.about["modules"].get(module.folder.name)
        return about is not None and about["released"] != _original(module)

    def _read(self, name: str) -> bytes | None:
        return self.zip.read(name) if name in self.zip.NameToInfo else None


@contextmanager
def opened(course: Course, path: Path) -> Iterator[Archive]:
    """The file at `path`, read through and found whole.  TitoError (INTEGRITY) where it is not, or not of this course."""
    try:
        archive = zipfile.ZipFile(path)
    except (FileNotFoundError, IsADirectoryError):
        raise TitoError(f"there is no file {path}", fix="name the file that tito progress export has written",
                        code=ExitCode.ENVIRONMENT) from None
    except DAMAGED as err:
        raise _damaged(path, str(err)) from None
    except OSError as err:
        raise _unreadable(path, err) from None
    with archive:
        try:
            _bounded(archive)
            about = json.loads(archive.read(ABOUT))
            if about["schema_version"] > SCHEMA:
                raise TitoError(f"{path.name} was made by a newer tito; nothing was changed", code=ExitCode.INTEGRITY,
                                why=f"it has schema_version {about['schema_version']}, not {SCHEMA}",
                                fix="bring this course up to date, then import it again")
            _of_this_course(course, path, about, archive)
            found = Archive(course, archive, progress.parse(json.dumps(about["state"]).encode()), about)
            _sound(found)
        except TitoError as err:
            raise (err if path.name in err.what else _damaged(path, err.why)) from None
        except DAMAGED as err:
            raise _damaged(path, str(err)) from None
        except OSError as err:
            raise _unreadable(path, err) from None
        yield found


def _unreadable(path: Path, err: OSError) -> Exception:
    """The file's own fault where it names a place that no file has; else the system's, as it came."""
    return _damaged(path, "it names a place that it does not have") if err.errno == NO_PLACE else err


def _damaged(path: Path, why: str) -> TitoError:
    return TitoError(f"{path.name} is damaged, or no file of tito progress export; nothing was changed", why=why,
                     fix="export it once more on the other machine", code=ExitCode.INTEGRITY)


def _bounded(archive: zipfile.ZipFile) -> None:
    """ValueError for a member that has no business here, or too much of it all; every member is read through once."""
    members = archive.infolist()
    if len(members) > MEMBERS or sum(m.file_size for m in members) > ALL_BYTES or any(m.file_size > BYTES for m in members):
        raise ValueError("it holds more than any progress does")
    names = [m.filename for m in members]
    if len({name.casefold() for name in names}) < len(names):
        raise ValueError("it has a file twice")
    for member in members:
        match = MEMBER.fullmatch(member.filename)
        if member.filename != ABOUT and (match is None or match[3] and not _plain(match[3], match[4])):
            raise ValueError(f"it holds {member.filename!r}")
        if member.compress_type not in zips.METHODS:
            raise ValueError("it is packed in a way that tito does not use")
        with archive.open(member) as file:
            while file.read(1 << 20):
                pass


def _plain(entry: str, name: str) -> bool:
    """Whether a kept version and a file in it are called as tito calls them."""
    return history.is_name(entry) and entry.isascii() and len(entry) < 60 and (name == NOTE or COPY.fullmatch(name) is not None)


def _of_this_course(course: Course, path: Path, about: dict[str, Any], archive: zipfile.ZipFile) -> None:
    here = read_settings(course.root / "settings.ini").course.id
    known = {m.folder.name for m in course.modules}
    there = {match[1] for name in archive.namelist() if (match := MEMBER.fullmatch(name))} | set(about["modules"])
    numbers = {int(n) for n in [*about["state"]["completed"], *about["state"]["started"]]}
    unknown = sorted(there - known) + sorted(f"{n:02d}" for n in numbers - {m.number for m in course.modules})
    why = f"it is of {about['course']!r}, this is {here!r}" if about["course"] != here else \
        f"it has modules that are not here: {', '.join(unknown[:3])}" if unknown else ""
    if why:
        raise TitoError(f"{path.name} is of another course; nothing was changed", why=why,
                        fix="import it into an edition of its own course", code=ExitCode.INTEGRITY)


def _sound(found: Archive) -> None:
    """ValueError where a value is not what it should be."""
    for record in found.state.completed.values():
        _sound_record(record)
    for name, passed in found.state.milestones.items():
        datetime.fromisoformat(passed.when)
        if not MILESTONE.fullmatch(name) or not all(bar.isprintable() for bar in passed.bars):
            raise ValueError(f"it says of a milestone {name!r} what none says")
    for name, about in found.about["modules"].items():
        if type(about["saved"]) is not int or not 0 <= about["saved"] < 1 << 62:
            raise ValueError(f"it does not say when {name} was saved")
        if not isinstance(about["released"], str):
            raise ValueError(f"it does not say how {name} was released")
    for module in found.course.modules:
        for entry, reads in found.entries(module):
            _sound_entry(module, entry, reads)


def _sound_record(record: Record) -> None:
    datetime.fromisoformat(record.when)
    whole = math.isfinite(record.points) and math.isfinite(record.max_points) and \
        DIGEST.fullmatch(record.notebook_sha256) and DIGEST.fullmatch(record.export_sha256)
    if not whole:
        raise ValueError("it has a record that none writes")


def _sound_entry(module: Module, entry: Entry, copies: Iterable[str]) -> None:
    """An undo would write these files: the module's notebook and the package's, and no others."""
    notebook = f"modules/{module.folder.name}/{module.notebook.name}"
    if entry.record:
        _sound_record(entry.record)
    if entry.action != entry.name.partition("-")[2]:
        raise ValueError(f"a kept version of {module.label} does not say what it is")
    for path, copy in entry.files:
        if path != notebook and not EXPORTED.fullmatch(path) or copy is not None and copy not in copies:
            raise ValueError(f"a kept version of {module.label} names {path!r}")
