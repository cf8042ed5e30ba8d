"""The rules about a module's hidden half: every graded cell has a probe, and every answer a mistake that is tried on it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from tito.dev.lint import Found
from tito.dev.page import Page


def probes(page: Page) -> Iterator[Found]:
    """Every automatically graded cell has a probe, and every probe a graded cell."""
    asked = _first_arguments(page.module.folder / "probes.py", "probe")
    for placed in page.code:
        if placed.cell.test and placed.cell.grade_id not in asked:
            yield placed.line, f"graded cell `{placed.cell.grade_id}` has no probe", "add one to probes.py"
    tests = {placed.cell.grade_id for placed in page.code if placed.cell.test}
    for grade_id in sorted(asked - tests):
        yield 1, f"probes.py has a probe of `{grade_id}`, which is no graded cell", "give it the grade_id of a test cell"


def mistakes(page: Page) -> Iterator[Found]:
    """Every answer has a mistake that is tried on it."""
    tried = _first_arguments(page.module.folder / "mistakes.py", "Mistake")
    for placed in page.code:
        if placed.cell.solution and placed.cell.grade_id not in tried:
            yield placed.line, f"no mistake of solution cell `{placed.cell.grade_id}` is tried", "add one to mistakes.py"


def _first_arguments(path: Path, function: str) -> set[str]:
    """The texts that come first in calls of a function in a file; none where there is no file."""
    if not path.exists():
        return set()
    calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call) and n.args]
    return {str(c.args[0].value) for c in calls if isinstance(c.args[0], ast.Constant) and ast.unparse(c.func) == function}


RULES: tuple[Callable[[Page], Iterator[Found]], ...] = (probes, mistakes)
