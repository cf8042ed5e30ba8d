"""One student edition for all tests of a run, whichever process they are in, and processes that run in a folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.modules.shelf import COURSE
from tito.cells import Document
from tito.course import Course, Module
from tito.dev.demo import write_solutions
from tito.dev.edition import make_edition

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The edition as it is released.  It is everybody's: copy it before you write."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "released edition"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            make_edition(COURSE, folder)
    return folder


@dataclass(frozen=True)
class Edition:
    """A student's own copy."""

    root: Path

    def notebook(self, module: Module) -> Path:
        return self.root / module.notebook.relative_to(COURSE.root)

    def solve(self, module: Module) -> None:
        write_solutions(self.notebook(module), module)

    def write(self, module: Module, work: Document) -> None:
        """Put the sources of a document's cells into the notebook."""
        path = self.notebook(module)
        data = json.loads(path.read_text(encoding="utf-8"))
        for cell, new in zip(data["cells"], work.cells, strict=True):
            cell["source"] = new.source
        path.write_text(json.dumps(data), encoding="utf-8")

    def read(self, module: Module) -> Document:
        return Course(self.root).module(module.name).read()

    def files(self) -> dict[str, bytes]:
        """Every file that counts: all but the lock, what is remembered of tests, and compiled code."""
        return {p.relative_to(self.root).as_posix(): p.read_bytes() for p in sorted(self.root.rglob("*"))
                if p.is_file() and p.name not in ("lock", "tested.json") and "__pycache__" not in p.parts}


@pytest.fixture
def edition(released: Path, tmp_path: Path) -> Edition:
    return Edition(shutil.copytree(released, tmp_path / "meine Übung"))


@pytest.fixture
def python() -> Run:
    """Run this Python in a folder, away from the course repository; what it printed, and its exit code."""

    def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")}
        environment = {**kept, "PYTHONPATH": str(folder), "TITO_BOOTSTRAP": "0", "PYTHONUTF8": "1", "MPLBACKEND": "Agg", **more}
        return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              encoding="utf-8", errors="replace", timeout=120)

    return run


@pytest.fixture
def tito(python: Run) -> Callable[..., Any]:
    """Run `tito ...` in a folder, with that folder's own tito; (exit code, its JSON)."""

    def run(folder: Path, *arguments: str) -> tuple[int, Any]:
        done = python(folder, "-m", "tito", *arguments, "--json")
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return done.returncode, json.loads(done.stdout)

    return run
