"""A folder, and the changes that the tests of the journal commit in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tito.journal import Change

OLD = {"package/ä.py": b"old\n", "gone.txt": b"to be removed\n", ".tito/state.json": b"{}\n"}
NEW = {"package/ä.py": b"new\n", "package/deep/b.py": b"b\n", ".tito/state.json": b'{"a": 1}\n'}
CHANGES = [*(Change(path, content) for path, content in NEW.items())]
CHANGES.insert(2, Change("gone.txt", None))
ENTRY = ".tito/history/01/now-test"
STEPS = 80                  # more than there are


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fresh(tmp_path / "a ü")


def fresh(folder: Path) -> Path:
    """The folder as it was before any change, and nothing else in it."""
    if folder.exists():
        shutil.rmtree(folder)
    for path, content in OLD.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file() and "history" not in p.parts}


def settled(root: Path) -> bool:
    """Whether everything happened (True) or nothing (False); no trace of the work is left either way."""
    now = files(root)
    assert now in (OLD, NEW)
    assert (root / ENTRY).exists() == (now == NEW)
    if now == NEW:
        assert (root / ENTRY / "0-ä.py").read_bytes() == b"old\n"
        assert (root / ENTRY / "2-gone.txt").read_bytes() == OLD["gone.txt"]
    return now == NEW
