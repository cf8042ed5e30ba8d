"""What reading an assignment shows: the lint's own rules by kind of fault, names of later modules, and answers that are still there."""

from __future__ import annotations

import ast
import builtins
import math
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from grading.assignment import Assignment, Notebook
from grading.author.rehearsal.problem import DIFFERS, LATER, LEFT, METADATA, POINTS, SOURCE, UNPROBED, Problem
from tito.cells import Cell, document
from tito.check.names import bound, used
from tito.course import Module
from tito.dev import lint, lint_names, lint_probes
from tito.dev.page import Page, cell_lines
from tito.dev.source import MARKER, notebook, solution_blocks
from tito.package import owned

KINDS: dict[Callable[[Page], Iterator[lint.Found]], str] = {
    lint.metadata: METADATA, lint.first_cell: METADATA, lint.solutions: LEFT, lint_names.later_modules: LATER,
    lint_names.later_words: LATER, lint_probes.probes: UNPROBED}
LONG = 20                       # letters: a shorter line, such as `return self`, is anybody's


def unreadable(module: Module) -> list[Problem]:
    """Metadata and probes that nothing else can be read with."""
    try:
        raw = notebook(module.source)
    except (AttributeError, TypeError, ValueError) as err:
        return [Problem(1, METADATA, f"the metadata of a cell cannot be read: {err}", fix="write nbgrader={\"grade\": …}")]
    text = module.source.read_text(encoding="utf-8-sig")
    lines = cell_lines(text, _bare(raw))
    found = [Problem(line, METADATA, what, str(marks.get("grade_id", "")), fix=fix)
             for cell, line in zip(raw["cells"], lines) for marks in [cell["metadata"].get("nbgrader", {})] for what, fix in _marks(marks)]
    probes = module.folder / "probes.py"
    try:
        ast.parse(probes.read_text(encoding="utf-8") if probes.exists() else "")
    except (SyntaxError, ValueError) as err:
        found.append(Problem(0, UNPROBED, f"probes.py cannot be read: {err}", fix="mend it there"))
    return found


def _bare(raw: Notebook) -> tuple[Cell, ...]:
    """The cells without their metadata, which may be anything."""
    return document({"cells": [cell | {"metadata": {}} for cell in raw["cells"]]}, Path("bare")).cells


def _marks(marks: dict[str, Any]) -> Iterator[tuple[str, str]]:
    points = marks.get("points", 0)
    if isinstance(points, bool) or not isinstance(points, int | float) or not math.isfinite(points):
        yield f"the points are {points!r}, not a number", "write \"points\": 5"


def by_lint(page: Page) -> Iterator[Problem]:
    """What the lint's rules say; how many points a module is worth and which mistakes are tried is the author's own affair."""
    ids = {placed.line: placed.cell.grade_id for placed in page.cells}
    for rule in (*lint.RULES, *lint_names.RULES, *lint_probes.RULES):
        if rule in (lint.points, lint_probes.mistakes):
            continue
        for line, what, fix in rule(page):
            kind = POINTS if what.endswith("without points") else KINDS.get(rule, SOURCE)
            where = next((ids[at] for at in sorted(ids, reverse=True) if at <= line and line > 1), "")
            yield Problem(line, kind, what, where, fix=fix)


def worthless(page: Page) -> Iterator[Problem]:
    """A module without points gives no grade."""
    if not any(placed.cell.points > 0 for placed in page.cells if placed.cell.grade):
        yield Problem(1, POINTS, "no cell of the module has points", fix="grade at least one cell: nbgrader metadata with \"points\"")


def later_names(page: Page) -> Iterator[Problem]:
    """No test and no probe uses a bare name that only a later module defines."""
    later = {name: entry.number for entry in owned(lint_names.course_table(page.course)) if entry.number > page.module.number
             for name in entry.names}
    own = {name for placed in page.code for name in bound(placed.cell.source)} | set(dir(builtins))
    for placed in page.code:
        if placed.cell.test:
            for name in sorted((used(placed.cell.source) & later.keys()) - own - _locals(placed.tree)):
                yield _later(placed.line, placed.cell.grade_id, "the test", name, later[name])
    for grade_id, name in _asked(page.module):
        if name in later and name not in own:
            line = next((p.line for p in page.code if p.cell.grade_id == grade_id), 0)
            yield _later(line, grade_id, "the probe", name, later[name])


def _locals(tree: ast.Module) -> set[str]:
    """The names that a cell gives a meaning of its own, in whatever function."""
    found = set()
    for n in ast.walk(tree):
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
            found.add(n.id)
        elif isinstance(n, ast.arg):
            found.add(n.arg)
        elif isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(n.name)
        elif isinstance(n, ast.Import):         # what comes from a later module is needed, whatever it is called
            found |= {a.asname or a.name for a in n.names}
    return found


