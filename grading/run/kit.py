"""The kit: what a judging process finds in its sandbox – the checks' own code, and the reference's package before the module."""

from __future__ import annotations

import json
import tempfile
import weakref
import zlib
from base64 import b64decode, b64encode
from functools import lru_cache
from pathlib import Path

import tito
from grading.assignment import Assignment

HOME = Path(tito.__file__).parent
PARTS = ("__init__.py", "cells.py", "course.py", "errors.py", "notebook.py", "check")      # of tito: what a notebook and its checks import


@lru_cache(maxsize=1)
def checks() -> dict[str, str]:
    """The part of tito that goes into every kit: {path: text}."""
    files = [path for part in PARTS for path in ([HOME / part] if part.endswith(".py") else sorted((HOME / part).rglob("*.py")))]
    return {"tito/" + path.relative_to(HOME).as_posix(): path.read_text(encoding="utf-8") for path in files}


@lru_cache(maxsize=8)
def _packed(digest: str, package: tuple[tuple[str, str], ...]) -> str:
    files = checks() | {f"tinytorch/{path}": text for path, text in package}
    return b64encode(zlib.compress(json.dumps(files, sort_keys=True).encode(), 9)).decode("ascii")


def pack(assignment: Assignment) -> str:
    """An assignment's kit as text that can travel."""
    return _packed(assignment.digest, tuple(sorted(assignment.package.items())))


class _Unpacked:
    """A kit on disk, for as long as this process needs it."""

    def __init__(self, packed: str):
        self._folder = tempfile.TemporaryDirectory(prefix="tito-kit-")
        self.path = Path(self._folder.name) / "kit"
        for name, text in json.loads(zlib.decompress(b64decode(packed))).items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text, encoding="utf-8")
        for each in (Path(self._folder.name), self.path, *self.path.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)           # the sandbox's user is not ours
        weakref.finalize(self, self._folder.cleanup)


@lru_cache(maxsize=4)
def _unpacked(packed: str) -> _Unpacked:
    return _Unpacked(packed)


def unpack(packed: str) -> Path:
    """The kit's folder, made once a process."""
    return _unpacked(packed).path
