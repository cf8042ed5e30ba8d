"""Files moved beside programs that may save at any moment: what stands there is never overwritten."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from itertools import count
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file through to the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def take(target: Path, kept: Path, copy: str) -> None:
    """Move what stands there, at this very moment, to `copy.1` (or .2 ...) in `kept`: a program that is just writing goes on there."""
    place = next(p for n in count(1) if not (p := kept / f"{copy}.{n}").exists())
    if not target.is_symlink():                             # of a link the file behind it stays, and what it says is kept
        try:
            target.replace(place)
        except FileNotFoundError:
            return
        except OSError as err:
            if err.errno != errno.EXDEV:                    # on another disk it can only be copied
                raise
        else:
            return
    if target.exists():
        write(place, target.read_bytes())
    target.unlink(missing_ok=True)


def put(path: Path, target: Path) -> None:
    """Move a file to where there is none.  FileExistsError where there is one."""
    try:
        os.link(path, target)                               # unlike a rename, it never replaces anything
    except FileExistsError:
        raise
    except OSError:                                         # a disk that knows no links
        path.rename(target)
    else:
        path.unlink()


def digest(path: Path) -> str:
    """The SHA-256 of a file's content."""
    return sha256(path.read_bytes()).hexdigest()
