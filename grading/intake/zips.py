"""What a zip holds that nobody vouches for: members read within bounds, or refused with a reason; a name in it is only text."""

from __future__ import annotations

import os
import re
import stat
import struct
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import IO

from tito import zips

NOTEBOOK, ZIP, JUNK = ".ipynb", ".zip", ("__MACOSX", "__pycache__")
MB = 1 << 20
FILE_BYTES = 50 * MB                # of one notebook, and of one student's zip
DIRECTORY_BYTES = 8 * MB            # an archive's list of members
NAME, DEPTH = 1000, 20              # letters of a path, folders in it
RATIO, RATIO_FROM = 500, 10 * MB    # a larger member that unpacks to more times its packed size is a bomb
ENCRYPTED = 0x1 | 0x40 | 0x2000
UTF8 = 0x800
DAMAGED = (OSError, *zips.DAMAGED)


@dataclass(frozen=True)
class Caps:
    """How much an archive may hold."""

    members: int
    total: int                      # bytes of notebooks and zips in it, unpacked


BULK = Caps(5000, 4096 * MB)        # what a learning platform packs
OWN = Caps(1000, 200 * MB)          # what one student packs


class Unreadable(Exception):
    """Why a file, or a whole archive, is refused."""


@dataclass(frozen=True)
class Member:
    """One file in a zip."""

    info: zipfile.ZipInfo
    name: str                       # as it can be printed
    parts: tuple[str, ...]
    reason: str                     # why it is refused; empty where it may be read


class Zip:
    """An open zip.  Unreadable where it is damaged as a whole, or a trap."""

    def __init__(self, file: IO[bytes], caps: Caps):
        try:
            self.archive = zipfile.ZipFile(_Bounded(file))
            self.members = _members(self.archive, caps)
        except DAMAGED as err:
            raise Unreadable(f"it is not a zip that can be read: {err}") from None
        self.left = caps.total

    def reader(self, member: Member) -> Callable[[], bytes]:
        """Unpacks the member, counting what really comes out.  Unreadable where it is damaged or too large."""
        def read() -> bytes:
            content = bytearray()
            try:
                with self.archive.open(member.info) as packed:
                    while chunk := packed.read(1 << 16):
                        self.left -= len(chunk)
                        if self.left < 0:
                            raise Unreadable("its archive unpacks to more than it may")
                        content += chunk
                        bounded(len(content))
            except DAMAGED as err:
                raise Unreadable(f"it is damaged: {err}") from None
            return bytes(content)
        return read


class _Bounded:
    """A file that gives no more than a directory's worth at a time: zipfile reads the list of members in one go, of any length."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY_BYTES:
            raise Unreadable("its list of members is too long")
        content = self.file.read(size if size >= 0 else DIRECTORY_BYTES + 1)
        if len(content) > DIRECTORY_BYTES:
            raise Unreadable("its list of members is too long")
        return content


def bounded(size: int) -> None:
    """Unreadable where a file is too large."""
    if size > FILE_BYTES:
        raise Unreadable(f"it is larger than {FILE_BYTES // MB} MB")


def _members(archive: zipfile.ZipFile, caps: Caps) -> list[Member]:
    """All but folders and hidden files."""
    infos = archive.infolist()
    if len(infos) > caps.members:
        raise Unreadable(f"it holds more than {caps.members} files")
    spans = sorted((i.header_offset, i.header_offset + 30 + i.compress_size) for i in infos)
    if any(end > begin for (_, end), (begin, _) in pairwise(spans)):
        raise Unreadable("its members overlap, as they do in a zip bomb")
    if sum(i.file_size for i in infos if suffix(i.orig_filename) in (NOTEBOOK, ZIP)) > caps.total:
        raise Unreadable(f"it unpacks to more than {caps.total // MB} MB")
    found = [member for info in infos if (member := _member(info))]
    counts = Counter(_folded(m.parts) for m in found if not m.reason)
    same = "another member has the same name, but for upper and lower case or the way in which accents are written"
    return [Member(m.info, m.name, m.parts, m.reason or (same if counts[_folded(m.parts)] > 1 else "")) for m in found]


def _member(info: zipfile.ZipInfo) -> Member | None:
    try:
        name = _decoded(info)
        parts = path_of(name)
    except Unreadable as err:
        return Member(info, shown(info.orig_filename), (), str(err))
    if name.endswith("/") or not parts or any(map(junk, parts)):
        return None
    return Member(info, name, parts, _trouble(info))


def _trouble(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "it is a link, and links are not followed"
    if kind not in (0, stat.S_IFREG):
        return "it is a device, a pipe or a socket, not a file"
    if info.flag_bits & ENCRYPTED:
        return "it is encrypted"
    if suffix(info.orig_filename) not in (NOTEBOOK, ZIP):
        return ""
    if info.compress_type not in zips.METHODS:
        return f"it is packed by method {info.compress_type}, and only stored and deflated members are read"
    if info.file_size > FILE_BYTES:
        return f"it is larger than {FILE_BYTES // MB} MB"
    if info.file_size > RATIO_FROM and info.file_size > RATIO * info.compress_size:
        return f"it unpacks to more than {RATIO} times its size, as a zip bomb does"
    return ""


def _decoded(info: zipfile.ZipInfo) -> str:
    """A member's name.  Where nothing says that it is UTF-8, that is tried; what else it may be is not guessed."""
    name = info.orig_filename
    if info.flag_bits & UTF8 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")         # cp437 is what zipfile reads such names as
    except UnicodeError:
        raise Unreadable("its name is not UTF-8; other zip programs, such as 7-Zip, can write it so") from None


def path_of(name: str) -> tuple[str, ...]:
    """The parts of a member's name.  Unreadable where it is none that stays in its place."""
    if not is_text(name):
        raise Unreadable("its name is not UTF-8, or has signs that cannot be printed")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or "\\" in name or ".." in parts:
        raise Unreadable("its name leads outside: a drive, a backslash, a leading / or ..")
    if len(name) > NAME or len(parts) > DEPTH:
        raise Unreadable("its name is too long")
    return parts


def written(info: zipfile.ZipInfo, zone: tzinfo) -> datetime | None:
    """A member's time: UTC from the extra field that Unix writes, else local; None where it has none, or one that never was."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == 0x5455 and size >= 5 and len(extra) >= 9 and extra[4] & 1:
            return datetime.fromtimestamp(struct.unpack_from("<i", extra, 5)[0], UTC)
        extra = extra[4 + size:]
    try:
        return datetime(*info.date_time, tzinfo=zone) if info.date_time[0] > 1980 else None
    except ValueError:
        return None


def suffix(name: str) -> str:
    """`.ipynb`, also of X.IPYNB."""
    return os.path.splitext(name)[1].lower()        # noqa: PTH122  # a member's name is no path of this machine


def junk(part: str) -> bool:
    """Hidden files, and what systems leave behind: checkpoints, `.released`, `__MACOSX`."""
    return part.startswith(".") or part in JUNK


def _folded(parts: tuple[str, ...]) -> str:
    """A name as a file system may see it that knows no upper and lower case."""
    return unicodedata.normalize("NFC", "/".join(parts)).casefold()


def is_text(name: str) -> bool:
    """Whether a name can be printed; a byte that is no UTF-8 arrives as a surrogate, which cannot."""
    return bool(name) and all(map(_printable, name))


def shown(name: str) -> str:
    """A name that can be printed, whatever is in it."""
    return "".join(c if _printable(c) else f"\\x{ord(c):02x}" for c in name[:NAME])


def _printable(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == "Zs"        # spaces that do not break, from macOS