def _later(line: int, grade_id: str, who: str, name: str, number: int) -> Problem:
    return Problem(line, LATER, f"{who} uses `{name}`, which the later module {number:02d} brings", grade_id,
                   fix="a module needs only earlier ones")


def _asked(module: Module) -> Iterator[tuple[str, str]]:
    """(grade_id, a name that its probe asks of `tinytorch`)."""
    probes = module.folder / "probes.py"
    tree = ast.parse(probes.read_text(encoding="utf-8") if probes.exists() else "")
    for function in (n for n in tree.body if isinstance(n, ast.FunctionDef)):
        grade_ids = [str(c.args[0].value) for c in function.decorator_list if isinstance(c, ast.Call) and c.args
                     and isinstance(c.args[0], ast.Constant)]
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tinytorch":
                yield "".join(grade_ids), node.attr


# ---- answers that are still there --------------------------------------------------------------

def left(solved: Notebook, released: Notebook, page: Page, of: str = "") -> Iterator[Problem]:
    """Lines of answers, and their marks, in what students get; `of`: which copy of it that is."""
    answers, lines_outside = _answers(solved)
    prose = "\n".join(lines_outside)                    # a text may quote a line
    alone = {line: grade_id for grade_id, lines in answers for line in lines
             if line not in lines_outside and not (len(line) >= LONG and line in prose)}
    for cell in released["cells"]:
        here = cell["metadata"].get("nbgrader", {}).get("grade_id", "") or cell["id"]
        texts = [_plain(text) for text in _texts(cell)]
        if mark := next((found[0] for text in _texts(cell) if (found := MARKER.search(text))), ""):
            yield _left(page, here, f"{of}{mark} stands in {here}")
        for line, grade_id in alone.items():
            if any(line == text or len(line) >= LONG and line in text for text in texts):
                yield _left(page, here, f"{of}`{line}` of the answer to {grade_id} stands in {here}")
                break
        for grade_id, lines in answers:
            if _whole(lines, [t for t in texts if t]):
                yield _left(page, here, f"{of}the whole answer to {grade_id} stands in {here}")


def _left(page: Page, where: str, what: str) -> Problem:
    line = next((p.line for p in page.cells if where in (p.cell.grade_id, p.cell.id)), 0)
    return Problem(line, LEFT, what, where, why="students would read it", fix="take it out, or put it between BEGIN and END SOLUTION")


def _answers(solved: Notebook) -> tuple[list[tuple[str, list[str]]], set[str]]:
    """(grade_id, its lines) for every answer; and the lines that stand outside of answers."""
    answers, outside = [], set[str]()
    for cell in solved["cells"]:
        lines, inside = cell["source"].split("\n"), set[int]()
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "") or cell["id"]
        for begin, end in solution_blocks(cell["source"]):
            inside |= set(range(begin, end + 1))
            answers.append((name, [text for line in lines[begin + 1:end] if (text := _plain(line))]))
        outside |= {_plain(line) for number, line in enumerate(lines) if number not in inside}
    return answers, outside


def _whole(answer: list[str], lines: list[str]) -> bool:
    """Whether an answer stands in some lines, one after the other."""
    size = len(answer)
    return sum(map(len, answer)) >= LONG and any(lines[n:n + size] == answer for n in range(len(lines) - size + 1))


def _plain(line: str) -> str:
    """A line without a comment's sign or a remark at its end, blanks made single."""
    return " ".join(re.sub(r"\s#.*", "", re.sub(r"^\s*#+\s?", "", line)).split())


def _texts(cell: Notebook) -> list[str]:
    """Every line of text in a cell: its source, its outputs, its metadata."""
    return list(chain.from_iterable(text.split("\n") for text in _strings({k: v for k, v in cell.items() if k != "id"})))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


# ---- what students have already ----------------------------------------------------------------

def differs(page: Page, one: Notebook, other: Notebook, what: str, why: str, fix: str, blocks: bool) -> Iterator[Problem]:
    """Two notebooks that should be the same: the first cell in which they are not."""
    ours, theirs = _contents(one), _contents(other)
    if ours == theirs:
        return
    n = next((n for n, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    cells = (ours[n:] or theirs[n:])[0]
    where = str(cells[2].get("nbgrader", {}).get("grade_id", ""))
    line = next((p.line for p in page.cells if where and p.cell.grade_id == where), 0)
    yield Problem(line, DIFFERS, f"{what}, first in {where or f'cell {n + 1}'}", where, why, fix, blocks)


def _contents(notebook: Notebook) -> list[tuple[str, str, dict[str, Any]]]:
    return [(c["cell_type"], "".join(c["source"]), c["metadata"]) for c in notebook["cells"]]


def all_read(page: Page, fresh: Assignment | None) -> Iterator[Problem]:
    """Whatever reading shows of a module and of the assignment that it makes."""
    yield from by_lint(page)
    yield from worthless(page)
    yield from later_names(page)
    if fresh:
        yield from left(fresh.solved, fresh.released, page)
