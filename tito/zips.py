"""Zip files: what one that is damaged raises, how a member may be packed, and members that are the same wherever they are written."""

from __future__ import annotations

import struct
import zipfile
import zlib

DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError, IndexError)    # and OSError
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)    # zipfile unpacks all others without a bound
EPOCH = (1980, 1, 1, 0, 0, 0)       # the earliest that a zip can say
FILE = 0o100644                     # what a member is on Unix: a file that all may read


def add(archive: zipfile.ZipFile, name: str, content: bytes, *, mode: int = FILE) -> None:
    """Write a member: the same bytes for the same content, whatever the clock and the system are."""
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, mode << 16
    archive.writestr(info, content)
