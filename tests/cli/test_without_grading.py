"""Everything but `tito grade` works where there is no grading/ folder and no nbgrader."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tito.errors import ExitCode

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("without") / "course"
    for name in ("tito", "modules", "tinytorch"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb"))
    for name in ("settings.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    (root.parent / "broken").mkdir()
    (root.parent / "broken" / "nbgrader.py").write_text("raise ImportError('there is no nbgrader')", encoding="utf-8")
    return root


def tito(course: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(course.parent / "broken"), str(course)])
    return subprocess.run([sys.executable, "-m", "tito", *words], cwd=course, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": path, "TITO_BOOTSTRAP": "0"})


@pytest.mark.parametrize("words", [[], ["--help"], ["module", "list"], ["module", "test", "01"], ["dev", "export", "--check"]])
def test_it_works_without(course: Path, words: list[str]) -> None:
    done = tito(course, *words)
    assert done.returncode == ExitCode.OK, done.stderr
    assert "grade " not in done.stdout if words == ["--help"] else done.stdout


def test_grade_says_what_is_missing(course: Path) -> None:
    done = tito(course, "grade", "autograde")
    assert done.returncode == ExitCode.USAGE
    assert "there is no grading/ folder" in done.stderr and "Traceback" not in done.stderr
