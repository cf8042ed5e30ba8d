"""A fake course in a folder with a blank and an umlaut in its name, and Python processes that use its package."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.fakes import write_course
from tito.course import Course

ROOT = Path(__file__).parents[2]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    root = tmp_path / "Mein Kurs für 2027"
    write_course(root)
    return Course(root)


@pytest.fixture
def whole_course(course: Course) -> Course:
    """With tito in it, as an edition needs."""
    shutil.copytree(ROOT / "tito", course.root / "tito", ignore=shutil.ignore_patterns("__pycache__"))
    return course


@pytest.fixture
def python() -> Callable[..., str]:
    """Run a program in a fresh process of a folder; its output."""

    def run(folder: Path, program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-B", "-c", program], cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
