"""A breath of the storm of benchmarks/kills.py; the whole of it is run by hand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("pty", reason="the storm kills as POSIX does")

from benchmarks import kills  # noqa: E402


def test_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    code = kills.main(["--runs", "15", "--jobs", "1"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert said.splitlines()[0].split() == ["killed", "before", "during", "after", "ended", "runs"]
    assert "versions saved" in said and "0 processes left" in said


def test_a_loss_is_seen(tmp_path: Path) -> None:
    storm = kills.Storm(kills.edition(tmp_path), random.Random(0), {})
    storm.saver.save()
    storm.module.notebook.unlink()                          # as a command that keeps nothing
    storm.check("here")
    assert storm.losses == ["here: version 1 is lost"]
    (tmp_path / "tinytorch/core/alpha.py").write_text("# version 1, half of it", encoding="utf-8")
    storm.check("there")
    assert storm.losses[1:] == ["there: the package is not what was recorded"]
