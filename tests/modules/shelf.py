"""The course as it stands in this repository: its documents, solved and stripped, and small courses made from parts of it."""

from functools import lru_cache
from pathlib import Path

import pytest

from tito.cells import Document
from tito.check.verdict import Verdict
from tito.course import Course, Module
from tito.dev.checks import subject
from tito.dev.checks.subject import Subject
from tito.dev.checks.subject import package_file as package_file

ROOT = Path(__file__).resolve().parents[2]
COURSE = Course(ROOT)
MODULES = COURSE.modules
each_module = pytest.mark.parametrize("module", MODULES, ids=lambda m: m.folder.name)


@lru_cache(maxsize=32)
def subject_of(module: Module) -> Subject:
    return Subject(COURSE, module)


def solved(module: Module) -> Document:
    return subject_of(module).solved


def stub(module: Module) -> Document:
    """What a student begins with."""
    return subject_of(module).stub


def verdict(work: Document, module: Module, root: Path = ROOT) -> Verdict:
    return subject_of(module).judge(work, root)


def built_to(number: int, root: Path) -> Path:
    """A course's folder in `root`, with the package of modules 1 to `number` and not one file more."""
    return subject.built_to(COURSE, number, root)
