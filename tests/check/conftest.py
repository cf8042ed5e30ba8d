"""The course folder and the look of cards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.check.workbench import Bench
from tito.check.row import Row


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "a course with é"
    root.mkdir()
    return Bench(root)


@pytest.fixture
def card_ok() -> Callable[[Row], str]:
    """Every card's form; its text."""
    def look(row: Row) -> str:
        lines = row.card()
        assert len(lines) <= 15, lines
        assert max(map(len, lines)) <= 80, lines
        joined = "\n".join(lines)
        joined.encode("utf-8")
        for word in ("tito/", "child.py", "expect.py", "site-packages", "Traceback", "/tmp", " at 0x"):
            assert word not in joined
        return joined
    return look
