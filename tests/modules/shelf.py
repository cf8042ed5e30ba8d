"""The course as it stands in this repository: its documents, solved and stripped, and small courses made from parts of it."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tito.cells import Document, document
from tito.check.verdict import Verdict, judge
from tito.course import Course, Module
from tito.dev.checks import subject
from tito.dev.checks.subject import package_file as package_file
from tito.dev.source import notebook, strip

ROOT = Path(__file__).resolve().parents[2]
COURSE = Course(ROOT)
MODULES = COURSE.modules
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda m: m.folder.name)


@lru_cache(maxsize=32)
def solved_notebook(module: Module) -> dict[str, Any]:
    """A source as a notebook, answers and all."""
    return notebook(module.source)


@lru_cache(maxsize=32)
def solved(module: Module) -> Document:
    return document(solved_notebook(module), module.source)


@lru_cache(maxsize=32)
def stub(module: Module) -> Document:
    """What a student begins with."""
    return document(strip(solved_notebook(module)), module.notebook)


def verdict(work: Document, module: Module, root: Path = ROOT) -> Verdict:
    return judge(work, root, module.number, module.label)


def built_to(number: int, root: Path) -> Path:
    """A course's folder in `root`, with the package of modules 1 to `number` and not one file more."""
    return subject.built_to(COURSE, number, root)
