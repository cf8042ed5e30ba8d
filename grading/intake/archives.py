"""Submissions out of folders, zips and single files, one by one: each is read within bounds, or refused with a reason.

Nothing is ever unpacked to disk.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from io import BytesIO
from pathlib import Path
from typing import IO

from grading.intake.zips import (
    BULK,
    DEPTH,
    FILE_BYTES,
    NOTEBOOK,
    OWN,
    ZIP,
    Caps,
    Unreadable,
    Zip,
    bounded,
    is_text,
    junk,
    shown,
    suffix,
    written,
)
from tito.errors import ExitCode, TitoError

RECEIPT, TIMESTAMP = "receipt.json", "timestamp.txt"    # what belongs to a notebook beside it
FILES = 50_000                      # in a folder
Readers = Mapping[str, Callable[[], bytes]]


@dataclass(frozen=True)
class Dated:
    """When a file or a member of an archive was written; it covers the first `depth` parts of a path."""

    depth: int
    when: datetime | None
    kind: str                       # "file" or "zip"


@dataclass(frozen=True)
class Entry:
    """A notebook that can be read while the survey stands at it."""

    parts: tuple[str, ...]          # folders, opened archives without their suffix, and the file's name
    origin: str                     # for a person
    dates: tuple[Dated, ...]        # from the outermost archive to the file itself
    read: Callable[[], bytes]       # Unreadable where it cannot be
    beside: Readers       # the files in the same place


@dataclass(frozen=True)
class Refusal:
    """A file that is not taken, and why."""

    origin: str
    reason: str


@dataclass(frozen=True)
class Ignored:
    """A file that is no notebook."""

    origin: str


Item = Entry | Refusal | Ignored


class Survey:
    """What a folder, a zip or a single file holds; iterate over it once.  TitoError where there is nothing."""

    def __init__(self, source: Path, zone: tzinfo):
        if not source.exists():
            raise TitoError(f"{source} is not there", why="submissions come from a folder, a zip or a notebook", fix="check the path",
                            code=ExitCode.ENVIRONMENT)
        self.source, self.zone, self.total = source.resolve(), zone, 1

    def __iter__(self) -> Iterator[Item]:
        """Its files in the order of their names; an Entry can be read until the next one is asked for."""
        return self._folder() if self.source.is_dir() else self._file(self.source, (self.source.name,), (), {})

    def _folder(self) -> Iterator[Item]:
        found = []
        for item in walk(self.source):
            found.append(item)
            if len(found) > FILES:
                yield Refusal(str(self.source), f"it holds more than {FILES} files")
                return
        self.total = len(found)
        places: dict[tuple[str, ...], dict[str, Callable[[], bytes]]] = {}
        for parts, reason in found:
            if not reason:
                places.setdefault(parts[:-1], {})[parts[-1]] = _reader(self.source.joinpath(*parts))
        for parts, reason in sorted(found):
            if reason:
                yield Refusal(shown("/".join(parts)) or str(self.source), reason)
            else:
                above = (*parts[:-1], parts[-1][:-len(ZIP)])
                yield from self._file(self.source.joinpath(*parts), parts, above, places[parts[:-1]])

    def _file(self, path: Path, parts: tuple[str, ...], above: tuple[str, ...], beside: Readers) -> Iterator[Item]:
        """One file; `above` is where the members of a zip will stand."""
        origin = shown("/".join(parts))
        if suffix(path.name) == NOTEBOOK:
            yield Entry(parts, origin, (_dated(path, len(parts)),), _reader(path), beside)
        elif suffix(path.name) == ZIP:
            try:
                with opened(path) as file:
                    yield from self._zip(file, above, origin, (_dated(path, len(above)),), BULK)
            except OSError as err:
                yield Refusal(origin, err.strerror or str(err))
            except Unreadable as err:
                yield Refusal(origin, str(err))
        elif path.name not in (RECEIPT, TIMESTAMP):
            yield Ignored(origin)

    def _zip(self, file: IO[bytes], above: tuple[str, ...], origin: str, dates: tuple[Dated, ...], caps: Caps) -> Iterator[Item]:
        """A zip's members; a zip in it is a student's own, and a zip in that one is not opened."""
        found = Zip(file, caps)
        self.total = max(self.total, len(found.members))
        places: dict[tuple[str, ...], dict[str, Callable[[], bytes]]] = {}
        for m in found.members:
            if not m.reason:
                places.setdefault(m.parts[:-1], {})[m.parts[-1]] = found.reader(m)
        for m in found.members:
            where = f"{origin}: {m.name}"
            kind = suffix(m.name)
            if m.reason:
                yield Refusal(where, m.reason)
            elif kind not in (NOTEBOOK, ZIP):
                if m.parts[-1] not in (RECEIPT, TIMESTAMP):
                    yield Ignored(where)
            else:
                place = places[m.parts[:-1]]
                when = (*dates, Dated(len(above) + len(m.parts), written(m.info, self.zone), "zip"))
                if kind == NOTEBOOK:
                    yield Entry((*above, *m.parts), where, when, place[m.parts[-1]], place)
                elif caps is OWN:
                    yield Refusal(where, "it is a zip in a zip in a zip")
                else:
                    yield from self._nested(place[m.parts[-1]], (*above, *m.parts[:-1], m.parts[-1][:-len(ZIP)]), where, when)

    def _nested(self, read: Callable[[], bytes], above: tuple[str, ...], origin: str, dates: tuple[Dated, ...]) -> Iterator[Item]:
        try:
            yield from self._zip(BytesIO(read()), above, origin, dates, OWN)
        except Unreadable as err:
            yield Refusal(origin, str(err))


def walk(folder: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path below the folder, why it is refused or "") of every file that is not hidden; no link is followed."""
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        above = waiting.pop()
        try:
            with os.scandir(folder.joinpath(*above)) as entries:
                listed = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in entries if not junk(entry.name)]
        except OSError as err:
            yield above, err.strerror or str(err)
            continue
        for name, mode in listed:
            if stat.S_ISDIR(mode) and len(above) < DEPTH:
                waiting.append((*above, name))
            else:
                yield (*above, name), _trouble(name, mode)


def _trouble(name: str, mode: int) -> str:
    if not is_text(name):
        return "its name is not UTF-8, or has signs that cannot be printed"
    if stat.S_ISLNK(mode):
        return "it is a link, and links are not followed"
    if stat.S_ISDIR(mode):
        return "its folders are too deep"
    return "" if stat.S_ISREG(mode) else "it is a device, a pipe or a socket, not a file"


def opened(path: Path) -> IO[bytes]:
    """A regular file, opened for reading; never a link, and never waiting for a pipe."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("it is a device, a pipe or a socket, not a file")
    return os.fdopen(descriptor, "rb")


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with opened(path) as file:
                content = file.read(FILE_BYTES + 1)
        except OSError as err:
            raise Unreadable(err.strerror or str(err)) from None
        bounded(len(content))
        return content
    return read


def _dated(path: Path, depth: int) -> Dated:
    try:
        return Dated(depth, datetime.fromtimestamp(path.stat(follow_symlinks=False).st_mtime, UTC), "file")
    except (OSError, OverflowError, ValueError):
        return Dated(depth, None, "file")
