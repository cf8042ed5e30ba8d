"""The small edition of the command line's tests, and a second one beside it: another machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Edition, edition, installed, tito

__all__ = ["edition", "installed", "other", "tito"]


@pytest.fixture
def other(edition: Edition, tmp_path: Path) -> Edition:
    """The same edition, fresh, elsewhere."""
    root = tmp_path / "another machine"
    shutil.copytree(edition.root, root)
    return Edition(root)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk's own time is not ours."""
    monkeypatch.setattr("tito.moves.os.fsync", lambda descriptor: None)
