"""A module as its author's checks see it: its document, solved and stripped, its mistakes, and courses made of its first modules."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from tito.cells import Document, document
from tito.check.verdict import Verdict, judge
from tito.course import Course, Module
from tito.dev.checks.mistake import Equivalent, Mistake, load_mistakes
from tito.dev.source import notebook, strip


@dataclass
class Subject:
    """One module as the checks see it."""

    course: Course
    module: Module

    @cached_property
    def raw(self) -> dict[str, Any]:
        return notebook(self.module.source)

    @cached_property
    def solved(self) -> Document:
        return document(self.raw, self.module.source)

    @cached_property
    def stub(self) -> Document:
        return document(strip(self.raw), self.module.notebook)

    @cached_property
    def written(self) -> tuple[list[Mistake], list[Equivalent]]:
        path = self.module.folder / "mistakes.py"
        return load_mistakes(path) if path.exists() else ([], [])

    @property
    def probes(self) -> Path:
        return self.module.folder / "probes.py"

    def judge(self, work: Document, root: Path | None = None) -> Verdict:
        return judge(work, root or self.course.root, self.module.number, self.module.label)


def built_to(course: Course, number: int, root: Path) -> Path:
    """A course's folder in `root`, with the package of modules 1 to `number` and nothing of later ones."""
    (root / "modules").mkdir(parents=True)
    shutil.copy2(course.root / "settings.ini", root)
    shutil.copytree(course.package, root / "tinytorch", ignore=shutil.ignore_patterns("__pycache__"))
    for module in course.modules:
        if module.number > number:
            (root / package_file(module)).unlink()
    return root


@lru_cache(maxsize=64)
def package_file(module: Module) -> Path:
    """Where the module stands in the package, relative to a course's root."""
    path = document(notebook(module.source), module.source).default_exp
    return Path("tinytorch", *path.split(".")).with_suffix(".py")
