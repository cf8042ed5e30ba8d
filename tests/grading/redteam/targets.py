"""The assignments that are attacked: module 01 as it stands in the course, and a small one in the manner of many courses."""

from __future__ import annotations

import copy
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from grading.assignment import Assignment, freeze
from grading.term import Term
from tests.grading.redteam import plain_source
from tito.cells import Document, document
from tito.course import Course
from tito.dev.source import notebook, strip
from tito.settings import Settings

ROOT = Path(__file__).parents[3]
CANARY = "canary-7f3a91"            # stands in everything that is secret: wherever it turns up, something leaked
Notebook = dict[str, Any]


class Target:
    """An assignment, without the cells that only draw: those are never judged."""

    def __init__(self, name: str):
        self.name = name

    @cached_property
    def assignment(self) -> Assignment:
        course = Course(ROOT)
        made = freeze(Term(course, Settings(), ROOT), course.module("01"))
        if self.name == "plain":
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder) / "plain_dev.py"
                source.write_text(plain_source.SOURCE, encoding="utf-8")
                solved = notebook(source)
            probes = plain_source.PROBES.replace("@CANARY@", CANARY)
            return Assignment(1, "plain", strip(solved), solved, probes, made.package)
        return Assignment(1, "tensor", _judged(made.released), _judged(made.solved), f'HIDDEN = "{CANARY}"\n{made.probes}', made.package)

    @property
    def solved(self) -> Notebook:
        return self.assignment.solved

    @property
    def released(self) -> Notebook:
        return self.assignment.released

    def document(self, made: Notebook) -> Document:
        return document(made, Path(f"{self.name}_dev.ipynb"))


def _judged(made: Notebook) -> Notebook:
    """A notebook without its analysis cells."""
    cells = [copy.deepcopy(c) for c in made["cells"] if "analysis" not in c["metadata"].get("tags", ())]
    return made | {"cells": cells}


TARGETS = {name: Target(name) for name in ("tensor", "plain")}
